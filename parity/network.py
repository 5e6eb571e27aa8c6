"""A whole training step of ours, from the parameters that torch had before it.

Each layer hands its errors on to the next, which adds many of them up: as √Σ (W error)², as
independent errors of mean zero do, and not as Σ |W| error, which says nothing after five layers. A
ReLU whose input is within rounding of 0 may be on in one and off in the other; then the gradient
behind it is uncertain by all of itself, and that is handed on as Σ |W| error.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity import bounds, goals
from parity.checks import Check
from parity.elements import RULES
from parity.trace import Settings, Trace
from scratchnn import mlp, train
from scratchnn.arrays import Array
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES


def whole_step(trace: Trace, settings: Settings, activations: list[Array]) -> Iterator[Check]:
    """Yield what a step of ours computes, from the input to the new θ, beside torch's.

    `activations` are our forward pass from torch's θ.
    """
    errors = _forward_errors(trace, settings)
    for i, error in enumerate(errors):
        theirs = trace.outputs[min(2 * i + 1, len(trace.outputs) - 1)]  # after the ReLU
        yield Check("outputs", f"network a_{i + 1}", activations[i + 1], theirs, error)
    loss, grad, theta = _our_step(trace, settings)
    goal = _goal_errors(trace, settings, errors[-1])
    yield Check("loss", "network loss", loss, trace.loss, goal.loss)
    grad_error = Parameters.zeros(trace.before.sizes, trace.X.dtype)
    _backward_errors(trace, settings, activations, errors, goal.dz, grad_error)
    yield from _gradients(trace, grad, grad_error)
    yield _update(trace, settings, theta, grad_error)


def flipped(trace: Trace, activations: list[Array]) -> list[NDArray[np.bool_]]:
    """Mark the ReLUs that are on in one and off in the other, each side on its own."""
    both = zip(activations[1:-1], trace.outputs[1::2], strict=True)
    return [(ours > 0) != (theirs > 0) for ours, theirs in both]


def exact(trace: Trace, settings: Settings) -> dict[str, Array]:
    """Return the right answers of the whole step, at torch's ReLUs, in wider arithmetic.

    float64 for float32, and for float64 the longest that the machine has: the bounds of a whole
    network are so much wider that more digits would change nothing.
    """
    wide: Any = np.float64 if trace.X.dtype == np.float32 else np.longdouble
    before, masks = trace.before.astype(wide), [a > 0 for a in trace.outputs[1::2]]
    activations = [trace.X.astype(wide)]
    for layer, mask in zip(before.layers[:-1], masks, strict=True):
        activations.append(layer.forward(activations[-1]) * mask)
    activations.append(before.layers[-1].forward(activations[-1]))
    loss, dz = goals.exact(settings.objective, activations[-1], _widened(trace.target, wide))
    grad = mlp.backward(before, activations, dz)
    old = 0.0 if trace.velocity is None else trace.velocity.theta.astype(wide)
    velocity = settings.optimizer.momentum * old + grad.theta
    answers = {f"network a_{i}": a for i, a in enumerate(activations) if i > 0}
    answers |= {
        f"network layer {i + 1} d{name}": array
        for i, layer in enumerate(grad.layers)
        for name, array in zip(layer._fields, layer, strict=True)
    }
    theta = before.theta - settings.optimizer.learning_rate * velocity
    return answers | {"network loss": loss, "network θ": theta}


def _our_step(trace: Trace, settings: Settings) -> tuple[Array, Parameters, Array]:
    """Return loss, gradient and θ of a step of training as it is, from torch's θ and velocity."""
    parameters, grad = trace.before.copy(), trace.before.copy()
    velocity = None if trace.velocity is None else trace.velocity.theta.copy()
    optimizer = replace(settings.optimizer, velocity=velocity)
    goal = OBJECTIVES[settings.objective]
    loss, _ = train.train_step(parameters, grad, goal, optimizer, trace.X, trace.target)
    return np.asarray(loss, trace.X.dtype), grad, parameters.theta


def _forward_errors(trace: Trace, settings: Settings) -> list[Array]:
    """Bound the error of each layer's output: its own, and what the one before handed on."""
    u = bounds.unit_roundoff(trace.X.dtype)
    errors: list[Array] = []
    for layer, a in zip(trace.before.layers, trace.inputs, strict=True):
        error = RULES[type(layer)].forward(a, *layer, u, settings.factors)
        if errors:
            error += np.sqrt(RULES[type(layer)].squared(layer).forward(errors[-1] ** 2))
        errors.append(error)
    return errors


def _goal_errors(trace: Trace, settings: Settings, error: Array) -> goals.GoalBounds:
    z, dz, objective = trace.outputs[-1], trace.gradients[-1], settings.objective
    own = goals.rounding(objective, z, trace.target)
    before = goals.handed_on(objective, z, dz, error)
    return goals.GoalBounds(own.loss + before.loss, (own.dz + before.dz).astype(z.dtype))


def _backward_errors(
    trace: Trace,
    settings: Settings,
    activations: list[Array],
    errors: list[Array],
    error: Array,
    result: Parameters,
) -> None:
    """Bound the error of the gradient, from that of the logits' dz down to the first layer."""
    u, differ = bounds.unit_roundoff(trace.X.dtype), flipped(trace, activations)
    of_flips = np.zeros_like(error)  # a few large ones, which add up as they are
    for i, layer in reversed(list(enumerate(trace.before.layers))):
        dz, a, rules = trace.gradients[2 * i], trace.inputs[i], RULES[type(layer)]
        own = rules.backward_parameters(dz, a, *layer, u, settings.factors)
        a_error = errors[i - 1] if i > 0 else np.zeros_like(a)
        _parameter_errors(layer, own, dz, error + of_flips, a, a_error, result.layers[i])
        if i == 0:
            return
        on = (a > 0) | differ[i - 1]
        da_error = rules.backward_input(dz, *layer, u, settings.factors)
        error = (da_error + np.sqrt(rules.squared(layer).backward_input(error**2))) * on
        of_flips = _absolute(layer).backward_input(of_flips) * on
        if differ[i - 1].any():
            of_flips += abs(layer.backward_input(dz)) * differ[i - 1]


def _parameter_errors(
    layer: Any, own: Any, dz: Array, dz_error: Array, a: Array, a_error: Array, result: Any
) -> None:
    """Write own + |a|ᵀ δdz + δaᵀ |dz| into `result`."""
    size, of_a = _absolute(layer), type(layer)(*map(np.empty_like, layer))
    size.backward_parameters(dz_error, abs(a) + a_error, result)
    size.backward_parameters(abs(dz), a_error, of_a)
    of_a.b[...] = 0  # db has no a in it
    for view, *parts in zip(result, own, of_a, strict=True):
        view += sum(parts)


def _gradients(trace: Trace, grad: Parameters, error: Parameters) -> Iterator[Check]:
    for i, layer in reversed(list(enumerate(trace.grad.layers))):
        for j, name in enumerate(layer._fields):
            known = None if trace.known is None else trace.known.layers[i][j]
            yield Check(
                "gradient", f"network layer {i + 1} d{name}",
                grad.layers[i][j], layer[j], error.layers[i][j], None, known,
            )  # fmt: skip


def _update(trace: Trace, settings: Settings, theta: Array, grad_error: Parameters) -> Check:
    u, optimizer = bounds.unit_roundoff(trace.X.dtype), settings.optimizer
    old = 0.0 if trace.velocity is None else abs(trace.velocity.theta)
    size = abs(trace.grad.theta) + optimizer.momentum * old
    error = bounds.sgd_step(trace.before.theta, size, optimizer.learning_rate, u)
    error += optimizer.learning_rate * grad_error.theta
    known = None if trace.known is None else trace.known.theta
    return Check("parameters", "network θ", theta, trace.after.theta, error, None, known)


def _absolute(layer: Any) -> Any:
    return type(layer)(*map(abs, layer))


def _widened(target: NDArray[Any], dtype: Any) -> NDArray[Any]:
    return target.astype(dtype) if target.dtype.kind == "f" else target
