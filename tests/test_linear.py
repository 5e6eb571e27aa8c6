"""The affine map and its gradients."""

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds
from tests.helpers import DTYPES, D, H, N, assert_within, complex_step_vjp

U = bounds.unit_roundoff(np.float64)


@pytest.fixture
def layer():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, D)), rng.normal(size=(D, H)), rng.normal(size=H)


def test_linear_hand_values():
    X, W, b = (
        np.array([[1.0, 2.0]]),
        np.array([[1.0, 10.0, 0.0], [2.0, 20.0, -1.0]]),
        np.arange(3.0),
    )
    np.testing.assert_array_equal(F.linear(X, W, b), [[5, 51, 0]])


def test_linear_backward_hand_values():
    X = np.array([[1.0, 2.0], [3.0, 4.0]])
    W, b, dY = np.array([[5.0], [6.0]]), np.array([7.0]), np.array([[1.0], [10.0]])
    dX, dW, db = F.linear_backward(dY, X, W, b)
    np.testing.assert_array_equal(dX, [[5, 6], [50, 60]])
    np.testing.assert_array_equal(dW, [[31], [42]])
    np.testing.assert_array_equal(db, [11])


def test_linear_absorbs_the_bias_as_a_row_of_weights(layer):
    X, W, b = layer
    with_ones = np.column_stack([X, np.ones(N)]) @ np.vstack([W, b])
    bound = bounds.linear(X, W, b, u=U)
    assert_within(F.linear(X, W, b), with_ones, bound)


def test_linear_backward_equals_complex_step(layer):
    X, W, b = layer
    dY = np.random.default_rng(1).normal(size=(N, H))
    steps = (
        complex_step_vjp(lambda X: F.linear(X, W, b), X, dY),
        complex_step_vjp(lambda W: F.linear(X, W, b + 0j), W, dY),
        complex_step_vjp(lambda b: F.linear(X + 0j, W, b), b, dY),
    )
    gradients = F.linear_backward(dY, X, W, b)
    allowed = bounds.linear_backward(dY, X, W, b, u=U)
    for gradient, step, bound in zip(gradients, steps, allowed, strict=True):
        assert_within(gradient, step, bound)


def test_linear_backward_has_a_gradient_for_each_argument(layer):
    X, W, b = layer
    dY = np.random.default_rng(1).normal(size=(N, H))
    dX, dW, db = F.linear_backward(dY, X, W, b)
    assert [gradient.shape for gradient in (dX, dW, db)] == [X.shape, W.shape, b.shape]
    for gradient, same in zip(F.linear_backward(dY, X, W), (dX, dW), strict=True):
        np.testing.assert_array_equal(gradient, same)


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_keeps_the_dtype(layer, dtype):
    X, W, b = (array.astype(dtype) for array in layer)
    Y = F.linear(X, W, b)
    assert {array.dtype for array in (Y, *F.linear_backward(Y, X, W, b))} == {np.dtype(dtype)}


def test_linear_refuses_a_bias_that_would_broadcast(layer):
    X, W, _ = layer
    message = r"b must have shape \(7,\), one bias per feature, got \(1,\)"
    with pytest.raises(ValueError, match=message):
        F.linear(X, W, np.ones(1))
    with pytest.raises(ValueError, match=message):
        F.linear_backward(np.ones((N, H)), X, W, np.ones(1))


def test_linear_refuses_integers(layer):
    X, W, b = layer
    with pytest.raises(TypeError, match="X must be floating point, got int64"):
        F.linear(X.astype(np.int64), W, b)


@pytest.mark.parametrize("name", ["dY", "X", "W", "b"])
def test_linear_backward_refuses_integers(layer, name):
    arguments = {"dY": np.ones((N, H))} | dict(zip("XWb", layer, strict=True))
    arguments[name] = arguments[name].astype(int)
    with pytest.raises(TypeError, match=f"{name} must be floating point, got int64"):
        F.linear_backward(**arguments)


def test_linear_without_bias_is_linear_with_a_bias_of_zeros(layer):
    X, W, _ = layer
    np.testing.assert_array_equal(F.linear(X, W), F.linear(X, W, np.zeros(H)))
    np.testing.assert_array_equal(
        F.linear(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])), [[11]]
    )


@pytest.mark.parametrize("leading", [(), (2,), (2, 6), (2, 1, 6)])
def test_linear_treats_leading_dimensions_as_rows(layer, leading):
    _, W, b = layer
    rng = np.random.default_rng(2)
    X, dY = rng.normal(size=(*leading, D)), rng.normal(size=(*leading, H))
    rows, dY_rows = X.reshape(-1, D), dY.reshape(-1, H)
    expected = F.linear(rows, W, b).reshape(*leading, H)
    assert_within(F.linear(X, W, b), expected, bounds.linear(X, W, b, u=U))
    gradients = F.linear_backward(dY, X, W, b)
    of_rows = F.linear_backward(dY_rows, rows, W, b)
    allowed = bounds.linear_backward(dY, X, W, b, u=U)
    for gradient, expected, bound in zip(gradients, of_rows, allowed, strict=True):
        assert_within(gradient, expected.reshape(gradient.shape), bound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_without_bias_keeps_the_dtype_and_its_inputs(layer, dtype):
    X, W = (array.astype(dtype) for array in layer[:2])
    for array in (X, W):
        array.flags.writeable = False
    assert F.linear(X, W).dtype == dtype
    assert F.linear(X[:, None], W).shape == (N, 1, H)


@pytest.mark.parametrize(
    ("dY", "X", "W"),
    [((6, 7), (2, 3, 3), (3, 7)), ((5, 6), (5, 3), (3, 7))],
)
def test_linear_backward_refuses_what_does_not_fit(dY, X, W):
    with pytest.raises(ValueError, match="dY must have shape"):
        F.linear_backward(np.ones(dY), np.ones(X), np.ones(W))


def test_linear_names_the_number_of_features():
    dY, X, W = np.ones((5, 7)), np.ones((5, 3)), np.ones((4, 7))
    with pytest.raises(ValueError, match=r"X must have 4 features, as W \(4, 7\) says"):
        F.linear(X, W)
    with pytest.raises(ValueError, match=r"X must have 4 features, as W \(4, 7\) says"):
        F.linear_backward(dY, X, W)
    with pytest.raises(ValueError, match=r"got \(5, 3\): pass W.T if W is \(H, D\), as torch has"):
        F.linear(X, np.ones((4, 3)))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_linear_names_a_weight_that_is_no_matrix(shape):
    X, W = np.ones((2, 3)), np.ones(shape)
    with pytest.raises(ValueError, match=r"W must have shape \(D, H\)"):
        F.linear(X, W)
    with pytest.raises(ValueError, match=r"W must have shape \(D, H\)"):
        F.linear_backward(X, X, W)


def test_gradients_have_the_precision_of_their_arguments():
    X, W, b = np.ones((5, 4), np.float32), np.ones((4, 6)), np.ones(6, np.float32)
    dX, dW, db = F.linear_backward(np.ones((5, 6)), X, W, b)
    assert [g.dtype for g in (dX, dW, db)] == [np.float32, np.float64, np.float32]
    A, S = np.ones((2, 2, 2), np.float32), np.ones((2, 2, 3))
    gradients = F.kronecker_linear_backward(np.ones((5, 6)), X, A, S, b)
    assert [g.dtype for g in gradients] == [np.float32, np.float32, np.float64, np.float32]
