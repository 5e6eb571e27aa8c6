"""One training step, judged: our code is given the very numbers that torch's had.

First each operation alone, within the bound of that one operation. So a failure names the
operation, and a ReLU whose input is within rounding of 0 cannot be on in one and off in the other.
Then our whole step, from the parameters that torch had before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from parity import bounds
from parity.digits import Numbers
from parity.judge import Difference, Index, worst
from parity.training import network
from parity.training.calls import Call, Quantity, numbered, of_layer, of_objective
from parity.training.network import Masks
from parity.training.optimizers import Update, with_state
from parity.training.trace import Settings, Trace
from scratchnn import mlp, train
from scratchnn.mlp import Parameters
from scratchnn.objectives import Objective
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.optim import Optimizer

KINDS = ("outputs", "loss", "gradient", "parameters")


@dataclass(frozen=True)
class StepResult:
    """The worst differences of one step, each in one kind of quantity.

    flips       the ReLUs that were on in one and off in the other, within rounding
    free_run    max |θ - θ| of the two that train freely
    diverged    whether the loss or θ is infinite, NaN or so large that its square is, on both sides
    unbounded   the first quantity whose bound is infinite or NaN, and says nothing
    broken      the first quantity that left its tolerance
    """

    step: int
    outputs: Difference
    loss: Difference
    gradient: Difference
    parameters: Difference
    flips: int
    free_run: float = 0.0
    diverged: bool = False
    unbounded: str | None = None
    broken: Quantity | None = None

    @property
    def worst(self) -> Difference:
        """The one closest to its tolerance."""
        return worst([getattr(self, kind) for kind in KINDS])

    @property
    def holds(self) -> bool:
        """Whether all are within their tolerances, or the training has diverged on both sides."""
        return self.worst.holds or self.diverged


def sound(steps: Sequence[StepResult]) -> Sequence[StepResult]:
    """Return the steps before the training diverged on both sides; if there are none, the first."""
    return [step for step in steps if not step.diverged] or steps[:1]


def check_step(step: int, trace: Trace, settings: Settings) -> StepResult:
    """Give each of our operations the inputs that torch's had, and compare what comes out.

    Raises   ValueError for a layer, an objective or an optimizer that parity has no rule for
    """
    judged = _Judged()
    with np.errstate(all="ignore"):  # what is not finite is judged like all else
        if not judged.add(operations(trace, settings)):
            return judged.result(step, flips=0)
        outputs = mlp.forward(trace.before, trace.X)
        differ = flipped(trace, outputs)
        judged.add(whole_step(trace, settings, outputs, differ))
    return judged.result(step, sum(int(mask.sum()) for mask in differ.values()))


class _Judged:
    """The quantities of a step so far."""

    def __init__(self) -> None:
        self.found: dict[str, list[Difference]] = {}
        self.unbounded: str | None = None
        self.broken: Quantity | None = None

    def add(self, quantities: Iterator[Quantity]) -> bool:
        """Judge each; return False where one cannot be compared, and nothing after it is sound."""
        for quantity in quantities:
            difference = quantity.difference()
            self.found.setdefault(quantity.kind, []).append(difference)
            if self.broken is None and not difference.holds:
                self.broken = quantity
            if self.unbounded is None and quantity.unbounded:
                self.unbounded = quantity.name
            if difference.reason:
                return False
        return True

    def result(self, step: int, flips: int) -> StepResult:
        """Return the worst of each kind; the kinds that were not reached have the last."""
        last = next(reversed(self.found.values()))[-1]
        outputs, loss, gradient, theta = (worst(self.found.get(kind, [last])) for kind in KINDS)
        return StepResult(
            step,
            outputs,
            loss,
            gradient,
            theta,
            flips,
            unbounded=self.unbounded,
            broken=self.broken,
        )


# Each operation alone


def operations(trace: Trace, settings: Settings) -> Iterator[Quantity]:
    """Yield every operation of the step, alone, in the order of computation."""
    yield from _forward(trace, settings)
    yield from _loss(trace, settings)
    yield from _backward(trace, settings)
    source = Update(settings.optimizer, trace.before.theta, trace.grad.theta, trace.state)
    judged = _Results("parameters", source, settings)
    yield judged.quantity("θ", 0, source.ours(), trace.after.theta)


class _Results:
    """The results of one source, with the bounds of both sides."""

    def __init__(self, kind: str, source: Call | Update, settings: Settings) -> None:
        self.kind, self.source = kind, source
        self.theirs = source.bounds(settings.factors)
        self.ours = source.bounds() if settings.factors else self.theirs

    def quantity(self, name: str, part: int, ours: Array, torch: Array) -> Quantity:
        """Return one of the results."""
        pair = self.theirs[part], self.ours[part]
        return Quantity(self.kind, name, ours, torch, *pair, self.source, part)


def _forward(trace: Trace, settings: Settings) -> Iterator[Quantity]:
    names = numbered(trace.before.layers)
    layers = zip(names, trace.before.layers, trace.before.views, trace.outputs, strict=False)
    for i, (name, layer, views, x) in enumerate(layers, 1):
        results = _Results("outputs", of_layer(layer, x, views), settings)
        ours = layer.forward(x.copy(), *views)  # an activation may overwrite x
        what = "z" if layer.shapes else layer.op
        yield results.quantity(f"{name} {what}", 0, ours, trace.outputs[i])


def _loss(trace: Trace, settings: Settings) -> Iterator[Quantity]:
    z, objective = trace.outputs[-1], settings.objective
    call = of_objective(objective, z, trace.target)
    backward = replace(call, dy=np.ones((), z.dtype))
    loss, dz = objective.loss_and_gradient(z, trace.target)
    yield _Results("loss", call, settings).quantity("loss", 0, np.asarray(loss), trace.loss)
    results = _Results("gradient", backward, settings)
    yield results.quantity("dz of the loss", 0, dz, trace.gradients[-1])


def _backward(trace: Trace, settings: Settings) -> Iterator[Quantity]:
    names = numbered(trace.before.layers)
    grad = Parameters.zeros(trace.before.layers, trace.X.dtype)
    for i, layer in reversed(list(enumerate(trace.before.layers))):
        views, x, y, dy = trace.before.views[i], *trace.outputs[i : i + 2], trace.gradients[i]
        call = of_layer(layer, x, views)
        results = _Results("gradient", replace(call, dy=dy), settings)
        layer.gradients(dy, x, *views, out=grad.views[i])
        found = zip(layer.shapes, grad.views[i], trace.grad.views[i], strict=True)
        for part, (parameter, ours, torch) in enumerate(found, 1):
            yield results.quantity(f"{names[i]} d{parameter}", part, ours, torch)
        if i > 0:
            ours = layer.backward(dy.copy(), x, y, *views)  # it may overwrite dy
            what = "dX" if layer.shapes else "dz"
            yield results.quantity(f"{names[i]} {what}", 0, ours, trace.gradients[i - 1])


# The whole step


@dataclass(frozen=True)
class WholeStep:
    """A step from torch's θ: its results are outputs, loss, gradients and the new θ.

    shown   the layers whose outputs are among them; 0 is X
    """

    trace: Trace
    settings: Settings
    shown: tuple[int, ...]

    def names(self) -> list[tuple[str, str]]:
        """Return the kind and the name of every result."""
        layers, names = self.trace.before.layers, numbered(self.trace.before.layers)
        what = ["z" if layer.shapes else layer.op for layer in layers]
        outputs = [("outputs", f"{names[i - 1]} {what[i - 1]}") for i in self.shown]
        gradients = [
            ("gradient", f"{names[i]} d{parameter}")
            for i in reversed(range(len(layers)))
            for parameter in layers[i].shapes
        ]
        return [*outputs, ("loss", "loss"), *gradients, ("parameters", "θ")]

    def results(
        self, outputs: list[Array], loss: Array, grad: Parameters, after: Array
    ) -> list[Array]:
        """Put the results in the order of their names."""
        gradients = [view for views in reversed(grad.views) for view in views]
        return [*(outputs[i] for i in self.shown), loss, *gradients, after]

    def right(self) -> Sequence[Numbers]:
        """Return the right results, at torch's ReLUs, in wider arithmetic.

        float64 for float32, and for float64 the longest that the machine has. The bounds of a
        whole network are so wide that more digits would change nothing.
        """
        trace = self.trace
        dtype = np.float64 if trace.X.dtype == np.float32 else np.longdouble
        on = {i: trace.outputs[i + 1] > 0 for i in _kinks(trace)}
        with np.errstate(all="ignore"):
            before = trace.before.astype(dtype)
            step = network.right_step(before, trace.X, trace.target, self.settings, trace.state, on)
        return self.results(step.outputs, step.loss, step.grad, step.after.theta)

    def element(self, part: int, index: Index) -> tuple[WholeStep, Index]:  # noqa: ARG002
        """Return itself: nothing smaller has the element."""
        return self, index


def whole_step(
    trace: Trace, settings: Settings, outputs: list[Array], differ: Masks
) -> Iterator[Quantity]:
    """Yield what a step of ours computes from torch's θ, and what torch computed.

    `outputs` is our forward pass. What a layer has overwritten in it is left out.
    """
    u, wide = bounds.unit_roundoff(trace.X.dtype), trace.astype(np.float64)
    theirs = ours = network.errors(wide, settings, u, differ)
    if settings.factors:
        ours = network.errors(wide, settings.strict(), u, differ)
    last = len(outputs) - 1
    shown = (i for i in range(1, last + 1) if i == last or outputs[i] is not outputs[i + 1])
    source = WholeStep(trace, settings, tuple(shown))
    everything = zip(
        source.names(),
        source.results(outputs, *_our_step(trace, settings)),
        source.results(trace.outputs, trace.loss, trace.grad, trace.after.theta),
        source.results(*theirs),
        source.results(*ours),
        strict=True,
    )
    for part, ((kind, name), our, torch, bound, our_bound) in enumerate(everything):
        yield Quantity(kind, f"network {name}", our, torch, bound, our_bound, source, part)


def flipped(trace: Trace, outputs: list[Array]) -> Masks:
    """Mark the ReLUs that are on in one and off in the other, each side on its own."""
    return {i: (outputs[i + 1] > 0) != (trace.outputs[i + 1] > 0) for i in _kinks(trace)}


def take_step(
    parameters: Parameters,
    X: Array,
    target: AnyArray,
    objective: Objective,
    optimizer: Optimizer,
    grad: Parameters,
) -> float:
    """Take one step of training as it is, in place; return the loss before it."""
    loss, _ = train.backpropagate(parameters, X, target, objective, out=grad)
    optimizer.step(parameters.theta, grad.theta)
    return loss


def _our_step(trace: Trace, settings: Settings) -> tuple[Array, Parameters, Array]:
    """Return loss, gradient and new θ of a step of ours, from torch's θ and state."""
    parameters, grad = trace.before.copy(), trace.before.copy()
    optimizer = with_state(settings.optimizer, trace.state)
    loss = take_step(parameters, trace.X, trace.target, settings.objective, optimizer, grad)
    return np.asarray(loss, trace.X.dtype), grad, parameters.theta


def _kinks(trace: Trace) -> list[int]:
    layers = trace.before.layers
    return [i for i, layer in enumerate(layers) if layer.op in network.KINKS]
