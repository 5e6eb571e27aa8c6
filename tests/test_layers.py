"""Layers: each is its operation, on parameters whose shapes it knows."""

import inspect
import json

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn import mlp
from scratchnn.layers import (
    ACTIVATIONS,
    LAYERS,
    Dense,
    Kronecker,
    ReLU,
    Sigmoid,
    Softplus,
    Tanh,
    activation,
    describe,
    from_description,
)
from scratchnn.mlp import Parameters
from scratchnn.ops.kronecker import kronecker_weight
from tests.helpers import DTYPES, N

EXAMPLES = [Dense(6, 4), Kronecker(6, 4, n=2), ReLU(), Sigmoid(), Tanh(), Softplus()]


def drawn(layer, dtype=np.float64):
    """Return x, dy and parameters of a layer, all random."""
    rng = np.random.default_rng(0)
    features = (getattr(layer, "D", 5), getattr(layer, "H", 5))
    x, dy = (rng.normal(size=(N, size)).astype(dtype) for size in features)
    return x, dy, [rng.normal(size=shape).astype(dtype) for shape in layer.shapes.values()]


def test_every_layer_has_an_example():
    without = {name for name, layer in LAYERS.items() if layer not in map(type, EXAMPLES)}
    assert not without, f"add an example to EXAMPLES of: {without}"
    assert list(ACTIVATIONS.values()) == [type(x) for x in EXAMPLES if not x.shapes]


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (Dense(6, 4), {"W": (6, 4), "b": (4,)}),
        (Kronecker(6, 4, n=2), {"A": (2, 2, 2), "S": (2, 3, 2), "b": (4,)}),
        (ReLU(), {}),
        (Sigmoid(), {}),
        (Tanh(), {}),
        (Softplus(), {}),
    ],
)
def test_layer_knows_the_shapes_of_its_parameters(layer, shapes):
    assert layer.shapes == shapes
    assert list(layer.shapes) == list(shapes)  # the order in θ


@pytest.mark.parametrize("layer", EXAMPLES)
def test_parameters_have_the_names_of_the_arguments_of_the_operation(layer):
    arguments = list(inspect.signature(getattr(F, layer.op)).parameters)
    assert arguments[1 : 1 + len(layer.shapes)] == list(layer.shapes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", EXAMPLES)
def test_layer_is_the_operation_of_its_name(layer, dtype):
    """Also its gradients, and where it overwrites what it may."""
    x, dy, parameters = drawn(layer, dtype)
    f, f_backward = getattr(F, layer.op), getattr(F, f"{layer.op}_backward")
    expected_y = f(x, *parameters)
    given = x.copy()
    y = layer.forward(given, *parameters)
    np.testing.assert_array_equal(y, expected_y, strict=True)
    only_y = isinstance(layer, (ReLU, Tanh))
    found = f_backward(dy, None, y=y) if only_y else f_backward(dy, x, *parameters)
    dx, *gradients = found if parameters else (found,)
    out = [np.full_like(array, np.nan) for array in parameters]
    layer.gradients(dy, given, *parameters, out=out)
    np.testing.assert_array_equal(layer.backward(dy, given, y, *parameters), dx, strict=True)
    for array, expected in zip(out, gradients, strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_the_operation_at_special_values(name):
    z = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0])
    layer, dy = ACTIVATIONS[name](), np.arange(1.0, 6)
    f, f_backward = getattr(F, name), getattr(F, f"{name}_backward")
    expected_y, expected_dz = f(z), f_backward(dy, z)
    y = layer.forward(z)
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(layer.backward(dy, z, y), expected_dz)


def test_softplus_hands_on_its_options():
    x, dy, _ = drawn(layer := Softplus(beta=2.0, threshold=0.5))
    y, options = layer.forward(x), {"beta": 2.0, "threshold": 0.5}
    np.testing.assert_array_equal(y, F.softplus(x, **options))
    np.testing.assert_array_equal(layer.backward(dy, x, y), F.softplus_backward(dy, x, **options))


@pytest.mark.parametrize("layer", EXAMPLES)
def test_layer_with_parameters_leaves_its_input_alone(layer):
    x, dy, parameters = drawn(layer)
    if parameters:
        for array in (x, dy, *parameters):
            array.flags.writeable = False
        y = layer.forward(x, *parameters)
        layer.backward(dy, x, y, *parameters)
        layer.gradients(dy, x, *parameters, out=[np.empty_like(array) for array in parameters])


def test_relu_alone_overwrites_z():
    z = np.array([[-1.0, 2.0]])
    for layer in (Sigmoid(), Tanh(), Softplus()):
        assert layer.forward(z) is not z
        np.testing.assert_array_equal(z, [[-1, 2]])
    assert ReLU().forward(z) is z
    np.testing.assert_array_equal(z, [[0, 2]])


@pytest.mark.parametrize("first", ACTIVATIONS)
@pytest.mark.parametrize("second", ACTIVATIONS)
def test_one_activation_behind_another(first, second):
    """The gradient of the first does not come from an array that the second has overwritten."""
    one, two = ACTIVATIONS[first](), ACTIVATIONS[second]()
    net = Parameters([Dense(3, 3), one, two], np.random.default_rng(1).normal(size=12))
    X = np.random.default_rng(2).normal(size=(5, 3))
    outputs = mlp.forward(net, X)
    grad = mlp.backward(net, outputs, np.ones((5, 3)))
    f, g = getattr(F, first), getattr(F, second)
    f_backward, g_backward = getattr(F, f"{first}_backward"), getattr(F, f"{second}_backward")
    z = F.linear(X, *net.views[0])
    dz = f_backward(g_backward(np.ones((5, 3)), f(z)), z)
    np.testing.assert_array_equal(outputs[-1], g(f(z)))
    np.testing.assert_allclose(grad.views[0][0], X.T @ dz, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("sizes", [(0, 3), (3, -1)])
def test_sizes_below_1(sizes):
    with pytest.raises(ValueError, match="must be at least 1"):
        Dense(*sizes)


def test_sizes_are_whole_numbers():
    assert type(Dense(np.int64(4), np.int64(3)).D) is int
    assert json.dumps(describe(Kronecker(np.int64(4), np.int64(2), np.int64(2))))
    with pytest.raises(TypeError, match=r"D must be a whole number, got 4\.0"):
        Dense(4.0, 3)


# Names


@pytest.mark.parametrize("layer", EXAMPLES)
def test_description_makes_the_same_layer(layer):
    text = json.dumps(describe(layer))
    assert from_description(json.loads(text)) == layer


def test_describe_hand_written():
    assert describe(Dense(64, 30)) == {"layer": "dense", "D": 64, "H": 30}
    assert describe(Kronecker(8, 4, n=2)) == {"layer": "kronecker", "D": 8, "H": 4, "n": 2}
    assert describe(ReLU()) == {"layer": "relu"}
    assert describe(Softplus(2.0)) == {"layer": "softplus", "beta": 2.0, "threshold": 20.0}


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"layer": "conv"}, "layer must be one of dense, kronecker, relu, .*, got 'conv'"),
        ({}, "layer must be one of .*, got None"),
        ({"layer": "dense", "D": 3}, "a dense layer has other sizes than {'D': 3}: .*H"),
        ({"layer": "relu", "slope": 2}, "a relu layer has other sizes than .*slope"),
        ({"layer": "kronecker", "D": 3, "H": 4, "n": 2}, "n must divide D = 3 and H = 4"),
    ],
)
def test_from_description_refuses_what_is_no_layer(description, message):
    with pytest.raises(ValueError, match=message):
        from_description(description)


def test_activation_by_name():
    assert activation("sigmoid") == Sigmoid()
    with pytest.raises(ValueError, match="activation must be one of relu, sigmoid"):
        activation("tanh_")


@pytest.mark.parametrize("sizes", [(784, 510, 4), (10, 8, 4)])
def test_kronecker_names_sizes_that_n_does_not_divide(sizes):
    D, H, n = sizes
    message = f"n must divide D = {D} and H = {H}, the sizes of the layer, got n = {n}"
    with pytest.raises(ValueError, match=message):
        Kronecker(*sizes)
    with pytest.raises(ValueError, match=message):
        mlp.init([D, H, 10], kronecker=n)


# Initial parameters


STARTS = {  # seed 7, as version 0.1 drew them: some of θ, and its sum
    ("dense", None): ([0.14444780263721269, 0.431342364512488, -0.45605799203861663,
                       0.014888820271370284], 0.12952403383279265),
    ("dense", 0.01): ([1.2301533574825743e-05, -0.009916465549964623, -0.012895377397849761, 0.0],
                      -0.06328258066922175),
    ("kronecker", None): ([0.0008698497809753273, -0.7012000035782772, 0.11407858910548102,
                           -0.3335424417599727], -1.7079209595465983),
    ("kronecker", 0.01): ([0.0008698497809753273, -0.7012000035782772, 0.0, 0.0],
                          -0.7859848964739758),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "std"), STARTS)
def test_init_draws_what_it_always_drew(kind, std):
    """A seed gives the same start in every version."""
    sizes, n = ([3, 4, 2], None) if kind == "dense" else ([4, 6, 3], 2)
    if kind == "kronecker":
        layers = [Kronecker(4, 6, n=2), ReLU(), Dense(6, 3)]
        theta = mlp.init(layers, std=std, rng=7, dtype=np.float64).theta
        by_sizes = mlp.init(sizes, kronecker=n, std=std, rng=7, dtype=np.float64).theta
        np.testing.assert_array_equal(by_sizes, theta)
    else:
        theta = mlp.init(sizes, std=std, rng=7, dtype=np.float64).theta
    some, total = STARTS[kind, std]
    assert theta[[0, 5, -3, -1]].tolist() == some
    assert abs(theta.sum() - total) < 1e-15


@pytest.mark.parametrize("std", [None, 0.01])
def test_init_gives_a_kronecker_weight_the_variance_of_a_dense_one(std):
    layer = Kronecker(400, 400, n=4)
    A, S, b = (np.zeros(shape) for shape in layer.shapes.values())
    layer.init((A, S, b), std, np.random.default_rng(0))
    variance = 1 / (3 * 400) if std is None else std**2
    expected = variance * np.square(A).sum() / 4**2  # of W, given these few A
    standard_error = expected * 5 / np.sqrt(S.size)
    assert abs(kronecker_weight(A, S).var() - expected) < 5 * standard_error
    assert abs(np.square(A).mean() * 4 - 1) < 5 * np.sqrt(2 / A.size)
    assert b.any() == (std is None)


def test_describe_refuses_a_layer_of_ones_own():
    class Own(ReLU):
        """It has no name in LAYERS, so nothing could make it again."""

    with pytest.raises(ValueError, match=r"layer must be of a kind in scratchnn.layers.LAYERS"):
        describe(Own())
