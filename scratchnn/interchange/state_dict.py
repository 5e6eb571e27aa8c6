"""The parameters of a network under torch's names and in torch's shapes, and back.

    {"0.weight": (H, D), "0.bias": (H,), "2.weight": ..., ...}

The numbers are the places in `nn.Sequential(nn.Linear(D, H), nn.ReLU(), nn.Linear(H, C))`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from scratchnn.data import DataError
from scratchnn.layers import Dense, Kronecker, Layer, activation
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray

NAME = re.compile(r"(?P<prefix>.*?)(?P<place>\d+)\.(?P<kind>weight|bias)")


def as_dense(network: Parameters) -> Parameters:
    """Return the network with a dense layer in the place of each Kronecker layer.

        W = Σ_i A_i ⊗ S_i        summed in float64 and rounded once

    torch and ONNX know no Kronecker layer. A network without any is returned as it is.
    """
    if not any(isinstance(layer, Kronecker) for layer in network.layers):
        return network
    layers: list[Layer] = [
        Dense(layer.D, layer.H) if isinstance(layer, Kronecker) else layer
        for layer in network.layers
    ]
    dense = Parameters.zeros(layers, network.theta.dtype)
    for views, given in zip(dense.views, network.views, strict=True):
        if len(given) == 3:
            A, S, b = given
            products = zip(A.astype(np.float64), S.astype(np.float64), strict=True)
            views[0][...] = sum(np.kron(a, s) for a, s in products)
            views[1][...] = b
        else:
            for view, array in zip(views, given, strict=True):
                view[...] = array
    return dense


def to_state_dict(network: Parameters) -> dict[str, AnyArray]:
    """Return the parameters as torch names and shapes them; each array is a contiguous copy.

        module.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})

    Kronecker layers become dense ones: see `as_dense`.

    Shapes   → weight (H, D), bias (H,) of each dense layer
    """
    found: dict[str, AnyArray] = {}
    for place, name, array in as_dense(network).arrays():
        if name == "W":
            found[f"{place}.weight"] = np.array(array.T, order="C")
        else:
            found[f"{place}.bias"] = np.array(array, order="C")
    return found


def from_state_dict(arrays: Mapping[str, AnyArray], *, activation: str = "relu") -> Parameters:
    """Return the network that has these parameters, named as in a torch `nn.Sequential`.

    Where a number is left out between two layers, an activation stands there. All names may begin
    with the same words, as "net.0.weight". A layer without a bias gets one of 0.

    Shapes   weight (H, D), bias (H,)
    Options  arrays       the parameters by name
             activation   the function between the layers, by name: the file does not say which
    Raises   DataError for other names, shapes or dtypes; ValueError for an unknown activation
    """
    between = activation_named(activation)
    weights, biases = _sorted(arrays)
    layers: list[Layer] = []
    pairs = []
    previous = None
    for place in sorted(weights):
        W, b = weights[place], biases.pop(place, None)
        H, D = W.shape if W.ndim == 2 else (0, 0)
        if W.ndim != 2 or W.dtype.kind != "f":
            raise DataError(f"{place}.weight must be real numbers (H, D), got {W.dtype} {W.shape}")
        if b is not None and (b.shape != (H,) or b.dtype.kind != "f"):
            raise DataError(f"{place}.bias must be real numbers ({H},), got {b.dtype} {b.shape}")
        if previous is not None and place - previous > 1:
            layers.append(between)
        layers.append(Dense(D, H))
        pairs.append((W, np.zeros(H, W.dtype) if b is None else b))
        previous = place
    if biases:
        raise DataError(f"{min(biases)}.bias has no {min(biases)}.weight")
    dtype = np.float64 if all(W.dtype == np.float64 for W, _ in pairs) else np.float32
    try:
        network = Parameters.zeros(layers, dtype)
    except ValueError as error:  # sizes that do not fit each other
        raise DataError(f"the layers do not fit each other: {error}") from error
    for (W_view, b_view), (W, b) in zip(filter(None, network.views), pairs, strict=True):
        W_view[...], b_view[...] = W.T, b
    return network


activation_named = activation  # `from_state_dict` has an argument of that name


def _sorted(
    arrays: Mapping[str, AnyArray],
) -> tuple[dict[int, AnyArray], dict[int, AnyArray]]:
    """Return the weights and the biases by their places."""
    weights: dict[int, AnyArray] = {}
    biases: dict[int, AnyArray] = {}
    prefixes = set()
    for name, array in arrays.items():
        match = NAME.fullmatch(name)
        if match is None:
            raise DataError(
                f"parameters must be named as those of nn.Sequential, 0.weight and 0.bias, "
                f"got {name!r}"
            )
        prefixes.add(match["prefix"])
        (weights if match["kind"] == "weight" else biases)[int(match["place"])] = array
    if len(prefixes) > 1:
        raise DataError(
            f"all parameters must be of one nn.Sequential, got {', '.join(sorted(arrays))}"
        )
    if not weights:
        raise DataError("there must be a weight, 0.weight for instance, and there is none")
    return weights, biases
