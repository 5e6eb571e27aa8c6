"""What becomes of the losses of a batch: each of them, their mean, or their sum."""

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from scratchnn.arrays import Array

Reduction: TypeAlias = Literal["none", "mean", "sum"]


def reduce(losses: Array, reduction: Reduction, count: Array | float | None = None) -> Array:
    """Reduce a batch's losses to their mean or sum, or leave them as they are.

        mean: Σ losses / count

    `count` is the number of losses, unless they are weighted. The mean of
    nothing is 0/0: NaN, as in torch.

    Shapes   losses (...) → (...) for "none", else ()
    Raises   ValueError for another word
    """
    check_reduction(reduction)
    if reduction == "none":
        return losses
    total: Array = losses.sum()
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
    """Vector-Jacobian product of `reduce`: what each loss gets of dloss.

        mean: dloss / count        sum, none: dloss

    It comes in the losses' `dtype`: a number of float64 in an array would widen what
    it is multiplied by.

    Shapes   dloss () or, for "none", also `shape`, that of the losses → the same
    Raises   ValueError for a dloss of another shape
    """
    check_reduction(reduction)
    given = np.shape(dloss)
    if given != () and (reduction != "none" or given != shape):
        wanted = f"() or {shape}" if reduction == "none" else "()"
        raise ValueError(f'dloss must have shape {wanted} for "{reduction}", got {given}')
    dloss = np.asarray(dloss, dtype)
    if reduction != "mean":
        return dloss
    return np.asarray(np.divide(dloss, math.prod(shape) if count is None else count), dtype)


def check_reduction(reduction: str) -> None:
    """Refuse unknown reductions.

    Raises   ValueError
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'reduction must be "none", "mean" or "sum", got {reduction!r}')
