"""A round trip through a real nn.Sequential, and through onnxruntime, gives the same logits.

Both sides may be off by their rounding: within the computed bound of the right logits each.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from parity.training.network import output_bounds
from scratchnn import interchange, mlp
from scratchnn.layers import Kronecker
from scratchnn.ops.shared import AnyArray, Array

SIZES, N = (6, 5, 8, 3), 40
MODULES = {
    "relu": torch.nn.ReLU,
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "softplus": torch.nn.Softplus,
}
DTYPES = ("float32", "float64")


def start(activation: str, dtype: str) -> mlp.Parameters:
    return mlp.init(SIZES, activation=activation, rng=1, dtype=dtype)


def inputs(network: mlp.Parameters) -> Array:
    X = np.random.default_rng(2).normal(size=(N, SIZES[0]))
    return X.astype(network.theta.dtype)


def sequential(activation: str, dtype: str) -> torch.nn.Sequential:
    """A torch network as its users write it, with other parameters than ours."""
    D, H, K, C = SIZES
    between = MODULES[activation]
    module = torch.nn.Sequential(
        torch.nn.Linear(D, H), between(), torch.nn.Linear(H, K), between(), torch.nn.Linear(K, C)
    )
    return module.to(getattr(torch, dtype))


def assert_logits(network: mlp.Parameters, X: Array, *found: AnyArray) -> None:
    """Assert that all logits are within the bound of the right ones, and that it says something."""
    outputs, errors = output_bounds(network, X)
    for z in (mlp.forward(network, X)[-1], *found):
        assert (abs(z - outputs[-1]) <= errors[-1]).all()
    assert (errors[-1] < 1e-3 * abs(outputs[-1])).mean() > 0.9


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", MODULES)
def test_torch_loads_what_was_exported(tmp_path, activation, dtype):
    load_file = pytest.importorskip("safetensors.torch").load_file
    network, path = start(activation, dtype), tmp_path / "model.safetensors"
    interchange.save_safetensors(path, network)
    module, X = sequential(activation, dtype), inputs(network)
    module.load_state_dict(load_file(path))
    assert_logits(network, X, module(torch.from_numpy(X)).detach().numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", MODULES)
def test_what_torch_saved_is_imported(tmp_path, activation, dtype):
    save_file = pytest.importorskip("safetensors.torch").save_file
    module, path = sequential(activation, dtype), tmp_path / "model.safetensors"
    save_file(module.state_dict(), path)
    network, description = interchange.load_safetensors(path, activation=activation)
    assert description == {}
    assert network.theta.dtype == dtype
    X = inputs(network)
    assert_logits(network, X, module(torch.from_numpy(X)).detach().numpy())


def test_a_state_dict_without_a_file_goes_both_ways():
    network = start("relu", "float32")
    module, X = sequential("relu", "float32"), inputs(network)
    arrays = interchange.to_state_dict(network)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    assert_logits(network, X, module(torch.from_numpy(X)).detach().numpy())
    back = interchange.from_state_dict({k: v.numpy() for k, v in module.state_dict().items()})
    np.testing.assert_array_equal(back.theta, network.theta)


@pytest.mark.parametrize(
    ("activation", "dtype"),
    [case for case in product(MODULES, DTYPES) if case != ("softplus", "float64")],
)  # onnxruntime has no Softplus of float64
def test_onnxruntime_evaluates_what_was_exported(tmp_path, activation, dtype):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    network, path = start(activation, dtype), tmp_path / "model.onnx"
    interchange.save_onnx(path, network)
    X = inputs(network)
    (z,) = runtime.InferenceSession(path).run(["logits"], {"input": X})
    assert_logits(network, X, z)


def test_kronecker_layers_leave_as_dense_ones(tmp_path):
    """The dense weight is rounded once more: a relative error of u of each of its entries."""
    network = mlp.init([Kronecker(6, 4, 2), *mlp.layers([4, 3])], rng=1, dtype="float64")
    dense = interchange.from_state_dict(interchange.to_state_dict(network))
    assert [type(layer).__name__ for layer in dense.layers] == ["Dense", "Dense"]
    X = np.random.default_rng(2).normal(size=(N, 6))
    assert_logits(dense, X, mlp.forward(network, X)[-1])
