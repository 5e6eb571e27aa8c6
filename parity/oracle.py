"""The right answers: every operation by its definition, in arithmetic with digits to spare.

The functions have the names, arguments and options of scratchnn.functional, and f_backward returns
the gradient of each floating-point array among the arguments of f: one, or a tuple of them. They
take arrays of float64 or of numbers of 51 digits (digits.lift), and share no code with scratchnn.

Their digits to spare are finite, so no formula here may cancel: a sum of exponentials leaves out
the maximum's own 1, and 1 - p is made from what is left.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from parity.digits import Numbers, cast, exp, log, log1p
from parity.targets import from_rows, holds_indices, mass_elsewhere, target_mass, to_rows
from scratchnn.ops.shared import AnyArray, BoolArray

Axes: TypeAlias = int | tuple[int, ...]


def linear(X: Numbers, W: Numbers, b: Numbers | None = None) -> Numbers:
    """X W + b."""
    Y = X @ W
    return Y if b is None else Y + b


def linear_backward(
    dY: Numbers, X: Numbers, W: Numbers, b: Numbers | None = None
) -> tuple[Numbers, ...]:
    """dY Wᵀ, Xᵀ dY and, with a bias, Σ dY."""
    rows = dY.reshape(-1, dY.shape[-1])
    gradients = dY @ W.T, X.reshape(-1, X.shape[-1]).T @ rows
    return gradients if b is None else (*gradients, rows.sum(axis=0))


def kronecker_weight(A: Numbers, S: Numbers) -> Numbers:
    """Σ_i A_i ⊗ S_i."""
    return sum(np.kron(a, s) for a, s in zip(A, S, strict=True))


def kronecker_linear(X: Numbers, A: Numbers, S: Numbers, b: Numbers | None = None) -> Numbers:
    """X (Σ_i A_i ⊗ S_i) + b."""
    return linear(X, kronecker_weight(A, S), b)


def kronecker_linear_backward(
    dY: Numbers, X: Numbers, A: Numbers, S: Numbers, b: Numbers | None = None
) -> tuple[Numbers, ...]:
    """With dW in blocks (n, D/n, n, H/n):  dA_iab = Σ_pq dW_apbq S_ipq, and dS likewise."""
    n, p, q = S.shape
    dX, dW, *db = linear_backward(dY, X, kronecker_weight(A, S), b)
    blocks = dW.reshape(n, p, n, q)
    dA = np.tensordot(S, blocks, ((1, 2), (1, 3)))
    dS = np.tensordot(A, blocks, ((1, 2), (0, 2)))
    return dX, dA, dS, *db


def relu(z: Numbers) -> Numbers:
    """max(z, 0)."""
    return np.maximum(z, 0)


def relu_backward(dy: Numbers, z: Numbers) -> Numbers:
    """0 where z ≤ 0, else dy: also where z is NaN."""
    return np.where(z <= 0, 0, dy)


def sigmoid(z: Numbers) -> Numbers:
    """1 / (1 + exp(-z)), with e = exp(-|z|)."""
    e = exp(-abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def sigmoid_backward(dp: Numbers, z: Numbers) -> Numbers:
    """dp σ(z) σ(-z)."""
    return dp * sigmoid(z) * sigmoid(-z)


def softplus(x: Numbers) -> Numbers:
    """log(1 + exp x)."""
    return np.maximum(x, 0) + log1p(exp(-abs(x)))


class Softmax(NamedTuple):
    """What the operations on a distribution are made of."""

    top: BoolArray  # the place of the maximum, or of the first of several
    p: Numbers
    rest: Numbers  # 1 - p
    log_p: Numbers
    lse: Numbers  # with the axis kept


def distribution(z: Numbers, axis: int) -> Softmax:
    """With m = max z, e = exp(z - m), q = Σ e without the maximum's own 1:  p = e / (1 + q)."""
    top = np.zeros(z.shape, bool)
    np.put_along_axis(top, z.argmax(axis=axis, keepdims=True), True, axis)
    m = z.max(axis=axis, keepdims=True)
    e = exp(z - m)
    q = np.where(top, 0, e).sum(axis=axis, keepdims=True)
    p = e / (1 + q)
    return Softmax(top, p, np.where(top, q / (1 + q), 1 - p), (z - m) - log1p(q), m + log1p(q))


def softmax(z: Numbers, axis: int = -1, *, dtype: DTypeLike | None = None) -> Numbers:
    """exp z / Σ exp z."""
    return distribution(cast(z, dtype), axis).p


def softmax_backward(
    dp: Numbers, z: Numbers, axis: int = -1, *, dtype: DTypeLike | None = None
) -> Numbers:
    """p (dp - Σ p dp). The same constant added to all dp changes nothing: here, minus dp_top."""
    top, p, *_ = distribution(cast(z, dtype), axis)
    shifted = dp - np.where(top, dp, 0).sum(axis=axis, keepdims=True)
    return p * (shifted - (p * shifted).sum(axis=axis, keepdims=True))


def log_softmax(z: Numbers, axis: int = -1, *, dtype: DTypeLike | None = None) -> Numbers:
    """z - log Σ exp z."""
    return distribution(cast(z, dtype), axis).log_p


def log_softmax_backward(
    dlog_p: Numbers, z: Numbers, axis: int = -1, *, dtype: DTypeLike | None = None
) -> Numbers:
    """dlog_p - p Σ dlog_p; at the top class, dlog_p (1 - p) - p Σ of the others' dlog_p."""
    top, p, rest, *_ = distribution(cast(z, dtype), axis)
    others = np.where(top, 0, dlog_p).sum(axis=axis, keepdims=True)
    total = dlog_p.sum(axis=axis, keepdims=True)
    return np.where(top, dlog_p * rest - p * others, dlog_p - p * total)


def logsumexp(z: Numbers, axis: Axes = -1, *, keepdims: bool = False) -> Numbers:
    """log Σ exp z = m + log(1 + q)."""
    axes = _axes(axis)
    lse = distribution(_last(z, axes), -1).lse.squeeze(-1)
    return np.expand_dims(lse, axes) if keepdims else lse


def logsumexp_backward(
    dlse: Numbers, z: Numbers, axis: Axes = -1, *, keepdims: bool = False
) -> Numbers:
    """dlse p."""
    axes = _axes(axis)
    p = distribution(_last(z, axes), -1).p
    moved = np.moveaxis(z, axes, range(-len(axes), 0))
    p = np.moveaxis(p.reshape(moved.shape), range(-len(axes), 0), axes)
    return p * (dlse if keepdims else np.expand_dims(dlse, axes))


def _axes(axis: Axes) -> tuple[int, ...]:
    return axis if isinstance(axis, tuple) else (axis,)


def _last(z: Numbers, axes: tuple[int, ...]) -> Numbers:
    """Return z with these axes as one, the last."""
    moved = np.moveaxis(z, axes, range(-len(axes), 0))
    kept = moved.shape[: -len(axes)]
    return moved.reshape(*kept, prod(moved.shape[len(kept) :]))


def nll_loss(
    log_p: Numbers, target: AnyArray, *, reduction: str = "mean", **options: Numbers
) -> Numbers:
    """-Σ_c v_c log p_c per row, reduced. The options are those of `target_mass`."""
    v, count = target_mass(log_p, target, **options)
    return _reduce(_losses(v, log_p), reduction, count)


def nll_loss_backward(
    dloss: Numbers, log_p: Numbers, target: AnyArray, *, reduction: str = "mean", **options: Numbers
) -> Numbers:
    """-v dloss, or a row's share of it."""
    v, count = target_mass(log_p, target, **options)
    return from_rows(-v * _share(np.reshape(dloss, (-1, 1)), reduction, count), log_p)


def cross_entropy(
    z: Numbers, target: AnyArray, *, reduction: str = "mean", **options: Numbers
) -> Numbers:
    """-Σ_c v_c log p_c per row, reduced, with p = softmax z; options as in `target_mass`."""
    v, count = target_mass(z, target, **options)
    return _reduce(_losses(v, log_softmax(z, min(z.ndim - 1, 1))), reduction, count)


def cross_entropy_backward(
    dloss: Numbers,
    z: Numbers,
    target: AnyArray,
    *,
    weight: Numbers | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    **options: Numbers,
) -> Numbers | tuple[Numbers, Numbers]:
    """p_c Σ of the others' v - v_c (1 - p_c), and -w_c (1 - ε) log p_c, times dloss or a share."""
    v, count = target_mass(z, target, weight, label_smoothing=label_smoothing, **options)
    _, p, rest, log_p, _ = distribution(to_rows(z), 1)
    share = _share(np.reshape(dloss, (-1, 1)), reduction, count)
    dz = from_rows((p * mass_elsewhere(v) - v * rest) * share, z)
    if holds_indices(target):
        return dz
    w = 1 if weight is None else weight
    return dz, from_rows(-(1 - label_smoothing) * w * log_p * share, z)


def _losses(v: Numbers, log_p: Numbers) -> Numbers:
    """-Σ_c v_c log p_c, in the shape of log_p without its classes; 0 log 0 = 0."""
    losses = np.where(v == 0, 0, -v * to_rows(log_p)).sum(axis=1)
    return losses.reshape(log_p.shape[:1] + log_p.shape[2:] if log_p.ndim > 1 else ())


def binary_cross_entropy_with_logits(
    z: Numbers, target: Numbers, *, reduction: str = "mean", **weights: Numbers
) -> Numbers:
    """-w (p⁺ t log σ(z) + (1 - t) log σ(-z)), reduced, with the weights w and p⁺."""
    w, p = _weights(**weights)
    return _reduce(w * (p * target * softplus(-z) + (1 - target) * softplus(z)), reduction, z.size)


def binary_cross_entropy_with_logits_backward(
    dloss: Numbers, z: Numbers, target: Numbers, *, reduction: str = "mean", **weights: Numbers
) -> tuple[Numbers, Numbers]:
    """w ((1 - t) σ(z) - p⁺ t σ(-z)) and w (p⁺ softplus(-z) - softplus(z)), times dloss."""
    w, p = _weights(**weights)
    share = _share(dloss, reduction, z.size) * w
    dz = (1 - target) * sigmoid(z) - p * target * sigmoid(-z)
    return dz * share, (p * softplus(-z) - softplus(z)) * share


def _weights(
    weight: Numbers | None = None, pos_weight: Numbers | None = None
) -> tuple[Numbers, Numbers]:
    return 1 if weight is None else weight, 1 if pos_weight is None else pos_weight


def kl_div(
    log_q: Numbers, target: Numbers, *, reduction: str = "mean", log_target: bool = False
) -> Numbers:
    """p (log p - log q), 0 where p = 0, reduced; "batchmean" divides by the rows."""
    p, log_p = (exp(target), target) if log_target else (target, log(target))
    count = len(log_q) if reduction == "batchmean" else log_q.size
    return _reduce(np.where(p == 0, 0, p * (log_p - log_q)), reduction, count)


def kl_div_backward(
    dloss: Numbers,
    log_q: Numbers,
    target: Numbers,
    *,
    reduction: str = "mean",
    log_target: bool = False,
) -> tuple[Numbers, Numbers]:
    """-p and log p - log q + 1 (times p for log p), times dloss or an entry's share of it.

    For p = 0 the latter is NaN: the slope there is -inf, and torch has 0 / 0.
    """
    p = exp(target) if log_target else target
    log_p = target if log_target else np.where(target == 0, np.nan, log(target))
    share = _share(dloss, reduction, len(log_q) if reduction == "batchmean" else log_q.size)
    return -p * share, (log_p - log_q + 1) * (p if log_target else 1) * share


def squared_loss(prediction: Numbers, target: Numbers, *, reduction: str = "mean") -> Numbers:
    """r² / 2, reduced, with r = prediction - target."""
    r = prediction - target
    return _reduce(r * r / 2, reduction, r.size)


def squared_loss_backward(
    dloss: Numbers, prediction: Numbers, target: Numbers, *, reduction: str = "mean"
) -> tuple[Numbers, Numbers]:
    """r and -r, times dloss or an entry's share of it."""
    return _of_difference(prediction - target, dloss, reduction)


def mse_loss(prediction: Numbers, target: Numbers, *, reduction: str = "mean") -> Numbers:
    """r², reduced."""
    return 2 * squared_loss(prediction, target, reduction=reduction)


def mse_loss_backward(
    dloss: Numbers, prediction: Numbers, target: Numbers, *, reduction: str = "mean"
) -> tuple[Numbers, Numbers]:
    """2 r and -2 r, times dloss or an entry's share of it."""
    return _of_difference(2 * (prediction - target), dloss, reduction)


def l1_loss(prediction: Numbers, target: Numbers, *, reduction: str = "mean") -> Numbers:
    """|r|, reduced."""
    r = abs(prediction - target)
    return _reduce(r, reduction, r.size)


def l1_loss_backward(
    dloss: Numbers, prediction: Numbers, target: Numbers, *, reduction: str = "mean"
) -> tuple[Numbers, Numbers]:
    """Sign r and -sign r, times dloss or an entry's share of it."""
    return _of_difference(np.sign(prediction - target), dloss, reduction)


def huber_loss(
    prediction: Numbers, target: Numbers, *, reduction: str = "mean", delta: Numbers = 1.0
) -> Numbers:
    """r² / 2 where |r| ≤ δ, else δ (|r| - δ / 2), reduced."""
    r = abs(prediction - target)
    losses = np.where(r <= delta, r * r / 2, delta * (r - delta / 2))
    return _reduce(losses, reduction, r.size)


def huber_loss_backward(
    dloss: Numbers, prediction: Numbers, target: Numbers, *, delta: Numbers = 1.0, **reduction: str
) -> tuple[Numbers, Numbers]:
    """r where |r| ≤ δ, else δ sign r; and minus that; times dloss or an entry's share of it."""
    r = prediction - target
    return _of_difference(np.where(abs(r) <= delta, r, delta * np.sign(r)), dloss, **reduction)


def smooth_l1_loss(
    prediction: Numbers, target: Numbers, *, reduction: str = "mean", beta: Numbers = 1.0
) -> Numbers:
    """Huber's loss over β."""
    return huber_loss(prediction, target, reduction=reduction, delta=beta) / beta


def smooth_l1_loss_backward(
    dloss: Numbers, prediction: Numbers, target: Numbers, *, beta: Numbers = 1.0, **reduction: str
) -> tuple[Numbers, Numbers]:
    """The gradients of Huber's loss, over β."""
    return huber_loss_backward(dloss / beta, prediction, target, delta=beta, **reduction)


def _of_difference(
    slope: Numbers, dloss: Numbers, reduction: str = "mean"
) -> tuple[Numbers, Numbers]:
    """Return the gradients of a loss of r = prediction - target whose derivative is `slope`."""
    dr = slope * _share(dloss, reduction, slope.size)
    return dr, -dr


def _reduce(losses: Numbers, reduction: str, count: Numbers) -> Numbers:
    if reduction == "none":
        return losses
    total = losses.sum()
    return total if reduction == "sum" else total / count if count else np.nan


def _share(dloss: Numbers, reduction: str, count: Numbers) -> Numbers:
    """Return what a row gets of dloss: nothing where no row counts, and the mean is NaN."""
    if reduction != "none" and reduction != "sum":
        return dloss / count if count else 0 * dloss
    return dloss
