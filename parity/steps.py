"""One training step, judged: our code is given the very inputs that torch's had.

First each operation alone, within the rounding-error bound of that one operation: so a failure
names the operation, and a ReLU whose input is within rounding of 0 cannot be on in one and off in
the other. Then our whole step, from the parameters that torch had before it: network.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

import scratchnn.functional as F
from parity import bounds, goals, network
from parity.checks import Check
from parity.elements import RELU, RULES, UPDATE, Element, Index, masked
from parity.trace import Settings, Trace
from parity.verdict import Difference, worst
from scratchnn import mlp
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES


@dataclass(frozen=True)
class StepResult:
    """The worst differences of one step, each in one kind of quantity."""

    step: int
    outputs: Difference  # of the layers
    loss: Difference
    gradient: Difference
    parameters: Difference
    flips: int  # ReLUs that were on in one and off in the other, within rounding
    free_run: float = 0.0  # max |θ - θ| of the two that train freely
    broken: Check | None = None  # the first that left its tolerance

    @property
    def worst(self) -> Difference:
        """The one closest to its tolerance."""
        return worst([self.outputs, self.loss, self.gradient, self.parameters])


def check_step(step: int, trace: Trace, settings: Settings) -> StepResult:
    """Give each of our operations the inputs that torch's had, and compare what comes out."""
    found: dict[str, list[Difference]] = {}
    broken = None
    with np.errstate(all="ignore"):  # what is not finite is judged like all else
        activations = mlp.forward(trace.before, trace.X)
        whole = network.whole_step(trace, settings, activations)
        for check in chain(operations(trace, settings), whole):
            difference = check.difference()
            found.setdefault(check.kind, []).append(difference)
            if broken is None and not difference.holds:
                broken = check
    flips = sum(int(mask.sum()) for mask in network.flipped(trace, activations))
    kinds = {kind: worst(differences) for kind, differences in found.items()}
    return StepResult(step, **kinds, flips=flips, broken=broken)


def operations(trace: Trace, settings: Settings) -> Iterator[Check]:
    """Yield every operation of the step, alone, in the order of computation."""
    yield from _forward(trace, settings)
    yield from _loss(trace, settings)
    yield from _backward(trace, settings)
    yield _update(trace, settings)


def _forward(trace: Trace, settings: Settings) -> Iterator[Check]:
    u = bounds.unit_roundoff(trace.X.dtype)
    for i, (layer, a) in enumerate(zip(trace.before.layers, trace.inputs, strict=True)):
        z, rules = trace.outputs[2 * i], RULES[type(layer)]
        bound = rules.forward(a, *layer, u, settings.factors)
        element = partial(rules.output, layer, a)
        yield Check("outputs", f"layer {i + 1} z", layer.forward(a), z, bound, element)
        if i + 1 < len(trace.before.layers):
            a, element = trace.outputs[2 * i + 1], partial(_relu_element, z)
            yield Check("outputs", f"layer {i + 1} relu", F.relu(z), a, 0.0, element)


def _loss(trace: Trace, settings: Settings) -> Iterator[Check]:
    z, target, objective = trace.outputs[-1], trace.target, settings.objective
    ours = OBJECTIVES[objective].loss_and_gradient(z, target)
    bound = goals.rounding(objective, z, target)
    names = ("loss", "loss"), ("gradient", "dz of the loss")
    theirs = trace.loss, trace.gradients[-1]
    for part, (kind, name) in enumerate(names):
        element = partial(_goal_element, trace, objective, part)
        yield Check(kind, name, np.asarray(ours[part]), theirs[part], bound[part], element)


def _backward(trace: Trace, settings: Settings) -> Iterator[Check]:
    u = bounds.unit_roundoff(trace.X.dtype)
    grad = Parameters.zeros(trace.before.sizes, trace.X.dtype)
    for i, layer in reversed(list(enumerate(trace.before.layers))):
        dz, a, rules = trace.gradients[2 * i], trace.inputs[i], RULES[type(layer)]
        layer.backward_parameters(dz, a, grad.layers[i])
        errors = rules.backward_parameters(dz, a, *layer, u, settings.factors)
        for j, name in enumerate(layer._fields):
            yield Check(
                "gradient", f"layer {i + 1} d{name}",
                grad.layers[i][j], trace.grad.layers[i][j], errors[j],
                partial(rules.d_parameter, layer, name, dz, a),
                None if trace.known is None else trace.known.layers[i][j],
            )  # fmt: skip
        if i > 0:
            yield Check(
                "gradient", f"layer {i} dz",
                F.relu_backward(layer.backward_input(dz), a), trace.gradients[2 * i - 2],
                rules.backward_input(dz, *layer, u, settings.factors),
                partial(_dz_element, rules.d_input, layer, dz, a),
            )  # fmt: skip


def _update(trace: Trace, settings: Settings) -> Check:
    u, optimizer = bounds.unit_roundoff(trace.X.dtype), settings.optimizer
    theta, velocity = trace.before.theta.copy(), trace.velocity
    old = np.zeros_like(theta) if velocity is None else velocity.theta
    size = abs(trace.grad.theta) + optimizer.momentum * abs(old)
    bound = bounds.sgd_step(theta, size, optimizer.learning_rate, u)
    copy = None if velocity is None else velocity.theta.copy()
    replace(optimizer, velocity=copy).step(theta, trace.grad.theta)
    element = partial(_update_element, trace, settings, old)
    known = None if trace.known is None else trace.known.theta
    return Check("parameters", "θ", theta, trace.after.theta, bound, element, known)


def _relu_element(z: Any, index: Index) -> Element:
    return Element(RELU, {"z": z[index]})


def _dz_element(d_input: Any, layer: Any, dz: Any, a: Any, index: Index) -> Element:
    return masked(d_input(layer, dz, index), a[index])


def _goal_element(trace: Trace, objective: str, part: int, index: Index) -> Element:
    at = f"[{', '.join(map(str, index))}]" if index else ""
    return Element(
        f'OBJECTIVES["{objective}"].loss_and_gradient(z, target)[{part}]{at}',
        {"z": trace.outputs[-1], "target": trace.target},
        lambda z, target: np.asarray(goals.exact(objective, z, target)[part])[index],
    )


def _update_element(trace: Trace, settings: Settings, velocity: Any, index: Index) -> Element:
    rates = {
        "learning_rate": settings.optimizer.learning_rate, "momentum": settings.optimizer.momentum
    }  # fmt: skip
    arrays = {"theta": trace.before.theta, "v": velocity, "g": trace.grad.theta}
    return Element(UPDATE, rates | {name: array[index] for name, array in arrays.items()})
