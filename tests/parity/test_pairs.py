"""What the checks take for a backward: scratchnn's own, and those that say less."""

from __future__ import annotations

import numpy as np
import pytest

import parity
import scratchnn.functional as F
from parity.ops import OPS

FEW = 10  # examples


@pytest.mark.parametrize("name", OPS)
def test_check_passes_the_public_pair(name):
    op = OPS[name]
    report = parity.check(op.ours, name, op.backward, examples=FEW)
    assert report.ok, str(report)
    assert f"backward: {op.backward.__name__}(" in str(report)
    assert not [words for words in report.not_tested if "the gradient of" in words]


def relu_of_result(dy, y):
    return dy * (y > 0)


def sigmoid_of_result(dp, p):
    return dp * p * (1 - p)


def log_softmax_of_result(dlog_p, log_p):
    return dlog_p - np.exp(log_p) * dlog_p.sum(axis=1, keepdims=True)


def linear_without_bias(dY, X, W):
    return dY @ W.T, X.T @ dY, dY.sum(axis=0)


def cross_entropy_of_the_mean(z, target):
    return F.cross_entropy_backward(np.float32(1), z, target)


def mse_of_the_prediction(dloss, prediction, target):
    return dloss * 2 * (prediction - target) / prediction.dtype.type(target.size)


def linear_of_any(dY, *arrays):
    return F.linear_backward(dY, *arrays)


OTHERS = {
    "relu": (relu_of_result, "dy, y): given the upstream gradient, and the result"),
    "sigmoid": (sigmoid_of_result, "dp, p): given the upstream gradient, and the result"),
    "log_softmax": (log_softmax_of_result, "dlog_p, log_p): given the upstream gradient, and"),
    "linear": (linear_without_bias, "dY, X, W): given the upstream gradient, and the input"),
    "cross_entropy": (cross_entropy_of_the_mean, "z, target): given no upstream gradient, as of a"),
    "mse_loss": (mse_of_the_prediction, "dloss, prediction, target): given the upstream gradient"),
    "linear, without a bias": (linear_of_any, "dy, X, W): given the upstream gradient, and"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_check_passes_a_backward_of_other_arguments(name):
    backward, convention = OTHERS[name]
    report = parity.check(OPS[name].ours, name, backward, examples=FEW)
    skipped = {finding.check: finding.skipped for finding in report.findings if finding.skipped}
    assert report.ok, str(report)
    assert set(skipped) <= {"labels"}
    assert f"backward: {backward.__name__}({convention}" in str(report)


def test_check_lists_a_missing_gradient_of_the_target_as_not_tested():
    report = parity.check(F.mse_loss, "mse_loss", mse_of_the_prediction, examples=FEW)
    assert "the gradient of target: mse_of_the_prediction returns none" in report.not_tested


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_check_wants_every_gradient_of_a_layer(count):
    def backward(dY, X, W):
        return (*linear_without_bias(dY, X, W), X)[:count]

    report = parity.check(F.linear, "linear", backward, examples=FEW)
    assert "gradient" in report.failed
    assert f"must return the gradients of X, W, b, got {count}" in str(report)


def test_check_sees_a_wrong_gradient_of_the_target():
    def backward(dloss, prediction, target):
        dprediction, _ = F.mse_loss_backward(dloss, prediction, target)
        return dprediction, dprediction

    report = parity.check(F.mse_loss, "mse_loss", backward, examples=FEW)
    assert report.failed == ("gradient", "own slopes")
    assert "FAIL  gradient: dtarget: " in str(report)
    assert any("has the sign of the prediction's" in cause for cause in report.causes)


def test_check_names_no_flaw_for_a_part_of_its_gradients():
    def backward(dY, X, W, b):
        return (dY @ W.reshape(W.T.shape),)

    report = parity.check(F.linear, "linear", backward, examples=FEW)
    assert not any("The weight is not transposed" in cause for cause in report.causes)


def test_check_says_what_a_backward_is_given():
    def backward(dp, p, axis=-1):
        return F.softmax_backward(dp, None, axis, p=p) / 2

    report = parity.check(F.softmax, "softmax", backward, examples=FEW)
    assert "backward(dp, p): given the upstream gradient, and the result" in str(report)
    (finding,) = (f for f in report.findings if f.check == "gradient")
    assert "\np = np.array(" in finding.code
    assert "backward(dy, p" in finding.code


def test_check_names_parameters_without_their_annotations():
    def backward(z: np.ndarray) -> np.ndarray:
        return z

    with pytest.raises(ValueError, match=r"must take \(dy, z\).*, got backward\(z\)$"):
        parity.check(F.softmax, "softmax", backward)


def test_check_sees_a_backward_that_works_in_its_arguments():
    def backward(dp, z, axis=-1):
        return F.softmax_backward(dp, z, axis, out=dp)

    report = parity.check(F.softmax, "softmax", backward, examples=FEW)
    assert "gradient's dtype and inputs" in report.failed
    assert "it is the caller's array" in str(report)
