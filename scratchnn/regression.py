"""Losses that ask how much: all are functions of the difference r = prediction - target.

So the gradient of the target is the negative of the prediction's; each backward
returns the one that `wrt` names.
"""

from typing import Literal, TypeAlias

import numpy as np

from scratchnn.arrays import Array, check_float, check_same_shape
from scratchnn.reductions import Reduction, reduce, reduce_backward
from scratchnn.strictness import checked

Wrt: TypeAlias = Literal["prediction", "target"]


@checked
def squared_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Half the squared error: the negative log-likelihood of unit normal noise, but for a constant.

        loss = r² / 2,   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Torch    0.5 * torch.nn.functional.mse_loss(prediction, target)
    """
    return reduce(np.square(_difference(prediction, target)) / 2, reduction)


@checked
def squared_loss_backward(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    wrt: Wrt = "prediction",
) -> Array:
    """Vector-Jacobian product of `squared_loss`: d(prediction) or d(target) from dloss.

        ∂loss/∂prediction = r = -∂loss/∂target

    Shapes   dloss () or, for "none", (...); prediction, target (...) → (...)
    """
    r = _difference(prediction, target)
    return _spread(r, dloss, prediction, target, reduction, wrt)


@checked
def mse_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Squared error, without the 1/2 of `squared_loss`: twice its value and gradient.

        loss = r²,   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Torch    torch.nn.functional.mse_loss(prediction, target)
    """
    return reduce(np.square(_difference(prediction, target)), reduction)


@checked
def mse_loss_backward(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    wrt: Wrt = "prediction",
) -> Array:
    """Vector-Jacobian product of `mse_loss`: d(prediction) or d(target) from dloss.

        ∂loss/∂prediction = 2 r = -∂loss/∂target

    Shapes   dloss () or, for "none", (...); prediction, target (...) → (...)
    """
    r = _difference(prediction, target)
    return _spread(2 * r, dloss, prediction, target, reduction, wrt)


@checked
def l1_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Absolute error: outliers count in proportion, and the median minimises it.

        loss = |r|,   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Torch    torch.nn.functional.l1_loss(prediction, target)
    """
    return reduce(np.abs(_difference(prediction, target)), reduction)


@checked
def l1_loss_backward(
    dloss: Array | float,
    prediction: Array,
    target: Array,
    *,
    reduction: Reduction = "mean",
    wrt: Wrt = "prediction",
) -> Array:
    """Vector-Jacobian product of `l1_loss`: d(prediction) or d(target) from dloss.

        ∂loss/∂prediction = sign r = -∂loss/∂target

    Its speed is constant, with a kink at r = 0, where 0 is torch's choice, too.

    Shapes   dloss () or, for "none", (...); prediction, target (...) → (...)
    """
    r = _difference(prediction, target)
    return _spread(np.sign(r), dloss, prediction, target, reduction, wrt)


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
    _check_positive("delta", delta)
    r = np.abs(_difference(prediction, target))
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
    wrt: Wrt = "prediction",
) -> Array:
    """Vector-Jacobian product of `huber_loss`: d(prediction) or d(target) from dloss.

        ∂loss/∂prediction = r clipped to [-δ, δ] = -∂loss/∂target

    Shapes   dloss () or, for "none", (...); prediction, target (...) → (...)
    """
    _check_positive("delta", delta)
    r = _difference(prediction, target)
    return _spread(np.clip(r, -delta, delta), dloss, prediction, target, reduction, wrt)


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
    _check_positive("beta", beta)
    r = np.abs(_difference(prediction, target))
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
    wrt: Wrt = "prediction",
) -> Array:
    """Vector-Jacobian product of `smooth_l1_loss`: d(prediction) or d(target) from dloss.

        ∂loss/∂prediction = r / β clipped to [-1, 1] = -∂loss/∂target

    Shapes   dloss () or, for "none", (...); prediction, target (...) → (...)
    """
    if beta == 0:
        return l1_loss_backward(dloss, prediction, target, reduction=reduction, wrt=wrt)
    _check_positive("beta", beta)
    r = _difference(prediction, target)
    return _spread(np.clip(r, -beta, beta) / beta, dloss, prediction, target, reduction, wrt)


def _difference(prediction: Array, target: Array) -> Array:
    check_float(prediction=prediction, target=target)
    check_same_shape(prediction=prediction, target=target)
    return prediction - target


def _spread(
    slope: Array,
    dloss: Array | float,
    prediction: Array,
    target: Array,
    reduction: Reduction,
    wrt: Wrt,
) -> Array:
    """Multiply ∂loss/∂r by what each loss gets of dloss; give the result its variable's dtype."""
    if wrt not in ("prediction", "target"):
        raise ValueError(f'wrt must be "prediction" or "target", got {wrt!r}')
    dr = slope * reduce_backward(dloss, prediction.shape, reduction)
    if wrt == "prediction":
        return dr.astype(prediction.dtype, copy=False)
    return -dr.astype(target.dtype, copy=False)


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")
