"""One operation on one case: the right answers, and how far rounding may lead away from them."""

from typing import Any

import numpy as np

from parity import bounds
from parity.ops import Op
from parity.oracle import digits
from parity.oracle.digits import Numbers
from parity.strategies import Case
from scratchnn.arrays import Array


def dtype_of(op: Op, case: Case) -> np.dtype[Any]:
    """Return the precision of a case: that of the operation's first input."""
    dtype: np.dtype[Any] = case[op.inputs[0]].dtype
    return dtype


@digits.precise()
def value(op: Op, case: Case) -> Numbers:
    """Return the right value."""
    with np.errstate(all="ignore"):
        return op.exact(**_lifted(op, case))


@digits.precise()
def gradients(op: Op, case: Case, dy: Array) -> tuple[Numbers, ...]:
    """Return the right gradient of ⟨dy, value⟩ for each of the inputs."""
    with np.errstate(all="ignore"):
        return op.exact_backward(digits.lift(dy, dtype_of(op, case)), **_lifted(op, case))


def value_bound(op: Op, case: Case, factors: float = 0.0) -> Array:
    """Bound the error of the value; `factors` is that of a factor of a product (bounds.TF32)."""
    with np.errstate(all="ignore"):  # a bound that is no number is no tolerance
        return op.bound(**_precise(op, case, factors))


def gradient_bounds(op: Op, case: Case, dy: Array, factors: float = 0.0) -> tuple[Array, ...]:
    """Bound the error of each gradient."""
    with np.errstate(all="ignore"):
        return op.backward_bound(dy.astype(np.float64), **_precise(op, case, factors))


def upstream(exact: Numbers, dtype: np.dtype[Any], seed: int) -> Array:
    """Return a random upstream gradient for a value, never ones."""
    return np.asarray(np.random.default_rng(seed).normal(size=np.shape(exact)), dtype)


def _lifted(op: Op, case: Case) -> Case:
    dtype = dtype_of(op, case)
    return {name: digits.lift(value, dtype) for name, value in case.items()}


def _precise(op: Op, case: Case, factors: float) -> Case:
    precise = {
        name: value.astype(np.float64) if _is_float(value) else value
        for name, value in case.items()
    }
    precise["u"] = bounds.unit_roundoff(dtype_of(op, case))
    return precise | ({"factors": factors} if op.products else {})


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"
