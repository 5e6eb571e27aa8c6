"""How far apart two right losses and their gradients can be.

As in bounds.py, each function has the name, the arguments and the options of its operation, and
the option u, the unit roundoff of the arithmetic. `**options` and `**weights` are options of the
operation, such as weight, ignore_index, label_smoothing and pos_weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from parity import oracle
from parity.bounds import EXP_ULPS, LOG_ULPS, SoftmaxErrors, gamma, sigma
from parity.digits import Numbers
from parity.oracle import from_rows, holds_indices, reduced_mass, to_rows, weigh
from scratchnn.ops.shared import AnyArray, Array

EXP_AND_LOG_ULPS = EXP_ULPS + LOG_ULPS
Bound: TypeAlias = Callable[..., Array]
BackwardBound: TypeAlias = Callable[..., tuple[Array, Array]]


def nll_loss(log_p: Array, target: AnyArray, *, u: float, **options: Numbers) -> Array:
    """Bound -w log p[target], reduced: a product and a sum."""
    v, *how = reduced_mass(log_p, target, **options)
    losses = weigh(abs(v), abs(to_rows(log_p)), log_p)
    return _reduce(2 * u * losses, losses, u, *how)


def nll_loss_backward(
    dloss: Array, log_p: Array, target: AnyArray, *, u: float, **options: Numbers
) -> Array:
    """Bound -w dloss, or a row's share of it: a product, a quotient, and the sum of the weights."""
    v, share, count_error = _share_of_row(dloss, log_p, target, u, **options)
    return from_rows((4 * u + count_error) * abs(v) * share, log_p)


def cross_entropy(z: Array, target: AnyArray, *, u: float, **options: Numbers) -> Array:
    """Bound -Σ v log p, reduced:  Σ v B(log p) + (γ(C + 2) + 8 u) Σ v |log p|  for each row."""
    v, *how = reduced_mass(z, target, **options)
    rows = SoftmaxErrors(to_rows(z), 1, u)
    losses = weigh(v, abs(rows.log_p), z)
    errors = weigh(v, rows.log_p_error, z) + (gamma(rows.terms + 2, u) + 8 * u) * losses
    return _reduce(errors, losses, u, *how)


def cross_entropy_backward(
    dloss: Array, z: Array, target: AnyArray, *, u: float, **options: Numbers
) -> Array | tuple[Array, Array]:
    """Bound p Σ v - v and, of probabilities, -w (1 - ε) log p, times dloss or a row's share."""
    v, share, count_error = _share_of_row(dloss, z, target, u, **options)
    rows = SoftmaxErrors(to_rows(z), 1, u)
    products = gamma(rows.terms, u) + (EXP_ULPS + 8) * u + count_error
    rho = rows.log_p_error + EXP_ULPS * u + products
    dz = from_rows((rows.times_p(v.sum(axis=1, keepdims=True) * rho) + products * v) * share, z)
    if holds_indices(target):
        return dz
    error = share * (rows.log_p_error + 6 * u * abs(rows.log_p))
    return dz, from_rows(oracle.slope_of_mass(**options) * error, z)


def binary_cross_entropy_with_logits(
    z: Array, target: Array, *, reduction: str = "mean", u: float, **weights: Numbers
) -> Array:
    """Bound w ((1 - t) z + m softplus(-z)), m = 1 + (p⁺ - 1) t, whose terms may cancel."""
    w, _, m = _binary_weights(target, **weights)
    log1p = np.log1p(np.exp(-abs(z)))
    terms = (1 - target) * abs(z) + m * np.maximum(-z, 0)
    losses = w * (terms + m * log1p)
    errors = w * (10 * u * (terms + m * abs(z)) + (EXP_AND_LOG_ULPS + 8) * u * m * log1p)
    return _reduce(errors, losses, u, reduction, z.size)


def binary_cross_entropy_with_logits_backward(
    dloss: Array, z: Array, target: Array, *, reduction: str = "mean", u: float, **weights: Numbers
) -> tuple[Array, Array]:
    """Bound w (m σ - p⁺ t) and w (p⁺ softplus(-z) - softplus(z)), times dloss or its share."""
    w, p, m = _binary_weights(target, **weights)
    unit = w * u * abs(oracle.share(dloss, reduction, z.size))
    dz = unit * (EXP_ULPS + 12) * (m * sigma(z) + p * target)
    softplus = (1 + p) * np.logaddexp(0, -z) + np.logaddexp(0, z)
    return dz, unit * (EXP_AND_LOG_ULPS + 8) * softplus


def kl_div(
    log_q: Array, target: Array, *, reduction: str = "mean", log_target: bool = False, u: float
) -> Array:
    """Bound p (log p - log q), 0 where p = 0, whose terms may cancel."""
    p, log_p = _with_log(target, log_target)
    terms, count = p * (abs(log_p) + abs(log_q)), oracle.entries(log_q, reduction)
    return _reduce((EXP_AND_LOG_ULPS + 4) * u * terms, terms, u, reduction, count)


def kl_div_backward(
    dloss: Array,
    log_q: Array,
    target: Array,
    reduction: str = "mean",
    log_target: bool = False,
    *,
    u: float,
) -> tuple[Array, Array]:
    """Bound -p and log p - log q + 1 (times p for log p), times dloss or an entry's share of it."""
    p, log_p = _with_log(target, log_target)
    share = abs(oracle.share(dloss, reduction, oracle.entries(log_q, reduction)))
    unit = (EXP_AND_LOG_ULPS + 6) * u * share
    return unit * p, unit * (abs(log_p) + abs(log_q) + 1) * (p if log_target else 1.0)


def _with_log(target: Array, log_target: bool) -> tuple[Array, Array]:
    """Return p and log p, which is 0 where p = 0: p log p = 0 has no error."""
    if log_target:
        return np.exp(target), target
    return target, np.log(np.where(target == 0, 1, target))


def _of_difference(name: str) -> tuple[Bound, BackwardBound]:
    """Return the two bounds of a loss of r = prediction - target, with its own option, if any.

    8 u of the loss, and of the gradient, as r is rounded before all else.
    """
    loss, loss_backward = getattr(oracle, name), getattr(oracle, f"{name}_backward")

    def bound(
        prediction: Array, target: Array, *, reduction: str = "mean", u: float, **option: float
    ) -> Array:
        losses = loss(prediction, target, reduction="none", **option)
        return _reduce(8 * u * losses, losses, u, reduction, losses.size)

    def backward_bound(*arguments: Array, u: float, **case: object) -> tuple[Array, Array]:
        dr, _ = loss_backward(*arguments, **case)
        return 8 * u * abs(dr), 8 * u * abs(dr)

    return bound, backward_bound


squared_loss, squared_loss_backward = _of_difference("squared_loss")
mse_loss, mse_loss_backward = _of_difference("mse_loss")
l1_loss, l1_loss_backward = _of_difference("l1_loss")
huber_loss, huber_loss_backward = _of_difference("huber_loss")
smooth_l1_loss, smooth_l1_loss_backward = _of_difference("smooth_l1_loss")


def _reduce(errors: Array, losses: Array, u: float, reduction: str, count: Array | int) -> Array:
    """Bound a reduction of losses with errors B:  Σ B + γ(N) Σ |loss|, over the count for a mean.

    The count is itself a sum where the losses are weighted.
    """
    if reduction == "none":
        return errors
    total = errors.sum() + (2 * gamma(losses.size, u) + 2 * u) * abs(losses).sum()
    return total if reduction == "sum" else total / count


def _share_of_row(
    dloss: Array, z: Array, target: AnyArray, u: float, **options: Numbers
) -> tuple[Array, Array, float]:
    """Return v, |what each row gets of dloss| (M, 1), and the relative error of the count.

    A count of rows is exact; a sum of weights is not.
    """
    v, *how = reduced_mass(z, target, **options)
    weighted = how[0] == "mean" and options.get("weight") is not None
    share = abs(oracle.share(np.reshape(dloss, (-1, 1)), *how))
    return v, share, gamma(len(v), u) if weighted else 0.0


def _binary_weights(target: Array, **weights: Numbers) -> tuple[Array, Array, Array]:
    """Return w, p⁺ and 1 + (1 + p⁺) t, the terms of m: torch's 1 + (p⁺ - 1) t may cancel."""
    w, p = oracle.binary_weights(**weights)
    return w, p, 1 + (1 + p) * target
