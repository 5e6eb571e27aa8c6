"""Losses that ask how much: the squared error, with and without its 1/2.

They are functions of the difference r = prediction - target, as are those of robust.py; so the
gradient for the target is the negative of the prediction's.
"""

import numpy as np

from scratchnn.arrays import Array, check_float, check_same_shape
from scratchnn.reductions import Reduction, reduce, reduce_backward
from scratchnn.strictness import checked


@checked
def squared_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Half the squared error: the negative log-likelihood of unit normal noise, but for a constant.

        loss = r² / 2,   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Torch    0.5 * torch.nn.functional.mse_loss(prediction, target)
    """
    return reduce(np.square(difference(prediction, target)) / 2, reduction)


@checked
def squared_loss_backward(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Vector-Jacobian product of `squared_loss`: d(prediction) from dloss.

        ∂loss/∂prediction = r

    Shapes   dloss () or, for "none", (...); prediction, target (...) → dprediction (...)
    """
    r = difference(prediction, target)
    return spread(r, dloss, prediction, reduction)


@checked
def squared_loss_backward_target(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Return the gradient of `squared_loss` for the target.

        ∂loss/∂target = -r

    Shapes   as `squared_loss_backward` → dtarget (...)
    """
    r = difference(prediction, target)
    return spread(-r, dloss, target, reduction)


@checked
def mse_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Squared error, without the 1/2 of `squared_loss`: twice its value and gradient.

        loss = r²,   r = prediction - target

    Shapes   prediction, target (...) → () or, for "none", (...)
    Torch    torch.nn.functional.mse_loss(prediction, target)
    """
    return reduce(np.square(difference(prediction, target)), reduction)


@checked
def mse_loss_backward(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Vector-Jacobian product of `mse_loss`: d(prediction) from dloss.

        ∂loss/∂prediction = 2 r

    Shapes   dloss () or, for "none", (...); prediction, target (...) → dprediction (...)
    """
    r = difference(prediction, target)
    return spread(2 * r, dloss, prediction, reduction)


@checked
def mse_loss_backward_target(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Return the gradient of `mse_loss` for the target.

        ∂loss/∂target = -2 r

    Shapes   as `mse_loss_backward` → dtarget (...)
    """
    r = difference(prediction, target)
    return spread(-2 * r, dloss, target, reduction)


def difference(prediction: Array, target: Array) -> Array:
    """Return r = prediction - target.

    Raises   TypeError, ValueError for what is not floating point, or would broadcast
    """
    check_float(prediction=prediction, target=target)
    check_same_shape(prediction=prediction, target=target)
    return prediction - target


def spread(slope: Array, dloss: Array | float, like: Array, reduction: Reduction) -> Array:
    """Multiply ∂loss/∂x by what each loss gets of dloss; give the result the dtype of x, `like`."""
    dx = slope * reduce_backward(dloss, like.shape, reduction, dtype=slope.dtype)
    return dx.astype(like.dtype, copy=False)
