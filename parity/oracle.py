"""The right answers: every operation by its definition, in arithmetic with digits to spare.

The functions have the names, arguments and options of scratchnn.functional, and f_backward returns
the gradient of each floating-point array among the arguments of f: one, or a tuple of them. They
take arrays of float64 or of numbers of 51 digits (digits.lift), and share no code with scratchnn.

Their digits to spare are finite, so no formula here may cancel: a sum of exponentials leaves out
the maximum's own 1, and 1 - p is made from what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from parity.digits import AnyDtype, Numbers, cast, exp, expm1, log, log1p
from scratchnn.ops.shared import AnyArray, BoolArray

Axes: TypeAlias = int | tuple[int, ...]
Loss: TypeAlias = Callable[..., Any]


def linear(X: Numbers, W: Numbers, b: Numbers = None) -> Numbers:
    """X W + b."""
    Y = X @ W
    return Y if b is None else Y + b


def linear_backward(dY: Numbers, X: Numbers, W: Numbers, b: Numbers = None) -> tuple[Numbers, ...]:
    """dY Wᵀ, Xᵀ dY and, with a bias, Σ dY."""
    rows = dY.reshape(-1, dY.shape[-1])
    gradients = dY @ W.T, X.reshape(-1, X.shape[-1]).T @ rows
    return gradients if b is None else (*gradients, rows.sum(axis=0))


def kronecker_weight(A: Numbers, S: Numbers) -> Numbers:
    """Σ_i A_i ⊗ S_i."""
    return sum(np.kron(a, s) for a, s in zip(A, S, strict=True))


def kronecker_linear(X: Numbers, A: Numbers, S: Numbers, b: Numbers = None) -> Numbers:
    """X (Σ_i A_i ⊗ S_i) + b."""
    return linear(X, kronecker_weight(A, S), b)


def kronecker_linear_backward(
    dY: Numbers, X: Numbers, A: Numbers, S: Numbers, b: Numbers = None
) -> tuple[Numbers, ...]:
    """With dW in blocks (n, D/n, n, H/n):

    dA_iab = Σ_pq dW_apbq S_ipq        dS_ipq = Σ_ab dW_apbq A_iab
    """
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


def tanh(z: Numbers) -> Numbers:
    """(1 - e) / (1 + e), with e = exp(-2 |z|), and the sign of z."""
    e_less_1 = expm1(-2 * abs(z))
    return np.where(z >= 0, -e_less_1, e_less_1) / (2 + e_less_1)


def tanh_backward(dy: Numbers, z: Numbers) -> Numbers:
    """dy 4 e / (1 + e)²."""
    e = exp(-2 * abs(z))
    return dy * 4 * e / (1 + e) ** 2


def log_1_plus_exp(x: Numbers) -> Numbers:
    """log(1 + exp x)."""
    return np.maximum(x, 0) + log1p(exp(-abs(x)))


def softplus(z: Numbers, *, beta: Numbers = 1.0, threshold: Numbers = 20.0) -> Numbers:
    """log(1 + exp βz) / β, and z where βz > threshold."""
    return np.where(beta * z > threshold, z, log_1_plus_exp(beta * z) / beta)


def softplus_backward(
    dy: Numbers, z: Numbers, *, beta: Numbers = 1.0, threshold: Numbers = 20.0
) -> Numbers:
    """dy σ(βz), and dy where βz > threshold."""
    return np.where(beta * z > threshold, dy, dy * sigmoid(beta * z))


class Softmax(NamedTuple):
    """What the operations on a distribution are made of."""

    top: BoolArray  # the places of the maximum, mostly one
    p: Numbers
    rest: Numbers  # 1 - p
    log_p: Numbers
    lse: Numbers  # with the axis kept


def distribution(z: Numbers, axis: Axes) -> Softmax:
    """With m = max z, e = exp(z - m), q = Σ e without one maximum's own 1:  p = e / (1 + q)."""
    m = z.max(axis=axis, keepdims=True)
    top, e = z == m, exp(z - m)
    q = np.where(top, 0, e).sum(axis=axis, keepdims=True) + (top.sum(axis=axis, keepdims=True) - 1)
    p = e / (1 + q)
    return Softmax(top, p, np.where(top, q / (1 + q), 1 - p), (z - m) - log1p(q), m + log1p(q))


def softmax(z: Numbers, axis: int = -1, *, dtype: AnyDtype = None) -> Numbers:
    """exp z / Σ exp z."""
    return distribution(cast(z, dtype), axis).p


def softmax_backward(dp: Numbers, z: Numbers, axis: int = -1, *, dtype: AnyDtype = None) -> Numbers:
    """p (dp - Σ p dp). The same constant added to all dp changes nothing: here, minus dp_top."""
    top, p, *_ = distribution(cast(z, dtype), axis)
    shifted = dp - np.where(top, dp, 0).sum(axis=axis, keepdims=True)
    return p * (shifted - (p * shifted).sum(axis=axis, keepdims=True))


def log_softmax(z: Numbers, axis: int = -1, *, dtype: AnyDtype = None) -> Numbers:
    """z - log Σ exp z."""
    return distribution(cast(z, dtype), axis).log_p


def log_softmax_backward(
    dlog_p: Numbers, z: Numbers, axis: int = -1, *, dtype: AnyDtype = None
) -> Numbers:
    """dlog_p - p Σ dlog_p; at the top class, dlog_p (1 - p) - p Σ of the others' dlog_p."""
    top, p, rest, *_ = distribution(cast(z, dtype), axis)
    low, high = (np.where(part, dlog_p, 0).sum(axis=axis, keepdims=True) for part in (~top, top))
    return np.where(top, dlog_p * rest - p * (low + (high - dlog_p)), dlog_p - p * (low + high))


def logsumexp(z: Numbers, axis: Axes = -1, *, keepdims: bool = False) -> Numbers:
    """log Σ exp z = m + log(1 + q)."""
    lse = distribution(z, axis).lse
    return lse if keepdims else lse.squeeze(axis)


def logsumexp_backward(
    dlse: Numbers, z: Numbers, axis: Axes = -1, *, keepdims: bool = False
) -> Numbers:
    """dlse p."""
    return distribution(z, axis).p * (dlse if keepdims else np.expand_dims(dlse, axis))


def nll_loss(log_p: Numbers, target: AnyArray, **options: Numbers) -> Numbers:
    """-Σ_c v_c log p_c per row, reduced. The options are those of `target_mass`, and reduction."""
    v, *how = reduced_mass(log_p, target, **options)
    return _reduce(weigh(v, -to_rows(log_p), log_p), *how)


def nll_loss_backward(
    dloss: Numbers, log_p: Numbers, target: AnyArray, **options: Numbers
) -> Numbers:
    """-v dloss, or a row's share of it."""
    v, *how = reduced_mass(log_p, target, **options)
    return from_rows(-v * share(np.reshape(dloss, (-1, 1)), *how), log_p)


def cross_entropy(z: Numbers, target: AnyArray, **options: Numbers) -> Numbers:
    """-Σ_c v_c log p_c per row, reduced, with p = softmax z; options as of nll_loss."""
    v, *how = reduced_mass(z, target, **options)
    return _reduce(weigh(v, -log_softmax(to_rows(z)), z), *how)


def cross_entropy_backward(
    dloss: Numbers, z: Numbers, target: AnyArray, **options: Numbers
) -> Numbers | tuple[Numbers, Numbers]:
    """p_c Σ of the others' v - v_c (1 - p_c), and -w_c (1 - ε) log p_c, times dloss or a share."""
    v, *how = reduced_mass(z, target, **options)
    _, p, rest, log_p, _ = distribution(to_rows(z), 1)
    row_share = share(np.reshape(dloss, (-1, 1)), *how)
    dz = from_rows((p * mass_elsewhere(v) - v * rest) * row_share, z)
    if holds_indices(target):
        return dz
    return dz, from_rows(-slope_of_mass(**options) * log_p * row_share, z)


def slope_of_mass(weight: Numbers = None, label_smoothing: float = 0.0, **_: object) -> Numbers:
    """Return ∂v/∂q = w (1 - ε), of the same options."""
    return (1 - label_smoothing) * (1 if weight is None else weight)


def binary_cross_entropy_with_logits(
    z: Numbers, target: Numbers, *, reduction: str = "mean", **weights: Numbers
) -> Numbers:
    """-w (p⁺ t log σ(z) + (1 - t) log σ(-z)), reduced, with the weights w and p⁺."""
    w, p = binary_weights(**weights)
    losses = w * (p * target * log_1_plus_exp(-z) + (1 - target) * log_1_plus_exp(z))
    return _reduce(losses, reduction, z.size)


def binary_cross_entropy_with_logits_backward(
    dloss: Numbers, z: Numbers, target: Numbers, *, reduction: str = "mean", **weights: Numbers
) -> tuple[Numbers, Numbers]:
    """w ((1 - t) σ(z) - p⁺ t σ(-z)) and w (p⁺ softplus(-z) - softplus(z)), times dloss."""
    w, p = binary_weights(**weights)
    dloss = share(dloss, reduction, z.size) * w
    dz = (1 - target) * sigmoid(z) - p * target * sigmoid(-z)
    return dz * dloss, (p * log_1_plus_exp(-z) - log_1_plus_exp(z)) * dloss


def binary_weights(weight: Numbers = None, pos_weight: Numbers = None) -> tuple[Numbers, Numbers]:
    """Return w and p⁺."""
    return 1 if weight is None else weight, 1 if pos_weight is None else pos_weight


def kl_div(
    log_q: Numbers, target: Numbers, *, reduction: str = "mean", log_target: bool = False
) -> Numbers:
    """p (log p - log q), 0 where p = 0, reduced; "batchmean" divides by the rows."""
    p, log_p = (exp(target), target) if log_target else (target, log(target))
    losses = np.where(p == 0, 0, p * (log_p - log_q))
    return _reduce(losses, reduction, entries(log_q, reduction))


def kl_div_backward(
    dloss: Numbers,
    log_q: Numbers,
    target: Numbers,
    reduction: str = "mean",
    log_target: bool = False,
) -> tuple[Numbers, Numbers]:
    """-p and log p - log q + 1 (times p for log p), times dloss or an entry's share of it.

    For p = 0 the latter is NaN: the slope there is -inf, and torch has 0 / 0.
    """
    p = exp(target) if log_target else target
    log_p = target if log_target else np.where(target == 0, np.nan, log(target))
    dloss = share(dloss, reduction, entries(log_q, reduction))
    return -p * dloss, (log_p - log_q + 1) * (p if log_target else 1) * dloss


def entries(x: Numbers, reduction: str) -> int:
    """Return what a mean divides by: the number of entries, or of rows for "batchmean"."""
    return len(x) if reduction == "batchmean" else x.size


def _of_difference(loss: Loss, slope: Loss) -> tuple[Loss, Loss]:
    """Return a loss of r = prediction - target, and its gradients: slope(r) and -slope(r)."""

    def value(
        prediction: Numbers, target: Numbers, *, reduction: str = "mean", **option: Numbers
    ) -> Numbers:
        losses = loss(prediction - target, **option)
        return _reduce(losses, reduction, losses.size)

    def gradients(
        dloss: Numbers,
        prediction: Numbers,
        target: Numbers,
        reduction: str = "mean",
        **option: Numbers,
    ) -> tuple[Numbers, Numbers]:
        slopes = slope(prediction - target, **option)
        dr = slopes * share(dloss, reduction, slopes.size)
        return dr, -dr

    return value, gradients


def _huber(r: Numbers, delta: Numbers = 1.0) -> Numbers:
    return np.where(abs(r) <= delta, r * r / 2, delta * (abs(r) - delta / 2))


def _huber_slope(r: Numbers, delta: Numbers = 1.0) -> Numbers:
    return np.where(abs(r) <= delta, r, delta * np.sign(r))


squared_loss, squared_loss_backward = _of_difference(lambda r: r * r / 2, lambda r: r)
mse_loss, mse_loss_backward = _of_difference(lambda r: r * r, lambda r: 2 * r)
l1_loss, l1_loss_backward = _of_difference(abs, np.sign)
huber_loss, huber_loss_backward = _of_difference(_huber, _huber_slope)
smooth_l1_loss, smooth_l1_loss_backward = _of_difference(
    lambda r, beta=1.0: _huber(r, beta) / beta, lambda r, beta=1.0: _huber_slope(r, beta) / beta
)


def _reduce(losses: Numbers, reduction: str, count: Numbers) -> Numbers:
    if reduction == "none":
        return losses
    total = losses.sum()
    return total if reduction == "sum" else total / count if count else np.nan


def share(dloss: Numbers, reduction: str, count: Numbers) -> Numbers:
    """Return what a row gets of dloss: nothing where no row counts, and the mean is NaN."""
    if reduction != "none" and reduction != "sum":
        return dloss / count if count else 0 * dloss
    return dloss


# What a target asks of each class. Class indices or probabilities, with weights, smoothing and
# ignored rows, all are the mass v_nc that row n puts on class c


def target_mass(
    z: Numbers,
    target: AnyArray,
    weight: Numbers = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> tuple[Numbers, Numbers]:
    """Return v = w ((1 - ε) q + ε / C) (M, C), with a row's target distribution q, and the count.

    A mean divides by the count: Σ w of the target classes, or the number of rows where q is given.
    """
    M, C = to_rows(z).shape
    w = np.ones(C, int) if weight is None else weight
    if not holds_indices(target):
        return w * ((1 - label_smoothing) * to_rows(target) + label_smoothing / C), M
    index = np.reshape(target, (-1, 1))
    counts = index != ignore_index
    q = counts * (index == np.arange(C)).astype(int)
    return w * ((1 - label_smoothing) * q + label_smoothing / C * counts), (w * q).sum()


def reduced_mass(
    z: Numbers, target: AnyArray, reduction: str = "mean", **options: Numbers
) -> tuple[Numbers, str, Numbers]:
    """Return v, and how its rows are reduced: by which reduction, and the count of a mean."""
    v, count = target_mass(z, target, **options)
    return v, reduction, count


def mass_elsewhere(v: Numbers) -> Numbers:
    """Σ of the others' v. The largest is left out of its sum, and not subtracted from it."""
    top = v.argmax(axis=1)[:, None] == np.arange(v.shape[1])
    rest = np.where(top, 0, v).sum(axis=1, keepdims=True)
    return np.where(top, rest, v.sum(axis=1, keepdims=True) - v)


def weigh(v: Numbers, x: Numbers, like: Numbers) -> Numbers:
    """Σ_c v_c x_c, where 0 x = 0 for every x, in the shape of `like` without its classes."""
    sums = np.where(v == 0, 0, v * x).sum(axis=1)
    return sums.reshape(like.shape[:1] + like.shape[2:] if like.ndim > 1 else ())


def holds_indices(target: AnyArray) -> bool:
    """Whether a target holds class indices, and not probabilities."""
    return np.asarray(target).dtype.kind in "iu"


def to_rows(x: Numbers) -> Numbers:
    """Put the classes last and all else in one axis: (C,), (N, C) or (N, C, ...) → (M, C)."""
    axis = 0 if x.ndim == 1 else 1
    return np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])


def from_rows(rows: Numbers, like: Numbers) -> Numbers:
    """Undo `to_rows` for an array of the shape of `like`."""
    axis = 0 if like.ndim == 1 else 1
    moved = np.moveaxis(like, axis, -1)
    return np.moveaxis(rows.reshape(moved.shape), -1, axis)
