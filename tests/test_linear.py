"""The affine map and its gradients."""

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds
from scratchnn.linear import linear_backward_input, linear_backward_parameters
from tests.helpers import DTYPES, D, H, N, assert_within, complex_step_vjp


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
    X, W, dY = (
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[5.0], [6.0]]),
        np.array([[1.0], [10.0]]),
    )
    dX, dW, db = F.linear_backward(dY, X, W)
    np.testing.assert_array_equal(dX, [[5, 6], [50, 60]])
    np.testing.assert_array_equal(dW, [[31], [42]])
    np.testing.assert_array_equal(db, [11])


def test_linear_absorbs_the_bias_as_a_row_of_weights(layer):
    X, W, b = layer
    with_ones = np.column_stack([X, np.ones(N)]) @ np.vstack([W, b])
    bound = bounds.linear(X, W, b, bounds.unit_roundoff(X.dtype))
    assert_within(F.linear(X, W, b), with_ones, bound)


def test_linear_backward_equals_complex_step(layer):
    X, W, b = layer
    dY = np.random.default_rng(1).normal(size=(N, H))
    u = bounds.unit_roundoff(X.dtype)
    dX, dW, db = F.linear_backward(dY, X, W)
    dW_bound, db_bound = bounds.linear_backward_parameters(dY, X, u)
    assert_within(
        dX,
        complex_step_vjp(lambda X: F.linear(X, W, b), X, dY),
        bounds.linear_backward_input(dY, W, u),
    )
    assert_within(dW, complex_step_vjp(lambda W: F.linear(X, W, b + 0j), W, dY), dW_bound)
    assert_within(db, complex_step_vjp(lambda b: F.linear(X + 0j, W, b), b, dY), db_bound)


def test_linear_backward_parameters_writes_into_out(layer):
    X, W, _ = layer
    dY = np.random.default_rng(1).normal(size=(N, H))
    out = np.empty((D, H)), np.empty(H)
    result = linear_backward_parameters(dY, X, out=out)
    assert result[0] is out[0]
    assert result[1] is out[1]
    dX, dW, db = F.linear_backward(dY, X, W)
    np.testing.assert_array_equal(out[0], dW)
    np.testing.assert_array_equal(out[1], db)
    np.testing.assert_array_equal(linear_backward_input(dY, W), dX)


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_keeps_the_dtype(layer, dtype):
    X, W, b = (array.astype(dtype) for array in layer)
    Y = F.linear(X, W, b)
    assert {array.dtype for array in (Y, *F.linear_backward(Y, X, W))} == {np.dtype(dtype)}


def test_linear_refuses_a_bias_that_would_broadcast(layer):
    X, W, _ = layer
    with pytest.raises(
        ValueError, match=r"b must have shape \(7,\), one bias a feature of Y, got \(1,\)"
    ):
        F.linear(X, W, np.ones(1))


def test_linear_refuses_integers(layer):
    X, W, b = layer
    with pytest.raises(TypeError, match="X must be floating point, got int64"):
        F.linear(X.astype(np.int64), W, b)


@pytest.mark.parametrize("name", ["dY", "X", "W"])
def test_linear_backward_refuses_integers(layer, name):
    X, W, _ = layer
    arguments = {"dY": np.ones((N, H)), "X": X, "W": W}
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
    u = bounds.unit_roundoff(X.dtype)
    expected = F.linear(rows, W, b).reshape(*leading, H)
    assert_within(F.linear(X, W, b), expected, bounds.linear(X, W, b, u))
    dX, dW, db = F.linear_backward(dY, X, W)
    dX_rows, dW_rows, db_rows = F.linear_backward(dY_rows, rows, W)
    dW_bound, db_bound = bounds.linear_backward_parameters(dY, X, u)
    assert_within(dX, dX_rows.reshape(X.shape), bounds.linear_backward_input(dY, W, u))
    assert_within(dW, dW_rows, dW_bound)
    assert_within(db, db_rows, db_bound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_without_bias_keeps_the_dtype_and_its_inputs(layer, dtype):
    X, W = (array.astype(dtype) for array in layer[:2])
    for array in (X, W):
        array.flags.writeable = False
    assert F.linear(X, W).dtype == dtype
    assert F.linear(X[:, None], W).shape == (N, 1, H)


@pytest.mark.parametrize(
    ("dY", "X", "W"),
    [((5, 7), (5, 3), (4, 7)), ((6, 7), (2, 3, 3), (3, 7)), ((5, 6), (5, 3), (3, 7))],
)
def test_linear_backward_refuses_what_does_not_fit(dY, X, W):
    with pytest.raises(ValueError, match="dY must have shape"):
        F.linear_backward(np.ones(dY), np.ones(X), np.ones(W))
