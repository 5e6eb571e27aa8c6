"""What the battery takes for a backward: scratchnn's own public ones, and none with less to say."""

import numpy as np
import pytest

import parity
import scratchnn.functional as F
from parity.ops import OPS
from scratchnn import kronecker


def linear_backward_without_a_bias(dY, X, W):
    return F.linear_backward(dY, X, W)[:2]


NAMED_OTHERWISE = {
    "linear, without a bias": (F.linear, linear_backward_without_a_bias),
    "kronecker_linear": (kronecker.kronecker_linear, kronecker.kronecker_linear_backward),
    "cross_entropy, probabilities": (F.cross_entropy, F.cross_entropy_backward),
}


@pytest.mark.parametrize("op", OPS)
def test_check_passes_the_public_pair(op):
    pair = NAMED_OTHERWISE.get(op) or (getattr(F, op), getattr(F, f"{op}_backward"))
    report = parity.check(pair[0], op, pair[1], examples=30)
    assert report.ok, str(report)
    assert f"backward: {pair[1].__name__}(" in str(report)
    untested = any(f"the gradient of target: {pair[1].__name__}" in n for n in report.not_tested)
    assert untested == ("target" in OPS[op].inputs)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_check_wants_every_gradient_of_a_layer(count):
    def backward(dY, X, W):
        return (*F.linear_backward(dY, X, W), X)[:count]

    report = parity.check(F.linear, "linear", backward, examples=10)
    assert "gradient" in report.failed
    assert f"must return the gradients of X, W, b, got {count}" in str(report)


def test_check_names_no_flaw_for_a_part_of_its_gradients():
    def backward(dY, X, W, b):
        return (dY @ W.reshape(W.T.shape),)

    report = parity.check(F.linear, "linear", backward, examples=10)
    assert not any("The weight is not transposed" in cause for cause in report.causes)


def test_check_says_what_a_backward_is_given():
    def backward(dp, p, axis=-1):
        return F.softmax_backward(dp, p, axis) / 2

    report = parity.check(F.softmax, "softmax", backward, examples=10)
    assert "backward(dp, p): given the upstream gradient, and the result" in str(report)
    (finding,) = (f for f in report.findings if f.check == "gradient")
    assert "\np = np.array(" in finding.code
    assert "backward(dy, p" in finding.code


def test_check_names_parameters_without_their_annotations():
    def backward(z: np.ndarray) -> np.ndarray:
        return z

    with pytest.raises(ValueError, match=r"must take \(dy, z\).*, got backward\(z\)$"):
        parity.check(F.softmax, "softmax", backward)
