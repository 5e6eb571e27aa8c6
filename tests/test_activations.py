"""The activations with their gradients."""

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


def test_tanh_hand_values():
    # tanh(0) = 0, tanh(ln 2) = (2 - 1/2) / (2 + 1/2), tanh(ln 3) = (3 - 1/3) / (3 + 1/3)
    z = np.log(np.array([1.0, 2.0, 1 / 3]))
    assert_within(F.tanh(z), np.array([0, 3 / 5, -4 / 5]), bounds.tanh(z, u=U))


def test_tanh_is_a_sigmoid_of_twice_the_number():
    z = np.random.default_rng(0).normal(size=50) * 5
    bound = bounds.tanh(z, u=U) + 2 * bounds.sigmoid(2 * z, u=U) + U
    assert_within(F.tanh(z), 2 * F.sigmoid(2 * z) - 1, bound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_keeps_small_numbers_and_does_not_overflow(dtype):
    """The quotient of its definition has 0 for the first, and nan for the last."""
    z = np.array([1e-30, -1e-30, -1e30, np.finfo(dtype).max], dtype)
    np.testing.assert_array_equal(F.tanh(z), np.array([1e-30, -1e-30, -1, 1], dtype))
    np.testing.assert_array_equal(F.tanh_backward(np.ones_like(z), z), [1, 1, 0, 0])


def test_tanh_backward_equals_complex_step():
    rng = np.random.default_rng(0)
    z, dy = rng.normal(size=50) * 3, rng.normal(size=50)
    step, bound = complex_step_vjp(np.tanh, z, dy), bounds.tanh_backward(dy, z, u=U)
    assert_within(F.tanh_backward(dy, z), step, bound)
    assert_within(F.tanh_backward(dy, None, y=F.tanh(z)), step, bound)


def test_tanh_backward_keeps_digits_where_1_minus_y_has_none():
    z = np.array([-20.0, 20.0])  # tanh rounds to -1 and 1
    e = np.exp(-40.0)
    np.testing.assert_array_equal(F.tanh_backward(np.ones(2), z), [4 * e / (1 + e) ** 2] * 2)
    np.testing.assert_array_equal(F.tanh_backward(np.ones(2), z, y=F.tanh(z)), [0, 0])


def test_tanh_backward_needs_z_or_y():
    with pytest.raises(TypeError, match=r"tanh_backward needs z, or y = tanh\(z\)"):
        F.tanh_backward(np.ones(2), None)


def test_tanh_works_in_place():
    z = np.array([0.0, 40.0])
    assert F.tanh(z, out=z) is z
    np.testing.assert_array_equal(z, [0, 1])
    dy = np.array([3.0, 5.0])
    assert F.tanh_backward(dy, None, y=z, out=dy) is dy
    np.testing.assert_array_equal(dy, [3, 0])


def test_softplus_hand_values():
    # log(1 + exp(β z)) / β: log 2 and log 4 for β = 1, and half of them for β = 2
    z = np.log(np.array([1.0, 3.0, 1 / 3]))
    right = np.log(np.array([2.0, 4.0, 4 / 3]))
    assert_within(F.softplus(z), right, bounds.softplus(z, u=U))
    assert_within(F.softplus(z / 2, beta=2.0), right / 2, bounds.softplus(z / 2, beta=2.0, u=U))


def test_softplus_is_z_itself_beyond_the_threshold():
    z = np.array([0.5, 1.0, 1.25])
    y = F.softplus(z, beta=2.0, threshold=2.0)
    np.testing.assert_array_equal(y > z, [True, True, False])
    np.testing.assert_array_equal(F.softplus(np.array([20.5])), [20.5])
    dz = F.softplus_backward(np.full(3, 3.0), z, beta=2.0, threshold=2.0)
    np.testing.assert_array_equal(dz < 3, [True, True, False])
    assert dz[2] == 3


def test_softplus_is_above_relu_by_at_most_log_2_over_beta():
    z = np.random.default_rng(0).normal(size=50) * 5
    for beta in (0.25, 1.0, 8.0):
        above, most = F.softplus(z, beta=beta) - F.relu(z), np.log(2) / beta
        rounding = bounds.softplus(z, beta=beta, u=U)
        assert (above >= -rounding).all()
        assert (above <= most + rounding).all()
    assert F.softplus(np.zeros(1), beta=4.0) == np.log(2) / 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_softplus_does_not_overflow(dtype):
    z, largest = np.array([-800.0, -1e30, 1e30], dtype), np.finfo(dtype).max
    for beta in (1.0, 4.0):
        expected = np.array([np.exp(-800 * beta), 0, 1e30], dtype)
        np.testing.assert_array_equal(F.softplus(z, beta=beta), expected)
        np.testing.assert_array_equal(F.softplus(z[1:], beta=beta, threshold=largest), [0, z[2]])
    z = np.array([largest, -largest])
    np.testing.assert_array_equal(F.softplus(z, beta=4.0), [largest, 0])
    np.testing.assert_array_equal(F.softplus_backward(np.ones_like(z), z, beta=4.0), [1, 0])


def test_softplus_backward_equals_complex_step():
    rng = np.random.default_rng(0)
    z, dy = rng.normal(size=50) * 3, rng.normal(size=50)
    for beta in (0.5, 2.0):
        step = complex_step_vjp(lambda z, b=beta: np.log(1 + np.exp(b * z)) / b, z, dy)
        options = {"beta": beta, "threshold": 100.0}
        bound = bounds.softplus_backward(dy, z, **options, u=U)
        assert_within(F.softplus_backward(dy, z, **options), step, bound)


def test_softplus_keeps_float32_whatever_the_type_of_beta():
    z = np.ones(3, np.float32)
    options = {"beta": np.float64(0.5), "threshold": np.float64(20)}
    assert F.softplus(z, **options).dtype == np.float32
    assert F.softplus_backward(z, z, **options).dtype == np.float32


@pytest.mark.parametrize("beta", [0.0, -1.0, np.nan])
def test_softplus_refuses_a_beta_that_is_not_positive(beta):
    z = np.ones(3)
    for result in (
        lambda: F.softplus(z, beta=beta),
        lambda: F.softplus_backward(z, z, beta=beta),
    ):
        with pytest.raises(ValueError, match=f"beta must be positive, got {beta}"):
            result()


ACTIVATIONS = [F.relu, F.sigmoid, F.tanh, F.softplus]
BACKWARDS = [F.relu_backward, F.sigmoid_backward, F.tanh_backward, F.softplus_backward]


@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_keep_the_dtype(dtype):
    z = np.random.default_rng(0).normal(size=9).astype(dtype)
    results = [*(f(z) for f in ACTIVATIONS), *(backward(z, z) for backward in BACKWARDS)]
    assert {array.dtype for array in results} == {np.dtype(dtype)}


@pytest.mark.parametrize("backward", BACKWARDS)
def test_gradients_have_the_precision_and_the_shape_of_the_input(backward):
    z = np.random.default_rng(0).normal(size=9)
    assert backward(z, z.astype(np.float32)).dtype == np.float32
    assert backward(z.astype(np.float32), z).dtype == np.float64
    with pytest.raises(ValueError, match=r"must have the shape of .* \(9,\), got \(1,\)"):
        backward(z[:1], z)


@pytest.mark.parametrize("f", ACTIVATIONS)
def test_activations_refuse_what_is_no_float_array(f):
    with pytest.raises(TypeError, match="z must be floating point, got int64"):
        f(np.arange(3))
    with pytest.raises(TypeError, match="z must be a NumPy array, got list"):
        f([1.0, 2.0])
