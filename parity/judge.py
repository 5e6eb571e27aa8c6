"""One operation on one case, three ways: ours, torch's, and the right answer.

`judge` measures every side against the right answer, within the bound of its rounding errors, so
that a failure names the side that is wrong. `compare` has only two results and a tolerance, where
the right answer is not known. Importing this file takes NumPy alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from parity import bounds, digits
from parity.cases import Case
from parity.digits import Numbers, Precision
from parity.ops import Op, as_tuple
from scratchnn.ops.shared import Array

OURS = "NumPy"
Index = tuple[int, ...]


def judge(
    op: Op,
    case: Case,
    dy_seed: int = 0,
    on: Sequence[str] = ("cpu",),
    precision: Precision = "ieee",
    judged_as: Precision | None = None,
    *,
    dy: Array | None = None,
) -> list[Verdict]:
    """Measure the value, then each gradient, of NumPy and of torch on each device.

    The upstream gradient is `dy`, or a random one, drawn from `dy_seed`. `precision` is that of
    torch's products of float32 matrices. Its bound is the one of that precision, or of another:
    `judged_as`. An operation that parity.theirs does not have is judged without torch.

    Raises   ValueError, TypeError where a side has another shape or dtype than the right answer
    """
    exact, dtype = right_value(op, case), value_dtype(op, case)
    dy = upstream(exact, dtype, dy_seed) if dy is None else dy
    strict = value_bound(op, case), *gradient_bounds(op, case, dy)
    results = {OURS: ((op.ours(**case), *as_tuple(op.backward(dy, **case))), strict)}
    loose = strict
    if (judged_as or precision) == "tf32":
        loose = value_bound(op, case, bounds.TF32), *gradient_bounds(op, case, dy, bounds.TF32)
    for device in on if "theirs" not in op.missing else ():
        results[f"torch {device}"] = run_torch(op, case, dy, device, precision), loose
    quantities = [op.name, *(f"{op.name}, d{name}" for name in op.inputs)]
    dtypes = [dtype, *(case[name].dtype for name in op.inputs)]
    verdicts = []
    for i, right in enumerate((exact, *right_gradients(op, case, dy))):
        cast = cast_error(right, dtype, dtypes[i])
        errors = (
            measure(side, quantities[i], found[i], right, allowed[i] + cast, dtypes[i])
            for side, (found, allowed) in results.items()
        )
        verdicts.append(Verdict(quantities[i], tuple(errors)))
    return verdicts


def cast_error(right: Numbers, computed: np.dtype[Any], own: np.dtype[Any]) -> Array | float:
    """Bound what it adds that a result has another dtype than it was computed in.

    Of a finer one, a rounding; of a coarser one, what underflows there.
    """
    if own == computed:
        return 0.0
    if np.finfo(own).eps < np.finfo(computed).eps:
        return bounds.allowance(np.zeros(()), computed)
    return bounds.unit_roundoff(own) * abs(digits.rounded(right, np.float64))


def run_torch(
    op: Op, case: Case, dy: Array, device: str = "cpu", precision: Precision = "ieee"
) -> tuple[Array, ...]:
    """Return torch's value and, by autograd, its gradient for each of the inputs."""
    import torch

    from parity import devices
    from parity.convert import to_array, to_tensor, to_tensors

    arguments = to_tensors(case, device)
    inputs = [arguments[name].requires_grad_() for name in op.inputs]
    with devices.products(device, precision):
        value = op.theirs(**arguments)
        gradients = torch.autograd.grad(value, inputs, to_tensor(dy, device))
    return tuple(map(to_array, (value, *gradients)))


# The right answers of a case, and their bounds


def value_dtype(op: Op, case: Case) -> np.dtype[Any]:
    """Return the precision of the value: the option dtype, or that of the first input."""
    return np.dtype(case.get("dtype") or case[op.inputs[0]].dtype)


def right_value(op: Op, case: Case) -> Numbers:
    with digits.precise(), np.errstate(all="ignore"):
        return op.exact(**_lifted(op, case))


def right_gradients(op: Op, case: Case, dy: Array) -> tuple[Numbers, ...]:
    """Return the right gradient of Σ dy · value for each of the inputs."""
    with digits.precise(), np.errstate(all="ignore"):
        lifted = digits.lift(dy, value_dtype(op, case))
        return as_tuple(op.exact_backward(lifted, **_lifted(op, case)))


def value_bound(op: Op, case: Case, factors: float = 0.0) -> Array:
    """Bound the error of the value; `factors` is that of a factor of a product (bounds.TF32)."""
    with np.errstate(all="ignore"):  # a bound that is no number fails where it is used
        return op.bound(**_in_float64(op, case, factors))


def gradient_bounds(op: Op, case: Case, dy: Array, factors: float = 0.0) -> tuple[Array, ...]:
    with np.errstate(all="ignore"):
        wide = np.asarray(dy, np.float64)
        return as_tuple(op.backward_bound(wide, **_in_float64(op, case, factors)))


def upstream(exact: Numbers, dtype: DTypeLike, seed: int) -> Array:
    """Return a random upstream gradient for a value, never ones."""
    return np.asarray(np.random.default_rng(seed).normal(size=np.shape(exact)), dtype)


def _lifted(op: Op, case: Case) -> Case:
    dtype = value_dtype(op, case)
    return {name: digits.lift(value, dtype) for name, value in case.items()}


def _in_float64(op: Op, case: Case, factors: float) -> Case:
    wide = {
        name: value.astype(np.float64) if getattr(value, "dtype", None) == np.float32 else value
        for name, value in case.items()
    }
    wide["u"] = bounds.unit_roundoff(value_dtype(op, case))
    return wide | ({"factors": factors} if op.products else {})


# One side's result, against the right answer


@dataclass(frozen=True)
class Error:
    """How far one side's result is from the right answer, at the element closest to its tolerance.

    Units    that of the quantity; `ratio` is the error over the tolerance; `ulps` is the largest
             error of all elements in units in the last place of the right answer.
    """

    side: str
    index: Index
    value: float
    exact: float
    error: float
    tolerance: float
    ratio: float
    ulps: float

    @property
    def holds(self) -> bool:
        return self.ratio <= 1

    def __str__(self) -> str:
        word = "is within" if self.holds else "LEFT"
        return (
            f"{self.side}{at(self.index)} {word} its bound: {self.value!r}, right is "
            f"{self.exact!r}, off by {self.error:.2e}, allowed {self.tolerance:.2e}; "
            f"at most {self.ulps:,.3g} ulp"
        )


@dataclass(frozen=True)
class Verdict:
    """One quantity, as each side has it."""

    quantity: str
    errors: tuple[Error, ...]

    @property
    def holds(self) -> bool:
        return not self.guilty

    @property
    def guilty(self) -> tuple[str, ...]:
        """The sides that left their bound."""
        return tuple(error.side for error in self.errors if not error.holds)

    def __str__(self) -> str:
        return "\n".join([self.quantity, *(f"  {error}" for error in self.errors)])


def measure(
    side: str, quantity: str, result: ArrayLike, exact: Numbers, bound: ArrayLike, dtype: DTypeLike
) -> Error:
    """Measure one side's result against the right answer; the bound is that of its rounding errors.

    Where the bound is NaN or infinite, nothing but the right answer holds.

    Raises   ValueError for another shape than the right answer's, TypeError for another dtype
    """
    result, shape = np.asarray(result), np.shape(exact)
    if result.shape != shape:
        raise ValueError(f"{quantity}: {side} has shape {result.shape}, must have {shape}")
    if result.dtype != dtype:
        raise TypeError(f"{quantity}: {side} has dtype {result.dtype}, must have {np.dtype(dtype)}")
    if result.size == 0:
        return Error(side, (), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    error, rounded = digits.distance(result, exact), digits.rounded(exact, dtype)
    tolerance = np.broadcast_to(bounds.allowance(np.asarray(bound), dtype), shape)
    ratio = _ratio(error, tolerance)
    with np.errstate(all="ignore"):
        ulps = error / np.spacing(abs(rounded)).astype(np.float64)
    index = _largest(ratio)
    there = _floats(index, result, rounded, error, tolerance, ratio)
    return Error(side, index, *there, *_floats((), np.where(error, ulps, 0.0).max()))


# Two results, and a tolerance


@dataclass(frozen=True)
class Difference:
    """How far two results of one quantity are apart, at the element closest to its tolerance.

    Units    that of the quantity; `ratio` is the difference over the tolerance, at most 1
             where parity holds. `largest` is the largest difference of all elements, and
             `largest_tolerance` the tolerance of that element.
    """

    quantity: str
    index: Index
    ours: float
    torch: float
    tolerance: float
    ratio: float
    largest: float
    largest_tolerance: float
    reason: str | None = None  # why there is nothing to compare: it never holds then

    @property
    def difference(self) -> float:
        return abs(self.ours - self.torch)

    @property
    def holds(self) -> bool:
        return self.ratio <= 1

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        return (
            f"{self.quantity}{at(self.index)}: NumPy {self.ours!r}, torch {self.torch!r}, apart "
            f"by {self.difference:.2e}, tolerance {self.tolerance:.2e}"
        )


def compare(quantity: str, ours: ArrayLike, torch: ArrayLike, tolerance: ArrayLike) -> Difference:
    """Compare two results entry by entry; return the entry with the largest share of its tolerance.

    Equal infinities agree, and two NaNs; a NaN or an infinity on one side alone never does. Where
    the tolerance is NaN or infinite, nothing but equal results holds.

    Raises   ValueError for shapes, TypeError for dtypes that differ
    """
    ours, torch = np.asarray(ours), np.asarray(torch)
    if ours.shape != torch.shape:
        raise ValueError(f"{quantity}: NumPy has shape {ours.shape}, torch {torch.shape}")
    if ours.dtype != torch.dtype:
        raise TypeError(f"{quantity}: NumPy has dtype {ours.dtype}, torch {torch.dtype}")
    if ours.size == 0:
        return Difference(quantity, (), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    tolerance = np.broadcast_to(tolerance, ours.shape)
    agree = (ours == torch) | (np.isnan(ours) & np.isnan(torch))
    with np.errstate(all="ignore"):
        difference = np.where(agree, 0.0, abs(ours.astype(np.float64) - torch))
    difference = np.where(np.isnan(difference), np.inf, difference)
    ratio = _ratio(difference, tolerance)
    index, largest = _largest(ratio), _largest(difference)
    there = _floats(index, ours, torch, tolerance, ratio)
    return Difference(quantity, index, *there, *_floats(largest, difference, tolerance))


def worst(differences: Sequence[Difference]) -> Difference:
    """Return the one with the largest share of its tolerance, and the largest difference of all."""
    closest = max(differences, key=lambda difference: difference.ratio)
    largest = max(differences, key=lambda difference: difference.largest)
    return replace(closest, largest=largest.largest, largest_tolerance=largest.largest_tolerance)


def _ratio(error: Array, tolerance: Array) -> Array:
    """Return error / tolerance: 0 where there is no error, and inf where there is no tolerance.

    A tolerance that is infinite or NaN is none.
    """
    with np.errstate(all="ignore"):
        ratio = np.where(np.isfinite(tolerance), error / tolerance, np.inf)
    return np.where(error == 0, 0.0, np.where(np.isnan(ratio), np.inf, ratio))


def _floats(index: Index, *arrays: Array) -> Any:
    return tuple(float(x[index]) for x in arrays)


def _largest(x: Array) -> Index:
    return tuple(map(int, np.unravel_index(x.argmax(), x.shape)))


def at(index: Index) -> str:
    """Return an index as it stands after an array's name."""
    return f"[{', '.join(map(str, index))}]" if index else ""


def literal(value: object) -> str:
    """Return an expression, for who has NumPy as np, that evaluates to the value bit by bit."""
    if not isinstance(value, np.ndarray | float):
        return repr(value)
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    text = re.sub(r"(?<![\w.])(inf|nan)\b", r"np.\1", repr(listed))
    if not isinstance(value, np.ndarray):
        return text
    usual = value.dtype in (np.float64, np.int64) and value.size > 0
    dtype = "" if usual else f", np.{value.dtype.name}"
    return f"np.array({text}{dtype})" if value.size else f"np.empty({value.shape}{dtype})"
