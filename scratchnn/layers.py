"""The two kinds of layer: dense, and structured. Each is its arrays, views into θ, with methods."""

from __future__ import annotations  # numpy.random need not be imported for a type

from math import prod
from typing import Any, NamedTuple

import numpy as np

from scratchnn.arrays import Array
from scratchnn.kronecker import (
    check_divides,
    kronecker_backward_input,
    kronecker_backward_parameters,
    kronecker_linear,
)
from scratchnn.linear import linear, linear_backward_input, linear_backward_parameters


class Kronecker(int):
    """The size of a layer whose weight is a sum of n Kronecker products: [64, Kronecker(512, n=4)].

    It is a whole number in all else.
    """

    n: int

    def __new__(cls, size: int, n: int) -> Kronecker:
        """Return this size with its n."""
        self = super().__new__(cls, size)
        self.n = n
        return self

    def __reduce__(self) -> tuple[type[Kronecker], tuple[int, int]]:
        return type(self), (int(self), self.n)

    def __repr__(self) -> str:
        return f"Kronecker({int(self)}, n={self.n})"


class Layer(NamedTuple):
    """A dense layer: weight W (D, H) and bias b (H,)."""

    W: Array
    b: Array

    def forward(self, X: Array) -> Array:
        """Y = X W + b."""
        return linear(X, self.W, self.b)

    def backward_input(self, dY: Array) -> Array:
        """Return dX."""
        return linear_backward_input(dY, self.W)

    def backward_parameters(self, dY: Array, X: Array, grad: Any) -> None:
        """Write dW and db into `grad`."""
        linear_backward_parameters(dY, X, out=grad)

    def draw(self, std: float | None, rng: np.random.Generator) -> None:
        """Draw W and b as `mlp.init` says."""
        if std is not None:
            self.W[...] = rng.normal(0, std, self.W.shape)
            return
        bound = 1 / np.sqrt(self.W.shape[0])
        for part in self:
            part[...] = rng.uniform(-bound, bound, part.shape)


class KroneckerLayer(NamedTuple):
    """A structured layer: A (n, n, n), S (n, D/n, H/n) and bias b (H,)."""

    A: Array
    S: Array
    b: Array

    def forward(self, X: Array) -> Array:
        """Y = X (Σ_i A_i ⊗ S_i) + b."""
        return kronecker_linear(X, *self)

    def backward_input(self, dY: Array) -> Array:
        """Return dX."""
        return kronecker_backward_input(dY, self.A, self.S)

    def backward_parameters(self, dY: Array, X: Array, grad: Any) -> None:
        """Write dA, dS and db into `grad`."""
        gradients = kronecker_backward_parameters(dY, X, self.A, self.S)
        for view, gradient in zip(grad, gradients, strict=True):
            view[...] = gradient

    def draw(self, std: float | None, rng: np.random.Generator) -> None:
        """Draw A ~ N(0, 1/n), and S and b as a dense layer's: W then has a dense one's variance."""
        n, p, _ = self.S.shape
        self.A[...] = rng.normal(0, 1 / np.sqrt(n), self.A.shape)
        if std is not None:
            self.S[...] = rng.normal(0, std, self.S.shape)
            return
        bound = 1 / np.sqrt(n * p)
        for part in (self.S, self.b):
            part[...] = rng.uniform(-bound, bound, part.shape)


def shapes(D: int, H: int) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays of a layer from D to H features.

    Raises   ValueError unless the n of a `Kronecker` size divides both
    """
    n = H.n if isinstance(H, Kronecker) else None
    D, H = int(D), int(H)
    if n is None:
        return [(D, H), (H,)]
    check_divides(D, H, n)
    return [(n, n, n), (n, D // n, H // n), (H,)]


def layer_of(D: int, H: int, theta: Array) -> Layer | KroneckerLayer:
    """Return the layer from D to H features whose arrays are views into theta, in their order."""
    views, start = [], 0
    for shape in shapes(D, H):
        views.append(theta[start : start + prod(shape)].reshape(shape))
        start += prod(shape)
    return KroneckerLayer(*views) if isinstance(H, Kronecker) else Layer(*views)


def count(D: int, H: int) -> int:
    """Return the number of parameters of a layer from D to H features."""
    return sum(prod(shape) for shape in shapes(D, H))
