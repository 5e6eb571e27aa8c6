"""Two results, or one and the right answer; a tolerance; the element that is worst off."""

from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any

import numpy as np

from parity import bounds
from scratchnn.arrays import Array


@dataclass(frozen=True)
class Difference:
    """How far two results of one quantity are apart, at the element closest to its tolerance.

    Units    that of the quantity; `ratio` is the difference over the tolerance, at most 1
             where parity holds. `largest` is the largest difference of all elements, beside the
             tolerance of that element.
    """

    quantity: str
    index: tuple[int, ...]
    ours: float
    torch: float
    tolerance: float
    ratio: float
    largest: float
    largest_tolerance: float
    reason: str | None = None  # why there is nothing to compare

    @property
    def difference(self) -> float:
        """The absolute difference at this element."""
        return abs(self.ours - self.torch)

    @property
    def holds(self) -> bool:
        """Whether every element is within its tolerance."""
        return self.ratio <= 1

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        at = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return (
            f"{self.quantity}{at}: NumPy {self.ours!r}, torch {self.torch!r}, apart by "
            f"{self.difference:.2e}, tolerance {self.tolerance:.2e}"
        )


def compare(quantity: str, ours: Any, torch: Any, tolerance: Any) -> Difference:
    """Compare two results entry by entry; return the entry with the largest share of its tolerance.

    Equal infinities and two NaNs agree; a NaN or an infinity on one side alone never does.

    Raises   ValueError for shapes, TypeError for dtypes that differ
    """
    ours, torch = np.asarray(ours), np.asarray(torch)
    if ours.shape != torch.shape:
        raise ValueError(f"{quantity}: NumPy has shape {ours.shape}, torch {torch.shape}")
    if ours.dtype != torch.dtype:
        raise TypeError(f"{quantity}: NumPy has dtype {ours.dtype}, torch {torch.dtype}")
    tolerance = np.broadcast_to(tolerance, ours.shape)
    agree = (ours == torch) | (np.isnan(ours) & np.isnan(torch))
    with np.errstate(all="ignore"):
        difference = np.where(agree, 0.0, abs(ours.astype(np.float64) - torch))
    difference = np.where(np.isnan(difference), np.inf, difference)
    ratio = _ratio(difference, tolerance)
    if ratio.size == 0:
        return Difference(quantity, (), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    index = np.unravel_index(ratio.argmax(), ratio.shape)
    largest = np.unravel_index(difference.argmax(), ratio.shape)
    return Difference(
        quantity, tuple(map(int, index)),
        float(ours[index]), float(torch[index]), float(tolerance[index]), float(ratio[index]),
        float(difference[largest]), float(tolerance[largest]),
    )  # fmt: skip


def incomparable(quantity: str, reason: str) -> Difference:
    """Return the difference of results that cannot be compared: one that never holds."""
    return Difference(quantity, (), nan, nan, nan, inf, inf, 0.0, reason)


def worst(differences: list[Difference]) -> Difference:
    """Return the one with the largest share of its tolerance, and the largest difference of all."""
    largest = max(differences, key=lambda difference: difference.largest)
    return replace(
        max(differences, key=lambda difference: difference.ratio),
        largest=largest.largest,
        largest_tolerance=largest.largest_tolerance,
    )


@dataclass(frozen=True)
class Error:
    """How far one side's result is from the right answer, at the element closest to its tolerance.

    Units    that of the quantity; `ratio` is the error over the tolerance; `ulps` is the largest
             error of all elements in units in the last place of the right answer.
    """

    side: str
    index: tuple[int, ...]
    value: float
    exact: float
    error: float
    tolerance: float
    ratio: float
    ulps: float

    @property
    def holds(self) -> bool:
        """Whether every element is within its tolerance."""
        return self.ratio <= 1

    def __str__(self) -> str:
        at = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        word = "is within" if self.holds else "LEFT"
        return (
            f"{self.side}{at} {word} its bound: {self.value!r}, right is {self.exact!r}, off by "
            f"{self.error:.2e}, allowed {self.tolerance:.2e}; at most {self.ulps:,.3g} ulp"
        )


@dataclass(frozen=True)
class Verdict:
    """One quantity, as each side has it."""

    quantity: str
    errors: tuple[Error, ...]

    @property
    def holds(self) -> bool:
        """Whether every side is within its bound."""
        return not self.guilty

    @property
    def guilty(self) -> tuple[str, ...]:
        """The sides that left their bound."""
        return tuple(error.side for error in self.errors if not error.holds)

    def __str__(self) -> str:
        return "\n".join([self.quantity, *(f"  {error}" for error in self.errors)])


def measure(side: str, quantity: str, result: Any, exact: Any, bound: Any, dtype: Any) -> Error:
    """Measure one side's result against the right answer; the bound is that of its rounding errors.

    Raises   ValueError for another shape than the right answer's, TypeError for another dtype
    """
    from parity.oracle import digits  # needs more than NumPy, and `compare` does not

    result, shape = np.asarray(result), np.shape(exact)
    if result.shape != shape:
        raise ValueError(f"{quantity}: {side} has shape {result.shape}, must have {shape}")
    if result.dtype != dtype:
        raise TypeError(f"{quantity}: {side} has dtype {result.dtype}, must have {np.dtype(dtype)}")
    if result.size == 0:
        return Error(side, (), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    error, rounded = digits.distance(result, exact), digits.rounded(exact, dtype)
    tolerance = np.broadcast_to(bounds.allowance(bound, dtype), shape)
    ratio = _ratio(error, tolerance)
    with np.errstate(all="ignore"):
        ulps = error / np.spacing(abs(rounded)).astype(np.float64)
    index = np.unravel_index(ratio.argmax(), shape)
    return Error(
        side, tuple(map(int, index)),
        float(result[index]), float(rounded[index]), float(error[index]),
        float(tolerance[index]), float(ratio[index]), float(np.where(error, ulps, 0.0).max()),
    )  # fmt: skip


def _ratio(error: Array, tolerance: Array) -> Array:
    """Return error / tolerance: 0 where there is no error, and inf where there is no tolerance."""
    with np.errstate(all="ignore"):
        ratio = np.where(np.isfinite(tolerance), error / tolerance, np.inf)
    return np.where(error == 0, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
