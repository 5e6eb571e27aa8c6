"""θ <-> torch modules: the only place that transposes, as torch keeps weights as (H, D)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from parity import theirs
from parity.cases import Case
from scratchnn.layers import Layer
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray


class Operation(nn.Module):
    """A layer that computes torch's function of its operation: any but linear and relu."""

    def __init__(self, layer: Layer, arrays: Sequence[AnyArray]) -> None:
        super().__init__()
        self.function = theirs.operation(layer.op)
        self.options = {} if layer.shapes else vars(layer)  # those of a layer are its sizes
        self.arrays = nn.ParameterList(map(to_tensor, arrays))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.arrays, **self.options)


def to_module(parameters: Parameters) -> nn.Sequential:
    """Build the torch network with these parameters: Linear, ReLU, ..., Linear.

    Options  parameters   of our network; their values are copied
    """
    layers = zip(parameters.layers, parameters.views, strict=True)
    return nn.Sequential(*(_module(layer, arrays) for layer, arrays in layers))


def _module(layer: Layer, arrays: Sequence[AnyArray]) -> nn.Module:
    if layer.op == "relu":
        return nn.ReLU()  # an Operation takes 2 µs more, and the benchmarks time this module
    if layer.op != "linear":
        return Operation(layer, arrays)
    W, b = map(to_tensor, arrays)
    linear = nn.Linear(len(W), len(b), dtype=W.dtype)
    with torch.no_grad():
        linear.weight.copy_(theirs.weight(W))
        linear.bias.copy_(b)
    return linear


def to_parameters(tensors: Sequence[Tensor], like: Parameters) -> Parameters:
    """Copy torch's parameters, or their gradients, into the form of ours.

    Options  tensors   in the order of module.parameters()
             like      parameters of the same layers and dtype
    """
    result = Parameters.zeros(like.layers, like.theta.dtype)
    for (_, name, view), tensor in zip(result.arrays(), tensors, strict=True):
        view[...] = to_array(theirs.weight(tensor) if name == "W" else tensor)
    return result


def to_array(tensor: Tensor) -> AnyArray:
    return np.array(tensor.detach().cpu().numpy())


def to_tensor(array: AnyArray, device: torch.device | str = "cpu") -> Tensor:
    return torch.tensor(array, device=device)


def to_tensors(values: Case, device: torch.device | str = "cpu") -> Case:
    """Return a case with tensors in place of its arrays."""
    return {
        name: to_tensor(value, device) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }
