"""One training step, judged: each operation of ours is given the very inputs that torch's had.

Each must then come within the rounding-error bound of that one operation. So a failure names the
operation, and a ReLU whose input is within rounding of 0 cannot be on in one and off in the other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import scratchnn.functional as F
from parity import bounds
from parity.torch_side import Trace
from parity.verdict import Difference, compare, worst
from scratchnn.arrays import Array
from scratchnn.layers import KroneckerLayer, Layer
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES
from scratchnn.sgd import SGD


class LayerBounds(NamedTuple):
    """The bounds of one kind of layer; each takes the layer's arrays."""

    forward: Callable[..., Array]
    backward_input: Callable[..., Array]
    backward_parameters: Callable[..., tuple[Array, ...]]


LAYERS: dict[type, LayerBounds] = {
    Layer: LayerBounds(
        bounds.linear,
        lambda dz, W, _, u: bounds.linear_backward_input(dz, W, u),
        lambda dz, a, _W, _b, u: bounds.linear_backward_parameters(dz, a, u),
    ),
    KroneckerLayer: LayerBounds(
        bounds.kronecker_linear,
        lambda dz, A, S, _, u: bounds.kronecker_backward_input(dz, A, S, u),
        lambda dz, a, A, S, _, u: bounds.kronecker_backward_parameters(dz, a, A, S, u),
    ),
}


@dataclass(frozen=True)
class StepResult:
    """The worst differences of one step, each in one kind of quantity."""

    step: int
    outputs: Difference  # of the layers
    loss: Difference
    gradient: Difference
    parameters: Difference
    free_run: float  # max |θ - θ| of the two that train freely

    @property
    def worst(self) -> Difference:
        """The one closest to its tolerance."""
        return worst([self.outputs, self.loss, self.gradient, self.parameters])


def check_step(
    step: int, trace: Trace, ours: Parameters, objective: str, optimizer: SGD
) -> StepResult:
    """Give each of our operations the inputs that torch's had, and compare what comes out.

    `ours` is the θ that trains freely on our side; the optimizer tells its settings alone.
    """
    loss, dz = _check_loss(trace, objective)
    return StepResult(
        step,
        outputs=worst(_check_forward(trace)),
        loss=loss,
        gradient=worst([dz, *_check_backward(trace)]),
        parameters=_check_update(trace, optimizer),
        free_run=float(abs(ours.theta - trace.after.theta).max()),
    )


def _check_forward(trace: Trace) -> list[Difference]:
    u, dtype = _precision(trace)
    differences, a = [], trace.X
    for i, layer in enumerate(trace.before.layers):
        z, where = trace.outputs[2 * i], f"layer {i + 1}"
        bound = LAYERS[type(layer)].forward(a, *layer, u)
        tolerance = bounds.tolerance(bound, dtype)
        differences.append(compare(f"{where} z", layer.forward(a), z, tolerance))
        if i + 1 < len(trace.before.layers):
            a = trace.outputs[2 * i + 1]
            differences.append(compare(f"{where} relu", F.relu(z), a, 0.0))
    return differences


def _check_loss(trace: Trace, objective: str) -> tuple[Difference, Difference]:
    z, dz = trace.outputs[-1], trace.gradients[-1]
    loss, ours_dz = OBJECTIVES[objective].loss_and_gradient(z, trace.target)
    loss_bound, dz_bound = _loss_bounds(objective, z, trace.target)
    dtype = z.dtype
    return (
        compare("loss", loss, trace.loss, bounds.tolerance(loss_bound, dtype)),
        compare("dz of the loss", ours_dz, dz, bounds.tolerance(dz_bound, dtype)),
    )


def _loss_bounds(objective: str, z: Array, target: NDArray[Any]) -> tuple[Array, Array]:
    u, one = bounds.unit_roundoff(z.dtype), np.float64(1)
    z = z.astype(np.float64)
    match objective:
        case "cross_entropy":
            value, backward = bounds.cross_entropy, bounds.cross_entropy_backward
        case "two_classes" | "one_vs_rest":
            value = bounds.binary_cross_entropy_with_logits
            backward = bounds.binary_cross_entropy_with_logits_backward
            target = target[:, None] == (1 if objective == "two_classes" else np.arange(z.shape[1]))
            target = target.astype(np.float64)
        case _:  # squared_loss has half of both
            value, backward = bounds.mse_loss, bounds.mse_loss_backward
    return value(z, target, "mean", u), backward(one, z, target, "mean", u)


def _check_backward(trace: Trace) -> list[Difference]:
    u, dtype = _precision(trace)
    differences = []
    ours_grad = Parameters.zeros(trace.before.sizes, dtype)
    for i, layer in enumerate(trace.before.layers):
        bound = LAYERS[type(layer)]
        dz, where = trace.gradients[2 * i], f"layer {i + 1}"
        a = trace.outputs[2 * i - 1] if i > 0 else trace.X
        layer.backward_parameters(dz, a, ours_grad.layers[i])
        parameters = zip(
            layer._fields,
            ours_grad.layers[i],
            trace.grad.layers[i],
            bound.backward_parameters(dz, a, *layer, u),
            strict=True,
        )
        for name, ours, theirs, error in parameters:
            tolerance = bounds.tolerance(error, dtype)
            differences.append(compare(f"{where} d{name}", ours, theirs, tolerance))
        if i > 0:
            ours = F.relu_backward(layer.backward_input(dz), a)
            tolerance = bounds.tolerance(bound.backward_input(dz, *layer, u), dtype)
            theirs = trace.gradients[2 * i - 2]
            differences.append(compare(f"layer {i} dz", ours, theirs, tolerance))
    return differences


def _check_update(trace: Trace, optimizer: SGD) -> Difference:
    u, dtype = _precision(trace)
    theta = trace.before.theta.copy()
    velocity = trace.velocity.theta.copy() if trace.velocity else None
    replace(optimizer, velocity=velocity).step(theta, trace.grad.theta)
    momentum = optimizer.momentum * abs(velocity) if velocity is not None else 0.0
    update = abs(trace.grad.theta) + momentum
    bound = bounds.sgd_step(trace.before.theta, update, optimizer.learning_rate, u)
    return compare("θ", theta, trace.after.theta, bounds.tolerance(bound, dtype))


def _precision(trace: Trace) -> tuple[float, np.dtype[Any]]:
    dtype = trace.X.dtype
    return bounds.unit_roundoff(dtype), dtype
