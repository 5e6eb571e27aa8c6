"""relu and sigmoid with their gradients."""

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds
from tests.helpers import DTYPES, assert_within, complex_step_vjp

U = bounds.unit_roundoff(np.float64)


def test_relu_hand_values():
    z = np.array([-2.0, -0.0, 0.0, 3.0])
    np.testing.assert_array_equal(F.relu(z), [0, 0, 0, 3])


def test_relu_backward_is_zero_at_zero():
    z, dy = np.array([-1.0, 0.0, 2.0]), np.array([5.0, 7.0, 11.0])
    np.testing.assert_array_equal(F.relu_backward(dy, z), [0, 0, 11])


def test_relu_backward_takes_the_result_where_it_is_known():
    z, dy = np.array([-1.0, 0.0, 2.0, np.nan]), np.array([5.0, 7.0, 11.0, 13.0])
    dz = F.relu_backward(dy, z)
    np.testing.assert_array_equal(F.relu_backward(dy, z, y=F.relu(z)), dz)
    np.testing.assert_array_equal(F.relu_backward(dy, None, y=F.relu(z)), dz)
    with pytest.raises(TypeError, match=r"relu_backward needs z, or y = relu\(z\)"):
        F.relu_backward(dy, None)


def test_relu_works_in_place():
    z = np.array([-1.0, 2.0])
    assert F.relu(z, out=z) is z
    np.testing.assert_array_equal(z, [0, 2])
    dy = np.array([3.0, 5.0])
    assert F.relu_backward(dy, None, y=z, out=dy) is dy
    np.testing.assert_array_equal(dy, [0, 5])


def test_relu_passes_nan_on():
    assert np.isnan(F.relu(np.array([np.nan])))


def test_relu_backward_passes_dy_where_z_is_nan():
    """As torch does: x <= 0 ? 0 : dy, and NaN is not ≤ 0."""
    np.testing.assert_array_equal(F.relu_backward(np.array([3.0]), np.array([np.nan])), [3])


def test_relu_backward_of_an_infinite_gradient_gives_no_warning():
    dz = F.relu_backward(np.array([np.inf, np.inf]), np.array([1.0, -1.0]))
    np.testing.assert_array_equal(dz, [np.inf, np.nan])  # torch has 0 in place of NaN


def test_sigmoid_hand_values():
    # σ(0) = 1/2, σ(ln 3) = 3/4
    z = np.log(np.array([1.0, 3.0, 1 / 3]))
    assert_within(F.sigmoid(z), np.array([0.5, 0.75, 0.25]), bounds.sigmoid(z, u=U))


def test_sigmoid_threshold_is_at_zero():
    z = np.array([-1e-3, 0.0, 1e-3])
    np.testing.assert_array_equal(F.sigmoid(z) > 0.5, z > 0)


def test_sigmoid_is_symmetric():
    z = np.random.default_rng(0).normal(size=50) * 5
    assert_within(F.sigmoid(-z), 1 - F.sigmoid(z), bounds.sigmoid(-z, u=U) + U)


def test_sigmoid_equals_softmax_of_two_classes():
    z = np.random.default_rng(0).normal(size=(50, 2)) * 5
    difference = z[:, 1] - z[:, 0]
    assert_within(F.softmax(z)[:, 1], F.sigmoid(difference), bounds.softmax(z, 1, u=U)[:, 1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_does_not_overflow(dtype):
    z = np.array([-1e30, -800.0, 800.0, 1e30], dtype)
    np.testing.assert_array_equal(F.sigmoid(z), [0, np.exp(-800, dtype=dtype), 1, 1])
    assert not F.sigmoid_backward(np.ones_like(z), z)[[0, 3]].any()


def test_sigmoid_backward_equals_complex_step():
    rng = np.random.default_rng(0)
    z, dp = rng.normal(size=50) * 3, rng.normal(size=50)
    step = complex_step_vjp(lambda z: 1 / (1 + np.exp(-z)), z, dp)
    assert_within(F.sigmoid_backward(dp, z), step, bounds.sigmoid_backward(dp, z, u=U))


def test_sigmoid_backward_keeps_digits_where_1_minus_p_has_none():
    z = np.array([40.0])  # σ(40) rounds to 1
    e = np.exp(-40.0)
    np.testing.assert_array_equal(F.sigmoid_backward(np.ones(1), z), e / (1 + e) ** 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_keep_the_dtype(dtype):
    z = np.random.default_rng(0).normal(size=9).astype(dtype)
    results = F.relu(z), F.relu_backward(z, z), F.sigmoid(z), F.sigmoid_backward(z, z)
    assert {array.dtype for array in results} == {np.dtype(dtype)}


@pytest.mark.parametrize("backward", [F.relu_backward, F.sigmoid_backward])
def test_gradients_have_the_precision_and_the_shape_of_the_input(backward):
    z = np.random.default_rng(0).normal(size=9)
    assert backward(z, z.astype(np.float32)).dtype == np.float32
    assert backward(z.astype(np.float32), z).dtype == np.float64
    with pytest.raises(ValueError, match=r"must have the shape of .* \(9,\), got \(1,\)"):
        backward(z[:1], z)


@pytest.mark.parametrize("f", [F.relu, F.sigmoid])
def test_activations_refuse_what_is_no_float_array(f):
    with pytest.raises(TypeError, match="z must be floating point, got int64"):
        f(np.arange(3))
    with pytest.raises(TypeError, match="z must be a NumPy array, got list"):
        f([1.0, 2.0])
