"""Array types, and the checks of what NumPy would get silently wrong."""

from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]


def check_float(**arrays: Array) -> None:
    """Refuse arrays of integers, whose results NumPy would round or widen.

    Complex arrays pass: complex-step differentiation needs them.

    Raises   TypeError
    """
    for name, array in arrays.items():
        dtype = getattr(array, "dtype", None)
        if dtype is None:
            raise TypeError(f"{name} must be a NumPy array, got {type(array).__name__}")
        if dtype.kind not in "fc":
            raise TypeError(f"{name} must be floating point, got {dtype}")


def check_same_shape(**arrays: Array) -> None:
    """Refuse shapes that differ: (N, 1) - (N,) would broadcast to (N, N).

    Raises   ValueError
    """
    (name, array), *others = arrays.items()
    for other, value in others:
        if value.shape != array.shape:
            raise ValueError(
                f"{other} must have the shape of {name} {array.shape}, got {value.shape}"
            )


def check_axis(axis: int, array: Array) -> None:
    """Refuse what is not one axis of the array; a number counts as an array of one axis.

    Raises   TypeError; ValueError, as NumPy's AxisError
    """
    try:
        normalize_axis_index(axis, array.ndim or 1)
    except TypeError:
        raise TypeError(f"axis must be an integer, got {axis!r}") from None


def check_matrix(**arrays: Array | IntArray) -> None:
    """Refuse anything but a matrix with at least one row and one column.

    Raises   ValueError
    """
    for name, array in arrays.items():
        if array.ndim != 2:
            raise ValueError(f"{name} must be a matrix (rows, columns), got shape {array.shape}")
        if array.size == 0:
            raise ValueError(
                f"{name} must have at least one row and column, got shape {array.shape}"
            )


def check_labels(target: IntArray, rows: int, classes: int) -> None:
    """Refuse labels that are no class indices: -1 would read the last class.

    Raises   TypeError, ValueError
    """
    dtype = getattr(target, "dtype", None)
    if dtype is None or dtype.kind not in "iu":
        got = type(target).__name__ if dtype is None else dtype
        raise TypeError(f"target must be a NumPy array of integer class indices, got {got}")
    if target.shape != (rows,):
        raise ValueError(f"target must have shape ({rows},), one class a row, got {target.shape}")
    low, high = target.min(), target.max()
    if low < 0 or high >= classes:
        raise ValueError(
            f"target must hold class indices in [0, {classes}), got values in [{low}, {high}]"
        )


def check_probabilities(*, above_one: float = 0.0, **arrays: Array) -> None:
    """Refuse what is no probability: negative, above 1 (by more than `above_one`), or NaN.

    Raises   TypeError, ValueError
    """
    check_float(**arrays)
    for name, p in arrays.items():
        if p.dtype.kind == "c":
            raise TypeError(f"{name} must be real, got {p.dtype}")
        wrong = ~((p >= 0) & (p <= 1 + above_one))  # NaN is neither
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            raise ValueError(f"{name} must hold probabilities in [0, 1], got {p[at]} at {at}")


def check_distributions(axis: int, **arrays: Array) -> None:
    """Refuse what is no probability distribution along `axis`, but for rounding.

        |Σ p - 1| ≤ 2 C u        with u = eps / 2 of the array's own precision

    C roundings go into normalising C numbers, and C into summing them here.

    Raises   TypeError, ValueError
    """
    for name, p in arrays.items():
        check_float(**{name: p})
        check_axis(axis, p)
        if not p.ndim:
            raise ValueError(f"{name} must have an axis of classes, got a single number")
        tolerance = p.shape[axis] * float(np.finfo(p.dtype).eps)
        check_probabilities(above_one=tolerance, **{name: p})
        total = p.sum(axis=axis)
        wrong = abs(total - 1) > tolerance
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            raise ValueError(
                f"{name} must sum to 1 along axis {axis}, within {tolerance:.1e} for rounding "
                f"in {p.dtype}, got {total[at]}" + (f" at {at}" if at else "")
            )
