"""kl_div, with the conventions of torch: logarithms in, and a "mean" that is not the divergence."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from scratchnn.arrays import Array, check_float, check_same_shape
from scratchnn.reductions import reduce, reduce_backward
from scratchnn.strictness import checked

KLReduction: TypeAlias = Literal["none", "mean", "sum", "batchmean"]


@checked
def kl_div(
    log_q: Array, target: Array, *, reduction: KLReduction = "mean", log_target: bool = False
) -> Array:
    """Summands of the divergence KL(P ‖ Q) of a target P from a model's log Q.

        loss = p (log p - log q),   0 where p = 0

    Their sum over the classes is the divergence: "batchmean" averages that over
    the rows; "mean" divides by C as well, and is no divergence.

    Shapes   log_q, target (...), log p with `log_target` → () or, for "none", (...)
    Units    nats
    Torch    torch.nn.functional.kl_div(log_q, target); information.py has the divergence itself
    """
    _check(log_q, target)
    if log_target:
        losses = np.exp(target) * (target - log_q)
    else:
        safe = np.where(target > 0, target, 1)
        losses = target * np.log(safe) - target * log_q
        losses = np.where(target < 0, np.nan, losses)
    return reduce(losses, *_plain(reduction, log_q))


@checked
def kl_div_backward(
    dloss: Array | float,
    log_q: Array,
    target: Array,
    *,
    reduction: KLReduction = "mean",
    log_target: bool = False,
) -> Array:
    """Vector-Jacobian product of `kl_div`: d(log q) from dloss.

        ∂loss/∂(log q) = -p

    Shapes   dloss () or, for "none", (...); log_q, target (...) → dlog_q (...)
    """
    _check(log_q, target)
    p = np.exp(target) if log_target else target
    dlog_q = -p * _share(dloss, log_q, reduction, p.dtype)
    return dlog_q.astype(log_q.dtype, copy=False)


@checked
def kl_div_backward_target(
    dloss: Array | float,
    log_q: Array,
    target: Array,
    *,
    reduction: KLReduction = "mean",
    log_target: bool = False,
) -> Array:
    """Return the gradient of `kl_div` for the target.

        ∂loss/∂p = log p - log q + 1,   NaN where p = 0, as in torch
        ∂loss/∂(log p) = p (log p - log q + 1)

    Shapes   as `kl_div_backward` → dtarget (...)
    """
    _check(log_q, target)
    slope: Array
    if log_target:
        slope = np.exp(target) * (target - log_q + 1)
    else:
        safe = np.where(target > 0, target, np.nan)
        slope = np.log(safe) - log_q + 1
    dtarget = slope * _share(dloss, log_q, reduction, slope.dtype)
    return dtarget.astype(target.dtype, copy=False)


def _share(dloss: Array | float, log_q: Array, reduction: KLReduction, dtype: DTypeLike) -> Array:
    return reduce_backward(dloss, log_q.shape, *_plain(reduction, log_q), dtype=dtype)


def _plain(
    reduction: KLReduction, log_q: Array
) -> tuple[Literal["none", "mean", "sum"], int | None]:
    """Read "batchmean" as a mean over the rows; return the reduction and its count."""
    if reduction not in ("none", "mean", "sum", "batchmean"):
        raise ValueError(
            f'reduction must be "none", "mean", "sum" or "batchmean", got {reduction!r}'
        )
    if reduction == "batchmean":
        return "mean", log_q.shape[0] if log_q.ndim else 1
    return reduction, None


def _check(log_q: Array, target: Array) -> None:
    check_float(log_q=log_q, target=target)
    check_same_shape(log_q=log_q, target=target)
