"""What goes wrong in training. Each flaw replaces a part of scratchnn while it is planted.

A flaw is a function of the right part that returns a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

import scratchnn.functional as F
from scratchnn import train
from scratchnn.layers import Dense, ReLU
from scratchnn.objectives import OBJECTIVES
from scratchnn.optim import SGD

NOMINAL = 32  # rows of a batch, in parity.checking.mutants


@dataclass(frozen=True)
class TrainingFlaw:
    """A wrong part of training.

    Parts    where, attribute   an object with its attribute, or a dictionary with its key
             make               makes the wrong part of the right one
    """

    where: object
    attribute: str
    make: Callable[[object], object]

    @property
    def name(self) -> str:
        """What is wrong, in a few words."""
        return self.make.__name__.replace("_", " ")

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Let scratchnn be wrong in a block."""
        if isinstance(self.where, dict):
            wrong = self.make(self.where[self.attribute])
            planting = patch.dict(self.where, {self.attribute: wrong})
        else:
            wrong = self.make(getattr(self.where, self.attribute))
            planting = patch.object(self.where, self.attribute, wrong)
        with planting:
            yield


FLAWS = []


def plant(where, attribute):
    """Return a decorator that adds a flaw of this part to FLAWS."""

    def planting(make):
        FLAWS.append(TrainingFlaw(where, attribute, make))
        return make

    return planting


# The optimizer


@plant(SGD, "_velocity")
def first_step_dampened(_):
    """The first velocity is dampened: it must be the gradient itself."""

    def velocity(self, g):
        v = self.state.get("velocity", 0)
        self.state["velocity"] = self.momentum * v + (1 - self.dampening) * g
        return self.state["velocity"]

    return velocity


@plant(SGD, "_velocity")
def averaged_momentum(_):
    """v = μ v + (1 - μ) g is an average of gradients; torch's v is their sum."""

    def velocity(self, g):
        v = self.state.get("velocity", 0)
        self.state["velocity"] = self.momentum * v + (1 - self.momentum) * g
        return self.state["velocity"]

    return velocity


@plant(SGD, "step")
def rate_inside_the_velocity(right):
    """Sutskever's form, v = μ v + lr g: it differs once the learning rate changes."""

    def step(self, theta, grad):
        if not self.momentum or self.nesterov or self.maximize or self.dampening:
            right(self, theta, grad)
            return
        g = grad + self.weight_decay * theta
        v = self.momentum * self.state.get("velocity", 0) + self.learning_rate * g
        self.state["velocity"] = v
        theta -= v

    return step


@plant(SGD, "step")
def weight_decay_with_the_wrong_sign(right):
    """The decay is added to θ: it must shrink it."""

    def step(self, theta, grad):
        right(self, theta, grad - 2 * self.weight_decay * theta)

    return step


@plant(SGD, "step")
def plain_momentum_for_nesterovs(right):
    """The option nesterov is ignored."""

    def step(self, theta, grad):
        self.nesterov = False
        right(self, theta, grad)

    return step


@plant(SGD, "step")
def uphill(right):
    """The step goes along the gradient, not against it."""
    return lambda self, theta, grad: right(self, theta, -grad)


# The loss


def with_loss(goal, loss_and_gradient):
    """Return an objective that differs from `goal` in its loss and gradient."""

    class Flawed(type(goal)):
        def loss_and_gradient(self, z, target):
            return loss_and_gradient(z, target)

    return Flawed()


@plant(OBJECTIVES, "cross_entropy")
def nominal_batch_size(goal):
    """The short last batch is divided by the nominal batch size."""

    def loss_and_gradient(z, target):
        loss, dz = goal.loss_and_gradient(z, target)
        return loss, dz * z.dtype.type(len(z) / NOMINAL)

    return with_loss(goal, loss_and_gradient)


@plant(OBJECTIVES, "cross_entropy")
def softmax_before_the_loss(goal):
    """The network ends in a softmax, and the loss takes another one."""

    def loss_and_gradient(z, target):
        loss, dp = goal.loss_and_gradient(F.softmax(z), target)
        return loss, F.softmax_backward(dp, z)

    return with_loss(goal, loss_and_gradient)


@plant(OBJECTIVES, "cross_entropy")
def shuffled_labels(goal):
    """The examples are shuffled, and their labels are not."""
    return with_loss(goal, lambda z, target: goal.loss_and_gradient(z, np.roll(target, 1)))


@plant(OBJECTIVES, "cross_entropy")
def gradient_of_the_sum(goal):
    """The gradient is that of the sum of the losses, not of their mean."""

    def loss_and_gradient(z, target):
        loss, dz = goal.loss_and_gradient(z, target)
        return loss, dz * z.dtype.type(len(z))

    return with_loss(goal, loss_and_gradient)


# Backpropagation


@plant(train, "backward")
def gradient_not_zeroed(right):
    """The gradient of the step before is still in it."""
    kept = []

    def backward(parameters, outputs, dz, *, out=None):
        grad = right(parameters, outputs, dz, out=out)
        grad.theta += kept[-1] if kept else 0
        kept.append(grad.theta.copy())
        return grad

    return backward


@plant(ReLU, "backward")
def relu_mask_of_the_gradient(_):
    """The mask is made of the gradient."""

    def backward(self, dy, z, y):
        return np.maximum(dy, 0)

    return backward


@plant(ReLU, "backward")
def relu_slope_1_at_0(_):
    """relu'(0) is taken for 1: the gradient passes every ReLU that is off."""

    def backward(self, dy, z, y):
        return dy * (y >= 0)

    return backward


@plant(train, "forward")
def relu_after_the_last_layer(right):
    """The logits are cut off at 0."""

    def forward(parameters, X):
        *hidden, z = right(parameters, X)
        return [*hidden, F.relu(z)]

    return forward


@plant(Dense, "backward")
def weight_not_transposed_on_the_way_back(_):
    """dX = dY Wᵀ: W is reshaped where it should be transposed."""

    def backward(self, dY, X, Y, W, b):
        return dY @ W.reshape(W.T.shape)

    return backward


@plant(Dense, "gradients")
def bias_gradient_of_one_row(right):
    """db is that of the first row: it is the sum over all."""

    def gradients(self, dY, X, W, b, *, out):
        right(self, dY, X, W, b, out=out)
        out[1][...] = dY[0]

    return gradients


@plant(Dense, "gradients")
def bias_left_alone(right):
    """The bias has no gradient, and is never trained."""

    def gradients(self, dY, X, W, b, *, out):
        right(self, dY, X, W, b, out=out)
        out[1][...] = 0

    return gradients


@plant(Dense, "forward")
def bias_forgotten(_):
    """The layer has no bias in its forward pass."""

    def forward(self, X, W, b):
        return X @ W

    return forward
