"""How far each quantity of a whole step may be from right: errors, handed on layer by layer.

Each layer adds many of the errors that come in: as √Σ (W error)², as independent errors of mean
zero do, and not as Σ |W| error, which says nothing after five layers. A ReLU that may be on in one
and off in the other makes the gradient behind it uncertain by all of itself; such errors are few
and large, and are handed on as Σ |W| error. All in float64, where a square does not underflow.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity import bounds
from parity.steps import objective_bounds
from parity.steps.elements import RULES
from parity.steps.trace import Settings, Trace
from scratchnn.arrays import Array
from scratchnn.mlp import Parameters

Masks = list[NDArray[np.bool_]]


class Errors(NamedTuple):
    """The bounds of a step: of every layer's output, loss, gradient and new θ."""

    outputs: list[Array]
    loss: Array
    gradient: Parameters
    theta: Array


class Gradient(NamedTuple):
    """The two kinds of errors of a layer's dz: many and small, or those of ReLUs that flipped."""

    rounding: Array
    flips: Array


def errors(trace: Trace, settings: Settings, differ: Masks) -> Errors:
    """Bound the errors of a step from torch's θ; `differ` marks the ReLUs that flipped."""
    wide, u = trace.astype(np.float64), bounds.unit_roundoff(trace.X.dtype)
    outputs = _forward(wide, u, settings.factors)
    z, dz = wide.outputs[-1], wide.gradients[-1]
    own = objective_bounds.rounding(settings.objective, z, wide.target, u)
    before = objective_bounds.handed_on(settings.objective, z, dz, outputs[-1])
    gradient = _backward(wide, outputs, own.dz + before.dz, differ, u, settings.factors)
    return Errors(outputs, own.loss + before.loss, gradient, _update(wide, settings, gradient, u))


def _forward(trace: Trace, u: float, factors: float) -> list[Array]:
    """Bound each layer's output: its own error, and what the one before handed on."""
    found: list[Array] = []
    for layer, a in zip(trace.before.layers, trace.inputs, strict=True):
        error = RULES[type(layer)].forward(a, *layer, u, factors)
        if found:
            error = error + np.sqrt(RULES[type(layer)].squared(layer).forward(found[-1] ** 2))
        found.append(error)
    return found


def _backward(
    trace: Trace, outputs: list[Array], dz_error: Array, differ: Masks, u: float, factors: float
) -> Parameters:
    """Bound the gradient, from that of the logits' dz down to the first layer."""
    result = Parameters.zeros(trace.before.sizes, np.float64)
    error = Gradient(dz_error, np.zeros_like(dz_error))
    for i, layer in reversed(list(enumerate(trace.before.layers))):
        dz, a, rules = trace.gradients[2 * i], trace.inputs[i], RULES[type(layer)]
        a_error = outputs[i - 1] if i > 0 else np.zeros_like(a)
        own = rules.backward_parameters(dz, a, *layer, u, factors)
        passed = _parameters(layer, dz, error, a, a_error)
        for view, *parts in zip(result.layers[i], own, passed, strict=True):
            view[...] = sum(parts)
        if i > 0:
            own_dz = rules.backward_input(dz, *layer, u, factors)
            error = _input(layer, dz, error, own_dz, a > 0, differ[i - 1])
    return result


def _parameters(layer: Any, dz: Array, error: Gradient, a: Array, a_error: Array) -> list[Array]:
    """Return |a|ᵀ δdz + δaᵀ (|dz| + δdz); db has no a in it."""
    size = _absolute(layer)
    of_dz, of_a = (type(layer)(*map(np.empty_like, layer)) for _ in range(2))
    size.backward_parameters(sum(error), abs(a) + a_error, of_dz)
    size.backward_parameters(abs(dz), a_error, of_a)
    return [
        first if name == "b" else first + second
        for name, first, second in zip(layer._fields, of_dz, of_a, strict=True)
    ]


def _input(
    layer: Any, dz: Array, error: Gradient, own: Array, on: NDArray[Any], differ: NDArray[Any]
) -> Gradient:
    """Hand the errors of a layer's dz on to the dz of the layer before, through its ReLU."""
    squared, either = RULES[type(layer)].squared(layer), on | differ
    rounding = own + np.sqrt(squared.backward_input(error.rounding**2))
    flips = _absolute(layer).backward_input(error.flips) * either
    if differ.any():
        flips = flips + abs(layer.backward_input(dz)) * differ
    return Gradient(rounding * either, flips)


def _update(trace: Trace, settings: Settings, gradient: Parameters, u: float) -> Array:
    optimizer = settings.optimizer
    old = 0.0 if trace.velocity is None else abs(trace.velocity.theta)
    size = abs(trace.grad.theta) + optimizer.momentum * old
    own = bounds.sgd_step(trace.before.theta, size, optimizer.learning_rate, u)
    return own + optimizer.learning_rate * gradient.theta


def _absolute(layer: Any) -> Any:
    return type(layer)(*map(abs, layer))
