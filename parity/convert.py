"""θ <-> torch modules. torch keeps weights as (H, D): conventions.weight."""

import numpy as np
import torch
from torch import Tensor, nn

from parity import conventions
from parity.conventions import weight
from scratchnn.arrays import Array
from scratchnn.layers import KroneckerLayer
from scratchnn.mlp import Parameters


def to_module(parameters: Parameters) -> nn.Sequential:
    """Build the torch network with these parameters: Linear, ReLU, ..., Linear."""
    dtype = torch.from_numpy(parameters.theta[:0]).dtype
    layers: list[nn.Module] = []
    for layer in parameters.layers:
        linear: nn.Module = (
            KroneckerLinear(layer)
            if isinstance(layer, KroneckerLayer)
            else nn.Linear(layer.W.shape[0], layer.W.shape[1], dtype=dtype)
        )
        with torch.no_grad():
            for tensor, name, array in zip(linear.parameters(), layer._fields, layer, strict=True):
                tensor.copy_(to_tensor(weight(array) if name == "W" else array))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class KroneckerLinear(nn.Module):
    """X (Σ_i A_i ⊗ S_i) + b."""

    def __init__(self, layer: KroneckerLayer) -> None:
        super().__init__()
        self.A, self.S, self.b = (nn.Parameter(to_tensor(array)) for array in layer)

    def forward(self, X: Tensor) -> Tensor:
        """Return Y."""
        return conventions.kronecker_linear(X, self.A, self.S, self.b)


def to_parameters(tensors: list[Tensor], like: Parameters) -> Parameters:
    """Gather tensors in the order of module.parameters(), whatever they mean, in θ's form.

    The weights, their gradients and their momentum all pass here.
    """
    result = Parameters.zeros(like.sizes, like.theta.dtype)
    arrays = [pair for layer in result.layers for pair in zip(layer._fields, layer, strict=True)]
    for (name, view), tensor in zip(arrays, tensors, strict=True):
        view[...] = to_array(weight(tensor) if name == "W" else tensor)
    return result


def to_array(tensor: Tensor) -> Array:
    """Return a NumPy copy of a tensor, from whatever device."""
    return np.array(tensor.detach().cpu().numpy())


def to_tensor(array: Array, device: torch.device | str = "cpu") -> Tensor:
    """Return a tensor with a copy of the array."""
    return torch.tensor(array, device=device)
