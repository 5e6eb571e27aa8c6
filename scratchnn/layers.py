"""The layers that a network is made of. Each knows the shapes of its parameters.

A layer holds sizes and no numbers: its parameters are views into the network's flat vector θ
(mlp.py), which it is given with every call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from scratchnn.ops import kronecker
from scratchnn.ops.activations import (
    relu_gradient,
    sigmoid,
    sigmoid_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from scratchnn.ops.kronecker import kronecker_linear
from scratchnn.ops.linear import affine, bias_gradient, input_gradient, weight_gradient
from scratchnn.ops.shared import Array, check_whole

Shapes = dict[str, tuple[int, ...]]


class Layer(Protocol):
    """What a network asks of a layer.

    op       the name of its operation in scratchnn.functional
    shapes   the names and shapes of its parameters, in the order in which they lie in θ
    """

    op: ClassVar[str]

    @property
    def shapes(self) -> Shapes: ...

    def init(
        self, parameters: Sequence[Array], std: float | None, rng: np.random.Generator
    ) -> None:
        """Draw the parameters in place; see `mlp.init`."""

    def forward(self, x: Array, /, *parameters: Array) -> Array:
        """Return y. It may overwrite x, if no backward needs x any more: relu does."""

    def backward(self, dy: Array, x: Array, y: Array, /, *parameters: Array) -> Array:
        """Return dx. It may overwrite dy."""

    def gradients(self, dy: Array, x: Array, /, *parameters: Array, out: Sequence[Array]) -> None:
        """Write the gradients of the parameters into `out`."""


@runtime_checkable
class Sized(Protocol):
    """A layer with parameters also knows how many features go in, and how many come out."""

    D: int
    H: int


@dataclass(frozen=True)
class Dense:
    """Y = X W + b, from D to H features.

    `backward` and `gradients` are the two halves of functional.linear_backward: dX
    is not needed in the first layer, and dW and db go straight into their places.

    In θ, W (D, H) and b (H,) lie one after the other.

    Raises   ValueError for sizes below 1
    """

    D: int
    H: int
    op: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        _check_sizes(self)

    @property
    def shapes(self) -> Shapes:
        return {"W": (self.D, self.H), "b": (self.H,)}

    def init(
        self, parameters: Sequence[Array], std: float | None, rng: np.random.Generator
    ) -> None:
        W, b = parameters
        if std is not None:
            W[...] = rng.normal(0, std, W.shape)
            b[...] = 0
            return
        bound = 1 / np.sqrt(self.D)
        for part in (W, b):
            part[...] = rng.uniform(-bound, bound, part.shape)

    def forward(self, X: Array, *parameters: Array) -> Array:
        W, b = parameters
        return affine(X, W, b)

    def backward(self, dY: Array, X: Array, Y: Array, *parameters: Array) -> Array:
        W, _ = parameters
        return input_gradient(dY, W)

    def gradients(self, dY: Array, X: Array, *parameters: Array, out: Sequence[Array]) -> None:
        dW, db = out
        weight_gradient(dY, X, out=dW)
        bias_gradient(dY, out=db)


@dataclass(frozen=True)
class Kronecker:
    """Y = X (Σ_i A_i ⊗ S_i) + b, from D to H features, with 1/n of a dense layer's weights.

    Raises   ValueError for sizes below 1, or unless n divides D and H
    """

    D: int
    H: int
    n: int
    op: ClassVar[str] = "kronecker_linear"

    def __post_init__(self) -> None:
        _check_sizes(self)
        D, H, n = self.D, self.H, self.n
        if D % n or H % n:
            raise ValueError(
                f"n must divide D = {D} and H = {H}, the sizes of the layer, got n = {n}"
            )

    @property
    def shapes(self) -> Shapes:
        n = self.n
        return {"A": (n, n, n), "S": (n, self.D // n, self.H // n), "b": (self.H,)}

    def init(
        self, parameters: Sequence[Array], std: float | None, rng: np.random.Generator
    ) -> None:
        """Draw A ~ N(0, 1/n), and S and b as a dense layer's W and b.

        Then the weight Σ_i A_i ⊗ S_i has the variance of a dense layer's.
        """
        A, S, b = parameters
        A[...] = rng.normal(0, 1 / np.sqrt(self.n), A.shape)
        if std is not None:
            S[...] = rng.normal(0, std, S.shape)
            b[...] = 0
            return
        bound = 1 / np.sqrt(self.D)
        for part in (S, b):
            part[...] = rng.uniform(-bound, bound, part.shape)

    def forward(self, X: Array, *parameters: Array) -> Array:
        A, S, b = parameters
        return kronecker_linear(X, A, S, b)

    def backward(self, dY: Array, X: Array, Y: Array, *parameters: Array) -> Array:
        A, S, _ = parameters
        return kronecker.input_gradient(dY, A, S)

    def gradients(self, dY: Array, X: Array, *parameters: Array, out: Sequence[Array]) -> None:
        A, S, _ = parameters
        dA, dS, db = out
        dA[...], dS[...] = kronecker.factor_gradients(dY, X, A, S)
        bias_gradient(dY, out=db)


class Activation:
    """A function of each entry: a layer without parameters."""

    @property
    def shapes(self) -> Shapes:
        return {}

    def init(
        self, parameters: Sequence[Array], std: float | None, rng: np.random.Generator
    ) -> None:
        """Draw nothing."""

    def gradients(self, dy: Array, x: Array, *parameters: Array, out: Sequence[Array]) -> None:
        """Write nothing."""


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(z, 0).

    It overwrites z. The layer before it may need its own output, z, for its
    backward: where z and y differ, the gradient dz that it gets is 0.
    """

    op: ClassVar[str] = "relu"

    def forward(self, z: Array, *parameters: Array) -> Array:
        return np.maximum(z, 0, out=z)

    def backward(self, dy: Array, z: Array, y: Array, *parameters: Array) -> Array:
        return relu_gradient(dy, y, out=dy)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-z))."""

    op: ClassVar[str] = "sigmoid"

    def forward(self, z: Array, *parameters: Array) -> Array:
        return sigmoid(z)

    def backward(self, dy: Array, z: Array, y: Array, *parameters: Array) -> Array:
        return sigmoid_backward(dy, z)


@dataclass(frozen=True)
class Tanh(Activation):
    """y = tanh(z). Its backward takes y alone."""

    op: ClassVar[str] = "tanh"

    def forward(self, z: Array, *parameters: Array) -> Array:
        return tanh(z)

    def backward(self, dy: Array, z: Array, y: Array, *parameters: Array) -> Array:
        return tanh_backward(dy, None, y=y, out=dy)


@dataclass(frozen=True)
class Softplus(Activation):
    """y = log(1 + exp(β z)) / β, a relu without the kink; z itself where β z > threshold."""

    beta: float = 1.0
    threshold: float = 20.0
    op: ClassVar[str] = "softplus"

    def forward(self, z: Array, *parameters: Array) -> Array:
        return softplus(z, beta=self.beta, threshold=self.threshold)

    def backward(self, dy: Array, z: Array, y: Array, *parameters: Array) -> Array:
        return softplus_backward(dy, z, beta=self.beta, threshold=self.threshold)


ACTIVATIONS: dict[str, Callable[..., Layer]] = {
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softplus": Softplus,
}
LAYERS: dict[str, Callable[..., Layer]] = {"dense": Dense, "kronecker": Kronecker, **ACTIVATIONS}


def activation(name: str) -> Layer:
    """Return the activation of this name, with its default options.

    Raises   ValueError that lists the names
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]()


def describe(layer: Layer) -> dict[str, str | int | float]:
    """Return a layer's name and sizes, ready for JSON: {"layer": "dense", "D": 64, "H": 30}.

    Raises   ValueError for a layer that is not in LAYERS
    """
    for name, kind in LAYERS.items():
        if type(layer) is kind:
            return {"layer": name, **vars(layer)}
    raise ValueError(f"layer must be of a kind in scratchnn.layers.LAYERS, got {layer}")


def from_description(description: dict[str, str | int | float]) -> Layer:
    """Return the layer that `describe` described.

    Raises   ValueError for an unknown layer, or sizes that it does not have
    """
    sizes = dict(description)
    name = sizes.pop("layer", None)
    if name not in LAYERS:
        raise ValueError(f"layer must be one of {', '.join(LAYERS)}, got {name!r}")
    try:
        return LAYERS[str(name)](**sizes)
    except TypeError as error:
        raise ValueError(f"a {name} layer has other sizes than {sizes}: {error}") from error


def _check_sizes(layer: Dense | Kronecker) -> None:
    """Make the sizes Python's integers, which JSON can hold; raise for sizes below 1."""
    for name, size in vars(layer).items():
        check_whole(**{name: size})
        object.__setattr__(layer, name, int(size))  # the layer is frozen
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {layer}")
