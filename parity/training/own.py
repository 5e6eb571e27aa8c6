"""A network of one's own: trained on both sides, and a step of one's own compared with torch's.

The functions behind `parity.train` and `parity.check_step`, which say what their options are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from parity import devices
from parity.judge import Difference, at, worst
from parity.training import free_run, lockstep
from parity.training.optimizers import with_state
from parity.training.report import Lockstep
from parity.training.step import Quantity, WholeStep, numbered, quantities_of
from parity.training.torch_side import TorchSide
from parity.training.trace import Settings, Trace, batches
from scratchnn import mlp, objectives
from scratchnn.data.given import as_dataset
from scratchnn.layers import Layer
from scratchnn.mlp import Parameters
from scratchnn.objectives import Objective
from scratchnn.ops.shared import Array
from scratchnn.optim import Optimizer
from scratchnn.run.recipes import Recipe, Run
from scratchnn.train import total

Network: TypeAlias = "Sequence[int] | Sequence[Layer] | Parameters"
Gradient: TypeAlias = "ArrayLike | Sequence[ArrayLike]"
NAME = "your network"
FORM = "arrays=True gives the step a list [W_1, b_1, ...], arrays=False one vector"


class Options(TypedDict):
    """How a network is trained: the options of `prepare`."""

    optimizer: Optimizer
    objective: str | Objective
    epochs: int
    batch_size: int
    activation: str
    seed: int
    dtype: DTypeLike


def prepare(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    optimizer: Optimizer,
    objective: str | Objective,
    epochs: int,
    batch_size: int,
    activation: str,
    seed: int,
    dtype: DTypeLike,
) -> Run:
    """Make a run of a network, a copy of an optimizer, and arrays.

    Raises   ValueError, DataError for what makes no run
    """
    goal, rng = objectives.get(objective), np.random.default_rng(seed)
    own = with_state(optimizer, {})
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {np.dtype(dtype)}")
    for name, number in (("epochs", epochs), ("batch_size", batch_size)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if isinstance(network, Parameters):
        parameters = network.astype(dtype)
    else:
        parameters = mlp.init(network, activation=activation, rng=rng, dtype=dtype)
    arrays = np.asarray(X), np.asarray(y)
    data = as_dataset(arrays, parameters.sizes[-1], classes=goal.classes)
    total(parameters, data, goal, range(0))  # of no rows: raises where they do not fit
    recipe = Recipe(NAME, "", data.name, goal, own.learning_rate, batch_size, epochs)
    return Run(recipe, data, None, parameters, own, rng)


def train(
    network: Network, X: ArrayLike, y: ArrayLike, device: str, **options: Unpack[Options]
) -> Lockstep:
    """Train a network on both sides, and compare every step; options as of `prepare`."""
    again, result = partial(prepare, network, X, y, **options), None
    with devices.prepared(device) as on:
        for result, _ in lockstep.train(again(), on):
            if result.culprit and not result.reproduction:
                result.reproduction = "\n".join(lockstep.alone(result.culprit, device))
        if result is None:  # interrupted in the first step
            raise KeyboardInterrupt
        free_run.allow_drift(result, again, on)
    return result


# A step of one's own


@dataclass(frozen=True)
class StepReport:
    """Whether a step of one's own computes what torch does.

    steps       how many were compared
    worst       what came closest to its tolerance
    failure     what is wrong first, and how; empty where the step is right
    unbounded   the first quantity whose bound is infinite or NaN, and says nothing
    """

    dtype: str
    steps: int
    worst: Difference
    failure: str = ""
    unbounded: str | None = None

    @property
    def holds(self) -> bool:
        """Whether loss and gradient were within their tolerances in all steps."""
        return not self.failure

    def __str__(self) -> str:
        nothing = f"\nThe bound of {self.unbounded} is infinite or NaN: it is not judged."
        end = nothing if self.unbounded else ""
        if self.failure:
            return f"your step FAILS in {self.dtype}: {self.failure}{end}"
        return (
            f"your step holds in {self.dtype}: {self.steps:,} steps from torch's θ, at worst "
            f"{self.worst.ratio:.0%} of a tolerance ({self.worst.quantity}){end}"
        )


Step: TypeAlias = Callable[..., object]  # of θ, X and y: (loss, gradient)


def check_step(
    step: Step,
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    device: str,
    *,
    arrays: bool,
    **options: Unpack[Options],
) -> StepReport:
    """Compare a step with torch's, from torch's θ each time; options as of `prepare`."""
    run, of_X, of_y = prepare(network, X, y, **options), np.shape(X)[1:], np.shape(y)[1:]
    settings, found, unbounded = Settings.of(run), [], None
    with devices.prepared(device) as on:
        side = TorchSide(run, on)
        for number, (rows, target) in enumerate(batches(run), 1):
            trace = side.step(rows, target)
            given = trace.before.copy()
            theta = [view for *_, view in given.arrays()] if arrays else given.theta
            batch = rows.reshape(-1, *of_X), target.reshape(-1, *of_y)
            try:
                returned = step(theta, *batch)
            except Exception as error:
                error.add_note(f"theta is {'a list of arrays' if arrays else 'one vector'}: {FORM}")
                raise
            loss, grad = _results(returned, trace.before)
            quantities = _quantities(replace(trace, loss=loss, grad=grad), trace, settings)
            judged = [(quantity, quantity.difference()) for quantity in quantities]
            found += [difference for _, difference in judged]
            unbounded = unbounded or next((q.name for q, _ in judged if q.unbounded), None)
            if not all(difference.holds for _, difference in judged):
                failure = f"first at step {number}, {_describe(judged, trace)}"
                return StepReport(loss.dtype.name, number, worst(found), failure, unbounded)
    return StepReport(loss.dtype.name, number, worst(found), "", unbounded)


def _results(returned: object, like: Parameters) -> tuple[Array, Parameters]:
    """Return loss and gradient in the form of ours.

    Raises   ValueError for what is no (loss, gradient)
    """
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise ValueError(f"step must return (loss, gradient), got {type(returned).__name__}")
    loss, given = np.asarray(returned[0], like.theta.dtype), returned[1]
    if loss.shape != ():
        raise ValueError(f"the loss of step must be one number, the mean, got shape {loss.shape}")
    grad, numbers = like.copy(), numbered(like.layers)
    if not isinstance(given, (list, tuple)):
        flat = np.asarray(given)
        if flat.shape != grad.theta.shape:
            want = f"θ's shape {grad.theta.shape}, or be a list of arrays, one for each W and b"
            raise ValueError(f"the gradient of step must have {want}; got shape {flat.shape}")
        grad.theta = flat
        return loss, grad
    parts = [part for layer in given for part in (layer if isinstance(layer, tuple) else [layer])]
    views = list(grad.arrays())
    if len(parts) != len(views):
        want = f"{len(views)} arrays, one for each W and b"
        raise ValueError(f"the gradient of step must be {want}, got {len(parts)}")
    for (i, name, view), part in zip(views, parts, strict=True):
        if np.shape(part) != view.shape:
            got = f"{view.shape}, as {name} has, got {np.shape(part)}"
            raise ValueError(f"d{name} of layer {numbers[i]} must have the shape {got}")
        view[...] = np.asarray(part)
    return loss, grad


def _quantities(ours: Trace, torch: Trace, settings: Settings) -> Iterator[Quantity]:
    """Yield the loss, and the gradients from the last layer to the first."""
    source = WholeStep(torch, settings, (), None)
    theirs, own = source.results(torch), source.results(ours)
    results = (
        (part, kind, name, own[kind, name], theirs[kind, name])
        for part, (kind, name) in enumerate(theirs)
        if kind != "parameters"
    )
    return quantities_of(source, settings, results)


def _describe(judged: Sequence[tuple[Quantity, Difference]], trace: Trace) -> str:
    """Say what is wrong first, at which element and in which way, and what else is wrong."""
    quantity, first = next(pair for pair in judged if not pair[1].holds)
    words = (
        f"{first.quantity}{at(first.index)}: yours {first.ours:.9g}, torch's {first.torch:.9g}, "
        f"apart by {first.difference:.1e}, tolerance {first.tolerance:.1e}\n"
        f"{_cause(quantity, trace)}\n"
    )
    for word, holds in (("right", True), ("wrong", False)):
        names = [quantity.name for quantity, difference in judged if difference.holds is holds]
        words += f"{word} in this step: {', '.join(names)}\n" if names else ""
    return words.rstrip()


def _factor(factor: float, rows: int, outputs: int) -> str:
    """Say what a factor may come from; a length of 1 or 2 is no evidence."""
    known = {-1.0: "the sign is wrong"}
    for length, name in ((outputs, "the number of outputs"), (rows, "the rows of the batch")):
        if length > 2:
            known[length] = f"{length} times too large, {name}: is it a sum, and not the mean?"
            known[1 / length] = f"{length} times too small, {name}: is a mean taken for a sum?"
    near = (words for value, words in known.items() if np.isclose(factor, value, rtol=1e-4))
    return next(near, f"it is {factor:.6g} times torch's")


def _cause(quantity: Quantity, trace: Trace) -> str:
    """Say in which way a result is wrong, as far as its numbers tell."""
    ours, torch, tolerance = quantity.ours, quantity.torch, quantity.tolerance

    def fits(other: Array, share: float = 1.0) -> bool:
        return bool((abs(other - torch) <= tolerance * max(1.0, share)).all())

    if not np.isfinite(ours).all():
        return "it is not finite"
    if not ours.any():
        return "it is zero everywhere"
    share = float(abs(ours - torch).max() / (abs(torch).max() or np.inf))
    if 0 < share < np.finfo(torch.dtype).eps ** 0.4:
        return f"about {-np.log10(share):.0f} digits are right: the others are lost on the way"
    factor = float((ours * torch).sum() / max((torch * torch).sum(), np.finfo(torch.dtype).tiny))
    if factor and fits(ours / factor, 1 / abs(factor)):
        return _factor(factor, *trace.outputs[-1].shape)
    if ours.ndim == 2:
        for other in (ours.T, ours.reshape(ours.shape[::-1]).T):
            if other.shape == torch.shape and fits(other):
                return "it is transposed"
    if quantity.kind == "gradient" and isinstance(quantity.source, WholeStep):
        theta = quantity.source.results(replace(trace, grad=trace.before))
        parameter = theta[quantity.kind, quantity.name]
        added = float(((ours - torch) * parameter).sum() / ((parameter**2).sum() or 1))
        if fits(ours - added * parameter):
            return f"{added:.6g} times the parameter is added: that decay is the optimizer's"
    wrong = abs(ours - torch) > tolerance
    return f"{wrong.sum():,} of {wrong.size:,} numbers differ, in no way that is known"
