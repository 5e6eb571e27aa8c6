"""A whole training step: what is right, and how far rounding may lead away from it.

Errors are handed on from layer to layer. A layer with weights adds many of the errors that come
in: as √Σ (W error)², as independent errors of mean zero do. Σ |W| error would be beyond doubt, but
says nothing after five layers.

A ReLU whose input is within its error of 0 may be on in one and off in the other. Then all of the
gradient behind it is uncertain. Such errors are few and large: they are handed on as Σ |W| error.

All is computed in float64, where a square does not underflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity import bounds, oracle
from parity.cases import Case
from parity.ops import as_tuple
from parity.training.optimizers import rule_of
from parity.training.trace import Call, Settings, Trace, of_layer, of_layers, of_objective, widened
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray, Array, BoolArray

KINKS = ("relu",)  # activations whose slope jumps; see `_slope` for all others
Arrays = list[Array]
Masks = dict[int, BoolArray]  # of the ReLUs, by the number of their layer

# The weight (D, H) of a layer, from its parameters
WEIGHTS: dict[str, Callable[..., Array]] = {
    "linear": lambda W, _: W,
    "kronecker_linear": lambda A, S, _: oracle.kronecker_weight(A, S),
}


# The operations of objectives that are convex in each entry of z, or of a prediction
ENTRYWISE = (
    "binary_cross_entropy_with_logits",
    *("squared_loss", "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"),
)


def handed_on_to_dz(loss: Call, error: Array, settings: Settings) -> Array:
    """Bound how far errors of z, or of a prediction, move the gradient dz of the mean loss.

    The slope of a convex loss rises with z: it moves furthest at z - error or z + error.

    Raises   ValueError for an objective that has no rule here
    """
    function = loss.op.function
    if function == "cross_entropy":
        return _cross_entropy(loss.case, error)
    if function not in ENTRYWISE:
        raise ValueError(
            f"objective must have one of the operations cross_entropy, {', '.join(ENTRYWISE)}, "
            f"through which errors of z are followed, got {settings.objective!r}: {function}"
        )
    return _slope(loss, error)[1]


def _cross_entropy(case: Case, error: Array) -> Array:
    """Return Σ v |δp| over the count, where dz is (p Σ v - v) over the count."""
    v, _, divisor = oracle.reduced_mass(**case)
    return v.sum(axis=1, keepdims=True) / divisor * softmax_handed_on(case["z"], error)


def softmax_handed_on(z: Array, error: Array) -> Array:
    """Bound what errors of z change in softmax(z):  p (e^(2 max error) - 1), and at most 1."""
    largest = error.max(axis=1, keepdims=True)
    finite = np.minimum(largest, 300)  # e^600 is finite
    change = np.minimum(oracle.softmax(z, 1) * np.expm1(2 * finite), 1)
    return np.where(largest > finite, 1, change)


def step_bound(parameters: Parameters, X: Array, target: AnyArray, settings: Settings) -> Array:
    """Bound what rounding does to θ in one step, in the precision of θ.

    Shapes   X (N, D), targets as the data set has them → (n,), as θ
    Raises   ValueError for a layer, an objective or an optimizer that has no rule here
    """
    wide, state = parameters.astype(np.float64), settings.optimizer.state
    with np.errstate(all="ignore"):
        step = right_step(wide, X, target, settings, state)
        u = bounds.unit_roundoff(parameters.theta.dtype)
        return errors(step, settings, u, settings.factors).after.theta


def output_bounds(parameters: Parameters, X: Array, factors: float = 0.0) -> tuple[Arrays, Arrays]:
    """Return the right output of every layer, after X itself, and the bounds of their errors.

    Shapes   X (N, D) → [X (N, D), z_1 (N, H_1), a_1 (N, H_1), ...] twice, in float64
    Options  factors   the relative error of a factor of a product: bounds.TF32, or none
    """
    wide, u = parameters.astype(np.float64), bounds.unit_roundoff(parameters.theta.dtype)
    with np.errstate(all="ignore"):
        outputs = _right_outputs(wide, X.astype(np.float64), {})
        return outputs, _output_errors(wide, outputs, u, factors)


def right_step(
    before: Parameters,
    X: Array,
    target: AnyArray,
    settings: Settings,
    state: dict[str, Array],
    on: Masks | None = None,
) -> Trace:
    """Return the right step, by the oracle, in the arithmetic of θ.

    Options  on   which ReLUs are on; default: those whose input is positive
    """
    dtype, on = before.theta.dtype, on or {}
    target, state = widened(target, dtype), widened(state, dtype)
    outputs = _right_outputs(before, X.astype(dtype), on)
    loss = of_objective(settings.objective, outputs[-1], target)
    grad = Parameters.zeros(before.layers, dtype)
    gradients = [as_tuple(loss.op.exact_backward(1.0, **loss.case))[0]]
    for i, call in reversed(list(enumerate(of_layers(before, outputs)))):
        dx, *rest = as_tuple(call.op.exact_backward(gradients[0], **call.case))
        gradients.insert(0, np.where(on[i], gradients[0], 0) if i in on else dx)
        for view, gradient in zip(grad.views[i], rest, strict=True):
            view[...] = gradient
    rule, optimizer = rule_of(settings.optimizer), settings.optimizer
    after = before.like(rule.right(optimizer, before.theta, grad.theta, state))
    value = np.asarray(loss.op.exact(**loss.case))
    return Trace(target, before, outputs, gradients[1:], value, grad, after, state)


def _right_outputs(parameters: Parameters, X: Array, on: Masks) -> list[Array]:
    outputs = [X]
    for i, (layer, views) in enumerate(zip(parameters.layers, parameters.views, strict=True)):
        call, x = of_layer(layer, outputs[-1], views), outputs[-1]
        outputs.append(np.where(on[i], x, 0) if i in on else call.op.exact(**call.case))
    return outputs


# The bounds of a step's errors


def errors(
    step: Trace, settings: Settings, u: float, factors: float, differ: Masks | None = None
) -> Trace:
    """Bound the errors of a step that is given in float64 and was computed in the precision of u.

    Of the outputs, the loss, the gradient of θ, and θ after the step; the rest is the step's own.
    `differ` marks the ReLUs that flipped; default: all those that may.

    Raises   ValueError for a layer, an objective or an optimizer that has no rule here
    """
    outputs = _output_errors(step.before, step.outputs, u, factors)
    if differ is None:
        differ = {i: abs(step.outputs[i]) <= outputs[i] for i in kinks(step.before)}
    loss = of_objective(settings.objective, step.outputs[-1], step.target)
    own = as_tuple(loss.op.backward_bound(np.ones(()), **loss.case, u=u))[0]
    change = handed_on_to_dz(loss, outputs[-1], settings)
    passed = np.sum((abs(step.gradients[-1]) + change) * outputs[-1])
    grad = _gradient_errors(step, outputs, own + change, differ, u, factors)
    rule, optimizer = rule_of(settings.optimizer), settings.optimizer
    taken = optimizer, step.before.theta, step.grad.theta, step.state
    after = step.before.like(rule.bound(*taken, u) + rule.handed_on(*taken, grad.theta))
    of_loss = loss.op.bound(**loss.case, u=u) + passed
    return replace(step, outputs=outputs, loss=of_loss, grad=grad, after=after)


def kinks(parameters: Parameters) -> list[int]:
    """Return the numbers of the layers that are ReLUs."""
    return [i for i, layer in enumerate(parameters.layers) if layer.op in KINKS]


def _output_errors(parameters: Parameters, outputs: Arrays, u: float, factors: float) -> Arrays:
    """Bound each output: its own error, and what the one before hands on. X has none."""
    found = [np.zeros_like(outputs[0])]
    for i, call in enumerate(of_layers(parameters, outputs)):
        error, own = found[-1], call.op.bound(**call.case, **_precision(call, u, factors))
        if parameters.layers[i].shapes:
            passed = np.sqrt(error**2 @ _weight(parameters, i) ** 2)
        elif call.op.function in KINKS:
            passed = error
        else:
            passed = sum(_slope(call, error)) * error
        found.append(own + passed)
    return found


def _gradient_errors(
    step: Trace, outputs: Arrays, rounding: Array, differ: Masks, u: float, factors: float
) -> Parameters:
    """Bound the gradient, from the error of that of the logits down to the first layer.

    Errors of two kinds are handed on: many and small ones, and those of ReLUs that flipped.
    """
    before, flips = step.before, np.zeros_like(rounding)
    result = Parameters.zeros(before.layers, np.float64)
    for i, call in reversed(list(enumerate(of_layers(before, step.outputs)))):
        dy, x, x_error = step.gradients[i], step.outputs[i], outputs[i]
        bound = call.op.backward_bound(dy, **call.case, **_precision(call, u, factors))
        own, *parts = as_tuple(bound)
        if before.layers[i].shapes:
            W, sizes = _weight(before, i), [abs(view) for view in before.views[i]]
            # For each parameter |x|ᵀ δdy + δxᵀ (|dy| + δdy); db has no x in it
            gradients = getattr(oracle, f"{call.op.function}_backward")
            _, *of_dy = gradients(rounding + flips, abs(x) + x_error, *sizes)
            _, *of_x = gradients(abs(dy), x_error, *sizes)
            of_x[-1] = 0
            for view, *bounds_of_part in zip(result.views[i], parts, of_dy, of_x, strict=True):
                view[...] = sum(bounds_of_part)
            flips = flips @ abs(W).T if flips.any() else np.zeros_like(own)
            rounding = own + np.sqrt(rounding**2 @ (W**2).T)
        elif call.op.function in KINKS:
            either = (step.outputs[i + 1] > 0) | differ[i]
            rounding, flips = rounding * either, flips * either + abs(dy) * differ[i]
        else:  # |f'| δdy + |dy| δf', and the error of dy f' itself
            slope, change = _slope(call, x_error)
            rounding = own + (slope + change) * rounding + abs(dy) * change
            flips = (slope + change) * flips
    return result


def _slope(call: Call, error: Array) -> tuple[Array, Array]:
    """Return |f'(z)| of an activation or a loss, and how far f' is from f'(z) within error of z.

    The right f' is looked at in z - error, in 0 and in z + error, and taken as monotonic between
    them. For the small errors of rounding any smooth f' is. The numbers are the longest that the
    machine has, as f' changes by so little.
    """
    name = call.op.inputs[0]
    z, reach = (x.astype(np.longdouble) for x in (call.case[name], error))

    def slope(x: Array) -> Array:
        return as_tuple(call.op.exact_backward(1.0, **call.case | {name: x}))[0]

    here, low, high = slope(z), z - reach, z + reach
    away = (low, np.clip(0, low, high), high)
    change = np.max([abs(slope(x) - here) for x in away], axis=0)
    return abs(here).astype(np.float64), change.astype(np.float64)


def _weight(parameters: Parameters, i: int) -> Array:
    """Return the weight (D, H) of a layer."""
    layer = parameters.layers[i]
    if layer.op not in WEIGHTS:
        raise ValueError(
            f"layers with weights must have one of the operations {', '.join(WEIGHTS)}, through "
            f"which errors are followed, got {layer!r}"
        )
    return WEIGHTS[layer.op](*parameters.views[i])


def _precision(call: Call, u: float, factors: float) -> dict[str, float]:
    return {"u": u, "factors": factors} if call.op.products else {"u": u}
