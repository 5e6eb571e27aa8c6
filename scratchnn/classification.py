"""Losses that ask which class: negative log-likelihood, and cross-entropy from logits.

Let v_nc be the mass that row n's target puts on class c (targets.py). All options are one formula:

    loss_n = -Σ_c v_nc log p_nc        ∂loss_n/∂z_nc = p_nc Σ_k v_nk - v_nc
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratchnn.arrays import (
    Array,
    IntArray,
    check_float,
    check_labels,
    check_matrix,
    check_same_shape,
)
from scratchnn.reductions import Reduction, reduce, reduce_backward
from scratchnn.softmax import log_softmax, softmax
from scratchnn.strictness import checked
from scratchnn.targets import (
    check_smoothing,
    class_axis,
    class_weight,
    from_rows,
    is_soft,
    labels,
    row_shape,
    target_mass,
    to_rows,
)


@checked
def nll_loss(
    log_p: Array,
    target: IntArray,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Array:
    """Negative log-likelihood of the target classes.

        loss_n = -w_t log p[n, t],   t = target_n;   0 where t = ignore_index

    The mean divides by Σ w_t over the rows that are not ignored.

    Shapes   log_p (C,), (N, C) or (N, C, ...); target the same without C; weight (C,)
             → () or, for "none", the shape of target
    Units    nats
    Raises   ValueError, TypeError for a target that holds no class indices
    Torch    torch.nn.functional.nll_loss(log_p, target)
    """
    check_float(log_p=log_p)
    index, counts, ignored = labels(log_p, target, weight, ignore_index)
    losses = -to_rows(log_p)[np.arange(len(index)), index]
    if counts is not None:
        losses *= counts
    if ignored is not None:
        losses[ignored] = 0  # also where log p is infinite
    total = None if counts is None else counts.sum()
    return reduce(losses.reshape(row_shape(log_p))[()], reduction, total)


@checked
def nll_loss_backward(
    dloss: Array | float,
    log_p: Array,
    target: IntArray,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Array:
    """Vector-Jacobian product of `nll_loss`: d(log p) from dloss.

        ∂loss_n/∂(log p_nc) = -w_t [c = t]

    Shapes   dloss () or, for "none", the shape of target → dlog_p, the shape of log_p
    """
    check_float(log_p=log_p)
    index, counts, ignored = labels(log_p, target, weight, ignore_index)
    dlosses = _of_each_row(dloss, log_p, reduction, counts, ignored)
    rows = np.zeros_like(to_rows(log_p))
    rows[np.arange(len(index)), index] = -dlosses
    return from_rows(rows, log_p)


@checked
def cross_entropy(
    z: Array,
    target: NDArray[Any],
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Cross-entropy of softmax(z) against class indices or probabilities, from the logits.

        loss_n = -Σ_c v_nc log softmax(z_n)_c;   for a class index t without smoothing: -w_t log p_t

    The mean divides by Σ w_t over the rows not ignored, or for probabilities by
    the number of rows.

    Shapes   z (C,), (N, C) or (N, C, ...); target as z without C, or as z; weight (C,)
             → () or, for "none", z's shape without C
    Units    nats
    Raises   ValueError, TypeError for a target that holds neither
    Torch    torch.nn.functional.cross_entropy(z, target)
    """
    check_float(z=z)
    log_p = log_softmax(z, class_axis(z))
    if label_smoothing == 0 and not is_soft(target):
        return nll_loss(
            log_p, target, weight=weight, ignore_index=ignore_index, reduction=reduction
        )
    v, total, ignored = target_mass(log_p, target, weight, ignore_index, label_smoothing)
    losses: Array = -(v * to_rows(log_p)).sum(axis=1)
    if ignored is not None:
        losses[ignored] = 0
    return reduce(losses.reshape(row_shape(z))[()], reduction, total)


@checked
def cross_entropy_backward(
    dloss: Array | float,
    z: Array,
    target: NDArray[Any],
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Vector-Jacobian product of `cross_entropy`: dz from dloss.

        ∂loss_n/∂z_c = p_c Σ_k v_k - v_c = p_c Σ_(k≠c) v_k + v_c (p_c - 1)

    For a class index t, without smoothing, this is w_t (p - onehot(t)). p - 1 is expm1(log p),
    which does not cancel where p is close to 1.

    Shapes   dloss () or, for "none", the rows; z, target as `cross_entropy` → dz, the shape of z
    """
    check_float(z=z)
    rows = to_rows(z)
    if label_smoothing == 0 and not is_soft(target):
        index, counts, ignored = labels(z, target, weight, ignore_index)
        _, dz = _log_p_and_minus_onehot(rows, index)
        dz *= _of_each_row(dloss, z, reduction, counts, ignored)[:, None]
    else:
        v, total, ignored = target_mass(z, target, weight, ignore_index, label_smoothing)
        others = v.sum(axis=1, keepdims=True) - v
        dz = softmax(rows) * others + np.expm1(log_softmax(rows)) * v
        dlosses = reduce_backward(dloss, row_shape(z), reduction, total)
        dz = (dz * dlosses.reshape(-1, 1)).astype(z.dtype, copy=False)
    if ignored is not None:
        dz[ignored] = 0
    return from_rows(dz, z)


@checked
def cross_entropy_with_gradient(z: Array, target: IntArray) -> tuple[Array, Array]:
    """Return the mean `cross_entropy` and its gradient, with one exponential for both.

        loss = -mean log p_t        dz = (p - onehot(t)) / N

    This is what a training step does.

    Shapes   z (N, C), target (N,) in [0, C) → loss (), dz (N, C)
    """
    check_float(z=z)
    check_matrix(z=z)
    check_labels(target, *z.shape)
    log_p, dz = _log_p_and_minus_onehot(z, target)
    dz *= 1 / len(z)
    return reduce(-log_p, "mean"), dz


@checked
def cross_entropy_backward_target(
    dloss: Array | float,
    z: Array,
    target: Array,
    *,
    weight: Array | None = None,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """Return the gradient of `cross_entropy` for a target of probabilities.

        ∂loss_n/∂t_c = -w_c (1 - ε) log p_c

    Shapes   as `cross_entropy_backward` → dtarget, the shape and dtype of target
    """
    check_float(z=z, target=target)
    check_same_shape(z=z, target=target)
    check_smoothing(label_smoothing)
    dlosses = reduce_backward(dloss, row_shape(z), reduction)
    w = 1 if weight is None else class_weight(weight, z)
    rows = -(1 - label_smoothing) * w * log_softmax(to_rows(z)) * dlosses.reshape(-1, 1)
    return from_rows(rows.astype(target.dtype, copy=False), z)


def _log_p_and_minus_onehot(z: Array, target: IntArray) -> tuple[Array, Array]:
    """Return log p of the target classes (N,), and p - onehot(target) (N, C)."""
    rows, top = np.arange(len(target)), z.argmax(axis=1)
    m = z[rows, top]
    shifted: Array = z - m[:, None]
    shifted_target = shifted[rows, target]
    p = np.exp(shifted, out=shifted)
    p[rows, top] = m - m  # as in log_softmax: 0 for a term of exactly 1, or nan
    q = p.sum(axis=1)
    p[rows, top] = 1
    p /= (1 + q)[:, None]
    log_p: Array = shifted_target - np.log1p(q)
    p[rows, target] = np.expm1(log_p)
    return log_p, p


def _of_each_row(
    dloss: Array | float,
    z: Array,
    reduction: Reduction,
    counts: Array | None,
    ignored: NDArray[np.bool_] | None,
) -> Array:
    """Return what each row's unweighted loss gets of dloss, (M,)."""
    shape, total = row_shape(z), None if counts is None else counts.sum()
    dlosses = np.broadcast_to(reduce_backward(dloss, shape, reduction, total), shape).reshape(-1)
    dlosses = dlosses.astype(z.dtype, copy=False)
    if counts is not None:
        dlosses = dlosses * counts
    return dlosses if ignored is None else np.where(ignored, 0, dlosses)
