"""kl_div with torch's conventions: it takes logarithms, and its "mean" is not the divergence."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from scratchnn.ops.shared import (
    Array,
    Reduction,
    check_choice,
    check_flag,
    check_float,
    check_real,
    check_same_shape,
    reduce,
    reduce_backward,
)

KLReduction: TypeAlias = Literal["none", "mean", "sum", "batchmean"]


def kl_div(
    log_q: Array, target: Array, *, reduction: KLReduction = "mean", log_target: bool = False
) -> Array:
    """Terms of the divergence KL(P‖Q) of a target P from a model's log Q.

        loss = p (log p - log q),   0 where p = 0

    Their sum over the classes is the divergence. "batchmean" averages that over
    the rows; "mean" divides by C as well, and is no divergence.

    Shapes   log_q, target (...) → () or, for "none", (...)
    Options  reduction    "mean" over all entries, "batchmean" over the rows, "sum", or "none"
             log_target   whether target holds log p in place of p
    Units    nats
    Torch    torch.nn.functional.kl_div(log_q, target); information.kl_divergence is the divergence
    """
    _check(log_q, target, log_target)
    with np.errstate(invalid="ignore"):  # inf - inf and 0 · inf are nan, as in torch
        if log_target:
            losses = np.exp(target) * (target - log_q)
        else:
            log_p = np.log(np.where(target > 0, target, 1))
            losses = target * log_p - target * log_q
            losses = np.where(target < 0, np.nan, losses)
        return reduce(losses, *_plain(reduction, log_q))


def kl_div_backward(
    dloss: Array | float,
    log_q: Array,
    target: Array,
    *,
    reduction: KLReduction = "mean",
    log_target: bool = False,
) -> tuple[Array, Array]:
    """Backward of `kl_div`.

        ∂loss/∂(log q) = -p
        ∂loss/∂p = log p - log q + 1,   NaN where p = 0, as in torch
        ∂loss/∂(log p) = p (log p - log q + 1)

    Shapes   dloss () or, for "none", (...); log_q, target (...) → dlog_q, dtarget (...)
    Options  as given to `kl_div`
    """
    _check(log_q, target, log_target)
    check_real(log_q=log_q, target=target)
    with np.errstate(invalid="ignore"):  # inf - inf and 0 · inf are nan, as in torch
        p: Array
        slope: Array
        if log_target:
            p = np.exp(target)
            slope = p * (target - log_q + 1)
        else:
            p = target
            slope = np.log(np.where(target > 0, target, np.nan)) - log_q + 1
        dlosses = reduce_backward(
            dloss, log_q.shape, *_plain(reduction, log_q), dtype=np.result_type(p, log_q)
        )
        return (
            (-p * dlosses).astype(log_q.dtype, copy=False),
            (slope * dlosses).astype(target.dtype, copy=False),
        )


def _plain(reduction: KLReduction, log_q: Array) -> tuple[Reduction, int | None]:
    """Read "batchmean" as a mean over the rows; return the reduction and its count."""
    if isinstance(reduction, str) and reduction == "batchmean":
        return "mean", log_q.shape[0] if log_q.ndim else 1
    check_choice(("none", "mean", "sum", "batchmean"), reduction=reduction)
    return reduction, None


def _check(log_q: Array, target: Array, log_target: bool) -> None:
    check_flag(log_target=log_target)
    check_float(log_q=log_q, target=target)
    check_same_shape(log_q=log_q, target=target)
