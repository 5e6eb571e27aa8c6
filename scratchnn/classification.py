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
    Labels,
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

FEW_CLASSES = 32


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
    rows = labels(log_p, target, weight, ignore_index)
    losses = -to_rows(log_p)[np.arange(len(rows.classes)), rows.classes]
    return _reduce(losses, rows, reduction, row_shape(log_p))


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
    rows = labels(log_p, target, weight, ignore_index)
    dlog_p = np.zeros_like(to_rows(log_p))
    dlosses = _reduce_backward(dloss, rows, reduction, log_p)
    dlog_p[np.arange(len(rows.classes)), rows.classes] = -dlosses
    return from_rows(dlog_p, log_p)


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
    if label_smoothing == 0 and not is_soft(target):
        rows = labels(z, target, weight, ignore_index)
        log_p, *_ = _log_p(to_rows(z), rows.classes)
        return _reduce(-log_p, rows, reduction, row_shape(z))
    log_p = log_softmax(z, class_axis(z))
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
    if label_smoothing == 0 and not is_soft(target):
        rows = labels(z, target, weight, ignore_index)
        ignored = rows.ignored
        _, dz = _log_p_and_minus_onehot(to_rows(z), rows.classes)
        dz *= _reduce_backward(dloss, rows, reduction, z)[:, None]
    else:
        v, total, ignored = target_mass(z, target, weight, ignore_index, label_smoothing)
        dz = softmax(to_rows(z)) * _mass_elsewhere(v) + np.expm1(log_softmax(to_rows(z))) * v
        dlosses = reduce_backward(dloss, row_shape(z), reduction, total, dtype=dz.dtype)
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
    dlosses = reduce_backward(dloss, row_shape(z), reduction, dtype=z.dtype)
    w = 1 if weight is None else class_weight(weight, z)
    rows = -(1 - label_smoothing) * w * log_softmax(to_rows(z)) * dlosses.reshape(-1, 1)
    return from_rows(rows.astype(target.dtype, copy=False), z)


def _mass_elsewhere(v: Array) -> Array:
    """Return Σ_(k≠c) v_k for each c (M, C); the largest v is left out of its sum, not subtracted.

    That of another class is at least half of all the mass, so there the difference is accurate.
    """
    rows, top = np.arange(len(v)), v.argmax(axis=1)
    rest = v.copy()
    rest[rows, top] = 0
    elsewhere: Array = v.sum(axis=1, keepdims=True) - v
    elsewhere[rows, top] = rest.sum(axis=1)
    return elsewhere


def _log_p(z: Array, target: IntArray) -> tuple[Array, Array, Array, IntArray]:
    """Return log p of the target classes (N,); exp(z - max z) with 0 at the maximum; 1 + q; top.

    As in `log_softmax`, q is the sum of the others, and `top` where the maximum is. A few classes
    lie one after the other in memory: a sum over them is then one of long columns, not short rows.
    """
    rows, top = np.arange(len(target)), z.argmax(axis=1)
    m = z[rows, top]
    e: Array = np.subtract(z, m[:, None], order="F" if z.shape[1] <= FEW_CLASSES else "C")
    shifted_target = e[rows, target]
    np.exp(e, out=e)
    e[rows, top] = m - m  # 0 for a term of exactly 1; nan if m is infinite
    q = e.sum(axis=1)
    return shifted_target - np.log1p(q), e, 1 + q, top


def _log_p_and_minus_onehot(z: Array, target: IntArray) -> tuple[Array, Array]:
    """Return log p of the target classes (N,), and p - onehot(target) (N, C)."""
    log_p, p, total, top = _log_p(z, target)
    rows = np.arange(len(target))
    p[rows, top] = 1
    p /= total[:, None]
    p[rows, target] = np.expm1(log_p)
    return log_p, p


def _reduce(losses: Array, rows: Labels, reduction: Reduction, shape: tuple[int, ...]) -> Array:
    """Reduce the losses of class indices (M,), each of which counts its weight."""
    if rows.weight is not None:
        losses *= rows.weight
    if rows.ignored is not None:
        losses[rows.ignored] = 0  # also where log p is infinite
    return reduce(losses.reshape(shape)[()], reduction, rows.total)


def _reduce_backward(dloss: Array | float, rows: Labels, reduction: Reduction, z: Array) -> Array:
    """Return what each row's unweighted loss gets of dloss, (M,), or (1,) if all get the same."""
    dlosses = reduce_backward(dloss, row_shape(z), reduction, rows.total, dtype=z.dtype)
    dlosses = dlosses.reshape(-1)
    if rows.weight is not None:
        dlosses = dlosses * rows.weight
    return dlosses if rows.ignored is None else np.where(rows.ignored, 0, dlosses)
