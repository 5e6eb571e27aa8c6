"""What `parity check` hands to a backward, and which gradients it reads: caches, dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

import parity

# ---- a cache that the forward returns is what its backward gets ---------------------------------


def tanh_with_cache(x):
    return np.tanh(x), x


def tanh_by_the_cache(dout, cache):
    return dout * (1 - np.tanh(cache) ** 2)


def tanh_as_if_of_the_result(dout, cache):
    x = cache
    return dout * (1 - x * x)


def sigmoid_with_cache(Z):
    return np.exp(-np.logaddexp(0, -Z)), Z


def sigmoid_as_if_of_the_result(dA, activation_cache):
    return dA * activation_cache * (1 - activation_cache)


def softplus_with_cache(x):
    return np.logaddexp(0, x), x


def softplus_as_if_of_the_result(dout, cache):
    return dout * (1 - np.exp(-cache))


def tanh_alone(x):
    return np.tanh(x)


CACHES = [
    (tanh_with_cache, tanh_by_the_cache, "tanh", "right"),
    (tanh_with_cache, tanh_as_if_of_the_result, "tanh", "wrong"),
    (sigmoid_with_cache, sigmoid_as_if_of_the_result, "sigmoid", "wrong"),
    (softplus_with_cache, softplus_as_if_of_the_result, "softplus", "wrong"),
    (tanh_alone, tanh_as_if_of_the_result, "tanh", "right"),  # it returns no cache: the result
]


@pytest.mark.parametrize(("forward", "backward", "op", "grade"), CACHES)
def test_check_hands_a_backward_the_cache_that_its_forward_returned(forward, backward, op, grade):
    report = parity.check(forward, op, backward)
    assert report.of("value") == "right", str(report)
    assert report.of("gradient") == grade, str(report)
    assert ("cache = the result" in report.backward) == (forward is tanh_alone)


# ---- gradients of a layer's parameters in self.grads --------------------------------------------

LAYER = """
class Layer:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.zeros((n_in, n_out)), np.zeros(n_out)
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.grads["KEY_W"] = SHARE * self.x.T @ dout
        self.grads["KEY_B"] = SHARE * dout.sum(axis=0)
        return dout @ self.W.T
"""
KEYS = [
    ("W", "b"),
    ("w", "b"),
    ("dW", "db"),
    ("dw", "db"),
    ("weight", "bias"),
    ("weights", "biases"),
]


def layer(W, b, share):
    names = {"np": np}
    exec(LAYER.replace("KEY_W", W).replace("KEY_B", b).replace("SHARE", share), names)
    return names["Layer"]


@pytest.mark.parametrize(("W", "b"), KEYS)
def test_check_reads_the_gradients_of_parameters_in_a_dictionary(W, b):
    report = parity.check(layer(W, b, "1"), "linear")
    assert report.grade == "right", str(report)
    assert not report.not_tested
    assert parity.check(layer(W, b, "0.5"), "linear").of("gradient") == "wrong"


def test_check_says_that_gradients_of_parameters_were_not_tested():
    report = parity.check(layer("first", "second", "0.5"), "linear")
    assert "  gradient: right where it was found; dW, db not found, so not tested\n" in str(report)
    assert report.not_tested == (
        "the gradient of W: none is returned",
        "the gradient of b: none is returned",
    )
