"""What the operations share: array types, checks of arguments, and the reduction of losses."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
BoolArray: TypeAlias = NDArray[np.bool_]
AnyArray: TypeAlias = NDArray[Any]
Reduction: TypeAlias = Literal["none", "mean", "sum"]


def check_float(**arrays: AnyArray) -> None:
    """Raise where an argument is not a floating-point array.

    NumPy would round or widen integers without a word. Complex arrays pass, as
    complex-step differentiation needs them.

    Raises   TypeError
    """
    for name, array in arrays.items():
        dtype = getattr(array, "dtype", None)
        if dtype is None:
            raise TypeError(f"{name} must be a NumPy array, got {type(array).__name__}")
        if dtype.kind not in "fc":
            raise TypeError(f"{name} must be floating point, got {dtype}")


def check_same_shape(**arrays: AnyArray) -> None:
    """Raise where the shapes differ: (N, 1) - (N,) would broadcast to (N, N).

    Raises   ValueError
    """
    (name, array), *others = arrays.items()
    for other, value in others:
        if value.shape != array.shape:
            raise ValueError(
                f"{other} must have the shape of {name} {array.shape}, got {value.shape}"
            )


def check_matrix(**arrays: AnyArray) -> None:
    """Raise for anything but a matrix with at least one row and one column.

    Raises   ValueError
    """
    for name, array in arrays.items():
        if array.ndim != 2:
            raise ValueError(f"{name} must be a matrix (rows, columns), got shape {array.shape}")
        if array.size == 0:
            raise ValueError(
                f"{name} must have at least one row and column, got shape {array.shape}"
            )


def check_labels(target: IntArray, shape: tuple[int, ...], classes: int) -> None:
    """Raise where the target does not hold one class index per row; -1 would read the last class.

    Shapes   target `shape`, with values in [0, classes)
    Raises   TypeError, ValueError
    """
    dtype = getattr(target, "dtype", None)
    if dtype is None or dtype.kind not in "iu":
        got = type(target).__name__ if dtype is None else dtype
        raise TypeError(f"target: class indices must be integers in a NumPy array, got {got}")
    if target.shape != shape:
        raise ValueError(f"target must have shape {shape}, one class per row, got {target.shape}")
    if target.size and target.astype(np.uintp).max() >= classes:  # -1 becomes huge
        raise ValueError(
            f"target must hold class indices in [0, {classes}), "
            f"got values in [{target.min()}, {target.max()}]"
        )


def reduce(losses: Array, reduction: Reduction, count: Array | float | None = None) -> Array:
    """Reduce the losses of a batch to their mean or sum, or return them as they are.

        mean: Σ losses / count

    The mean of nothing is 0 / 0, which is NaN, as in torch.

    Shapes   losses (...) → (...) for "none", else ()
    Options  reduction   "none", "mean" or "sum"
             count       what the mean divides by; default: the number of losses
    Raises   ValueError for another reduction
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'reduction must be "none", "mean" or "sum", got {reduction!r}')
    if reduction == "none":
        return losses
    with np.errstate(invalid="ignore", divide="ignore"):  # inf - inf; the mean of nothing
        total = losses.sum()
        if reduction == "sum":
            return total
        return np.divide(total, losses.size if count is None else count, dtype=losses.dtype)


def reduce_backward(
    dloss: Array | float,
    shape: tuple[int, ...],
    reduction: Reduction,
    count: Array | float | None = None,
    *,
    dtype: DTypeLike,
) -> Array:
    """Backward of `reduce`: what each loss gets of dloss.

        mean: dloss / count        sum, none: dloss

    The result has the `dtype` of the losses. A float64 number in an array would
    widen everything that it is multiplied by.

    Shapes   dloss () or, for "none", also `shape`, that of the losses → the same
    Raises   ValueError for a dloss of another shape
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'reduction must be "none", "mean" or "sum", got {reduction!r}')
    given = np.shape(dloss)
    if given != () and (reduction != "none" or given != shape):
        wanted = f"() or {shape}" if reduction == "none" else "()"
        raise ValueError(f'dloss must have shape {wanted} for "{reduction}", got {given}')
    dloss = np.asarray(dloss, dtype)
    if reduction != "mean":
        return dloss
    with np.errstate(invalid="ignore", divide="ignore"):  # the mean of nothing
        return np.asarray(np.divide(dloss, math.prod(shape) if count is None else count), dtype)
