"""Losses that ask which class: cross-entropy from logits, its parts, and its two-class form."""

import numpy as np

from scratchnn.arrays import (
    Array,
    IntArray,
    check_float,
    check_labels,
    check_matrix,
    check_same_shape,
)
from scratchnn.reductions import Reduction, reduce, reduce_backward
from scratchnn.softmax import log_softmax


def nll_loss(log_p: Array, target: IntArray, *, reduction: Reduction = "mean") -> Array:
    """Negative log-likelihood of the target classes.

        loss_n = -log p[n, target_n]

    Shapes   log_p (N, C), target (N,) in [0, C) → () or, for "none", (N,)
    Units    nats
    Raises   ValueError, TypeError for a target that holds no class indices
    Torch    torch.nn.functional.nll_loss(log_p, target)
    """
    _check(log_p, target, "log_p")
    return reduce(-log_p[np.arange(len(target)), target], reduction)


def nll_loss_backward(
    dloss: Array | float, log_p: Array, target: IntArray, *, reduction: Reduction = "mean"
) -> Array:
    """Vector-Jacobian product of `nll_loss`: d(log p) from dloss.

        ∂loss_n/∂(log p_nc) = -[c = target_n]

    Shapes   dloss () or, for "none", (N,); log_p (N, C), target (N,) → dlog_p (N, C)
    """
    _check(log_p, target, "log_p")
    dlog_p = np.zeros_like(log_p)
    dlosses = reduce_backward(dloss, len(target), reduction)
    dlog_p[np.arange(len(target)), target] = -dlosses
    return dlog_p


def cross_entropy(z: Array, target: IntArray, *, reduction: Reduction = "mean") -> Array:
    """Cross-entropy of softmax(z) against class indices, straight from the logits.

        loss_n = -log softmax(z_n)[target_n] = log Σ_j exp(z_nj) - z[n, target_n]

    Shapes   z (N, C), target (N,) in [0, C) → () or, for "none", (N,)
    Units    nats
    Raises   ValueError, TypeError for a target that holds no class indices
    Torch    torch.nn.functional.cross_entropy(z, target)
    """
    _check(z, target, "z")
    return nll_loss(log_softmax(z), target, reduction=reduction)


def cross_entropy_backward(
    dloss: Array | float, log_p: Array, target: IntArray, *, reduction: Reduction = "mean"
) -> Array:
    """Vector-Jacobian product of `cross_entropy`: dz from dloss.

        ∂loss_n/∂z_nc = p_nc - [c = target_n]

    It takes log p, or z itself: both have the same p, and z has it without the
    rounding of log p. The target's entry p - 1 is expm1(log p), which does not
    cancel where p is close to 1.

    Shapes   dloss () or, for "none", (N,); log_p = log_softmax(z) (N, C), target (N,) → dz (N, C)
    """
    _check(log_p, target, "log_p")
    _, dz = _log_p_and_minus_onehot(log_p, target)
    dlosses = reduce_backward(dloss, len(target), reduction)
    dz *= np.reshape(np.asarray(dlosses, dz.dtype), (-1, 1))
    return dz


def cross_entropy_with_gradient(z: Array, target: IntArray) -> tuple[Array, Array]:
    """Return the mean `cross_entropy` and its gradient, with one exponential for both.

    Shapes   z (N, C), target (N,) in [0, C) → loss (), dz (N, C)
    """
    _check(z, target, "z")
    log_p, dz = _log_p_and_minus_onehot(z, target)
    dz *= reduce_backward(1.0, len(target), "mean")
    return reduce(-log_p, "mean"), dz


def _log_p_and_minus_onehot(z: Array, target: IntArray) -> tuple[Array, Array]:
    """Return log p of the targets (N,), and p - onehot(target) (N, C)."""
    rows = np.arange(len(target))
    top = z.argmax(axis=1)
    shifted: Array = z - z[rows, top][:, None]
    shifted_target = shifted[rows, target]
    e = np.exp(shifted, out=shifted)
    e[rows, top] = 0  # as in log_softmax
    q = e.sum(axis=1)
    log_p: Array = shifted_target - np.log1p(q)
    e[rows, top] = 1
    e /= (1 + q)[:, None]  # p
    e[rows, target] = np.expm1(log_p)  # p - onehot(target)
    return log_p, e


def binary_cross_entropy_with_logits(
    z: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Cross-entropy of independent yes-or-no questions, straight from their logits.

        loss = -t log σ(z) - (1 - t) log(1 - σ(z))
             = z ([z > 0] - t) + log(1 + exp(-|z|))

    The last form never overflows, and has no sigmoid that could round to 0 or 1.

    Shapes   z (...), target (...) in [0, 1], floating point → () or, for "none", (...)
    Units    nats
    Torch    torch.nn.functional.binary_cross_entropy_with_logits(z, target)
    """
    check_float(z=z, target=target)
    check_same_shape(z=z, target=target)
    return reduce(z * ((z > 0) - target) + np.log1p(np.exp(-np.abs(z))), reduction)


def binary_cross_entropy_with_logits_backward(
    dloss: Array | float, z: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Vector-Jacobian product of `binary_cross_entropy_with_logits`: dz from dloss.

        ∂loss/∂z = σ(z) - t

    With s = σ(-|z|), this is s - t for z < 0 and (1 - t) - s for z ≥ 0: where
    σ(z) is close to 1 = t, no digits cancel.

    Shapes   dloss () or, for "none", (...); z, target (...) → dz, the shape of z
    """
    check_float(z=z, target=target)
    check_same_shape(z=z, target=target)
    e = np.exp(-np.abs(z))
    s = e / (1 + e)  # σ(-|z|)
    dz: Array = np.where(z < 0, s - target, (1 - target) - s)
    dz *= reduce_backward(dloss, z.size, reduction)
    return dz


def _check(logits: Array, target: IntArray, name: str) -> None:
    check_float(**{name: logits})
    check_matrix(**{name: logits})
    check_labels(target, *logits.shape)
