"""θ to torch modules and back."""

import numpy as np
import pytest
import torch

from parity import bounds
from parity.convert import to_module, to_parameters
from scratchnn import mlp
from tests.helpers import C, D, H, N, assert_within


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_to_module_and_back_is_exact(dtype):
    parameters = mlp.init([D, H, C], rng=0, dtype=dtype)
    module = to_module(parameters)
    assert [type(layer).__name__ for layer in module] == ["Linear", "ReLU", "Linear"]
    assert module[0].weight.shape == (H, D)
    back = to_parameters(list(module.parameters()), parameters)
    np.testing.assert_array_equal(back.theta, parameters.theta)
    assert back.theta.dtype == dtype


def test_to_module_computes_the_same_function():
    parameters = mlp.init([D, C], rng=0, dtype=np.float64)
    X = np.random.default_rng(0).normal(size=(N, D))
    z = to_module(parameters)(torch.tensor(X)).detach().numpy()
    W, b = parameters.layers[0]
    assert_within(mlp.forward(parameters, X)[-1], z, bounds.linear(X, W, b, 2.0**-53))


def test_to_module_shares_no_memory():
    parameters = mlp.init([D, C], rng=0)
    module = to_module(parameters)
    before = parameters.theta.copy()
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.zero_()
    np.testing.assert_array_equal(parameters.theta, before)
