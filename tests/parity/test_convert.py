"""θ to torch modules and back."""

import numpy as np
import pytest
import torch

from parity import bounds
from parity.convert import to_array, to_module, to_parameters
from scratchnn import mlp
from scratchnn.layers import ACTIVATIONS, Dense, Softplus
from tests.helpers import C, D, H, N, assert_within

NETWORKS = {
    **{f"dense, {name}": {"activation": name} for name in ACTIVATIONS},
    "structured": {"activation": "relu", "kronecker": 2},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("network", NETWORKS)
def test_to_module_and_back_is_exact(network, dtype):
    parameters = mlp.init([6, 8, C], rng=0, dtype=dtype, **NETWORKS[network])
    module = to_module(parameters)
    back = to_parameters(list(module.parameters()), parameters)
    np.testing.assert_array_equal(back.theta, parameters.theta)
    assert back.theta.dtype == dtype


def test_module_is_made_of_torchs_layers():
    module = to_module(mlp.init([D, H, C], rng=0))
    assert [type(layer).__name__ for layer in module] == ["Linear", "ReLU", "Linear"]
    assert module[0].weight.shape == (H, D)


@pytest.mark.parametrize("network", NETWORKS)
def test_module_computes_the_same_outputs_and_gradients(network):
    """As far as 1e-12 shows: a transposed weight or a wrong order would not."""
    rng = np.random.default_rng(0)
    parameters = mlp.init([6, 8, C], rng=0, dtype=np.float64, **NETWORKS[network])
    X, dz = rng.normal(size=(N, 6)), rng.normal(size=(N, C))
    module = to_module(parameters)
    z = module(torch.tensor(X))
    z.backward(torch.tensor(dz))
    outputs = mlp.forward(parameters, X)
    np.testing.assert_allclose(to_array(z), outputs[-1], rtol=1e-12)
    grad = to_parameters([tensor.grad for tensor in module.parameters()], parameters)
    ours = mlp.backward(parameters, outputs, dz.copy())
    np.testing.assert_allclose(grad.theta, ours.theta, rtol=1e-12, atol=1e-12)


def test_module_has_the_options_of_an_activation():
    layers = [Dense(6, 8), Softplus(beta=2.0, threshold=0.5), Dense(8, C)]
    parameters = mlp.init(layers, rng=0, dtype=np.float64)
    X = np.random.default_rng(0).normal(size=(N, 6))
    z = to_array(to_module(parameters)(torch.tensor(X)))
    np.testing.assert_allclose(z, mlp.forward(parameters, X)[-1], rtol=1e-12)
    default = mlp.Parameters(mlp.layers([6, 8, C], activation="softplus"), parameters.theta)
    assert abs(z - mlp.forward(default, X)[-1]).max() > 0.01


def test_single_layer_is_within_its_bound():
    parameters = mlp.init([D, C], rng=0, dtype=np.float64)
    X = np.random.default_rng(0).normal(size=(N, D))
    z = to_array(to_module(parameters)(torch.tensor(X)))
    ((W, b),) = parameters.views
    assert_within(mlp.forward(parameters, X)[-1], z, bounds.linear(X, W, b, u=2.0**-53))


def test_to_module_shares_no_memory():
    parameters = mlp.init([D, C], rng=0)
    module = to_module(parameters)
    before = parameters.theta.copy()
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.zero_()
    np.testing.assert_array_equal(parameters.theta, before)
