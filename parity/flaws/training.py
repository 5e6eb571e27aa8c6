"""What goes wrong in training: each flaw replaces a function of scratchnn while it is planted.

A flaw takes the right function first, then what this one takes. Those that replace the same
function stand in a class, without a self.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np

import scratchnn.functional as F
from parity.flaws import Flaw, Plants
from scratchnn import train
from scratchnn.layers import Dense, ReLU
from scratchnn.objectives import CrossEntropy
from scratchnn.optim import SGD, Adam

FLAWS = Plants()
NOMINAL = 32  # rows of a batch, in parity.checking.mutants


@contextmanager
def planted(flaw: Flaw) -> Iterator[None]:
    """Let scratchnn be wrong in a block."""
    right = getattr(flaw.where, flaw.op)

    def wrong(*arguments, **options):
        return flaw.wrong(right, *arguments, **options)

    with patch.object(flaw.where, flaw.op, wrong):
        yield


@FLAWS.of("_velocity", SGD)
class Velocity:
    def first_step_dampened(right, sgd, g):
        """The first velocity is dampened: it must be the gradient itself."""
        v = sgd.state.get("velocity", 0)
        sgd.state["velocity"] = sgd.momentum * v + (1 - sgd.dampening) * g
        return sgd.state["velocity"]

    def averaged_momentum(right, sgd, g):
        """v = μ v + (1 - μ) g is an average of gradients; torch's v is their sum."""
        v = sgd.state.get("velocity", 0)
        sgd.state["velocity"] = sgd.momentum * v + (1 - sgd.momentum) * g
        return sgd.state["velocity"]


@FLAWS.of("step", SGD)
class Step:
    def rate_inside_the_velocity(right, sgd, theta, grad):
        """Sutskever's form, v = μ v + lr g: it differs once the learning rate changes."""
        if not sgd.momentum or sgd.nesterov or sgd.maximize or sgd.dampening:
            right(sgd, theta, grad)
            return
        g = grad + sgd.weight_decay * theta
        v = sgd.momentum * sgd.state.get("velocity", 0) + sgd.learning_rate * g
        sgd.state["velocity"] = v
        theta -= v

    def weight_decay_with_the_wrong_sign(right, sgd, theta, grad):
        """The decay is added to θ: it must shrink it."""
        right(sgd, theta, grad - 2 * sgd.weight_decay * theta)

    def plain_momentum_for_nesterovs(right, sgd, theta, grad):
        """The option nesterov is ignored."""
        sgd.nesterov = False
        right(sgd, theta, grad)

    def uphill(right, sgd, theta, grad):
        """The step goes along the gradient, not against it."""
        right(sgd, theta, -grad)


@FLAWS.of("step", Adam)
class AdamStep:
    def no_bias_correction(right, adam, theta, grad):
        """m and v are used as they are: they start at 0, and are too small in the first steps."""
        m, v, _ = _moments(right, adam, theta, grad)
        theta -= adam.learning_rate * m / (np.sqrt(v) + adam.eps)

    def eps_inside_the_root(right, adam, theta, grad):
        """ε is added to v̂: it must be added to its root."""
        m, v, t = _moments(right, adam, theta, grad)
        beta_1, beta_2 = adam.betas
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        theta -= adam.learning_rate * m_hat / np.sqrt(v_hat + adam.eps)


def _moments(right, adam, theta, grad):
    """Take an Adam step but for the last line, the update of θ; return m, v and t."""
    right(adam, theta.copy(), grad)
    adam._decayed(theta, grad)  # AdamW shrinks θ here
    return adam.state["m"], adam.state["v"], float(adam.state["t"])


@FLAWS.of("loss_and_gradient", CrossEntropy)
class LossAndGradient:
    def nominal_batch_size(right, objective, z, target):
        """The short last batch is divided by the nominal batch size."""
        loss, dz = right(objective, z, target)
        return loss, dz * z.dtype.type(len(z) / NOMINAL)

    def softmax_before_the_loss(right, objective, z, target):
        """The network ends in a softmax, and the loss takes another one."""
        loss, dp = right(objective, F.softmax(z), target)
        return loss, F.softmax_backward(dp, z)

    def shuffled_labels(right, objective, z, target):
        """The examples are shuffled, and their labels are not."""
        return right(objective, z, np.roll(target, 1))

    def gradient_of_the_sum(right, objective, z, target):
        """The gradient is that of the sum of the losses, not of their mean."""
        loss, dz = right(objective, z, target)
        return loss, dz * z.dtype.type(len(z))


@FLAWS.of("chain_rule", train)
class ChainRule:
    def gradient_not_zeroed(right, parameters, outputs, dz, *, out):
        """The gradient of the step before is still in it."""
        before = out.theta.copy()
        right(parameters, outputs, dz, out=out)
        out.theta += before


@FLAWS.of("backward", ReLU)
class ReLUBackward:
    def relu_mask_of_the_gradient(right, layer, dy, z, y):
        """The mask is made of the gradient."""
        return np.maximum(dy, 0)

    def relu_slope_1_at_0(right, layer, dy, z, y):
        """relu'(0) is taken for 1: the gradient passes every ReLU that is off."""
        return dy * (y >= 0)


@FLAWS.of("forward", train)
class Forward:
    def relu_after_the_last_layer(right, parameters, X):
        """The logits are cut off at 0."""
        *hidden, z = right(parameters, X)
        return [*hidden, F.relu(z)]


@FLAWS.of("backward", Dense)
class DenseBackward:
    def weight_not_transposed_on_the_way_back(right, layer, dY, X, Y, W, b):
        """dX = dY Wᵀ: W is reshaped where it should be transposed."""
        return dY @ W.reshape(W.T.shape)


@FLAWS.of("gradients", Dense)
class DenseGradients:
    def bias_gradient_of_one_row(right, layer, dY, X, W, b, *, out):
        """db is that of the first row: it is the sum over all."""
        right(layer, dY, X, W, b, out=out)
        out[1][...] = dY[0]

    def bias_left_alone(right, layer, dY, X, W, b, *, out):
        """The bias has no gradient, and is never trained."""
        right(layer, dY, X, W, b, out=out)
        out[1][...] = 0


@FLAWS.of("forward", Dense)
class DenseForward:
    def bias_forgotten(right, layer, X, W, b):
        """The layer has no bias in its forward pass."""
        return X @ W
