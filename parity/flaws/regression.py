"""What goes wrong in losses of a difference."""

from __future__ import annotations

import numpy as np

import scratchnn.functional as F
from parity.flaws.flaw import Plants, no_mean, reduced

FLAWS = Plants()


@FLAWS.of("mse_loss")
def mse_with_a_half(prediction, target, **options):
    """There is a 1/2: the textbook's squared loss has it, torch's mse_loss has not."""
    return F.squared_loss(prediction, target, **options)


@FLAWS.of("squared_loss")
def squared_loss_without_its_half(prediction, target, **options):
    """The 1/2 is missing: this is torch's mse_loss."""
    return F.mse_loss(prediction, target, **options)


@FLAWS.of("mse_loss")
def root_of_the_mean_square(prediction, target, reduction="mean"):
    """It takes a square root: that is the RMSE."""
    return np.sqrt(F.mse_loss(prediction, target, reduction=reduction))


@FLAWS.backward("mse_loss")
def gradient_without_its_2(dloss, prediction, target, **options):
    """The 2 of the derivative is missing: 2 (prediction - target) / N."""
    return F.squared_loss_backward(dloss, prediction, target, **options)[0]


@FLAWS.backward("mse_loss")
def mse_without_one_over_n(dloss, prediction, target, reduction="mean"):
    """1/N is missing: 2 (prediction - target) / N."""
    wanted = no_mean(reduction)
    return F.mse_loss_backward(dloss, prediction, target, reduction=wanted)[0]


@FLAWS.backward("mse_loss")
def target_with_the_predictions_sign(dloss, prediction, target, **options):
    """The target's gradient has the sign of the prediction's: it is minus that one."""
    dprediction, _ = F.mse_loss_backward(dloss, prediction, target, **options)
    return dprediction, dprediction


@FLAWS.backward("squared_loss")
def target_minus_prediction(dloss, prediction, target, **options):
    """The sign is wrong: prediction - target."""
    return -F.squared_loss_backward(dloss, prediction, target, **options)[0]


@FLAWS.backward("l1_loss")
def size_of_the_slope(dloss, prediction, target, **options):
    """The slope's absolute value is taken: it is -1 below the target."""
    size = abs(F.l1_loss_backward(dloss, prediction, target, **options)[0])
    return size * np.sign(dloss)


@FLAWS.of("l1_loss")
def without_the_absolute_value(prediction, target, reduction="mean"):
    """The differences are not taken in absolute value, and cancel."""
    losses = prediction - target
    return reduced(losses, reduction)


@FLAWS.of("smooth_l1_loss")
def huber_for_smooth_l1(prediction, target, beta=1.0, reduction="mean"):
    """It is the Huber loss: smooth L1 is Huber divided by beta."""
    return F.huber_loss(prediction, target, delta=beta, reduction=reduction)


@FLAWS.backward("smooth_l1_loss")
def huber_for_smooth_l1_in_the_gradient(dloss, prediction, target, beta=1.0, reduction="mean"):
    """It is the gradient of the Huber loss: smooth L1 is Huber divided by beta."""
    return F.huber_loss_backward(dloss, prediction, target, delta=beta, reduction=reduction)[0]


@FLAWS.of("huber_loss")
def huber_without_its_line(prediction, target, delta=1.0, reduction="mean"):
    """Beyond delta the loss must grow along a line: delta (|r| - delta / 2)."""
    return F.squared_loss(prediction, target, reduction=reduction)


@FLAWS.of("huber_loss")
def huber_that_jumps(prediction, target, delta=1.0, reduction="mean"):
    """The line misses its -delta / 2, so that the loss jumps at delta."""
    r = abs(prediction - target)
    losses = np.where(r <= delta, r * r / 2, delta * r)
    return reduced(losses, reduction)


@FLAWS.backward("huber_loss")
def huber_not_clipped(dloss, prediction, target, delta=1.0, reduction="mean"):
    """The gradient is not clipped at delta."""
    return F.squared_loss_backward(dloss, prediction, target, reduction=reduction)[0]
