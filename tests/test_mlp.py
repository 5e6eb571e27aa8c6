"""The flat parameter vector, initialisation, forward and backpropagation."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds
from scratchnn import gradcheck, mlp
from scratchnn.layers import ACTIVATIONS, Dense, Kronecker, ReLU, Sigmoid, Softplus
from scratchnn.mlp import Parameters
from scratchnn.ops.kronecker import kronecker_weight
from tests.helpers import DTYPES, C, D, H, N, assert_within, complex_step_vjp

SIZES = [D, H, 6, C]
LAYERS = mlp.layers(SIZES)
NETWORKS = {
    "relu": LAYERS,
    "sigmoid": mlp.layers(SIZES, activation="sigmoid"),
    "tanh": mlp.layers(SIZES, activation="tanh"),
    "softplus": [Dense(D, H), Softplus(beta=2.0), Dense(H, C)],
    "kronecker": mlp.layers([D, 6, 3, C], kronecker=3),
    "mixed": [Dense(D, 6), Sigmoid(), Kronecker(6, 4, n=2), ReLU(), Dense(4, C)],
    "linear": mlp.layers([D, C]),
}


@pytest.fixture(params=NETWORKS)
def any_network(request):
    return mlp.init(NETWORKS[request.param], rng=0, dtype=np.float64)


@pytest.fixture
def network():
    return mlp.init(SIZES, rng=0, dtype=np.float64)


@pytest.fixture
def X():
    return np.random.default_rng(1).normal(size=(N, D))


def test_layers_are_dense_with_an_activation_between():
    assert mlp.layers([3, 7, 4]) == (Dense(3, 7), ReLU(), Dense(7, 4))
    assert mlp.layers([3, 4], activation="sigmoid") == (Dense(3, 4),)
    assert mlp.layers([4, 6, 8, 3], activation="sigmoid", kronecker=2) == (
        Kronecker(4, 6, 2), Sigmoid(), Kronecker(6, 8, 2), Sigmoid(), Dense(8, 3),
    )  # fmt: skip
    with pytest.raises(ValueError, match="activation must be one of relu, sigmoid"):
        mlp.layers([3, 7, 4], activation="step")


def test_count_of_parameters():
    assert mlp.count(LAYERS) == 3 * 7 + 7 + 7 * 6 + 6 + 6 * 4 + 4
    kronecker = mlp.layers([784, 512, 10], kronecker=4)
    assert mlp.count(kronecker) == 4**3 + 784 * 512 // 4 + 512 + 513 * 10
    assert mlp.count([ReLU()]) == 0


def test_parameters_have_views_of_theta(network):
    assert network.theta.shape == (mlp.count(LAYERS),)
    network.theta[:] = np.arange(network.theta.size)
    shapes = [tuple(view.shape for view in views) for views in network.views]
    assert shapes == [((3, 7), (7,)), (), ((7, 6), (6,)), (), ((6, 4), (4,))]
    W, b = network.views[2]
    np.testing.assert_array_equal(W, np.arange(28, 70).reshape(7, 6))
    np.testing.assert_array_equal(b, np.arange(70, 76))
    W[2, 3] = -1
    assert network.theta[28 + 2 * 6 + 3] == -1


def test_parameters_cover_theta_exactly(any_network):
    flat = np.concatenate([view.ravel() for _, _, view in any_network.arrays()])
    np.testing.assert_array_equal(flat, any_network.theta)


def test_arrays_go_through_all_parameters_by_name():
    network = mlp.init(NETWORKS["mixed"], rng=0)
    assert [(i, name) for i, name, _ in network.arrays()] == [
        (0, "W"), (0, "b"), (2, "A"), (2, "S"), (2, "b"), (4, "W"), (4, "b"),
    ]  # fmt: skip
    assert all(np.shares_memory(view, network.theta) for _, _, view in network.arrays())


def test_sizes_are_the_features_in_and_out():
    assert mlp.init(SIZES, rng=0).sizes == tuple(SIZES)
    assert mlp.init(NETWORKS["mixed"], rng=0).sizes == (D, 6, 4, C)


def test_repr_says_what_is_not_usual():
    assert repr(mlp.init(SIZES, rng=0)) == "Parameters(3-7-6-4, 104 float32)"
    assert repr(mlp.init(NETWORKS["mixed"], rng=0)) == (
        "Parameters(3-6-4-4, kronecker_linear, sigmoid, 68 float32)"
    )


def test_assigning_to_theta_copies_the_numbers(network):
    theta, view = network.theta, network.views[0][0]
    network.theta = np.ones_like(theta)
    assert network.theta is theta
    assert (view == 1).all()
    with pytest.raises(ValueError, match=r"values must have the shape of theta \(104,\)"):
        network.theta = np.ones(1)


def test_parameters_copy_and_astype_own_their_theta(network):
    for other in (network.copy(), network.astype(np.float64)):
        other.theta[:] = 0
        assert network.theta.any()
    assert network.astype(np.float32).views[0][0].dtype == np.float32


def test_parameters_like_are_over_the_vector_given(network):
    theta = np.zeros_like(network.theta)
    other = network.like(theta)
    assert other.theta is theta
    assert other.layers == network.layers


@pytest.mark.parametrize("of", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_parameters_deepcopy_and_pickle_keep_the_layers_views(any_network, of):
    other = of(any_network)
    assert other.layers == any_network.layers
    np.testing.assert_array_equal(other.theta, any_network.theta)
    assert not np.shares_memory(other.theta, any_network.theta)
    assert all(np.shares_memory(view, other.theta) for _, _, view in other.arrays())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_from_arrays_copies(activation):
    network = mlp.init(SIZES, activation=activation, rng=0)
    pairs = [(W.copy(), b.copy()) for W, b in filter(None, network.views)]
    same = Parameters.from_arrays(pairs, activation)
    assert same.layers == network.layers
    np.testing.assert_array_equal(same.theta, network.theta)
    pairs[0][0][:] = 0
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
        Parameters([Dense(4, 2)], np.zeros(9))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "layers must begin with one that has weights"),
        ([ReLU(), Dense(4, 2)], "layers must begin with one that has weights"),
        (
            [Dense(4, 3), ReLU(), Dense(4, 2)],
            r"Dense\(D=4, H=2\) must take the 3 features of Dense",
        ),
    ],
)
def test_parameters_refuse_layers_that_make_no_network(layers, message):
    with pytest.raises(ValueError, match=message):
        Parameters(layers, np.zeros(0))


def test_init_normal_has_zero_bias():
    ((W, b),) = mlp.init([300, 200], std=0.01, rng=0).views
    assert not b.any()
    standard_error = 0.01 / np.sqrt(W.size)
    assert abs(W.mean()) < 5 * standard_error
    assert abs(W.std() - 0.01) < 5 * standard_error


def test_init_uniform_fills_torchs_range():
    ((W, b),) = mlp.init([400, 300], rng=0).views
    for part in (W, b):
        assert abs(part).max() <= 1 / 20
        assert abs(part).max() > 0.97 / 20
        assert abs(part.mean()) < 5 / 20 / np.sqrt(3 * part.size)


def test_init_is_one_draw_for_both_precisions():
    single, double = (mlp.init(SIZES, rng=7, dtype=dtype).theta for dtype in DTYPES)
    np.testing.assert_array_equal(single, double.astype(np.float32))
    assert (mlp.init(SIZES, rng=8).theta != single).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_is_linear_and_an_activation_in_turn(X, activation):
    network = mlp.init(SIZES, activation=activation, rng=0, dtype=np.float64)
    f = getattr(F, activation)
    (W1, b1), _, (W2, b2), _, (W3, b3) = network.views
    a1 = f(F.linear(X, W1, b1))
    a2 = f(F.linear(a1, W2, b2))
    outputs = mlp.forward(network, X)
    assert len(outputs) == len(network.layers) + 1
    for actual, expected in zip(outputs[::2], [X, a1, a2], strict=False):
        np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(outputs[-1], F.linear(a2, W3, b3))
    assert outputs[-1].min() < 0  # no activation on the last


def test_forward_keeps_z_where_backward_needs_it_and_else_overwrites_it(X):
    _, z, a, *_ = mlp.forward(mlp.init(SIZES, rng=0, dtype=np.float64), X)
    assert z is a
    _, z, a, *_ = mlp.forward(mlp.init(SIZES, activation="sigmoid", rng=0, dtype=np.float64), X)
    np.testing.assert_array_equal(F.sigmoid(z), a)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_equals_the_ops_one_by_one(X, activation):
    network = mlp.init(SIZES, activation=activation, rng=0, dtype=np.float64)
    f, right = getattr(F, activation), getattr(F, f"{activation}_backward")

    def f_backward(dy, z):
        """By the result alone, where this is what a network keeps."""
        by_result = "y" in inspect.signature(right).parameters
        return right(dy, None, y=f(z)) if by_result else right(dy, z)

    (W1, b1), _, (W2, b2), _, (W3, b3) = network.views
    z1 = F.linear(X, W1, b1)
    z2 = F.linear(f(z1), W2, b2)
    dz3 = np.random.default_rng(2).normal(size=(N, C))
    da2, *layer3 = F.linear_backward(dz3, f(z2), W3, b3)
    da1, *layer2 = F.linear_backward(f_backward(da2, z2), f(z1), W2, b2)
    _, *layer1 = F.linear_backward(f_backward(da1, z1), X, W1, b1)
    grad = mlp.backward(network, mlp.forward(network, X), dz3)
    assert grad.layers == network.layers
    np.testing.assert_array_equal(
        grad.theta, Parameters.from_arrays([layer1, layer2, layer3]).theta
    )


def test_backward_passes_gradcheck(any_network, X):
    """Complex step, or differences, of each network with respect to θ."""

    def f(theta):
        return mlp.forward(any_network.like(theta), X)[-1]

    def f_backward(dz, theta):
        network = any_network.like(theta)
        return mlp.backward(network, mlp.forward(network, X), dz).theta

    gradcheck.check(f, f_backward, any_network.theta).assert_ok()


def test_network_with_a_kronecker_layer_computes_what_its_dense_counterpart_does(X):
    network = mlp.init([Kronecker(D, 6, n=3)], rng=0, dtype=np.float64)
    A, S, b = network.views[0]
    dense = Parameters.from_arrays([(kronecker_weight(A, S), b)])
    bound = bounds.kronecker_linear(X, A, S, b, u=bounds.unit_roundoff(np.float64))
    assert_within(mlp.forward(network, X)[-1], mlp.forward(dense, X)[-1], bound)


def test_backward_of_a_linear_network_equals_complex_step(X):
    parameters = mlp.init([D, C], rng=0, dtype=np.float64)
    dz = np.random.default_rng(2).normal(size=(N, C))
    grad = mlp.backward(parameters, mlp.forward(parameters, X), dz)
    step = complex_step_vjp(
        lambda theta: mlp.forward(parameters.like(theta), X)[-1], parameters.theta, dz
    )
    u = bounds.unit_roundoff(np.float64)
    _, dW, db = bounds.linear_backward(dz, X, *parameters.views[0], u=u)
    assert_within(grad.theta, step, np.concatenate([dW.ravel(), db]))


def test_backward_is_the_slope_of_the_loss(any_network, X):
    """The error of the tangent falls with h²: by 4 when h halves, as long as no ReLU flips."""
    target = np.array([0, 3, 1, 2, 2])
    outputs = mlp.forward(any_network, X)
    loss, dz = F.cross_entropy_with_gradient(outputs[-1], target)
    grad = mlp.backward(any_network, outputs, dz).theta
    direction = np.random.default_rng(3).normal(size=grad.size)

    def error(h):
        moved = any_network.like(any_network.theta + h * direction)
        value = F.cross_entropy(mlp.forward(moved, X)[-1], target)
        return abs(value - loss - h * grad @ direction)

    ratios = [error(h) / error(h / 2) for h in (1e-3, 5e-4, 2.5e-4)]
    assert all(3.9 < ratio < 4.1 for ratio in ratios), ratios


def test_backward_writes_into_out(any_network, X):
    outputs = mlp.forward(any_network, X)
    dz = np.random.default_rng(2).normal(size=(N, C))
    out = any_network.like(np.full_like(any_network.theta, np.nan))
    assert mlp.backward(any_network, outputs, dz, out=out) is out
    np.testing.assert_array_equal(out.theta, mlp.backward(any_network, outputs, dz).theta)


def test_forward_and_backward_leave_their_inputs_alone(any_network, X):
    dz = np.random.default_rng(2).normal(size=(N, C))
    for array in (X, any_network.theta, dz):
        array.flags.writeable = False
    outputs = mlp.forward(any_network, X)
    for array in outputs:
        array.flags.writeable = False
    mlp.backward(any_network, outputs, dz)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_kept(any_network, X, dtype):
    network, X = any_network.astype(dtype), X.astype(dtype)
    outputs = mlp.forward(network, X)
    grad = mlp.backward(network, outputs, outputs[-1])
    assert {array.dtype for array in [*outputs, grad.theta]} == {np.dtype(dtype)}


def test_predict_takes_the_largest_logit(network, X):
    np.testing.assert_array_equal(
        mlp.predict(network, X), mlp.forward(network, X)[-1].argmax(axis=1)
    )


def test_predict_of_one_logit_is_its_sign():
    parameters = Parameters.from_arrays([(np.array([[1.0], [0.0]]), np.zeros(1))])
    X = np.array([[-2.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    np.testing.assert_array_equal(mlp.predict(parameters, X), [0, 0, 1])


def test_predict_says_how_pixels_become_inputs(digits):
    network = mlp.init([64, 10], rng=0)
    with pytest.raises(TypeError, match=r"got uint8: of a data set, X, _ = data\.batch\("):
        mlp.predict(network, digits[1].X)
    X, _ = digits[1].batch(slice(None), np.float32)
    assert mlp.predict(network, X).shape == (360,)


@pytest.mark.parametrize(
    ("network", "options"),
    [
        ([4, Dense(4, 3)], {}),
        ([4.0, 3.0], {}),
        ([4, 3.5], {}),
        ([Dense(4, 3)], {"activation": "tanh"}),
        ([Dense(4, 3)], {"kronecker": 2}),
        ("64-10", {}),
    ],
)
def test_init_refuses_what_it_would_not_use(network, options):
    with pytest.raises((TypeError, ValueError), match="network"):
        mlp.init(network, **options)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "pairs must hold .W, b. of at least one layer, got none"),
        (None, "pairs must be a list of .W, b., got NoneType"),
        ([np.ones((2, 2))], "pairs must hold .W, b. of each layer, got ndarray for layer 1"),
    ],
)
def test_from_arrays_names_what_is_no_list_of_pairs(pairs, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Parameters.from_arrays(pairs)


def test_backward_takes_what_forward_returned():
    network = mlp.init([D, H, C], rng=0)
    outputs = mlp.forward(network, np.ones((N, D), np.float32))
    dz = np.ones((N, C), np.float32)
    for wrong in (outputs[:-1], outputs[-1], None):
        with pytest.raises(ValueError, match="outputs must be the list that forward returned"):
            mlp.backward(network, wrong, dz)
    with pytest.raises(ValueError, match=r"outputs must have the shapes .* that forward made"):
        mlp.backward(network, outputs[::-1], dz)
    with pytest.raises(TypeError, match=r"outputs\[1\] must be a NumPy array, got list"):
        mlp.backward(network, [outputs[0], outputs[1].tolist(), *outputs[2:]], dz)


def test_backward_of_an_infinite_gradient_is_nan_without_a_warning(network):
    """Where a ReLU is off, it multiplies by 0."""
    outputs = mlp.forward(network, np.random.default_rng(1).normal(size=(N, D)))
    grad = mlp.backward(network, outputs, np.full((N, C), np.inf))
    assert np.isnan(grad.theta).any()


def test_predict_does_not_choose_among_nan():
    network = mlp.init([D, C], rng=0)
    X = np.ones((N, D), np.float32)
    X[2] = np.nan
    with pytest.raises(ValueError, match="X gives NaN, which has no order, in row 2"):
        mlp.predict(network, X)
