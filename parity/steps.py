"""One training step, judged: our code is given the very inputs that torch's had.

First each operation alone, within the rounding-error bound of that one operation: so a failure
names the operation, and a ReLU whose input is within rounding of 0 cannot be on in one and off in
the other. Then our forward pass and our backpropagation from end to end, within the bounds that
errors handed on from layer to layer leave.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import scratchnn.functional as F
from parity import bounds, loss_bounds
from parity.trace import Trace
from parity.verdict import Difference, compare, worst
from scratchnn import mlp
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
        outputs=worst(_check_forward(trace) + _check_network_forward(trace)),
        loss=loss,
        gradient=worst([dz, *_check_backward(trace), *_check_network_backward(trace)]),
        parameters=_check_update(trace, optimizer),
        free_run=float(np.nan_to_num(abs(ours.theta - trace.after.theta), nan=np.inf).max()),
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
            value, backward = loss_bounds.cross_entropy, loss_bounds.cross_entropy_backward
        case "two_classes" | "one_vs_rest":
            value = loss_bounds.binary_cross_entropy_with_logits
            backward = loss_bounds.binary_cross_entropy_with_logits_backward
            target = target[:, None] == (1 if objective == "two_classes" else np.arange(z.shape[1]))
            target = target.astype(np.float64)
        case _:  # the squared loss has half of both
            r = z - target
            _, bound = loss_bounds.difference_loss_backward(one, 2 * r, "mean", u)
            return loss_bounds.difference_loss(np.square(r), "mean", u), bound
    return (
        value(z, target, "mean", u),
        backward(one, z, target, "mean", u),
    )


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


def _check_network_forward(trace: Trace) -> list[Difference]:
    """Compare our forward pass from end to end; each layer hands its error on through |W|."""
    if not _is_dense(trace.before):
        return []
    u, dtype = _precision(trace)
    error, activations, differences = 0.0, mlp.forward(trace.before, trace.X), []
    for i, (W, b) in enumerate(trace.before.layers):
        handed_on = error @ abs(W) if i > 0 else 0.0
        error = bounds.linear(activations[i], W, b, u) + handed_on
        theirs = trace.outputs[min(2 * i + 1, len(trace.outputs) - 1)]  # after the ReLU
        tolerance = bounds.tolerance(error, dtype)
        differences.append(compare(f"network a_{i + 1}", activations[i + 1], theirs, tolerance))
    return differences


def _check_network_backward(trace: Trace) -> list[Difference]:
    """Compare our backpropagation from the logits to every parameter, at torch's activations."""
    if not _is_dense(trace.before):
        return []
    u, dtype = _precision(trace)
    inputs = [trace.X, *trace.outputs[1::2]]
    grad = mlp.backward(trace.before, [*inputs, trace.outputs[-1]], trace.gradients[-1])
    error, differences = np.zeros_like(trace.gradients[-1]), []
    for i in reversed(range(len(inputs))):
        dz, W, where = trace.gradients[2 * i], trace.before.layers[i].W, f"network layer {i + 1}"
        dW, db = bounds.linear_backward_parameters(dz, inputs[i], u)
        errors = (dW + abs(inputs[i]).T @ error, db + error.sum(axis=0))
        both = zip(("dW", "db"), grad.layers[i], trace.grad.layers[i], errors, strict=True)
        for name, ours, theirs, bound in both:
            tolerance = bounds.tolerance(bound, dtype)
            differences.append(compare(f"{where} {name}", ours, theirs, tolerance))
        error = bounds.linear_backward_input(dz, W, u) + error @ abs(W).T
    return differences


def _check_update(trace: Trace, optimizer: SGD) -> Difference:
    u, dtype = _precision(trace)
    old = np.zeros(()) if trace.velocity is None else trace.velocity.theta
    update = abs(trace.grad.theta) + optimizer.momentum * abs(old)
    bound = bounds.sgd_step(trace.before.theta, update, optimizer.learning_rate, u)
    theta = trace.before.theta.copy()
    velocity = trace.velocity.theta.copy() if trace.velocity else None
    replace(optimizer, velocity=velocity).step(theta, trace.grad.theta)
    return compare("θ", theta, trace.after.theta, bounds.tolerance(bound, dtype))


def _is_dense(parameters: Parameters) -> bool:
    return all(isinstance(layer, mlp.Layer) for layer in parameters.layers)


def _precision(trace: Trace) -> tuple[float, np.dtype[Any]]:
    dtype = trace.X.dtype
    return bounds.unit_roundoff(dtype), dtype
