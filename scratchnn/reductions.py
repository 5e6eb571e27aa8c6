"""What becomes of the losses of a batch: each of them, their mean, or their sum."""

from typing import Literal, TypeAlias

from scratchnn.arrays import Array

Reduction: TypeAlias = Literal["none", "mean", "sum"]


def reduce(losses: Array, reduction: Reduction) -> Array:
    """Reduce a batch's losses to their mean or sum, or leave them as they are.

    Shapes   losses (...) → (...) for "none", else ()
    Raises   ValueError for the mean of nothing, or another word
    """
    check_reduction(reduction, losses.size)
    if reduction == "none":
        return losses
    total: Array = losses.sum()
    return total / losses.size if reduction == "mean" else total


def reduce_backward(dloss: Array | float, losses: int, reduction: Reduction) -> Array | float:
    """Vector-Jacobian product of `reduce`: what each loss gets of dloss.

        mean: dloss / number of losses        sum, none: dloss

    Shapes   dloss () or, for "none", (...) → the same; it broadcasts over the losses.
    """
    check_reduction(reduction, losses)
    return dloss / losses if reduction == "mean" else dloss


def check_reduction(reduction: str, losses: int) -> None:
    """Refuse unknown reductions, and the mean of no losses, which is 0/0.

    Raises   ValueError
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'reduction must be "none", "mean" or "sum", got {reduction!r}')
    if reduction == "mean" and losses == 0:
        raise ValueError("the mean needs a batch of at least one example, got an empty one")
