"""Losses that ask how much: the textbook's squared loss, and torch's, which is twice it."""

import numpy as np

from scratchnn.arrays import Array, check_float, check_same_shape
from scratchnn.reductions import Reduction, reduce, reduce_backward


def squared_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Half the squared error: the negative log-likelihood of unit normal noise, but for a constant.

        loss = (prediction - target)² / 2

    Shapes   prediction, target (...) → () or, for "none", (...)
    Torch    0.5 * torch.nn.functional.mse_loss(prediction, target)
    """
    _check(prediction, target)
    return reduce(np.square(prediction - target) / 2, reduction)


def squared_loss_backward(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Vector-Jacobian product of `squared_loss`: d(prediction) from dloss.

        ∂loss/∂prediction = prediction - target

    Shapes   dloss () or, for "none", (...); prediction, target (...) → dprediction (...)
    """
    _check(prediction, target)
    dprediction: Array = prediction - target
    dprediction *= reduce_backward(dloss, prediction.size, reduction)
    return dprediction


def mse_loss(prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """Squared error, without the 1/2 of `squared_loss`: twice its value and gradient.

        loss = (prediction - target)²

    Shapes   prediction, target (...) → () or, for "none", (...)
    Torch    torch.nn.functional.mse_loss(prediction, target)
    """
    _check(prediction, target)
    return reduce(np.square(prediction - target), reduction)


def mse_loss_backward(
    dloss: Array | float, prediction: Array, target: Array, *, reduction: Reduction = "mean"
) -> Array:
    """Vector-Jacobian product of `mse_loss`: d(prediction) from dloss.

        ∂loss/∂prediction = 2 (prediction - target)

    Shapes   dloss () or, for "none", (...); prediction, target (...) → dprediction (...)
    """
    return 2 * squared_loss_backward(dloss, prediction, target, reduction=reduction)


def _check(prediction: Array, target: Array) -> None:
    check_float(prediction=prediction, target=target)
    check_same_shape(prediction=prediction, target=target)
