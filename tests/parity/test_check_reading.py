"""What `parity check` gives to a backward: an upstream gradient, a rate."""

from __future__ import annotations

import numpy as np
import pytest

import parity

# ---- the one array of a backward whose forward kept the rest ------------------------------------

NAMES = ("e", "err", "top_diff", "grad", "dA", "x", "y", "out")


def defined(source, **words):
    """Return the class or function that a source defines, with its words filled in."""
    names = {"np": np}
    for word, value in words.items():
        source = source.replace(word, value)
    exec(source, names)
    return [*names.values()][-1]


SIGMOID = """
class Sigmoid:
    def forward(self, z):
        self.p = np.exp(-np.logaddexp(0, -z))
        return self.p

    def backward(self, DY):
        return DY * self.p * (1 - self.p)
"""
IGNORING = """
class ReLU:
    def forward(self, z):
        self.z = z
        return np.maximum(z, 0)

    def backward(self, DY):
        return (self.z > 0).astype(self.z.dtype)
"""


@pytest.mark.parametrize("name", NAMES)
def test_check_takes_the_one_array_of_a_backward_for_the_upstream_gradient(name):
    report = parity.check(defined(SIGMOID, DY=name), "sigmoid")
    assert report.backward == f"Sigmoid.backward({name} = the upstream gradient)"
    assert report.grade == "right", str(report)


@pytest.mark.parametrize("name", NAMES)
def test_check_sees_that_the_upstream_gradient_is_ignored_whatever_its_name(name):
    report = parity.check(defined(IGNORING, DY=name), "relu")
    assert report.of("gradient") == "wrong", str(report)
    assert "The upstream gradient is missing" in report.causes[0]


class Squared:
    def forward(self, p, t):
        self.r = p - t
        return (self.r**2).mean()

    def backward(self, e):
        return 2 * self.r / self.r.size


class OfTarget(Squared):
    def backward(self, t):
        return 2 * self.r / self.r.size


def test_check_takes_an_unknown_name_for_the_upstream_gradient_of_a_loss_and_a_target_not():
    report = parity.check(Squared, "mse_loss")
    assert (report.backward, report.grade) == (
        "Squared.backward(e = the upstream gradient)",
        "wrong",
    )
    report = parity.check(OfTarget, "mse_loss")
    assert report.grade == "right", str(report)


class ByInput:
    """Its derivative keeps nothing, so its argument is the input."""

    def forward(self, z):
        self.y = np.tanh(z)
        return self.y

    def derivative(self, z):
        return 1 - np.tanh(z) ** 2


def test_check_gives_the_input_to_a_derivative_that_uses_nothing_kept():
    report = parity.check(ByInput, "tanh")
    assert report.backward == "ByInput.derivative(z); no upstream gradient"
    assert report.ok, str(report)


def test_check_takes_an_unknown_name_beside_the_input_for_the_upstream_gradient():
    report = parity.check(lambda z: np.tanh(z), "tanh", lambda e, z: e * (1 - np.tanh(z) ** 2))
    assert "e = the upstream gradient, z" in report.backward
    assert report.grade == "right", str(report)


# ---- layers that update their own parameters in the backward ------------------------------------


class Layer:
    def __init__(self, n_in, n_out):
        self.weights, self.bias = np.zeros((n_in, n_out)), np.zeros((1, n_out))

    def forward(self, x):
        self.x = x
        return x @ self.weights + self.bias

    def backward(self, out_grad, learning_rate):
        dx = out_grad @ self.weights.T
        self.weights -= learning_rate * self.x.T @ out_grad
        self.bias -= learning_rate * out_grad.sum(axis=0, keepdims=True)
        return dx


class OfOneExample(Layer):
    def backward(self, out_grad, learning_rate):
        dx = out_grad @ self.weights.T
        self.weights -= learning_rate * self.x.T @ out_grad
        self.bias -= learning_rate * out_grad
        return dx


class OfOneColumn:
    def __init__(self, n_in, n_out):
        self.weights, self.bias = np.zeros((n_out, n_in)), np.zeros((n_out, 1))

    def forward(self, x):
        self.x = x
        return self.weights @ x + self.bias

    def backward(self, out_grad, eta):
        dx = self.weights.T @ out_grad
        self.weights -= eta * out_grad @ self.x.T
        self.bias -= eta * out_grad
        return dx


class OfItsOwnRate(Layer):
    def __init__(self, n_in, n_out, lr):
        super().__init__(n_in, n_out)
        self.lr = lr

    def backward(self, out_grad):
        return super().backward(out_grad, self.lr)


class WithDefault(Layer):
    def backward(self, out_grad, lr=0.01):
        return super().backward(out_grad, lr)


UPDATING = {
    Layer: "X W + b, weight (D, H)",
    OfOneExample: "X W + b, weight (D, H), one example per call, as a row (1, D)",
    OfOneColumn: "X W + b, weight (H, D), one example per call, as a column",
    OfItsOwnRate: "X W + b, weight (D, H)",
    WithDefault: "X W + b, weight (D, H)",
}


@pytest.mark.parametrize("layer", UPDATING)
def test_check_takes_the_gradients_of_parameters_from_their_update(layer):
    report = parity.check(layer, "linear")
    assert (report.grade, report.taken_for) == ("right", UPDATING[layer]), str(report)
    assert report.backward.endswith("; dW, db are (before - after) / rate")
    assert not report.not_tested


class Upwards(Layer):
    def backward(self, out_grad, learning_rate):
        dx = out_grad @ self.weights.T
        self.weights += learning_rate * self.x.T @ out_grad
        self.bias -= learning_rate * out_grad.sum(axis=0, keepdims=True)
        return dx


class WithoutRate(Layer):
    def backward(self, out_grad, learning_rate):
        return super().backward(out_grad, 1.0)


class WithoutBias(Layer):
    def backward(self, out_grad, learning_rate):
        dx = out_grad @ self.weights.T
        self.weights -= learning_rate * self.x.T @ out_grad
        return dx


class TooEarly(Layer):
    def backward(self, out_grad, learning_rate):
        super().backward(out_grad, learning_rate)
        return out_grad @ self.weights.T


class UpwardsOfOneColumn(OfOneColumn):
    def backward(self, out_grad, eta):
        dx = self.weights.T @ out_grad
        self.weights += eta * out_grad @ self.x.T
        self.bias -= eta * out_grad
        return dx


WRONG = {
    Upwards: ("got dW", "the sign is wrong"),
    WithoutRate: ("got d", "here it is 2 times the right answer"),
    WithoutBias: ("got db", "here it is 0 times the right answer"),
    TooEarly: ("got dX", ""),
    UpwardsOfOneColumn: ("dW", "the sign is wrong"),
}


@pytest.mark.parametrize("layer", WRONG)
def test_check_finds_a_wrong_update(layer):
    report = parity.check(layer, "linear")
    text = " ".join(str(report).split())
    assert (report.of("value"), report.of("gradient")) == ("right", "wrong"), str(report)
    assert all(words in text for words in WRONG[layer]), str(report)


class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, out_grad, learning_rate):
        return out_grad * (1 - self.y**2)


def test_check_gives_a_rate_to_a_layer_without_parameters():
    report = parity.check(Tanh, "tanh")
    assert "learning_rate = a rate of 0.5" in report.backward
    assert report.grade == "right", str(report)
