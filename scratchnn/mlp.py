"""The multilayer perceptron: one flat vector θ, layers as views into it, forward and backward.

With no hidden layer it is softmax regression [784, 10], linear regression [2, 1] or logistic
regression [784, 1]. What differs is the loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from scratchnn.layers import Dense, Kronecker, Layer, Sized, activation
from scratchnn.ops.shared import (
    Array,
    IntArray,
    check_array,
    check_dtype,
    check_float,
    check_rates,
    check_same_shape,
    check_whole,
    generator,
    upstream,
)

__all__ = ["Parameters", "backward", "count", "forward", "init", "layers", "predict"]


class Parameters:
    """A network: its layers, and all their parameters as one vector θ.

        θ = [W_1, b_1, W_2, b_2, ...], each W in rows

    So an optimizer is a few lines on θ, and a gradient is a `Parameters`, too.

        layers   the layers, in order
        theta    θ, of shape (count(layers),)
        views    for each layer its parameters, as a tuple of views into θ: (W, b), or ()

    Raises   ValueError for layers that do not fit each other, or a θ of another length
    """

    def __init__(self, layers: Sequence[Layer], theta: Array) -> None:
        self.sizes = _checked(layers)
        self.layers = tuple(layers)
        check_float(theta=theta)
        if theta.shape != (count(layers),):
            raise ValueError(f"theta must have shape ({count(layers)},), got {theta.shape}")
        self._theta = theta
        self.views: list[tuple[Array, ...]] = []
        start = 0
        for layer in layers:
            views = []
            for shape in layer.shapes.values():
                views.append(theta[start : start + prod(shape)].reshape(shape))
                start += prod(shape)
            self.views.append(tuple(views))

    @property
    def theta(self) -> Array:
        """The flat vector. Assigning to it copies the numbers: W and b remain views into it."""
        return self._theta

    @theta.setter
    def theta(self, values: Array) -> None:
        check_same_shape(theta=self._theta, values=values)
        self._theta[...] = values

    @classmethod
    def zeros(cls, layers: Sequence[Layer], dtype: DTypeLike = np.float32) -> Parameters:
        """Return parameters that are all zero."""
        _checked(layers)
        check_dtype(dtype)
        return cls(layers, np.zeros(count(layers), dtype))

    @classmethod
    def from_arrays(
        cls, pairs: Sequence[tuple[Array, Array]], activation: str = "relu"
    ) -> Parameters:
        """Copy explicit (W, b) pairs of dense layers into a new θ.

        Options  activation   between the layers, by name
        Raises   TypeError, ValueError when a shape does not fit the layer before
        """
        if not isinstance(pairs, (tuple, list)):
            raise TypeError(f"pairs must be a list of (W, b), got {type(pairs).__name__}")
        if not pairs:
            raise ValueError("pairs must hold (W, b) of at least one layer, got none")
        _activation(activation)
        for i, pair in enumerate(pairs, 1):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                got = type(pair).__name__
                raise TypeError(f"pairs must hold (W, b) of each layer, got {got} for layer {i}")
            W, b = pair
            check_float(**{f"W of layer {i}": W, f"b of layer {i}": b})
            if W.ndim != 2:
                raise ValueError(f"W of layer {i} must have shape (D, H), got {W.shape}")
        sizes = [pairs[0][0].shape[0]] + [W.shape[1] for W, _ in pairs]
        dtype = np.result_type(*(array for pair in pairs for array in pair))
        parameters = cls.zeros(layers(sizes, activation=activation), dtype)
        views = (pair for pair in parameters.views if pair)
        for i, (pair, given) in enumerate(zip(views, pairs, strict=True), 1):
            for name, view, array in zip(("W", "b"), pair, given, strict=True):
                if view.shape != array.shape:
                    raise ValueError(
                        f"{name} of layer {i} must have shape {view.shape}, got {array.shape}"
                    )
                view[...] = array
        return parameters

    def arrays(self) -> Iterator[tuple[int, str, Array]]:
        """Yield all parameters in the order of θ, each as (number of the layer, name, view)."""
        for i, (layer, views) in enumerate(zip(self.layers, self.views, strict=True)):
            for name, view in zip(layer.shapes, views, strict=True):
                yield i, name, view

    def like(self, theta: Array) -> Parameters:
        """Return parameters of the same layers over another flat vector, which is not copied."""
        return Parameters(self.layers, theta)

    def copy(self) -> Parameters:
        """Return parameters with a θ of their own."""
        return self.like(self.theta.copy())

    def astype(self, dtype: DTypeLike) -> Parameters:
        """Return a copy whose θ has another precision."""
        return self.like(self.theta.astype(dtype))

    def __reduce__(self) -> tuple[type[Parameters], tuple[tuple[Layer, ...], Array]]:
        return type(self), (self.layers, self._theta)  # a copy gets views into its own θ

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.sizes))
        kinds = {layer.op for layer in self.layers} - {"linear", "relu"}
        words = f", {', '.join(sorted(kinds))}" if kinds else ""
        return f"Parameters({sizes}{words}, {self.theta.size:,} {self.theta.dtype})"


def layers(
    sizes: Sequence[int], *, activation: str = "relu", kronecker: int | None = None
) -> tuple[Layer, ...]:
    """Return the layers of a multilayer perceptron: dense, activation, dense, ..., dense.

    Options  activation   the name of the function after each hidden layer
             kronecker    n: hidden layers whose weight is a sum of n Kronecker products;
                          default: dense ones
    Raises   ValueError for fewer than two sizes, sizes below 1, or an unknown activation
    """
    if not _is_list(sizes):
        raise TypeError(f"sizes must be a list of whole numbers, got {sizes!r}")
    check_whole(**{f"sizes[{i}]": size for i, size in enumerate(sizes)})
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes must be two or more positive numbers, got {list(sizes)}")
    if kronecker is not None:
        check_whole(1, kronecker=kronecker)
    *hidden, last = pairwise(map(int, sizes))
    found: list[Layer] = []
    for D, H in hidden:
        found += [Kronecker(D, H, kronecker) if kronecker else Dense(D, H), _activation(activation)]
    return *found, Dense(*last)


def count(layers: Sequence[Layer]) -> int:
    """Return the number of parameters.

    A dense layer has (D + 1) H, a Kronecker layer n³ + D H / n + H, an activation none.
    """
    return sum(prod(shape) for layer in layers for shape in layer.shapes.values())


def init(
    network: Sequence[int] | Sequence[Layer],
    *,
    activation: str = "relu",
    kronecker: int | None = None,
    std: float | None = None,
    rng: np.random.Generator | int | None = None,
    dtype: DTypeLike = np.float32,
) -> Parameters:
    """Draw the initial parameters of a network.

        std given:   W ~ N(0, std²)             b = 0
        otherwise:   W, b ~ U(-1/√D, 1/√D)      torch's default for nn.Linear

    They are drawn in float64 and rounded, so that both precisions start alike.

    Shapes   network: the sizes [D, H_1, ..., C], or the layers themselves → θ (count(layers),)
    Options  activation, kronecker   see `layers`; of a network given by sizes
             std     standard deviation of the weights
             rng     a generator or a seed; default: other numbers each time
             dtype   the precision of θ, and so of training
    Raises   TypeError, ValueError for sizes or layers that make no network, or a dtype that is
             not floating point
    """
    check_dtype(dtype)
    if std is not None:
        check_rates(std=std)
    if not _is_list(network):
        raise TypeError(f"network must be whole numbers, or layers, got {network!r}")
    rng = generator(rng)
    sizes = [part for part in network if isinstance(part, (int, np.integer))]
    given = [part for part in network if not isinstance(part, (int, np.integer))]
    for layer in given:
        if isinstance(layer, type):
            raise TypeError(f"network must be layers, got the class {layer.__name__}: add ()")
    if not all(hasattr(layer, "shapes") for layer in given) or (sizes and given):
        raise ValueError(
            f"network must be whole numbers, as [64, 30, 10], or layers, got {network!r}"
        )
    if given and (activation != "relu" or kronecker):
        raise ValueError("activation and kronecker are for sizes, and network is layers")
    made = given or layers(sizes, activation=activation, kronecker=kronecker)
    parameters = Parameters.zeros(made, dtype)
    for layer, views in zip(parameters.layers, parameters.views, strict=True):
        layer.init(views, std, rng)
    return parameters


def forward(parameters: Parameters, X: Array) -> list[Array]:
    """Return the input and every layer's output, down to the logits, as `backward` needs them.

        z_1 = X W_1 + b_1        a_1 = relu(z_1)        z_2 = a_1 W_2 + b_2        ...

    relu writes a_1 into the array that held z_1. So both places of the list then hold a_1, which
    is all that its backward needs.

    Shapes   X (N, D) → [X (N, D), z_1 (N, H_1), a_1 (N, H_1), ..., z (N, C)]
    Raises   TypeError, ValueError for anything but rows of D floating-point numbers
    """
    check_network(parameters)
    _check_inputs(X, parameters.sizes[0])
    outputs = [X]
    for layer, views in zip(parameters.layers, parameters.views, strict=True):
        outputs.append(layer.forward(outputs[-1], *views))
    return outputs


def backward(
    parameters: Parameters, outputs: list[Array], dz: Array, *, out: Parameters | None = None
) -> Parameters:
    """Backpropagation: the gradient of the loss with respect to θ, from that of the logits.

    From the last layer to the first, each one gets dy = ∂L/∂(its output). It computes
    the gradients of its own parameters, and dx = ∂L/∂(its input), which is dy for the
    layer before. For dense layers with relu that is

        dW = aᵀ dz        db = Σ_n dz        da = dz Wᵀ        dz = da where a > 0, else 0

    Shapes   outputs as from `forward`, dz (N, C), which may be overwritten → a gradient like θ
    Options  out   parameters that are overwritten by the gradient
    Raises   TypeError, ValueError for a dz that does not have the shape of the logits
    """
    check_network(parameters)
    _check_outputs(outputs, parameters)
    dz = as_gradient(dz, outputs[-1])
    grad = out or parameters.like(np.empty_like(parameters.theta))
    with np.errstate(invalid="ignore"):  # relu: 0 · inf is nan; torch has 0
        chain_rule(parameters, outputs, dz, out=grad)
    return grad


def chain_rule(parameters: Parameters, outputs: list[Array], dz: Array, *, out: Parameters) -> None:
    """Write the gradient into `out`: `backward` without its checks.

    Shapes   outputs as from `forward`, dz (N, C), which may be overwritten
    """
    dy = dz
    for i in reversed(range(len(parameters.layers))):
        layer, views = parameters.layers[i], parameters.views[i]
        layer.gradients(dy, outputs[i], *views, out=out.views[i])
        if i > 0:  # nobody asks for the gradient of the data
            dy = layer.backward(dy, outputs[i], outputs[i + 1], *views)


def as_gradient(dz: Array, z: Array) -> Array:
    """Return the gradient of the logits in their dtype; raise where it has another shape.

    Shapes   dz, z (N, C) → (N, C)
    Raises   TypeError, ValueError
    """
    if type(dz) is np.ndarray and dz.dtype == z.dtype and dz.shape == z.shape:
        return dz  # of each step of a training
    dz = upstream(z.dtype, dz=dz)
    check_same_shape(z=z, dz=dz)
    return dz


def predict(parameters: Parameters, X: Array) -> IntArray:
    """Return each row's class: the largest logit, or with a single logit whether z > 0.

        z > 0 exactly where σ(z) > 1/2

    Shapes   X (N, D) → (N,)
    Raises   as `forward`; ValueError where an output is NaN
    """
    z = forward(parameters, X)[-1]
    unordered = np.isnan(z).any(axis=1)
    if unordered.any():
        raise ValueError(f"X gives NaN, which has no order, in row {unordered.argmax()}")
    return z.argmax(axis=1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(np.intp)


_activation = activation  # `layers` and `init` have an argument of that name


def _is_list(value: object) -> bool:
    """Whether a value is a list, a tuple, or an array with an axis."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def check_network(parameters: object) -> None:
    """Raise for anything but a network.

    Raises   TypeError
    """
    if not isinstance(parameters, Parameters):
        raise TypeError(f"parameters must be a network from mlp.init, got {parameters!r}")


def _check_outputs(outputs: list[Array], parameters: Parameters) -> None:
    """Raise for anything but what `forward` returned."""
    if not isinstance(outputs, (list, tuple)) or len(outputs) != len(parameters.layers) + 1:
        raise ValueError("outputs must be the list that forward returned, with X at first")
    for i, output in enumerate(outputs):
        if type(output) is not np.ndarray:
            check_array(**{f"outputs[{i}]": output})
    first, *sizes = parameters.sizes
    features, after = [first], iter(sizes)
    for layer in parameters.layers:  # an activation keeps the number of features
        features.append(next(after) if layer.shapes else features[-1])
    got, expected = [z.shape for z in outputs], [(len(outputs[-1]), D) for D in features]
    if got != expected:
        raise ValueError(f"outputs must have the shapes {expected} that forward made, got {got}")


def _check_inputs(X: Array, D: int) -> None:
    if isinstance(X, np.ndarray) and X.dtype.kind in "iub":
        raise TypeError(
            f"X must be floating point, scaled as in the training, got {X.dtype}: of a data set, "
            "X, _ = data.batch(slice(None), np.float32)"
        )
    check_float(X=X)
    if X.ndim != 2 or X.shape[1] != D:
        advice = ": pass one example as X[None]" if X.shape == (D,) else ""
        raise ValueError(f"X must have shape (N, {D}), one example per row, got {X.shape}{advice}")


def _checked(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Return the sizes of a network; raise where layers do not fit each other."""
    if not _is_list(layers):
        raise TypeError(f"layers must be a list of layers, got {layers!r}")
    for layer in layers:
        if isinstance(layer, type) or not hasattr(layer, "shapes"):
            raise TypeError(f"layers must hold layers such as Dense(64, 10), got {layer!r}")
    if not layers or not layers[0].shapes:
        raise ValueError(f"layers must begin with one that has weights, got {list(layers)}")
    sized = [layer for layer in layers if isinstance(layer, Sized)]
    for before, after in pairwise(sized):
        if before.H != after.D:
            raise ValueError(f"{after} must take the {before.H} features of {before}")
    return sized[0].D, *(layer.H for layer in sized)
