"""The right answers of the losses, with all their options; see parity/oracle.

A backward returns the gradient of the prediction, and that of a target that has one after it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.oracle import distribution, log_softmax, sigmoid, softplus
from parity.oracle.digits import Numbers, exp, log
from scratchnn.targets import from_rows, row_shape, to_rows


def nll_loss(log_p: Numbers, target: Any, reduction: str = "mean", **options: Any) -> Numbers:
    """-Σ_c v_c log p_c a row, reduced."""
    v, count = _mass(log_p, target, **options)
    return _reduce(_weighted(v, -to_rows(log_p)), reduction, count, log_p)


def nll_loss_backward(
    dloss: Numbers, log_p: Numbers, target: Any, reduction: str = "mean", **options: Any
) -> tuple[Numbers]:
    """-v dloss, or a row's share of it."""
    v, count = _mass(log_p, target, **options)
    return (from_rows(-v * _share(dloss, reduction, count), log_p),)


def cross_entropy(z: Numbers, target: Any, reduction: str = "mean", **options: Any) -> Numbers:
    """-Σ_c v_c log p_c a row, reduced, with p = softmax z."""
    v, count = _mass(z, target, **options)
    return _reduce(_weighted(v, -log_softmax(to_rows(z))), reduction, count, z)


def cross_entropy_backward(
    dloss: Numbers,
    z: Numbers,
    target: Any,
    reduction: str = "mean",
    weight: Numbers | None = None,
    label_smoothing: Any = 0.0,
    **options: Any,
) -> tuple[Numbers, ...]:
    """p_c Σ of the others' v - v_c (1 - p_c), and -w_c (1 - ε) log p_c, times dloss or a share."""
    v, count = _mass(z, target, weight, label_smoothing=label_smoothing, **options)
    _, p, rest, log_p, _ = distribution(to_rows(z), 1)
    share = _share(dloss, reduction, count)
    dz = from_rows((p * mass_elsewhere(v) - v * rest) * share, z)
    if _holds_indices(target):
        return (dz,)
    return dz, from_rows(-(1 - label_smoothing) * _ones(weight) * log_p * share, z)


def mass_elsewhere(v: Numbers) -> Numbers:
    """Σ of the others' v: the largest is left out of its sum, and subtracted from no sum."""
    top = v.argmax(axis=1)[:, None] == np.arange(v.shape[1])
    rest = np.where(top, 0, v).sum(axis=1, keepdims=True)
    return np.where(top, rest, v.sum(axis=1, keepdims=True) - v)


def binary_cross_entropy_with_logits(
    z: Numbers,
    target: Numbers,
    reduction: str = "mean",
    weight: Numbers | None = None,
    pos_weight: Numbers | None = None,
) -> Numbers:
    """-w (p⁺ t log σ(z) + (1 - t) log σ(-z)), reduced."""
    w, p = _ones(weight), _ones(pos_weight)
    return _reduce(w * (p * target * softplus(-z) + (1 - target) * softplus(z)), reduction, z.size)


def binary_cross_entropy_with_logits_backward(
    dloss: Numbers,
    z: Numbers,
    target: Numbers,
    reduction: str = "mean",
    weight: Numbers | None = None,
    pos_weight: Numbers | None = None,
) -> tuple[Numbers, Numbers]:
    """w ((1 - t) σ(z) - p⁺ t σ(-z)) and w (p⁺ softplus(-z) - softplus(z)), times dloss."""
    w, p = _ones(weight), _ones(pos_weight)
    share = _share(dloss, reduction, z.size, flat=False) * w
    dz = (1 - target) * sigmoid(z) - p * target * sigmoid(-z)
    return dz * share, (p * softplus(-z) - softplus(z)) * share


def kl_div(
    log_q: Numbers, target: Numbers, reduction: str = "mean", log_target: bool = False
) -> Numbers:
    """p (log p - log q), 0 where p = 0, reduced; "batchmean" divides by the rows."""
    p, log_p = (exp(target), target) if log_target else (target, log(target))
    return _reduce(np.where(p == 0, 0, p * (log_p - log_q)), reduction, _kl_count(log_q, reduction))


def kl_div_backward(
    dloss: Numbers, log_q: Numbers, target: Numbers, reduction: str, log_target: bool = False
) -> tuple[Numbers, Numbers]:
    """-p and log p - log q + 1 (times p for log p), times dloss or an entry's share of it.

    For p = 0 the latter is NaN: the slope there is -inf, and torch's 0 / 0.
    """
    p = exp(target) if log_target else target
    log_p = target if log_target else np.where(target == 0, np.nan, log(target))
    share = _share(dloss, reduction, _kl_count(log_q, reduction), flat=False)
    return -p * share, (log_p - log_q + 1) * (p if log_target else 1) * share


def difference_loss(
    name: str, prediction: Numbers, target: Numbers, reduction: str = "mean", edge: Any = 1
) -> Numbers:
    """Return one of the regression losses of r = prediction - target, reduced."""
    losses, _ = DIFFERENCE_LOSSES[name](prediction - target, edge)
    return _reduce(losses, reduction, losses.size)


def difference_loss_backward(
    name: str, dloss: Numbers, prediction: Numbers, target: Numbers, reduction: str, edge: Any = 1
) -> tuple[Numbers, Numbers]:
    """Return its gradients: ∂loss/∂r dloss, and minus that."""
    _, slope = DIFFERENCE_LOSSES[name](prediction - target, edge)
    dr = slope * _share(dloss, reduction, slope.size, flat=False)
    return dr, -dr


def _huber(r: Numbers, delta: Any) -> tuple[Numbers, Numbers]:
    near = abs(r) <= delta
    return (
        np.where(near, r * r / 2, delta * (abs(r) - delta / 2)),
        np.where(near, r, delta * np.sign(r)),
    )


# Each loss of r and its slope.
DIFFERENCE_LOSSES: dict[str, Callable[[Numbers, Any], tuple[Numbers, ...]]] = {
    "squared_loss": lambda r, _: (r * r / 2, r),
    "mse_loss": lambda r, _: (r * r, 2 * r),
    "l1_loss": lambda r, _: (abs(r), np.sign(r)),
    "huber_loss": _huber,
    "smooth_l1_loss": lambda r, beta: tuple(x / beta for x in _huber(r, beta)),
}


def _holds_indices(target: Any) -> bool:
    return np.asarray(target).dtype.kind in "iu"


def _ones(weight: Numbers | None) -> Numbers:
    return 1 if weight is None else weight


def _mass(
    z: Numbers,
    target: Any,
    weight: Numbers | None = None,
    ignore_index: int = -100,
    label_smoothing: Any = 0.0,
) -> tuple[Numbers, Any]:
    """Return v = w ((1 - ε) q + ε / C), q the target distribution of a row, and the mean's count.

    The count is Σ w of the target classes, or the number of rows where q is given.
    """
    C = to_rows(z).shape[1]
    w = np.ones(C, int) if weight is None else weight
    if not _holds_indices(target):
        return w * ((1 - label_smoothing) * to_rows(target) + label_smoothing / C), len(to_rows(z))
    index = np.reshape(target, (-1, 1))
    seen = index != ignore_index
    q = seen * (index == np.arange(C)).astype(int)
    return w * ((1 - label_smoothing) * q + label_smoothing / C * seen), (w * q).sum()


def _weighted(v: Numbers, losses: Numbers) -> Numbers:
    return np.where(v == 0, 0, v * losses).sum(axis=1)


def _reduce(losses: Numbers, reduction: str, count: Any, rows_of: Numbers | None = None) -> Numbers:
    if reduction == "none":
        return losses if rows_of is None else losses.reshape(row_shape(rows_of))
    total = losses.sum()
    return total if reduction == "sum" else total / count if count else np.nan


def _share(dloss: Numbers, reduction: str, count: Any, *, flat: bool = True) -> Numbers:
    """Return what a row gets of dloss: nothing where no row counts, and the mean is NaN."""
    share = np.reshape(dloss, (-1, 1)) if flat else dloss
    if reduction in ("none", "sum"):
        return share
    return share / count if count else 0 * share


def _kl_count(log_q: Numbers, reduction: str) -> int:
    return len(log_q) if reduction == "batchmean" else log_q.size
