"""The structured layer: what a dense one with the weight Σ A_i ⊗ S_i computes."""

import math

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds
from scratchnn import checkpoint, gradcheck, mlp
from scratchnn.kronecker import (
    kronecker_backward_input,
    kronecker_backward_parameters,
    kronecker_count,
    kronecker_linear,
    kronecker_linear_backward,
    kronecker_weight,
)
from scratchnn.mlp import Kronecker, Parameters
from tests.helpers import DTYPES, N, assert_within
from tests.parity.test_lockstep import lockstep_of

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
        bounds.kronecker_linear(X, A, S, b, U),
    )


def test_one_term_is_a_dense_layer(layer):
    X, _, _, b = layer
    W = np.random.default_rng(1).normal(size=(D, H))
    Y = kronecker_linear(X, np.ones((1, 1, 1)), W[None], b)
    assert_within(Y, F.linear(X, W, b), bounds.linear(X, W, b, U))


def test_kronecker_linear_backward_is_that_of_the_weight(layer):
    """dA and dS are contractions of the dense dW with the other factor."""
    X, A, S, _ = layer
    dY = np.random.default_rng(1).normal(size=(N, H))
    dX, dA, dS, db = kronecker_linear_backward(dY, X, A, S)
    dense_dX, dW, dense_db = F.linear_backward(dY, X, kronecker_weight(A, S))
    blocks = dW.reshape(n, P, n, Q)  # [a, p, b, q]
    errors = bounds.kronecker_backward_parameters(dY, X, A, S, U)
    assert_within(dX, dense_dX, bounds.kronecker_backward_input(dY, A, S, U))
    assert_within(dA, np.einsum("apbq,ipq->iab", blocks, S), errors[0])
    assert_within(dS, np.einsum("apbq,iab->ipq", blocks, A), errors[1])
    assert_within(db, dense_db, errors[2])


def test_kronecker_linear_passes_gradcheck(layer):
    report = gradcheck.check(
        kronecker_linear, lambda dY, X, A, S, b: kronecker_linear_backward(dY, X, A, S), *layer
    )
    report.assert_ok()
    assert "complex step" in str(report)


@pytest.mark.parametrize("argument", [0, 1, 2, 3])
def test_gradcheck_fails_on_each_gradient_made_wrong(layer, argument):
    def wrong(dY, X, A, S, b):
        gradients = list(kronecker_linear_backward(dY, X, A, S))
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
    gradients = kronecker_linear_backward(Y, X, A, S)
    assert {array.dtype for array in (Y, *gradients)} == {np.dtype(dtype)}
    assert [g.shape for g in gradients] == [array.shape for array in (X, A, S, b)]


def test_parts_are_those_of_the_whole(layer):
    X, A, S, _ = layer
    dY = np.random.default_rng(1).normal(size=(N, H))
    parts = kronecker_backward_input(dY, A, S), *kronecker_backward_parameters(dY, X, A, S)
    for part, whole in zip(parts, kronecker_linear_backward(dY, X, A, S), strict=True):
        np.testing.assert_array_equal(part, whole)


def test_count_is_a_quarter_and_a_little_for_n_4():
    assert kronecker_count(784, 512, 4) == 4**3 + 784 * 512 // 4 + 512
    assert kronecker_count(6, 12, 3) == 27 + 3 * 2 * 4 + 12
    assert mlp.count([784, Kronecker(512, n=4), 10]) == 4**3 + 784 * 512 // 4 + 512 + 513 * 10


@pytest.mark.parametrize("sizes", [(784, 510, 4), (10, 8, 4), (8, 8, 0)])
def test_sizes_that_n_does_not_divide_are_refused(sizes):
    D, H, n = sizes
    message = f"n must divide D = {D} and H = {H}, the sizes of the layer, got n = {n}"
    with pytest.raises(ValueError, match=message):
        kronecker_count(*sizes)
    with pytest.raises(ValueError, match=message):
        mlp.init([D, Kronecker(H, n)])


@pytest.mark.parametrize(
    ("i", "message"),
    [
        (0, r"X must have 3 × 2 features, as S \(3, 2, 4\) says, got \(5, 5\)"),
        (1, r"A must have shape \(3, 3, 3\), as S has n = 3, got \(3, 2, 3\)"),
        (2, r"X must have 3 × 1 features, as S \(3, 1, 4\) says, got \(5, 6\)"),
        (3, r"b must have shape \(12,\), one bias a feature of Y, got \(11,\)"),
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
    dX, *gradients = kronecker_linear_backward(dY, X, A, S)
    of_rows = kronecker_linear_backward(rows[1], rows[0], A, S)
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


@pytest.mark.parametrize("name", ["dY", "X", "A", "S"])
def test_kronecker_linear_backward_refuses_integers(layer, name):
    arguments = {"dY": np.ones((N, H))} | dict(zip(("X", "A", "S"), layer, strict=False))
    arguments[name] = arguments[name].astype(int)
    with pytest.raises(TypeError, match=f"{name} must be floating point, got int64"):
        kronecker_linear_backward(**arguments)


# In a network

SIZES = [D, Kronecker(H, n), 5, 4]


def test_network_has_views_into_theta():
    network = mlp.init(SIZES, rng=0, dtype=np.float64)
    assert network.theta.size == mlp.count(SIZES) == (27 + 24 + 12) + (12 * 5 + 5) + (5 * 4 + 4)
    assert repr(network.sizes) == "(6, Kronecker(12, n=3), 5, 4)"
    flat = np.concatenate([part.ravel() for layer in network.layers for part in layer])
    np.testing.assert_array_equal(flat, network.theta)
    network.theta[:] = 0
    assert not network.layers[0].A.any()
    assert network.copy().astype(np.float32).layers[0].S.shape == (n, P, Q)


def test_network_passes_gradcheck():
    X = np.random.default_rng(1).normal(size=(N, D))

    def f(theta):
        return mlp.forward(Parameters(SIZES, theta), X)[-1]

    def backward(dz, theta):
        network = Parameters(SIZES, theta)
        return mlp.backward(network, mlp.forward(network, X), dz).theta

    gradcheck.check(f, backward, mlp.init(SIZES, rng=0, dtype=np.float64).theta).assert_ok()


def test_network_computes_what_its_dense_counterpart_does():
    network = mlp.init([D, Kronecker(H, n)], rng=0, dtype=np.float64)
    X = np.random.default_rng(1).normal(size=(N, D))
    A, S, b = network.layers[0]
    dense = Parameters.from_arrays([(kronecker_weight(A, S), b)])
    bound = bounds.kronecker_linear(X, A, S, b, U)
    assert_within(mlp.forward(network, X)[-1], mlp.forward(dense, X)[-1], bound)


@pytest.mark.parametrize("std", [None, 0.01])
def test_init_gives_the_weight_the_variance_of_a_dense_one(std):
    network = mlp.init([400, Kronecker(400, n=4)], std=std, rng=0, dtype=np.float64)
    (A, S, b), = network.layers  # fmt: skip
    variance = 1 / (3 * 400) if std is None else std**2
    expected = variance * np.square(A).sum() / 4**2  # of W, given these few A
    standard_error = expected * 5 / np.sqrt(S.size)
    assert abs(kronecker_weight(A, S).var() - expected) < 5 * standard_error
    assert abs(np.square(A).mean() * 4 - 1) < 5 * np.sqrt(2 / A.size)
    assert b.any() == (std is None)


def test_checkpoint_keeps_the_structure(tmp_path):
    network = mlp.init(SIZES, rng=0)
    checkpoint.save(tmp_path / "p.npz", network)
    loaded, _ = checkpoint.load(tmp_path / "p.npz")
    assert repr(loaded.sizes) == repr(network.sizes)
    np.testing.assert_array_equal(loaded.theta, network.theta)
    assert type(loaded.layers[0]) is type(network.layers[0])


def test_checkpoint_of_dense_layers_needs_no_structure(tmp_path):
    """Files from before there were structured layers have none."""
    network = mlp.init([D, H], rng=0)
    checkpoint.save(tmp_path / "p.npz", network)
    with np.load(tmp_path / "p.npz") as content:
        np.savez(tmp_path / "old.npz", **{k: v for k, v in content.items() if k != "kronecker"})
    np.testing.assert_array_equal(checkpoint.load(tmp_path / "old.npz")[0].theta, network.theta)


@pytest.mark.parametrize(("part", "name"), [(0, "dA"), (1, "dS"), (2, "db")])
def test_parity_breaks_on_a_planted_bug(monkeypatch, part, name):
    def wrong(*arguments):
        gradients = list(kronecker_backward_parameters(*arguments))
        gradients[part] = gradients[part] * (1 + 1e-9)
        return gradients

    monkeypatch.setattr("scratchnn.layers.kronecker_backward_parameters", wrong)
    result = lockstep_of("mlp-kronecker", "float64", steps=1)
    assert not result.holds
    assert name in result.worst.gradient.quantity
