"""What goes wrong in training: each flaw replaces something of scratchnn while it is on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

import scratchnn.functional as F
from scratchnn import mlp, objectives, train
from scratchnn.layers import Layer
from scratchnn.sgd import SGD

NOMINAL = 32  # rows of a batch, in parity.mutants


@dataclass(frozen=True)
class TrainingFlaw:
    """A wrong part of training: where it stands, and how it is made of the right one."""

    where: Any
    attribute: str
    make: Callable[[Any], Any]

    @property
    def name(self) -> str:
        """What is wrong, in a few words."""
        return self.make.__name__.replace("_", " ")

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Let scratchnn be wrong in a block."""
        table = isinstance(self.where, dict)
        right = self.where[self.attribute] if table else getattr(self.where, self.attribute)
        wrong = self.make(right)
        with (
            patch.dict(self.where, {self.attribute: wrong})
            if table
            else patch.object(self.where, self.attribute, wrong)
        ):
            yield


def first_step_dampened(_):
    """The first velocity is the gradient itself, whatever the dampening."""

    def accumulate(self, g):
        old = 0.0 if self.velocity is None else self.momentum * self.velocity
        self.velocity = old + (1 - self.dampening) * g
        return self.velocity

    return accumulate


def averaged_momentum(_):
    """v = μ v + (1 - μ) g is an average of gradients; torch's v is their sum."""

    def accumulate(self, g):
        old = 0.0 if self.velocity is None else self.momentum * self.velocity
        self.velocity = old + (1 - self.momentum) * g
        return self.velocity

    return accumulate


def rate_inside_the_velocity(right):
    """Sutskever's form, v = μ v + lr g: another one once the rate changes."""

    def step(self, theta, grad):
        if not self.momentum or self.nesterov or self.maximize or self.dampening:
            right(self, theta, grad)
            return
        g = grad + self.weight_decay * theta
        old = 0.0 if self.velocity is None else self.momentum * self.velocity
        self.velocity = old + self.learning_rate * g
        theta -= self.velocity

    return step


def weight_decay_with_the_wrong_sign(right):
    """The decay is added to θ: it must shrink it."""

    def step(self, theta, grad):
        right(self, theta, grad - 2 * self.weight_decay * theta)

    return step


def plain_momentum_for_nesterovs(right):
    """nesterov is not looked at."""

    def step(self, theta, grad):
        self.nesterov = False
        right(self, theta, grad)

    return step


def uphill(right):
    """The step goes along the gradient, not against it."""
    return lambda self, theta, grad: right(self, theta, -grad)


def nominal_batch_size(goal):
    """The short last batch is divided by the nominal batch size."""

    def loss_and_gradient(z, target):
        loss, dz = goal.loss_and_gradient(z, target)
        return loss, dz * z.dtype.type(len(z) / NOMINAL)

    return goal._replace(loss_and_gradient=loss_and_gradient)


def softmax_before_the_loss(goal):
    """The network ends in a softmax, and the loss takes another one."""

    def loss_and_gradient(z, target):
        p = F.softmax(z)
        loss, dp = goal.loss_and_gradient(p, target)
        return loss, F.softmax_backward(dp, p)

    return goal._replace(loss_and_gradient=loss_and_gradient)


def shuffled_labels(goal):
    """The examples are shuffled, and their labels are not."""
    return goal._replace(
        loss_and_gradient=lambda z, target: goal.loss_and_gradient(z, np.roll(target, 1))
    )


def gradient_of_the_sum(goal):
    """The gradient is that of the sum of the losses, not of their mean."""

    def loss_and_gradient(z, target):
        loss, dz = goal.loss_and_gradient(z, target)
        return loss, dz * z.dtype.type(len(z))

    return goal._replace(loss_and_gradient=loss_and_gradient)


def gradient_not_zeroed(right):
    """The gradient of the step before is still in it."""
    kept = []

    def backward(parameters, activations, dz, *, out=None):
        grad = right(parameters, activations, dz, out=out)
        grad.theta += kept[-1] if kept else 0
        kept.append(grad.theta.copy())
        return grad

    return backward


def relu_mask_of_the_gradient(_):
    """The mask is made of the gradient."""
    return lambda dy, _, out=None: np.maximum(dy, 0, out=out)


def relu_slope_1_at_0(_):
    """relu'(0) is taken for 1: of a ReLU that is off, everything passes."""
    return lambda dy, y, out=None: np.multiply(dy, y >= 0, out=out)


def relu_after_the_last_layer(right):
    """The logits are cut off at 0."""

    def forward(parameters, X):
        *hidden, z = right(parameters, X)
        return [*hidden, F.relu(z)]

    return forward


def weight_not_transposed_on_the_way_back(_):
    """dX = dY Wᵀ: W is reshaped where it should be transposed."""
    return lambda self, dY: dY @ self.W.reshape(self.W.T.shape)


def bias_gradient_of_one_row(right):
    """db is that of the first row: it is the sum over all."""

    def backward_parameters(self, dY, X, grad):
        right(self, dY, X, grad)
        grad.b[...] = dY[0]

    return backward_parameters


def bias_left_alone(right):
    """The bias has no gradient, and is never trained."""

    def backward_parameters(self, dY, X, grad):
        right(self, dY, X, grad)
        grad.b[...] = 0

    return backward_parameters


def bias_forgotten(_):
    """The layer has no bias in its forward pass."""
    return lambda self, X: X @ self.W


LOSSES = objectives.OBJECTIVES
FLAWS = (
    *(TrainingFlaw(SGD, "_accumulate", make) for make in (first_step_dampened, averaged_momentum)),
    *(
        TrainingFlaw(SGD, "step", make)
        for make in (
            rate_inside_the_velocity, weight_decay_with_the_wrong_sign,
            plain_momentum_for_nesterovs, uphill,
        )
    ),
    *(
        TrainingFlaw(LOSSES, "cross_entropy", make)
        for make in (
            nominal_batch_size, softmax_before_the_loss, shuffled_labels, gradient_of_the_sum,
        )
    ),
    TrainingFlaw(train, "backward", gradient_not_zeroed),
    *(
        TrainingFlaw(mlp, "relu_backward", make)
        for make in (relu_mask_of_the_gradient, relu_slope_1_at_0)
    ),
    TrainingFlaw(mlp, "forward", relu_after_the_last_layer),
    TrainingFlaw(Layer, "backward_input", weight_not_transposed_on_the_way_back),
    *(
        TrainingFlaw(Layer, "backward_parameters", make)
        for make in (bias_gradient_of_one_row, bias_left_alone)
    ),
    TrainingFlaw(Layer, "forward", bias_forgotten),
)  # fmt: skip
