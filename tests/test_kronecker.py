"""kronecker_linear: what a dense layer with the weight Σ A_i ⊗ S_i computes."""

import math

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds
from scratchnn import gradcheck
from scratchnn.functional import kronecker_linear, kronecker_linear_backward
from scratchnn.ops.kronecker import factor_gradients, input_gradient, kronecker_weight
from tests.helpers import DTYPES, N, assert_within

U = bounds.unit_roundoff(np.float64)
n, P, Q = 3, 2, 4  # D = 6, H = 12
D, H = n * P, n * Q


@pytest.fixture
def layer():
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in ((N, D), (n, n, n), (n, P, Q), (H,))]


def test_kronecker_weight_is_numpys():
    rng = np.random.default_rng(0)
    A, S = (rng.integers(-9, 9, shape).astype(float) for shape in ((n, n, n), (n, P, Q)))
    expected = sum(np.kron(a, s) for a, s in zip(A, S, strict=True))
    np.testing.assert_array_equal(kronecker_weight(A, S), expected)


def test_kronecker_linear_is_linear_with_that_weight(layer):
    X, A, S, b = layer
    assert_within(
        kronecker_linear(X, A, S, b),
        F.linear(X, kronecker_weight(A, S), b),
        bounds.kronecker_linear(X, A, S, b, u=U),
    )


def test_one_term_is_a_dense_layer(layer):
    X, _, _, b = layer
    W = np.random.default_rng(1).normal(size=(D, H))
    Y = kronecker_linear(X, np.ones((1, 1, 1)), W[None], b)
    assert_within(Y, F.linear(X, W, b), bounds.linear(X, W, b, u=U))


def test_kronecker_linear_backward_is_that_of_the_weight(layer):
    """dA and dS are contractions of the dense dW with the other factor."""
    X, A, S, b = layer
    dY = np.random.default_rng(1).normal(size=(N, H))
    dX, dW, db = F.linear_backward(dY, X, kronecker_weight(A, S), b)
    blocks = dW.reshape(n, P, n, Q)  # [a, p, b, q]
    dA, dS = np.einsum("apbq,ipq->iab", blocks, S), np.einsum("apbq,iab->ipq", blocks, A)
    gradients = kronecker_linear_backward(dY, X, A, S, b)
    allowed = bounds.kronecker_linear_backward(dY, X, A, S, b, u=U)
    for gradient, dense, bound in zip(gradients, (dX, dA, dS, db), allowed, strict=True):
        assert_within(gradient, dense, bound)


def test_kronecker_linear_passes_gradcheck(layer):
    report = gradcheck.check(kronecker_linear, kronecker_linear_backward, *layer)
    report.assert_ok()
    assert "complex step" in str(report)
    gradcheck.check(kronecker_linear, kronecker_linear_backward, *layer[:3]).assert_ok()


@pytest.mark.parametrize("argument", [0, 1, 2, 3])
def test_gradcheck_fails_on_each_gradient_made_wrong(layer, argument):
    def wrong(dY, X, A, S, b):
        gradients = list(kronecker_linear_backward(dY, X, A, S, b))
        gradients[argument] = gradients[argument][::-1]
        return gradients

    report = gradcheck.check(kronecker_linear, wrong, *layer)
    assert [finding.ok for finding in report.findings[:4]] == [i != argument for i in range(4)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_kept_and_inputs_left_alone(layer, dtype):
    X, A, S, b = (array.astype(dtype) for array in layer)
    for array in (X, A, S, b):
        array.flags.writeable = False
    Y = kronecker_linear(X, A, S, b)
    gradients = kronecker_linear_backward(Y, X, A, S, b)
    assert {array.dtype for array in (Y, *gradients)} == {np.dtype(dtype)}
    assert [g.shape for g in gradients] == [array.shape for array in (X, A, S, b)]


def test_parts_are_those_of_the_whole(layer):
    X, A, S, _ = layer
    dY = np.random.default_rng(1).normal(size=(N, H))
    parts = input_gradient(dY, A, S), *factor_gradients(dY, X, A, S)
    for part, whole in zip(parts, kronecker_linear_backward(dY, X, A, S), strict=True):
        np.testing.assert_array_equal(part, whole)


@pytest.mark.parametrize(
    ("i", "message"),
    [
        (0, r"X must have 3 × 2 features, as S \(3, 2, 4\) says, got \(5, 5\)"),
        (1, r"A must have shape \(3, 3, 3\), as S has n = 3, got \(3, 2, 3\)"),
        (2, r"X must have 3 × 1 features, as S \(3, 1, 4\) says, got \(5, 6\)"),
        (3, r"b must have shape \(12,\), one bias per feature, got \(11,\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(layer, i, message):
    layer[i] = layer[i][:, :-1] if i < 3 else layer[i][:-1]
    with pytest.raises(ValueError, match=message):
        kronecker_linear(*layer)


@pytest.mark.parametrize(("i", "name"), list(enumerate("XASb")))
def test_arrays_of_integers_are_refused(layer, i, name):
    layer[i] = layer[i].astype(int)
    with pytest.raises(TypeError, match=f"{name} must be floating point, got int64"):
        kronecker_linear(*layer)


def test_kronecker_weight_refuses_factors_that_do_not_fit(layer):
    _, A, S, _ = layer
    with pytest.raises(ValueError, match=r"S must have shape \(n, D/n, H/n\), got \(3, 2\)"):
        kronecker_weight(A, S[:, :, 0])
    with pytest.raises(ValueError, match=r"A must have shape \(3, 3, 3\), as S has n = 3"):
        kronecker_weight(A[:1], S)
    with pytest.raises(TypeError, match="S must be floating point, got int64"):
        kronecker_weight(A, S.astype(int))


@pytest.mark.parametrize("lead", [(), (1,), (2, 3), (2, 0)])
def test_leading_dimensions_are_rows(layer, lead):
    _, A, S, b = layer
    rng = np.random.default_rng(1)
    X, dY = rng.normal(size=(*lead, D)), rng.normal(size=(*lead, H))
    rows = X.reshape(math.prod(lead), D), dY.reshape(math.prod(lead), H)
    Y = kronecker_linear(X, A, S, b)
    np.testing.assert_array_equal(Y, kronecker_linear(rows[0], A, S, b).reshape(*lead, H))
    dX, *gradients = kronecker_linear_backward(dY, X, A, S, b)
    of_rows = kronecker_linear_backward(rows[1], rows[0], A, S, b)
    np.testing.assert_array_equal(dX, of_rows[0].reshape(*lead, D))
    for gradient, expected in zip(gradients, of_rows[1:], strict=True):
        np.testing.assert_array_equal(gradient, expected)


def test_bias_is_optional(layer):
    X, A, S, b = layer
    without = kronecker_linear(X, A, S)
    np.testing.assert_array_equal(without, kronecker_linear(X, A, S, np.zeros(H)))
    np.testing.assert_array_equal(without + b, kronecker_linear(X, A, S, b))


def test_upstream_gradient_of_another_shape_is_refused(layer):
    X, A, S, _ = layer
    message = r"dY must have shape \(5, 12\) and X 3 × 2 features, got \(12,\) and \(5, 6\)"
    with pytest.raises(ValueError, match=message):
        kronecker_linear_backward(np.ones(H), X, A, S)


@pytest.mark.parametrize("name", ["dY", "X", "A", "S", "b"])
def test_kronecker_linear_backward_refuses_integers(layer, name):
    arguments = {"dY": np.ones((N, H))} | dict(zip("XASb", layer, strict=True))
    arguments[name] = arguments[name].astype(int)
    with pytest.raises(TypeError, match=f"{name} must be floating point, got int64"):
        kronecker_linear_backward(**arguments)
