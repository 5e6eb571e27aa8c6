"""The multilayer perceptron: one flat vector θ, layers as views into it, forward and backward.

With no hidden layer it is softmax regression [784, 10], linear regression [2, 1] or logistic
regression [784, 1]: what differs is the loss.
"""

from __future__ import annotations  # numpy.random need not be imported for a type

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratchnn.activations import relu, relu_backward
from scratchnn.arrays import Array, IntArray, check_same_shape
from scratchnn.layers import Kronecker, Layer, layer_of
from scratchnn.layers import count as layer_count

__all__ = [
    "Kronecker",
    "Layer",
    "Parameters",
    "backward",
    "count",
    "forward",
    "init",
    "predict",
]


class Parameters:
    """The weights of a network as one flat vector θ; each layer's W and b are views into it.

        θ = [W_1, b_1, W_2, b_2, ...], each W in rows

    A size `Kronecker(H, n)` makes the layer that leads to it structured: A, S and b in place of
    W and b. So SGD is one line on θ, and a gradient is a `Parameters`, too.

    Raises   ValueError for fewer than two sizes, or a θ of another length
    """

    def __init__(self, sizes: Sequence[int], theta: Array) -> None:
        self.sizes = _checked(sizes)
        if theta.shape != (count(sizes),):
            raise ValueError(f"theta must have shape ({count(sizes)},), got {theta.shape}")
        self._theta = theta
        self.layers: list[Any] = []  # Layer or KroneckerLayer
        start = 0
        for D, H in pairwise(self.sizes):
            end = start + layer_count(D, H)
            self.layers.append(layer_of(D, H, theta[start:end]))
            start = end

    @property
    def theta(self) -> Array:
        """The flat vector. Assigning to it copies the numbers: the layers remain its views."""
        return self._theta

    @theta.setter
    def theta(self, values: Array) -> None:
        check_same_shape(theta=self._theta, values=values)
        self._theta[...] = values

    @classmethod
    def zeros(cls, sizes: Sequence[int], dtype: DTypeLike = np.float32) -> Parameters:
        """Return parameters that are all zero."""
        return cls(sizes, np.zeros(count(sizes), dtype))

    @classmethod
    def from_arrays(cls, layers: Sequence[tuple[Array, Array]]) -> Parameters:
        """Copy explicit (W, b) pairs into a new θ.

        Raises   ValueError when a shape does not fit the layer before
        """
        sizes = [layers[0][0].shape[0]] + [W.shape[1] for W, _ in layers]
        parameters = cls.zeros(sizes, np.result_type(*(array for pair in layers for array in pair)))
        for i, (layer, pair) in enumerate(zip(parameters.layers, layers, strict=True), 1):
            for name, view, array in zip(("W", "b"), layer, pair, strict=True):
                if view.shape != array.shape:
                    raise ValueError(
                        f"{name} of layer {i} must have shape {view.shape}, got {array.shape}"
                    )
                view[...] = array
        return parameters

    def copy(self) -> Parameters:
        """Return parameters with a θ of their own."""
        return Parameters(self.sizes, self.theta.copy())

    def astype(self, dtype: DTypeLike) -> Parameters:
        """Return a copy whose θ has another precision."""
        return Parameters(self.sizes, self.theta.astype(dtype))

    def __reduce__(self) -> tuple[type[Parameters], tuple[tuple[int, ...], Array]]:
        return type(self), (self.sizes, self._theta)  # so that the layers of a copy are its views

    def __repr__(self) -> str:
        return (
            f"Parameters({'-'.join(map(str, self.sizes))}, {self.theta.size:,} {self.theta.dtype})"
        )


def count(sizes: Sequence[int]) -> int:
    """Return the number of parameters: Σ (D + 1) H over dense layers, n³ + D H / n + H over others.

    Raises   ValueError for a `Kronecker` size whose n does not divide it and the size before
    """
    return sum(layer_count(D, H) for D, H in pairwise(_checked(sizes)))


def init(
    sizes: Sequence[int],
    *,
    std: float | None = None,
    rng: np.random.Generator | int | None = None,
    dtype: DTypeLike = np.float32,
) -> Parameters:
    """Draw initial parameters.

        std given:   W ~ N(0, std²)             b = 0
        otherwise:   W, b ~ U(-1/√D, 1/√D)      torch's default for nn.Linear

    They are drawn in float64 and rounded, so that both precisions start alike.

    Shapes   sizes [D, H_1, ..., C] → θ (count(sizes),)
    """
    rng = np.random.default_rng(rng)
    parameters = Parameters.zeros(sizes, dtype)
    for layer in parameters.layers:
        layer.draw(std, rng)
    return parameters


def forward(parameters: Parameters, X: Array) -> list[Array]:
    """Return every layer's output, from the input to the logits, as `backward` needs them.

        a_0 = X        a_l = relu(a_(l-1) W_l + b_l)        z = a_(L-1) W_L + b_L

    Shapes   X (N, D) → [X (N, D), a_1 (N, H_1), ..., z (N, C)]
    """
    *hidden, last = parameters.layers
    activations = [X]
    for layer in hidden:
        z = layer.forward(activations[-1])
        activations.append(relu(z, out=z))
    activations.append(last.forward(activations[-1]))
    return activations


def backward(
    parameters: Parameters, activations: list[Array], dz: Array, *, out: Parameters | None = None
) -> Parameters:
    """Backpropagation: the gradient of the loss with respect to θ, from that of the logits.

        dW_l = a_(l-1)ᵀ dz_l        db_l = Σ_n dz_l        dz_(l-1) = dz_l W_lᵀ ∘ [a_(l-1) > 0]

    Shapes   activations as from `forward`, dz (N, C) → a gradient of θ's form; `out` is overwritten
    """
    grad = out or Parameters(parameters.sizes, np.empty_like(parameters.theta))
    for i, layer in reversed(list(enumerate(parameters.layers))):
        layer.backward_parameters(dz, activations[i], grad.layers[i])
        if i > 0:  # nobody asks for the gradient of the data
            da = layer.backward_input(dz)
            dz = relu_backward(da, activations[i], out=da)
    return grad


def predict(parameters: Parameters, X: Array) -> IntArray:
    """Return each row's class: the largest logit, or with a single logit whether z > 0.

        z > 0 exactly where σ(z) > 1/2

    Shapes   X (N, D) → (N,)
    """
    z = forward(parameters, X)[-1]
    return z.argmax(axis=1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(np.intp)


def _checked(sizes: Sequence[int]) -> tuple[int, ...]:
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes must be two or more positive numbers, got {list(sizes)}")
    return tuple(s if isinstance(s, Kronecker) else operator.index(s) for s in sizes)
