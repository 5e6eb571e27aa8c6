"""A whole training step of ours, from the parameters that torch had before it.

spread.py bounds what the errors of all its operations add up to.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.steps import objective_bounds, spread
from parity.steps.checks import Check
from parity.steps.trace import Settings, Trace
from scratchnn import mlp, train
from scratchnn.arrays import Array
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES


def whole_step(trace: Trace, settings: Settings, activations: list[Array]) -> Iterator[Check]:
    """Yield what a step of ours computes, from the input to the new θ, beside torch's.

    `activations` are our forward pass from torch's θ.
    """
    differ = flipped(trace, activations)
    theirs = ours = spread.errors(trace, settings, differ)
    if settings.factors:
        ours = spread.errors(trace, replace(settings, factors=0.0), differ)
    for i, pair in enumerate(zip(theirs.outputs, ours.outputs, strict=True)):
        a = trace.outputs[min(2 * i + 1, len(trace.outputs) - 1)]  # after the ReLU
        yield Check("outputs", f"network a_{i + 1}", activations[i + 1], a, *pair)
    loss, grad, theta = _our_step(trace, settings)
    yield Check("loss", "network loss", loss, trace.loss, theirs.loss, ours.loss)
    yield from _gradients(trace, grad, theirs.gradient, ours.gradient)
    known = None if trace.known is None else trace.known.theta
    yield Check(
        "parameters", "network θ", theta, trace.after.theta, theirs.theta, ours.theta, None, known
    )  # fmt: skip


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
    loss, dz = objective_bounds.exact(
        settings.objective, activations[-1], _widened(trace.target, wide)
    )
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


def _gradients(
    trace: Trace, grad: Parameters, theirs: Parameters, ours: Parameters
) -> Iterator[Check]:
    for i, layer in reversed(list(enumerate(trace.grad.layers))):
        for j, name in enumerate(layer._fields):
            known = None if trace.known is None else trace.known.layers[i][j]
            yield Check(
                "gradient", f"network layer {i + 1} d{name}", grad.layers[i][j], layer[j],
                theirs.layers[i][j], ours.layers[i][j], None, known,
            )  # fmt: skip


def _widened(target: NDArray[Any], dtype: Any) -> NDArray[Any]:
    return target.astype(dtype) if target.dtype.kind == "f" else target
