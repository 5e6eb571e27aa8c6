"""One training step, judged: our code is given the very inputs that torch's had.

First each operation alone, within the rounding-error bound of that one operation: so a failure
names the operation, and a ReLU whose input is within rounding of 0 cannot be on in one and off in
the other. Then our whole step, from the parameters that torch had before it.

    trace.py             all that torch computed in a step
    formulas.py          how one number of a step is computed, in NumPy and in torch
    elements.py          what one number of a step is made of
    checks.py            one quantity of a step, ours and torch's, compared
    objective_bounds.py  the objectives' errors, and how errors of z pass through them
    spread.py            how the errors of a step are handed on from layer to layer
    network.py           a whole step of ours, from torch's parameters
    __init__.py          every operation of a step, and the verdict
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import scratchnn.functional as F
from parity import bounds
from parity.steps import formulas, network, objective_bounds
from parity.steps.checks import Check
from parity.steps.elements import RULES, Element, Index
from parity.steps.trace import Settings, Trace
from parity.verdict import Difference, worst
from scratchnn import mlp
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES

KINDS = ("outputs", "loss", "gradient", "parameters")


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
        return worst([getattr(self, kind) for kind in KINDS])


def check_step(step: int, trace: Trace, settings: Settings) -> StepResult:
    """Give each of our operations the inputs that torch's had, and compare what comes out."""
    judged = _Judged()
    with np.errstate(all="ignore"):  # what is not finite is judged like all else
        if not judged.add(operations(trace, settings)):
            return judged.result(step, flips=0)
        activations = mlp.forward(trace.before, trace.X)
        flips = sum(int(mask.sum()) for mask in network.flipped(trace, activations))
        judged.add(network.whole_step(trace, settings, activations))
    return judged.result(step, flips)


class _Judged:
    """The checks of a step so far."""

    def __init__(self) -> None:
        self.found: dict[str, list[Difference]] = {}
        self.broken: Check | None = None

    def add(self, checks: Iterator[Check]) -> bool:
        """Judge each; return False where one cannot be compared, and nothing after it is sound."""
        for check in checks:
            difference = check.difference()
            self.found.setdefault(check.kind, []).append(difference)
            if self.broken is None and not difference.holds:
                self.broken = check
            if difference.reason:
                return False
        return True

    def result(self, step: int, flips: int) -> StepResult:
        """Return the worst of each kind; the kinds that were not reached have the last."""
        last = next(reversed(self.found.values()))[-1]
        outputs, loss, gradient, theta = (worst(self.found.get(kind, [last])) for kind in KINDS)
        return StepResult(step, outputs, loss, gradient, theta, flips, broken=self.broken)


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
        both = _bounds(settings, partial(rules.forward, a, *layer, u))
        element = partial(rules.output, layer, a)
        yield Check("outputs", f"layer {i + 1} z", layer.forward(a), z, *both, element)
        if i + 1 < len(trace.before.layers):
            a, element = trace.outputs[2 * i + 1], partial(_relu_element, z)
            yield Check("outputs", f"layer {i + 1} relu", F.relu(z), a, 0.0, 0.0, element)


def _loss(trace: Trace, settings: Settings) -> Iterator[Check]:
    z, target, objective = trace.outputs[-1], trace.target, settings.objective
    ours = OBJECTIVES[objective].loss_and_gradient(z, target)
    bound = objective_bounds.rounding(objective, z, target, bounds.unit_roundoff(z.dtype))
    names = ("loss", "loss"), ("gradient", "dz of the loss")
    theirs = trace.loss, trace.gradients[-1]
    for part, (kind, name) in enumerate(names):
        element = partial(_goal_element, trace, objective, part)
        yield Check(
            kind, name, np.asarray(ours[part]), theirs[part], bound[part], bound[part], element
        )


def _backward(trace: Trace, settings: Settings) -> Iterator[Check]:
    u = bounds.unit_roundoff(trace.X.dtype)
    grad = Parameters.zeros(trace.before.sizes, trace.X.dtype)
    for i, layer in reversed(list(enumerate(trace.before.layers))):
        dz, a, rules = trace.gradients[2 * i], trace.inputs[i], RULES[type(layer)]
        layer.backward_parameters(dz, a, grad.layers[i])
        both = _bounds(settings, partial(rules.backward_parameters, dz, a, *layer, u))
        for j, name in enumerate(layer._fields):
            yield Check(
                "gradient", f"layer {i + 1} d{name}",
                grad.layers[i][j], trace.grad.layers[i][j], both[0][j], both[1][j],
                partial(rules.d_parameter, layer, name, dz, a),
                None if trace.known is None else trace.known.layers[i][j],
            )  # fmt: skip
        if i > 0:
            yield Check(
                "gradient", f"layer {i} dz",
                F.relu_backward(layer.backward_input(dz), a), trace.gradients[2 * i - 2],
                *_bounds(settings, partial(rules.backward_input, dz, *layer, u)),
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
    return Check("parameters", "θ", theta, trace.after.theta, bound, bound, element, known)


def _bounds(settings: Settings, bound: Any) -> tuple[Any, Any]:
    """Return torch's bound, for products as it is judged, and ours, whose factors are whole."""
    theirs = bound(settings.factors)
    return theirs, bound(0.0) if settings.factors else theirs


def _relu_element(z: Any, index: Index) -> Element:
    return Element(formulas.relu, {"z": z[index]})


def _dz_element(d_input: Any, layer: Any, dz: Any, a: Any, index: Index) -> Element:
    return d_input(layer, dz, index)._replace(y=a[index])


def _goal_element(trace: Trace, objective: str, part: int, index: Index) -> Element:
    where = {"name": objective, "part": part, "index": index}
    inputs = where | {"z": trace.outputs[-1], "target": trace.target}
    return Element(formulas.objective, inputs, _exact_objective)


def _exact_objective(name: str, part: int, index: Index, z: Any, target: Any) -> Any:
    return np.asarray(objective_bounds.exact(name, z, target)[part])[index]


def _update_element(trace: Trace, settings: Settings, velocity: Any, index: Index) -> Element:
    inputs = {
        "theta": trace.before.theta[index],
        "learning_rate": settings.optimizer.learning_rate,
        "momentum": settings.optimizer.momentum,
        "v": velocity[index],
        "g": trace.grad.theta[index],
    }
    return Element(formulas.update, inputs)
