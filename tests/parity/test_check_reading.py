"""How `parity check` takes code: what a backward is given, options, notebooks, classes, output."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import parity
import scratchnn.functional as F

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


# ---- options ------------------------------------------------------------------------------------


def softmax_of_columns_by_default(z, axis=0):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def test_check_says_that_an_axis_has_another_default():
    report = parity.check(softmax_of_columns_by_default, "softmax")
    assert (report.grade, report.taken_for) == ("right", "softmax of each row")
    assert report.differences == (
        "axis is 0 by default, and -1 in softmax: it was called with axis=-1",
    )


def test_check_calls_the_forward_by_the_same_axis_where_the_backward_takes_none():
    def backward(dp, p):
        return p * (dp - (dp * p).sum(axis=-1, keepdims=True))

    report = parity.check(softmax_of_columns_by_default, "softmax", backward)
    assert report.of("gradient") == "right", str(report)


def renamed(z, target, class_weights=None, ignore_label=-100, smoothing=0.0):
    options = {"weight": class_weights, "ignore_index": ignore_label}
    return F.cross_entropy(z, target, **options, label_smoothing=smoothing)


def by_eps(z, target, weights, eps=0.0):
    """Cross-entropy with label smoothing, and a weight for each class."""
    return F.cross_entropy(z, target, weight=weights, label_smoothing=eps)


@pytest.mark.parametrize("function", [renamed, by_eps])
def test_check_knows_options_by_other_names(function):
    report = parity.check(function, "cross_entropy")
    assert report.ok, str(report)
    untested = ("ignore_index",) if function is by_eps else ()
    assert report.not_tested == untested


def half_of_the_smoothing(z, target, smoothing=0.0):
    return F.cross_entropy(z, target, label_smoothing=smoothing / 2)


def another_label_ignored(z, target, ignore_index=-100):
    return F.cross_entropy(z, target, ignore_index=ignore_index + 1)


def squares_of_weights(z, target, weight=None):
    return F.cross_entropy(z, target, weight=None if weight is None else weight**2)


@pytest.mark.parametrize(
    "function", [half_of_the_smoothing, another_label_ignored, squares_of_weights]
)
def test_check_finds_a_wrong_option_once(function):
    report = parity.check(function, "cross_entropy")
    (finding,) = (f for f in report.findings if f.grade in ("wrong", "unstable"))
    assert (finding.check, finding.grade) == ("options", "wrong"), str(report)


def overflowing_with_a_wrong_option(z, target, smoothing=0.0):
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    hit = log_p[np.arange(len(z)), target]
    return -((1 - smoothing / 2) * hit + smoothing / 2 * log_p.mean(axis=1)).mean()


def test_check_finds_an_overflow_besides_a_wrong_option():
    report = parity.check(overflowing_with_a_wrong_option, "cross_entropy")
    assert [f.grade for f in report.findings if f.grade != "right"] == ["wrong", "unstable"]
    assert "lost for logits beyond 710" in str(report)


# ---- arguments named a and b --------------------------------------------------------------------


def squared(a, b):
    return ((a - b) ** 2).mean()


def squared_gradient_of_b(a, b):
    return 2 * (b - a) / a.size


def bce(a, b):
    return -(a * np.log(b) + (1 - a) * np.log1p(-b)).mean()


def bce_gradient_of_b(a, b):
    return ((1 - a) / (1 - b) - a / b) / a.size


@pytest.mark.parametrize(
    ("loss", "op", "gradient"),
    [
        (squared, "mse_loss", squared_gradient_of_b),
        (bce, "binary_cross_entropy", bce_gradient_of_b),
    ],
)
def test_check_tries_both_orders_of_a_and_b(loss, op, gradient):
    report = parity.check(loss, op, gradient)
    assert report.of("gradient") == "right", str(report)
    assert report.orders == "a = target, b = prediction (found by trying both orders)".replace(
        "prediction", "probabilities" if op != "mse_loss" else "prediction"
    )


# ---- what code prints, warns of and logs --------------------------------------------------------

LOUD = """
import logging, sys, warnings

import sys

import numpy as np

print("loads", file=sys.stderr)

def relu(z):
    print("runs", file=sys.stderr)
    warnings.warn("deprecated")
    logging.getLogger("mine").error("logged")
    return np.maximum(z, 0)
"""


def test_main_check_holds_back_what_goes_to_stderr(tmp_path):
    (tmp_path / "loud.py").write_text(LOUD)
    command = [sys.executable, "-m", "parity", "check", "loud.py:relu", "--op", "relu"]
    quiet = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert quiet.stderr == ""
    loud = subprocess.run(
        [*command, "--show-output"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert all(words in loud.stderr for words in ("loads", "runs", "logged"))


# ---- classes whose methods are called as the operation ------------------------------------------


class Activations:
    def softmax(self, z):
        return F.softmax(z)


class Several:
    def __init__(self, size):
        raise NotImplementedError("static methods need no object")

    @staticmethod
    def relu(z):
        return np.maximum(z, 0)

    @staticmethod
    def relu_derivative(z):
        return (z > 0).astype(z.dtype)

    @classmethod
    def sigmoid(cls, z):
        return np.exp(-np.logaddexp(0, -z))

    @classmethod
    def d_sigmoid(cls, z):
        return cls.sigmoid(z) * (1 - cls.sigmoid(z))


class Losses:
    def mse(self, y, y_hat):
        return ((y - y_hat) ** 2).mean()

    def mse_grad(self, y, y_hat):
        return 2 * (y_hat - y) / y.size

    def crossEntropy(self, z, labels):
        return F.cross_entropy(z, labels)


class Only:
    def transform(self, z):
        return np.maximum(z, 0)


METHODS = [
    (Activations, "softmax", ""),
    (Activations(), "softmax", ""),
    (Several, "relu", "Several.relu_derivative(z)"),
    (Several, "sigmoid", "Several.d_sigmoid(z)"),
    (Losses, "mse_loss", "Losses.mse_grad(y = target, y_hat = prediction)"),
    (Losses.mse, "mse_loss", "Losses.mse_grad(y = target, y_hat = prediction)"),
    (Losses, "cross_entropy", ""),
    (Only, "relu", ""),
]


@pytest.mark.parametrize(("thing", "op", "backward"), METHODS)
def test_check_takes_methods_that_are_called_as_the_operation(thing, op, backward):
    report = parity.check(thing, op)
    assert report.grade == "right", str(report)
    assert report.backward.partition(";")[0] == backward
