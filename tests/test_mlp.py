"""The flat parameter vector, initialisation, forward and backpropagation."""

import copy
import pickle

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds
from scratchnn import mlp
from scratchnn.mlp import Parameters
from tests.helpers import DTYPES, C, D, H, N, assert_within, complex_step_vjp

SIZES = [D, H, 6, C]


@pytest.fixture
def network():
    return mlp.init(SIZES, rng=0, dtype=np.float64)


@pytest.fixture
def X():
    return np.random.default_rng(1).normal(size=(N, D))


def test_parameters_layers_are_views_of_theta(network):
    assert network.theta.shape == (mlp.count(SIZES),) == (3 * 7 + 7 + 7 * 6 + 6 + 6 * 4 + 4,)
    network.theta[:] = np.arange(network.theta.size)
    assert [(W.shape, b.shape) for W, b in network.layers] == [
        ((3, 7), (7,)), ((7, 6), (6,)), ((6, 4), (4,)),
    ]  # fmt: skip
    W, b = network.layers[1]
    np.testing.assert_array_equal(W, np.arange(28, 70).reshape(7, 6))
    np.testing.assert_array_equal(b, np.arange(70, 76))
    W[2, 3] = -1
    assert network.theta[28 + 2 * 6 + 3] == -1


def test_parameters_cover_theta_exactly(network):
    flat = np.concatenate([part.ravel() for layer in network.layers for part in layer])
    np.testing.assert_array_equal(flat, network.theta)


def test_parameters_copy_and_astype_own_their_theta(network):
    for other in (network.copy(), network.astype(np.float64)):
        other.theta[:] = 0
        assert network.theta.any()
    assert network.astype(np.float32).layers[0].W.dtype == np.float32


@pytest.mark.parametrize("of", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
@pytest.mark.parametrize("sizes", [SIZES, [4, mlp.Kronecker(6, n=2), 3]])
def test_parameters_deepcopy_and_pickle_keep_the_layers_views(sizes, of):
    network = mlp.init(sizes, rng=0)
    other = of(network)
    assert repr(other.sizes) == repr(network.sizes)
    np.testing.assert_array_equal(other.theta, network.theta)
    assert not np.shares_memory(other.theta, network.theta)
    for layer in other.layers:
        assert all(np.shares_memory(part, other.theta) for part in layer)


def test_from_arrays_copies(network):
    layers = [(W.copy(), b.copy()) for W, b in network.layers]
    same = Parameters.from_arrays(layers)
    assert same.sizes == network.sizes
    np.testing.assert_array_equal(same.theta, network.theta)
    layers[0][0][:] = 0
    np.testing.assert_array_equal(same.theta, network.theta)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([((3, 7), (7,)), ((6, 4), (4,))], r"W of layer 2 must have shape \(7, 4\), got \(6, 4\)"),
        ([((3, 7), (1,))], r"b of layer 1 must have shape \(7,\), got \(1,\)"),
    ],
)
def test_from_arrays_refuses_what_does_not_fit(layers, message):
    with pytest.raises(ValueError, match=message):
        Parameters.from_arrays([(np.ones(W), np.ones(b)) for W, b in layers])


@pytest.mark.parametrize("sizes", [[3], [], [3, 0], [-1, 2]])
def test_init_refuses_impossible_sizes(sizes):
    with pytest.raises(ValueError, match="sizes must be two or more positive numbers"):
        mlp.init(sizes)


def test_parameters_refuse_a_theta_of_another_length():
    with pytest.raises(ValueError, match=r"theta must have shape \(10,\), got \(9,\)"):
        Parameters([4, 2], np.zeros(9))


def test_init_normal_has_zero_bias():
    (W, b), = mlp.init([300, 200], std=0.01, rng=0).layers  # fmt: skip
    assert not b.any()
    standard_error = 0.01 / np.sqrt(W.size)
    assert abs(W.mean()) < 5 * standard_error
    assert abs(W.std() - 0.01) < 5 * standard_error


def test_init_uniform_fills_torchs_range():
    (W, b), = mlp.init([400, 300], rng=0).layers  # fmt: skip
    for part in (W, b):
        assert abs(part).max() <= 1 / 20
        assert abs(part).max() > 0.97 / 20
        assert abs(part.mean()) < 5 / 20 / np.sqrt(3 * part.size)


def test_init_is_one_draw_for_both_precisions():
    single, double = (mlp.init(SIZES, rng=7, dtype=dtype).theta for dtype in DTYPES)
    np.testing.assert_array_equal(single, double.astype(np.float32))
    assert (mlp.init(SIZES, rng=8).theta != single).all()


def test_forward_is_linear_and_relu_in_turn(network, X):
    (W1, b1), (W2, b2), (W3, b3) = network.layers
    a1 = F.relu(F.linear(X, W1, b1))
    a2 = F.relu(F.linear(a1, W2, b2))
    activations = mlp.forward(network, X)
    for actual, expected in zip(activations, [X, a1, a2, F.linear(a2, W3, b3)], strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert activations[1].min() == 0
    assert activations[-1].min() < 0  # no ReLU on the last


def test_backward_equals_the_ops_one_by_one(network, X):
    a0, a1, a2, _ = activations = mlp.forward(network, X)
    dz3 = np.random.default_rng(2).normal(size=(N, C))
    da2, dW3, db3 = F.linear_backward(dz3, a2, network.layers[2].W)
    da1, dW2, db2 = F.linear_backward(F.relu_backward(da2, a2), a1, network.layers[1].W)
    _, dW1, db1 = F.linear_backward(F.relu_backward(da1, a1), a0, network.layers[0].W)
    grad = mlp.backward(network, activations, dz3)
    expected = Parameters.from_arrays([(dW1, db1), (dW2, db2), (dW3, db3)])
    np.testing.assert_array_equal(grad.theta, expected.theta)


def test_backward_of_a_linear_network_equals_complex_step(X):
    parameters = mlp.init([D, C], rng=0, dtype=np.float64)
    dz = np.random.default_rng(2).normal(size=(N, C))
    grad = mlp.backward(parameters, mlp.forward(parameters, X), dz)
    step = complex_step_vjp(
        lambda theta: mlp.forward(Parameters([D, C], theta), X)[-1], parameters.theta, dz
    )
    dW, db = bounds.linear_backward_parameters(dz, X, bounds.unit_roundoff(np.float64))
    assert_within(grad.theta, step, np.concatenate([dW.ravel(), db]))


def test_backward_is_the_slope_of_the_loss(network, X):
    """The error of the tangent falls with h²: by 4 when h halves, as long as no ReLU flips."""
    target = np.array([0, 3, 1, 2, 2])
    activations = mlp.forward(network, X)
    dz = F.cross_entropy_backward(1.0, activations[-1], target)
    grad = mlp.backward(network, activations, dz).theta
    direction = np.random.default_rng(3).normal(size=grad.size)

    def error(h):
        moved = Parameters(SIZES, network.theta + h * direction)
        value = F.cross_entropy(mlp.forward(moved, X)[-1], target)
        return abs(value - F.cross_entropy(activations[-1], target) - h * grad @ direction)

    ratios = [error(h) / error(h / 2) for h in (1e-3, 5e-4, 2.5e-4)]
    assert all(3.9 < ratio < 4.1 for ratio in ratios), ratios


def test_backward_writes_into_out(network, X):
    activations = mlp.forward(network, X)
    dz = np.random.default_rng(2).normal(size=(N, C))
    out = Parameters(SIZES, np.full_like(network.theta, np.nan))
    assert mlp.backward(network, activations, dz, out=out) is out
    np.testing.assert_array_equal(out.theta, mlp.backward(network, activations, dz).theta)


def test_forward_and_backward_leave_their_inputs_alone(network, X):
    dz = np.random.default_rng(2).normal(size=(N, C))
    for array in (X, network.theta, dz):
        array.flags.writeable = False
    activations = mlp.forward(network, X)
    for array in activations:
        array.flags.writeable = False
    mlp.backward(network, activations, dz)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_kept(network, X, dtype):
    network, X = network.astype(dtype), X.astype(dtype)
    activations = mlp.forward(network, X)
    grad = mlp.backward(network, activations, activations[-1])
    assert {array.dtype for array in [*activations, grad.theta]} == {np.dtype(dtype)}


def test_predict_takes_the_largest_logit(network, X):
    np.testing.assert_array_equal(
        mlp.predict(network, X), mlp.forward(network, X)[-1].argmax(axis=1)
    )


def test_predict_of_one_logit_is_its_sign():
    parameters = Parameters.from_arrays([(np.array([[1.0], [0.0]]), np.zeros(1))])
    X = np.array([[-2.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    np.testing.assert_array_equal(mlp.predict(parameters, X), [0, 0, 1])
