"""How a backward may be called, and which of its gradients are wanted."""

from __future__ import annotations

import numpy as np
import pytest

import parity
import scratchnn.functional as F
from parity.ops import OPS


def relu_of_result(dy, y):
    return dy * (y > 0)


def sigmoid_of_result(dp, p):
    return dp * p * (1 - p)


def sigmoid_slope(z):
    p = 1 / (1 + np.exp(-z))
    return p * (1 - p)


def sigmoid_slope_of_output(x):
    """x: the output of the sigmoid"""
    return x * (1 - x)


def log_softmax_of_result(dlog_p, log_p):
    return dlog_p - np.exp(log_p) * dlog_p.sum(axis=1, keepdims=True)


def softmax_jacobian(z):
    p = F.softmax(z)
    return p[:, :, None] * (np.eye(z.shape[1], dtype=z.dtype) - p[:, None, :])


def linear_without_bias(dY, X, W):
    return dY @ W.T, X.T @ dY, dY.sum(axis=0)


def linear_in_another_order(dY, X, W, b):
    return X.T @ dY, dY.sum(axis=0), dY @ W.T


def linear_by_name(dY, X, W, b):
    return {"dW": X.T @ dY, "db": dY.sum(axis=0), "dX": dY @ W.T}


def cross_entropy_of_the_mean(z, target):
    return F.cross_entropy_backward(np.float32(1), z, target)


def cross_entropy_of_softmax(probs, y):
    dz = probs.copy()
    dz[np.arange(len(y)), y] -= 1
    return dz / len(y)


def mse_of_the_prediction(dloss, prediction, target):
    return dloss * 2 * (prediction - target) / prediction.dtype.type(target.size)


def linear_of_any(dY, *arrays):
    return F.linear_backward(dY, *arrays)


OTHERS = {  # the backward, and how it is taken
    relu_of_result: ("relu", "(dy = the upstream gradient, y = the result)"),
    sigmoid_of_result: ("sigmoid", "(dp = the upstream gradient, p = the result)"),
    sigmoid_slope: ("sigmoid", "(z); no upstream gradient"),
    sigmoid_slope_of_output: ("sigmoid", "(x = the result); no upstream gradient"),
    log_softmax_of_result: ("log_softmax", "(dlog_p = the upstream gradient, log_p = the result)"),
    softmax_jacobian: ("softmax", "(z); no upstream gradient; it returns the Jacobian"),
    linear_without_bias: ("linear", "(dY = the upstream gradient, X, W)"),
    linear_in_another_order: ("linear", "(dY = the upstream gradient, X, W, b)"),
    linear_by_name: ("linear", "(dY = the upstream gradient, X, W, b)"),
    linear_of_any: ("linear, without a bias", "(dy = the upstream gradient, X, W)"),
    cross_entropy_of_the_mean: ("cross_entropy", "(z, target); no upstream gradient"),
    cross_entropy_of_softmax: (
        "cross_entropy",
        "(probs = softmax or σ of the logits, y = target); no upstream gradient",
    ),
    mse_of_the_prediction: ("mse_loss", "(dloss = the upstream gradient, prediction, target)"),
}


@pytest.mark.parametrize("backward", OTHERS)
def test_check_passes_a_backward_of_other_arguments(backward):
    name, convention = OTHERS[backward]
    report = parity.check(OPS[name].ours, name, backward)
    assert report.ok, str(report)
    assert report.backward == f"{backward.__name__}{convention}"


@pytest.mark.parametrize("count", [1, 2])
def test_check_lists_the_gradients_that_a_layer_does_not_return(count):
    def backward(dY, X, W):
        return linear_without_bias(dY, X, W)[:count]

    report = parity.check(F.linear, "linear", backward)
    missing = [f"the gradient of {name}: none is returned" for name in ("X", "W", "b")[count:]]
    assert list(report.not_tested) == missing


def test_check_wants_a_gradient():
    report = parity.check(F.linear, "linear", lambda dY, X, W, b: None)
    assert "the backward returns no gradient, and leaves none in an attribute" in str(report)


def test_check_sees_a_wrong_gradient_of_the_target():
    def backward(dloss, prediction, target):
        dprediction, _ = F.mse_loss_backward(dloss, prediction, target)
        return dprediction, dprediction

    report = parity.check(F.mse_loss, "mse_loss", backward)
    assert report.of("gradient") == "wrong"
    assert "got dtarget" in str(report)
    assert any("has the sign of the prediction's" in cause for cause in report.causes)


def test_check_asks_a_backward_with_the_options_that_both_take():
    def backward(dp, p, axis=-1):
        return F.softmax_backward(dp, None, axis, p=p) / 2

    report = parity.check(F.softmax, "softmax", backward)
    assert report.backward == "backward(dp = the upstream gradient, p = the result)"
    assert "it is half of the right one: a factor 2 is missing." in report.causes
