"""One training step, judged: our code is given the very numbers that torch's had.

First each operation alone, within the bound of that one operation. So a failure names the
operation, and a ReLU whose input is within rounding of 0 cannot be on in one and off in the other.
Then our whole step, from the parameters that torch had before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from math import inf, nan
from typing import TypeAlias

import numpy as np

from parity import bounds
from parity.digits import Numbers
from parity.judge import Difference, Index, compare, worst
from parity.training import network
from parity.training.network import Masks
from parity.training.optimizers import Update, with_state
from parity.training.trace import Call, Settings, Trace, of_layers, of_objective, take_step
from scratchnn import mlp
from scratchnn.layers import Layer
from scratchnn.ops.shared import Array

KINDS = ("outputs", "loss", "gradient", "parameters")


@dataclass(frozen=True)
class Quantity:
    """Something that both sides computed, and how wrong each may be.

    kind         groups quantities in a report: outputs, loss, gradient or parameters
    name         as "layer 1 dW"
    bound        of the error of torch's
    ours_bound   of ours: never that of TF32
    source       what computed it
    part         which result of the source it is
    """

    kind: str
    name: str
    ours: Array
    torch: Array
    bound: Array
    ours_bound: Array
    source: Source
    part: int

    @property
    def tolerance(self) -> Array:
        """How far both sides may be apart."""
        return bounds.tolerance((self.ours_bound + self.bound) / 2, self.torch.dtype)

    @property
    def unbounded(self) -> bool:
        """Whether the bound of some entry is infinite or NaN, and says nothing."""
        return not np.isfinite(self.tolerance).all()

    def difference(self) -> Difference:
        """Compare entry by entry within the bounds of both sides.

        Training that diverges makes bounds that are infinite or NaN. Such a bound says nothing:
        its entry is not judged, and `unbounded` tells so. What has another dtype or shape than
        torch's never holds, and the reason says so.
        """
        torch = self.torch
        for what in ("dtype", "shape"):
            ours, theirs = getattr(self.ours, what), getattr(torch, what)
            if ours != theirs:
                reason = f"{self.name}: {what} must be torch's {theirs}, NumPy has {ours}"
                return Difference(self.name, (), nan, nan, nan, inf, inf, 0.0, reason)
        tolerance = self.tolerance
        torch = np.where(np.isfinite(tolerance), torch, self.ours)
        return compare(self.name, self.ours, torch, tolerance)


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
    unbounded: str | None
    broken: Quantity | None
    free_run: float = 0.0
    diverged: bool = False

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

    Where one cannot be compared, nothing after it is sound: the kinds that were not reached have
    its difference.

    Raises   ValueError for a layer, an objective or an optimizer that parity has no rule for
    """
    found: dict[str, list[Difference]] = {}
    unbounded, broken = None, None
    with np.errstate(all="ignore"):  # what is not finite is judged like all else
        for quantity in chain(operations(trace, settings), whole_step(trace, settings)):
            difference = quantity.difference()
            found.setdefault(quantity.kind, []).append(difference)
            if broken is None and not difference.holds:
                broken = quantity
            if unbounded is None and quantity.unbounded:
                unbounded = quantity.name
            if difference.reason:
                break
    outputs, loss, gradient, theta = (worst(found.get(kind, [difference])) for kind in KINDS)
    differ = quantity.source.differ if isinstance(quantity.source, WholeStep) else None
    flips = sum(int(mask.sum()) for mask in (differ or {}).values())
    return StepResult(step, outputs, loss, gradient, theta, flips, unbounded, broken)


def numbered(layers: Sequence[Layer]) -> list[int]:
    """Return 1 for the first layer with weights and the activations after it, and so on."""
    return list(accumulate(int(bool(layer.shapes)) for layer in layers))


def _names(layers: Sequence[Layer]) -> list[str]:
    """Return "layer 1 z", "layer 1 relu", "layer 2 z", ...: the output of each layer."""
    both = zip(numbered(layers), layers, strict=True)
    return [f"layer {number} {'z' if layer.shapes else layer.op}" for number, layer in both]


def quantities_of(
    source: Source, settings: Settings, results: Iterable[tuple[int, str, str, Array, Array]]
) -> Iterator[Quantity]:
    """Yield results of a source with their bounds: each its part, kind, name, ours and torch's."""
    theirs = source.bounds(settings.factors)
    strict = source.bounds(0.0) if settings.factors else theirs
    for part, kind, name, ours, torch in results:
        yield Quantity(kind, name, ours, torch, theirs[part], strict[part], source, part)


def operations(trace: Trace, settings: Settings) -> Iterator[Quantity]:
    """Yield every operation of the step, alone, in the order of computation."""
    before, outputs, objective = trace.before, trace.outputs, settings.objective
    calls, names = of_layers(before, outputs), _names(before.layers)
    for i, layer in enumerate(before.layers):
        y = layer.forward(outputs[i].copy(), *before.views[i])  # it may overwrite its input
        yield from quantities_of(calls[i], settings, [(0, "outputs", names[i], y, outputs[i + 1])])
    z, target = outputs[-1], trace.target
    call, (loss, dz) = of_objective(objective, z, target), objective.loss_and_gradient(z, target)
    result = 0, "loss", "loss", np.asarray(loss), trace.loss
    yield from quantities_of(call, settings, [result])
    result = 0, "gradient", "dz of the loss", dz, trace.gradients[-1]
    yield from quantities_of(replace(call, dy=np.ones((), z.dtype)), settings, [result])
    for i in reversed(range(len(calls))):
        call = replace(calls[i], dy=trace.gradients[i])
        yield from quantities_of(call, settings, _gradients(trace, i))
    update = Update(settings.optimizer, before.theta, trace.grad.theta, trace.state)
    result = 0, "parameters", "θ", update.ours(), trace.after.theta
    yield from quantities_of(update, settings, [result])


def _gradients(trace: Trace, i: int) -> Iterator[tuple[int, str, str, Array, Array]]:
    """Yield the gradients of a layer's parameters, and the one of its input."""
    layer, views, x, y = trace.before.layers[i], trace.before.views[i], *trace.outputs[i : i + 2]
    dy, name = trace.gradients[i], f"layer {numbered(trace.before.layers)[i]}"
    grad = [np.zeros_like(view) for view in views]
    layer.gradients(dy, x, *views, out=grad)
    for part, parameter in enumerate(layer.shapes):
        yield part + 1, "gradient", f"{name} d{parameter}", grad[part], trace.grad.views[i][part]
    if i > 0:
        dx = layer.backward(dy.copy(), x, y, *views)  # it may overwrite dy
        what = "dX" if layer.shapes else "dz"
        yield 0, "gradient", f"{name} {what}", dx, trace.gradients[i - 1]


@dataclass(frozen=True)
class WholeStep:
    """A step from torch's θ: its results are outputs, loss, gradients and the new θ.

    shown    the layers whose outputs are among them; 0 is X
    differ   the ReLUs that are on in one and off in the other; None: it is not known which are
    """

    trace: Trace
    settings: Settings
    shown: tuple[int, ...]
    differ: Masks | None

    def results(self, step: Trace) -> dict[tuple[str, str], Array]:
        """Return the results of a step, or their bounds, by kind and name."""
        names, numbers = _names(step.before.layers), numbered(step.before.layers)
        found = {("outputs", names[i - 1]): step.outputs[i] for i in self.shown}
        found["loss", "loss"] = step.loss
        for i, name, gradient in sorted(step.grad.arrays(), key=lambda array: -array[0]):
            found["gradient", f"layer {numbers[i]} d{name}"] = gradient
        return found | {("parameters", "θ"): step.after.theta}

    def bounds(self, factors: float) -> list[Array]:
        u, wide = bounds.unit_roundoff(self.trace.outputs[0].dtype), self.trace.astype(np.float64)
        errors = network.errors(wide, self.settings, u, factors, self.differ)
        return list(self.results(errors).values())

    def right(self) -> list[Numbers]:
        """Return the right results, at torch's ReLUs, in wider arithmetic.

        float64 for float32, and for float64 the longest that the machine has. The bounds of a
        whole network are so wide that more digits would change nothing.
        """
        trace, X = self.trace, self.trace.outputs[0]
        before = trace.before.astype(np.float64 if X.dtype == np.float32 else np.longdouble)
        on = {i: trace.outputs[i + 1] > 0 for i in network.kinks(before)}
        with np.errstate(all="ignore"):
            step = network.right_step(before, X, trace.target, self.settings, trace.state, on)
        return list(self.results(step).values())

    def element(self, _: int, index: Index) -> tuple[WholeStep, Index]:
        """Return itself: nothing smaller has the element."""
        return self, index


# What computed some results of a step: it has their bounds, the right results, and the smallest
# source that has an element of one
Source: TypeAlias = Call | Update | WholeStep


def whole_step(trace: Trace, settings: Settings) -> Iterator[Quantity]:
    """Yield what a step of ours computes from torch's θ, and what torch computed.

    What a layer of ours has overwritten is left out.
    """
    X, before, after = trace.outputs[0], trace.before, trace.before.copy()
    outputs, last = mlp.forward(before, X), len(trace.outputs) - 1
    relus, theirs = network.kinks(before), trace.outputs
    differ = {i: (outputs[i + 1] > 0) != (theirs[i + 1] > 0) for i in relus}
    shown = (i for i in range(1, last + 1) if i == last or outputs[i] is not outputs[i + 1])
    source = WholeStep(trace, settings, tuple(shown), differ)
    optimizer = with_state(settings.optimizer, trace.state)
    loss, grad = take_step(after, X, trace.target, replace(settings, optimizer=optimizer))
    value = np.asarray(loss, trace.loss.dtype)
    ours = source.results(replace(trace, outputs=outputs, loss=value, grad=grad, after=after))
    whole = (
        (part, kind, f"network {name}", ours[kind, name], torch)
        for part, ((kind, name), torch) in enumerate(source.results(trace).items())
    )
    yield from quantities_of(source, settings, whole)
