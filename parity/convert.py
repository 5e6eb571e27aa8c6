"""θ <-> torch modules. torch keeps weights as (H, D): only this file transposes."""

import numpy as np
import torch
from torch import Tensor, nn

from scratchnn.arrays import Array
from scratchnn.mlp import Parameters


def to_module(parameters: Parameters) -> nn.Sequential:
    """Build the torch network with these parameters: Linear, ReLU, ..., Linear."""
    dtype = torch.from_numpy(parameters.theta[:0]).dtype
    layers: list[nn.Module] = []
    for W, b in parameters.layers:
        linear = nn.Linear(*W.shape, dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T.copy()))
            linear.bias.copy_(torch.from_numpy(b.copy()))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def to_parameters(tensors: list[Tensor], like: Parameters) -> Parameters:
    """Gather tensors in the order of module.parameters(), whatever they mean, in θ's form.

    The weights, their gradients and their momentum all pass here.
    """
    result = Parameters.zeros(like.sizes, like.theta.dtype)
    for (W, b), weight, bias in zip(result.layers, tensors[::2], tensors[1::2], strict=True):
        W[...] = to_array(weight).T
        b[...] = to_array(bias)
    return result


def to_array(tensor: Tensor) -> Array:
    """Return a NumPy copy of a tensor, from whatever device."""
    return np.array(tensor.detach().cpu().numpy())


def to_tensor(array: Array, device: torch.device | str = "cpu") -> Tensor:
    """Return a tensor with a copy of the array."""
    return torch.tensor(array, device=device)
