"""How far apart two right losses and their gradients can be; see bounds.py.

The options of a loss are those of scratchnn.functional.
"""

from typing import Any

import numpy as np

from parity import bounds
from scratchnn.arrays import Array
from scratchnn.reductions import Reduction
from scratchnn.targets import from_rows, row_shape, target_mass, to_rows

EXP_AND_LOG_ULPS = bounds.EXP_ULPS + bounds.LOG_ULPS


def cross_entropy(
    z: Array,
    target: Array,
    reduction: Reduction,
    u: float,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Array:
    """Bound -Σ v log p, reduced:  Σ v B(log p) + (γ(C + 2) + 8 u) Σ v |log p|  for each row."""
    v, count, _ = target_mass(z, target, weight, ignore_index, label_smoothing)
    rows = to_rows(z)
    log_p = rows - bounds.softmax_errors(rows, 1, u)[2]
    losses = (v * abs(log_p)).sum(axis=1)
    errors = (v * bounds.log_softmax(rows, 1, u)).sum(axis=1)
    errors += (bounds.gamma(rows.shape[1] + 2, u) + 8 * u) * losses
    return reduce(errors, losses, reduction, u, count).reshape(_rows(z, reduction))


def nll_loss(
    log_p: Array,
    target: Array,
    reduction: Reduction,
    u: float,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
) -> Array:
    """Bound -w log_p[target], reduced: a product and a sum."""
    v, count, _ = target_mass(log_p, target, weight, ignore_index, 0.0)
    losses = (v * abs(to_rows(log_p))).sum(axis=1)
    return reduce(2 * u * losses, losses, reduction, u, count).reshape(_rows(log_p, reduction))


def nll_loss_backward(dloss: Array, log_p: Array, target: Array, u: float, **options: Any) -> Array:
    """Bound -w dloss, or a row's share of it: a product, a quotient, and the sum of the weights."""
    v, share, count_error = _mass_and_share(dloss, log_p, target, options, u)
    return from_rows((4 * u + count_error) * v * share, log_p)


def cross_entropy_backward(
    dloss: Array, z: Array, target: Array, reduction: Reduction, u: float, **options: Any
) -> Array:
    """Bound (p Σ v - v) dloss, or a row's share of it."""
    v, share, count_error = _mass_and_share(dloss, z, target, options | {"reduction": reduction}, u)
    rows = to_rows(z)
    p, rho = bounds.probabilities(rows, 1), bounds.log_softmax(rows, 1, u) + bounds.EXP_ULPS * u
    V = v.sum(axis=1, keepdims=True)
    products = bounds.gamma(rows.shape[1], u) + (bounds.EXP_ULPS + 8) * u + count_error
    return from_rows((p * V * (rho + products) + products * v) * share, z)


def cross_entropy_backward_target(
    dloss: Array, z: Array, target: Array, reduction: Reduction, u: float, **options: Any
) -> Array:
    """Bound -w (1 - ε) log p dloss, or a row's share of it."""
    _, share, _ = _mass_and_share(dloss, z, target, options | {"reduction": reduction}, u)
    rows, weight = to_rows(z), options.get("weight")
    w = (1 - options.get("label_smoothing", 0.0)) * (1.0 if weight is None else weight)
    log_p = rows - bounds.softmax_errors(rows, 1, u)[2]
    return from_rows(w * share * (bounds.log_softmax(rows, 1, u) + 6 * u * abs(log_p)), z)


def binary_cross_entropy_with_logits(
    z: Array,
    target: Array,
    reduction: Reduction,
    u: float,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
) -> Array:
    """Bound w ((1 - t) z + m softplus(-z)), m = 1 + (p⁺ - 1) t, whose terms may cancel."""
    w, _, m = _bce_weights(target, weight, pos_weight)
    log1p = np.log1p(np.exp(-abs(z)))
    terms = (1 - target) * abs(z) + m * np.maximum(-z, 0)
    losses = w * (terms + m * log1p)
    errors = w * (10 * u * (terms + m * abs(z)) + (EXP_AND_LOG_ULPS + 8) * u * m * log1p)
    return reduce(errors, losses, reduction, u)


def binary_cross_entropy_with_logits_backward(
    dloss: Array,
    z: Array,
    target: Array,
    reduction: Reduction,
    u: float,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
) -> Array:
    """Bound w (m σ - p⁺ t) dloss, or an entry's share of it."""
    w, p, m = _bce_weights(target, weight, pos_weight)
    error = w * (bounds.EXP_ULPS + 12) * u * (m * bounds.sigma(z) + p * target)
    return error * _share(dloss, z.size, reduction)


def binary_cross_entropy_with_logits_backward_target(
    dloss: Array,
    z: Array,
    target: Array,
    reduction: Reduction,
    u: float,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
) -> Array:
    """Bound w (p⁺ softplus(-z) - softplus(z)) dloss, or an entry's share of it."""
    w, p, _ = _bce_weights(target, weight, pos_weight)
    terms = (1 + p) * np.logaddexp(0, -z) + np.logaddexp(0, z)
    return w * (EXP_AND_LOG_ULPS + 8) * u * terms * _share(dloss, z.size, reduction)


def difference_loss(losses: Array, reduction: Reduction, u: float) -> Array:
    """Bound a loss of r = prediction - target: 8 u of it, as r is rounded before the rest."""
    return reduce(8 * u * losses, losses, reduction, u)


def difference_loss_backward(
    dloss: Array, slope: Array, reduction: Reduction, u: float
) -> tuple[Array, Array]:
    """Bound ∂loss/∂r dloss, or an entry's share of it, for the prediction and the target."""
    bound = 8 * u * abs(slope) * _share(dloss, slope.size, reduction)
    return bound, bound


def kl_div(log_q: Array, target: Array, reduction: str, log_target: bool, u: float) -> Array:
    """Bound p (log p - log q), 0 where p = 0, whose terms may cancel."""
    p, log_p = _with_log(target, log_target)
    terms = p * (abs(log_p) + abs(log_q))
    bound = reduce((EXP_AND_LOG_ULPS + 4) * u * terms, terms, "sum", u)
    match reduction:
        case "none":
            return (EXP_AND_LOG_ULPS + 4) * u * terms
        case "sum":
            return bound
        case "mean":
            return bound / log_q.size
    return bound / len(log_q)


def kl_div_backward(
    dloss: Array, log_q: Array, target: Array, reduction: str, log_target: bool, u: float
) -> tuple[Array, Array]:
    """Bound -p and log p - log q + 1 (times p for log p), or their shares, times dloss."""
    p, log_p = _with_log(target, log_target)
    count = {"mean": log_q.size, "batchmean": len(log_q)}.get(reduction, 1)
    unit = (EXP_AND_LOG_ULPS + 6) * u * abs(dloss) / count
    slope = (abs(log_p) + abs(log_q) + 1) * (p if log_target else 1.0)
    return unit * p, unit * slope


def _with_log(target: Array, log_target: bool) -> tuple[Array, Array]:
    """Return p and log p, which is 0 where p = 0: p log p = 0 has no error."""
    if log_target:
        return np.exp(target), target
    return target, np.log(np.where(target == 0, 1, target))


def reduce(
    errors: Array, losses: Array, reduction: Reduction, u: float, count: Array | float | None = None
) -> Array:
    """Bound a reduction of losses with errors B:  Σ B + γ(N) Σ |loss|, over the count for a mean.

    The count is itself a sum where the losses are weighted.
    """
    if reduction == "none":
        return errors
    N = losses.size
    total = errors.sum() + (2 * bounds.gamma(N, u) + 2 * u) * abs(losses).sum()
    return total / (N if count is None else count) if reduction == "mean" else total


def _rows(z: Array, reduction: Reduction) -> tuple[int, ...]:
    return row_shape(z) if reduction == "none" else ()


def _mass_and_share(
    dloss: Array, z: Array, target: Array, options: dict[str, Any], u: float
) -> tuple[Array, Array, float]:
    """Return v (M, C), |what each row gets of dloss| (M, 1), and the relative error of the count.

    A count of rows is exact; a sum of weights is not.
    """
    weight, averages = options.get("weight"), options["reduction"] == "mean"
    v, count, _ = target_mass(
        z,
        target,
        weight,
        options.get("ignore_index", -100),
        options.get("label_smoothing", 0.0),
    )
    share = np.reshape(abs(dloss), (-1, 1)) / (count if averages else 1)
    return v, share, bounds.gamma(len(v), u) if averages and weight is not None else 0.0


def _bce_weights(
    target: Array, weight: Array | None, pos_weight: Array | None
) -> tuple[Array | float, Array | float, Array]:
    """Return w, p⁺ and 1 + (1 + p⁺) t, the terms of m: torch's 1 + (p⁺ - 1) t may cancel."""
    w, p = (1.0 if given is None else given for given in (weight, pos_weight))
    return w, p, 1 + (1 + p) * target


def _share(dloss: Array, losses: int, reduction: Reduction) -> Array:
    return np.asarray(abs(dloss)) / (losses if reduction == "mean" else 1)
