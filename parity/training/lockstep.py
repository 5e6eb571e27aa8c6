"""The same model, start and batches on both sides, compared at every step of the training.

step.py judges each step from the parameters that torch had before it. Besides, both sides train
freely, each from its own parameters. In float64 these must stay within 1e-12 of each other. For
float32 there is no such criterion: one ReLU that flips moves all that follows.

At the end stands what explains a failure: which side left its bound at the first quantity that is
too far apart, and how to see it again.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import nan
from time import perf_counter
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from parity import devices
from parity.judge import Difference, Index, Verdict, measure
from parity.training.calls import Call, Quantity, Source
from parity.training.network import KINKS
from parity.training.optimizers import Update
from parity.training.step import StepResult, check_step, operations, sound, take_step
from parity.training.torch_side import TorchSide
from parity.training.trace import FREE_RUN_TOLERANCE, Settings, batches, epoch
from scratchnn.data import Dataset
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.run import recipes
from scratchnn.run.recipes import Recipe, Run
from scratchnn.train import Score, Step, Totals, evaluate

if TYPE_CHECKING:
    from parity.devices import Precision

UNKNOWN = Score(nan, None)
FEW = 32  # numbers that a reader copies
FLAGS = ("epochs", "batch_size", "learning_rate", "momentum", "activation")  # of the command


@dataclass
class EpochResult:
    """What both sides reached by the end of an epoch, and its steps."""

    epoch: int
    ours: Score = UNKNOWN
    torch: Score = UNKNOWN
    ours_running_loss: float = nan
    torch_running_loss: float = nan
    steps: list[StepResult] = field(default_factory=list)


@dataclass
class Lockstep:
    """The results of a run on both sides.

    kinks          whether the network has ReLUs
    ours_seconds   of the training steps alone; torch_seconds likewise
    culprit        of the first step that left a tolerance
    reproduction   how to see it again
    limits         of the free run at each step, if a control was run
    """

    dtype: str
    device: str
    kinks: bool
    epochs: list[EpochResult] = field(default_factory=list)
    ours_seconds: float = 0.0
    torch_seconds: float = 0.0
    culprit: Culprit | None = None
    reproduction: str | None = None
    limits: list[float] | None = None
    interrupted: bool = False

    @property
    def steps(self) -> list[StepResult]:
        """All steps of all epochs."""
        return [step for epoch in self.epochs for step in epoch.steps]

    @property
    def flips(self) -> int:
        """How many ReLUs were on in one and off in the other within rounding, over all steps."""
        return sum(step.flips for step in self.steps if not step.diverged)

    @property
    def free_run(self) -> float:
        """How far the two freely trained θ came apart at most."""
        return max(step.free_run for step in self.steps)

    @property
    def free_run_tolerance(self) -> float | None:
        """How far they may come apart: 1e-12 in float64; in float32 there is no such number."""
        return FREE_RUN_TOLERANCE if self.dtype == "float64" else None

    @property
    def worst(self) -> StepResult:
        """The step whose worst difference is closest to its tolerance."""
        return max(sound(self.steps), key=lambda step: step.worst.ratio)

    @property
    def diverged(self) -> StepResult | None:
        """The first step after which both sides had diverged."""
        return next((step for step in self.steps if step.diverged), None)

    @property
    def unbounded(self) -> StepResult | None:
        """The first step in which a bound was infinite or NaN."""
        return next((step for step in self.steps if step.unbounded), None)

    @property
    def strayed(self) -> StepResult | None:
        """The first step after which the free runs were too far apart, in float64."""
        if self.free_run_tolerance is None:
            return None
        limits = self.limits or []
        for i, step in enumerate(self.steps):
            allowed = max([self.free_run_tolerance, *limits[i : i + 1]])
            if step.free_run > allowed and not step.diverged:
                return step
        return None

    @property
    def unlike(self) -> EpochResult | None:
        """The first epoch with other accuracies, where θ are so close that they must be equal."""
        if self.free_run_tolerance is None or self.free_run > self.free_run_tolerance:
            return None
        pairs = ((row, row.ours.accuracy, row.torch.accuracy) for row in self.epochs)
        return next((row for row, a, b in pairs if a != b and not (a != a and b != b)), None)

    @property
    def steps_hold(self) -> bool:
        """Whether every step is within its tolerances."""
        return all(step.holds for step in self.steps)

    @property
    def holds(self) -> bool:
        """Whether every step is within its tolerances and, in float64, both sides end alike."""
        return self.steps_hold and self.strayed is None and self.unlike is None


def train(
    run: Run,
    device: torch.device,
    *,
    max_steps: int | None = None,
    precision: Precision = "ieee",
    judged_as: Precision = "ieee",
) -> Iterator[tuple[Lockstep, EpochResult]]:
    """Train on both sides, epoch by epoch, and compare every step; yields the results so far.

    Ctrl-C ends the epoch where it stands: it is yielded, and it is the last.

    Options  max_steps   default: all steps of all epochs
             precision   of torch's products of float32 matrices
             judged_as   the precision that the bounds take torch's products to have
    Raises   ValueError for a layer, an objective or an optimizer that parity has no rule for
    """
    pair = _Pair(run, device, precision, Settings.of(run, judged_as))
    result = pair.result
    for number in range(1, run.recipe.epochs + 1):
        row = pair.epoch(number, max_steps)
        if not row.steps:
            return
        result.epochs.append(row)
        yield result, row
        if result.interrupted or pair.stuck:
            return


class _Pair:
    """Both sides of a run, and what was found about them."""

    def __init__(
        self, run: Run, device: torch.device, precision: Precision, settings: Settings
    ) -> None:
        self.run, self.settings = run, settings
        self.theirs = TorchSide(run, device, precision)
        self.grad = Parameters.zeros(run.parameters.layers, run.parameters.theta.dtype)
        kinks = any(layer.op in KINKS for layer in run.parameters.layers)
        self.result = Lockstep(run.parameters.theta.dtype.name, device.type, kinks)
        self.done, self.stuck = 0, False  # stuck: our next step would make no sense

    def epoch(self, number: int, max_steps: int | None) -> EpochResult:
        """Take an epoch's steps, or as many as are left, and evaluate both sides."""
        run, objective, ours, theirs = self.run, self.settings.objective, Totals(), Totals()
        row = EpochResult(number)
        left = None if max_steps is None else max_steps - self.done
        try:
            for X, target in islice(epoch(run), left):
                row.steps.append(self._step(X, target))
                if self.stuck:
                    return row
                count = objective.count(target)
                ours.add(Step(self.loss, 0, count, len(X)))
                theirs.add(Step(self.theirs_loss, 0, count, len(X)))
        except KeyboardInterrupt:
            self.result.interrupted = True
        if row.steps:
            data = run.test or run.train
            row.ours, row.torch = self._evaluate(data), self.theirs.evaluate(data)
            row.ours_running_loss = ours.score(objective).loss
            row.torch_running_loss = theirs.score(objective).loss
        return row

    def _step(self, X: Array, target: AnyArray) -> StepResult:
        trace = self.theirs.step(X, target)
        self.theirs_loss, self.result.torch_seconds = float(trace.loss), self.theirs.seconds
        self.done += 1
        found = check_step(self.done, trace, self.settings)
        self.stuck = found.worst.reason is not None
        if self.stuck:
            apart, diverged = np.inf, False
        else:
            self._train(X, target)
            ours, theirs = self.run.parameters.theta, trace.after.theta
            apart = distance(ours, theirs)
            diverged = _diverged(self.loss, ours) and _diverged(self.theirs_loss, theirs)
        if found.broken and not diverged and self.result.culprit is None:
            self.result.culprit = find(self.done, found.broken)
        return replace(found, free_run=apart, diverged=diverged, broken=None)

    def _train(self, X: Array, target: AnyArray) -> None:
        """Take our own step, from our own parameters."""
        run, goal, start = self.run, self.settings.objective, perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is reported
            self.loss = take_step(run.parameters, X, target, goal, run.optimizer, self.grad)
        self.result.ours_seconds += perf_counter() - start

    def _evaluate(self, data: Dataset) -> Score:
        try:
            return evaluate(self.run.parameters, data, self.settings.objective)
        except FloatingPointError:  # it diverged
            return Score(nan, nan if self.settings.objective.classes else None)


def distance(ours: Array, theirs: Array | float) -> float:
    """Return max |θ - θ|, infinite where one alone is not finite; two that diverged are alike."""
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.nan_to_num(abs(ours - theirs), nan=np.inf, posinf=np.inf)
    return float(np.where(np.isfinite(ours) | np.isfinite(theirs), apart, 0.0).max())


def _diverged(loss: float, theta: Array) -> bool:
    """Return whether the loss or θ is so large that its square is not finite."""
    most = np.sqrt(np.finfo(theta.dtype).max)
    return not (abs(loss) < most and (abs(theta) < most).all())


# What explains a failure


@dataclass(frozen=True)
class Culprit:
    """The first element that left its tolerance, in the order of computation.

    verdict   both sides against the right answer; without them where there is nothing to compare
    source    the smallest call that has the element; None: the whole network has it
    """

    step: int
    index: Index
    difference: Difference
    verdict: Verdict
    source: Call | Update | None = None

    @property
    def who(self) -> str:
        """Which side left its bound; torch's dtypes and shapes are right as they are."""
        if self.difference.reason:
            return "NumPy"
        return " and ".join(self.verdict.guilty) or "neither side alone, but both together"

    def __str__(self) -> str:
        lines = (
            f"first at step {self.step}, {self.difference}",
            f"wrong is {self.who}: {self.verdict}",
        )
        return "\n".join(lines)


def find(step: int, quantity: Quantity) -> Culprit:
    """Compare both sides with the right answer, at the element that left its tolerance."""
    difference = quantity.difference()
    if difference.reason:
        return Culprit(step, (), difference, Verdict(quantity.name, ()))
    source, verdict = blame(quantity, difference.index)
    shown = source if isinstance(source, Call | Update) else None
    return Culprit(step, difference.index, difference, verdict, shown)


def blame(quantity: Quantity, index: Index) -> tuple[Source, Verdict]:
    """Return the smallest source of an element, and both sides of it against the right answer."""
    source, place = quantity.source.element(quantity.part, index)
    exact = np.asarray(source.right()[quantity.part])[place]
    sides = ("NumPy", quantity.ours, quantity.ours_bound), ("torch", quantity.torch, quantity.bound)
    errors = []
    for name, side, limit in sides:
        bound = np.broadcast_to(limit, side.shape)[index]
        error = measure(name, quantity.name, side[index], exact, bound, quantity.torch.dtype)
        errors.append(replace(error, index=index))
    return source, Verdict(quantity.name, tuple(errors))


def element(
    run: Run,
    name: str,
    index: Index,
    *,
    step: int,
    device: str = "cpu",
    precision: Precision = "ieee",
) -> Call | Update:
    """Train in torch up to a step, and return the smallest call that has an element of it.

    Raises   ValueError for a quantity that no operation of the step has
    """
    theirs = TorchSide(run, devices.prepare(device), precision)
    for X, target in islice(batches(run), step):
        trace = theirs.step(X, target)
    for quantity in operations(trace, Settings.of(run)):
        if quantity.name == name:
            source, _ = quantity.source.element(quantity.part, index)
            if isinstance(source, Call | Update):
                return source
    raise ValueError(f"quantity must be one of an operation of the step, got {name!r}")


def reproduction(
    culprit: Culprit, recipe: Recipe, dtype: str, options: Mapping[str, object]
) -> str:
    """Return the command, and the Python lines, that show this element again, on both sides.

    `options`: seed, and what else was given of device, precision, judged_as, data_dir, threads.
    """
    given = {
        "data": recipe.data,
        **_changes(recipe, FLAGS),
        "dtype": dtype,
        **options,
        "steps": culprit.step,
    }
    flags = " ".join(
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items()
    )
    lines = [f"reproduce:  python -m parity train {recipe.name} {flags}"]
    if culprit.source:
        side = _side(options)
        code = culprit.source.code(*side)
        if culprit.source.numbers > FEW:
            code = _by_training(culprit, recipe, dtype, options, side)
        words = "in Python, this element alone"
        if "NumPy" in culprit.verdict.guilty and culprit.source.right_in_numpy():
            words += " (there NumPy is right: what is wrong is the code that calls the operation)"
        lines += [f"{words}:", *(f"    {line}".rstrip() for line in code.splitlines())]
    return "\n".join(lines)


def _side(options: Mapping[str, object]) -> tuple[str, Precision, Precision]:
    """Return torch's device, its precision, and the one that it is judged as."""
    usual = {"device": "cpu", "precision": "ieee", "judged_as": "ieee"}
    side = tuple(options.get(name, value) for name, value in usual.items())
    return cast("tuple[str, Precision, Precision]", side)


def _by_training(
    culprit: Culprit,
    recipe: Recipe,
    dtype: str,
    options: Mapping[str, object],
    side: tuple[str, Precision, Precision],
) -> str:
    """Write a program that lets torch train up to the step, to have the numbers."""
    changes = "".join(f", {name}={value!r}" for name, value in _changes(recipe).items())
    folder = f", data_dir={options['data_dir']!r}" if "data_dir" in options else ""
    given = {name: options[name] for name in ("device", "precision") if name in options}
    rest = "".join(f", {name}={value!r}" for name, value in given.items())
    return (
        "from parity.training import lockstep\n"
        "from scratchnn import recipes\n\n"
        f"recipe = recipes.get({recipe.name!r}).on({recipe.data!r}{changes})\n"
        f"run = recipes.prepare(recipe, seed={options['seed']}, dtype={dtype!r}{folder})\n"
        f"call = lockstep.element(run, {culprit.verdict.quantity!r}, {culprit.index}, "
        f"step={culprit.step}{rest})\n"
        f"for verdict in call.judge({', '.join(map(repr, side))}):\n"
        "    print(verdict)\n"
    )


def _changes(recipe: Recipe, names: Sequence[str] = (*FLAGS, "hidden")) -> dict[str, object]:
    """Return what differs from the recipe of this name."""
    usual = recipes.get(recipe.name).on(recipe.data)
    return {n: getattr(recipe, n) for n in names if getattr(recipe, n) != getattr(usual, n)}
