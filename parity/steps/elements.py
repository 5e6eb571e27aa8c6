"""The numbers that one element of a training step's results is made of, and the formula.

An element of a product is that of a row and a column, so the right answer for one element costs
little: parity/lockstep/culprit.py asks for it where something left its bound.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from parity import bounds
from parity.steps import formulas
from scratchnn.arrays import Array
from scratchnn.layers import KroneckerLayer, Layer

Index = tuple[int, ...]


class Element(NamedTuple):
    """What one number is made of: a formula, its arguments, and the right answer of it.

    Where `exact` is None, the right answer is the formula, in arithmetic with digits to spare.
    `y` is the output of the ReLU whose backward comes after it, if one does.
    """

    formula: Callable[..., Any]
    inputs: dict[str, Any]
    exact: Callable[..., Any] | None = None
    y: Any = None


class LayerRules(NamedTuple):
    """What is known of one kind of layer: bounds, which take its arrays, and elements."""

    forward: Callable[..., Array]
    backward_input: Callable[..., Array]
    backward_parameters: Callable[..., tuple[Array, ...]]
    output: Callable[..., Element]  # of the layer, its input and an index
    d_input: Callable[..., Element]  # of the layer, dz and an index
    d_parameter: Callable[..., Element]  # of the layer, the parameter's name, dz, input, index
    squared: Callable[[Any], Any]  # a layer whose weight is at least the square of this one's


def _dense_output(layer: Layer, a: Array, index: Index) -> Element:
    n, h = index
    return Element(formulas.dense, {"x": a[n], "w": layer.W[:, h], "b": layer.b[h]})


def _dense_d_input(layer: Layer, dz: Array, index: Index) -> Element:
    n, d = index
    return Element(formulas.product, {"x": dz[n], "w": layer.W[d]})


def _dense_d_parameter(_: Layer, name: str, dz: Array, a: Array, index: Index) -> Element:
    if name == "b":
        return Element(formulas.total, {"x": dz[:, index[0]]})
    d, h = index
    return Element(formulas.product, {"x": a[:, d], "w": dz[:, h]})


def _kronecker_output(layer: KroneckerLayer, x: Array, index: Index) -> Element:
    (n, h), q = index, layer.S.shape[2]
    X = x[n].reshape(len(layer.A), -1)
    inputs = {"P": layer.A[:, :, h // q], "Q": X, "R": layer.S[:, :, h % q], "b": layer.b[h]}
    return Element(formulas.kronecker, inputs)


def _kronecker_d_input(layer: KroneckerLayer, dz: Array, index: Index) -> Element:
    (n, d), p = index, layer.S.shape[1]
    X = dz[n].reshape(len(layer.A), -1)
    inputs = {"P": layer.A[:, d // p], "Q": X, "R": layer.S[:, d % p]}
    return Element(formulas.kronecker_input, inputs)


def _kronecker_d_parameter(
    layer: KroneckerLayer, name: str, dz: Array, a: Array, index: Index
) -> Element:
    n = len(layer.A)
    X, dY = a.reshape(len(a), n, -1), dz.reshape(len(a), n, -1)
    if name == "b":
        return Element(formulas.total, {"x": dz[:, index[0]]})
    i, j, k = index
    if name == "A":
        inputs = {"P": X[:, j], "Q": layer.S[i], "R": dY[:, k]}
    else:
        inputs = {"P": X[:, :, j], "Q": layer.A[i], "R": dY[:, :, k]}
    return Element(formulas.kronecker_parameter, inputs)


RULES: dict[type, LayerRules] = {
    Layer: LayerRules(
        bounds.linear,
        lambda dz, W, _, u, factors: bounds.linear_backward_input(dz, W, u, factors),
        lambda dz, a, _W, _b, u, factors: bounds.linear_backward_parameters(dz, a, u, factors),
        _dense_output, _dense_d_input, _dense_d_parameter,
        lambda layer: Layer(layer.W**2, np.zeros_like(layer.b)),
    ),
    KroneckerLayer: LayerRules(
        bounds.kronecker_linear,
        lambda dz, A, S, _, u, factors: bounds.kronecker_backward_input(dz, A, S, u, factors),
        lambda dz, a, A, S, _, u, factors: (
            bounds.kronecker_backward_parameters(dz, a, A, S, u, factors)
        ),
        _kronecker_output, _kronecker_d_input, _kronecker_d_parameter,
        lambda layer: KroneckerLayer(  # (Σ_i A_i S_i)² ≤ n Σ_i A_i² S_i²
            len(layer.A) * layer.A**2, layer.S**2, np.zeros_like(layer.b)
        ),
    ),
}  # fmt: skip


def evaluate(element: Element, lift: Callable[[Any], Any]) -> Any:
    """Return the right answer, with each argument lifted to other arithmetic first."""
    inputs = {name: lift(value) for name, value in element.inputs.items()}
    value = (element.exact or element.formula)(**inputs)
    return value if element.y is None else value * (element.y > 0)
