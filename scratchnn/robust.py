"""Losses that ask how much, and are not ruled by outliers: far away they grow in proportion."""

import numpy as np

from scratchnn.arrays import Array
from scratchnn.reductions import Reduction, reduce
from scratchnn.regression import difference, spread
from scratchnn.strictness import checked


@checked
def l1_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Absolute error: outliers count in proportion, and the median minimises it.

        loss = |r|,   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Torch    torch.nn.functional.l1_loss(prediction, target)
    """
    return reduce(np.abs(difference(prediction, target)), reduction)


@checked
def l1_loss_backward(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Vector-Jacobian product of `l1_loss`: d(prediction) from dloss.

        ∂loss/∂prediction = sign r

    Its speed is constant, with a kink at r = 0, where 0 is torch's choice, too.

    Shapes   dloss () or, for "none", (...); prediction, target (...) → dprediction (...)
    """
    r = difference(prediction, target)
    return spread(np.sign(r), dloss, prediction, reduction)


@checked
def l1_loss_backward_target(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Return the gradient of `l1_loss` for the target.

        ∂loss/∂target = -sign r

    Shapes   as `l1_loss_backward` → dtarget (...)
    """
    r = difference(prediction, target)
    return spread(-np.sign(r), dloss, target, reduction)


@checked
def huber_loss(
    prediction: Array, target: Array, *, reduction: Reduction = "mean", delta: float = 1.0
) -> Array:
    """Squared near zero and absolute far away, joined smoothly at |r| = δ.

        loss = r² / 2  where |r| ≤ δ,  else  δ (|r| - δ / 2);   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Raises   ValueError for δ ≤ 0
    Torch    torch.nn.functional.huber_loss(prediction, target)
    Source   Huber 1964, doi:10.1214/aoms/1177703732
    """
    _check_delta(delta)
    r = np.abs(difference(prediction, target))
    near = np.minimum(r, float(delta))  # r²/2 and δ (r - δ/2) are both near (r - near/2)
    return reduce(near * (r - near / 2), reduction)


@checked
def huber_loss_backward(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    delta: float = 1.0,
) -> Array:
    """Vector-Jacobian product of `huber_loss`: d(prediction) from dloss.

        ∂loss/∂prediction = r clipped to [-δ, δ]

    Shapes   dloss () or, for "none", (...); prediction, target (...) → dprediction (...)
    """
    _check_delta(delta)
    r = difference(prediction, target)
    return spread(np.clip(r, -delta, delta), dloss, prediction, reduction)


@checked
def huber_loss_backward_target(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    delta: float = 1.0,
) -> Array:
    """Return the gradient of `huber_loss` for the target.

        ∂loss/∂target = -r clipped to [-δ, δ]

    Shapes   as `huber_loss_backward` → dtarget (...)
    """
    _check_delta(delta)
    r = difference(prediction, target)
    return spread(-np.clip(r, -delta, delta), dloss, target, reduction)


@checked
def smooth_l1_loss(
    prediction: Array, target: Array, *, reduction: Reduction = "mean", beta: float = 1.0
) -> Array:
    """The absolute error with its kink rounded off: `huber_loss` over β.

        loss = r² / (2 β)  where |r| < β,  else  |r| - β / 2;   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Raises   ValueError for β < 0; β = 0 is `l1_loss`
    Torch    torch.nn.functional.smooth_l1_loss(prediction, target)
    Source   Girshick 2015, arXiv:1504.08083
    """
    if beta == 0:
        return l1_loss(prediction, target, reduction=reduction)
    _check_beta(beta)
    r = np.abs(difference(prediction, target))
    near = np.minimum(r, float(beta))
    return reduce(near / float(beta) * (r - near / 2), reduction)


@checked
def smooth_l1_loss_backward(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    beta: float = 1.0,
) -> Array:
    """Vector-Jacobian product of `smooth_l1_loss`: d(prediction) from dloss.

        ∂loss/∂prediction = r / β clipped to [-1, 1]

    Shapes   dloss () or, for "none", (...); prediction, target (...) → dprediction (...)
    """
    if beta == 0:
        return l1_loss_backward(dloss, prediction, target, reduction=reduction)
    _check_beta(beta)
    r = difference(prediction, target)
    return spread(np.clip(r, -beta, beta) / beta, dloss, prediction, reduction)


@checked
def smooth_l1_loss_backward_target(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    beta: float = 1.0,
) -> Array:
    """Return the gradient of `smooth_l1_loss` for the target.

        ∂loss/∂target = -r / β clipped to [-1, 1]

    Shapes   as `smooth_l1_loss_backward` → dtarget (...)
    """
    if beta == 0:
        return l1_loss_backward_target(dloss, prediction, target, reduction=reduction)
    _check_beta(beta)
    r = difference(prediction, target)
    return spread(-np.clip(r, -beta, beta) / beta, dloss, target, reduction)


def _check_beta(beta: float) -> None:
    if not beta >= 0:
        raise ValueError(f"beta must not be negative, got {beta}")


def _check_delta(delta: float) -> None:
    if not delta > 0:
        raise ValueError(f"delta must be positive, got {delta}")
