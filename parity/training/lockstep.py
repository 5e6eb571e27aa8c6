"""The same model, start and batches on both sides, compared at every step of the training.

step.py judges each step from the parameters that torch had before it. Besides, both sides train
freely, each from its own parameters. In float64 these must stay within 1e-12 of each other. For
float32 there is no such criterion: one ReLU that flips moves all that follows.

Of the first step that fails, the culprit is found: which side left its bound, at which element.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import nan
from time import perf_counter
from typing import Any

import numpy as np
import torch

from parity import devices, judge
from parity.digits import Precision
from parity.judge import Difference, Index, Verdict, measure
from parity.report import Facts
from parity.training import network
from parity.training.optimizers import Update
from parity.training.step import Quantity, StepResult, WholeStep, check_step, operations, sound
from parity.training.torch_side import TorchSide
from parity.training.trace import FREE_RUN_TOLERANCE, Call, Settings, batches, epoch, take_step
from scratchnn.data import Dataset
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.run import recipes
from scratchnn.run.recipes import Recipe, Run
from scratchnn.train import Score, Step, Totals, evaluate

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
        """How far they may: 1e-12 in float64; in float32 there is no such number."""
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
    pair = _Pair(run, device, precision, judged_as)
    for number in range(1, run.recipe.epochs + 1):
        row = pair.epoch(number, max_steps)
        if not row.steps:
            return
        pair.result.epochs.append(row)
        yield pair.result, row
        if pair.result.interrupted or pair.stuck:
            return


class _Pair:
    """Both sides of a run, and what was found about them."""

    def __init__(
        self, run: Run, device: torch.device, precision: Precision, judged_as: Precision
    ) -> None:
        self.run, self.settings = run, Settings.of(run, judged_as)
        self.theirs = TorchSide(run, device, precision)
        kinks = bool(network.kinks(run.parameters))
        self.result = Lockstep(run.parameters.theta.dtype.name, device.type, kinks)
        self.done, self.stuck = 0, False  # stuck: our next step would make no sense

    def epoch(self, number: int, max_steps: int | None) -> EpochResult:
        """Take an epoch's steps, or as many as are left, and evaluate both sides."""
        run, objective, totals = self.run, self.settings.objective, (Totals(), Totals())
        row = EpochResult(number)
        left = None if max_steps is None else max_steps - self.done
        try:
            for X, target in islice(epoch(run), left):
                step, *losses = self._step(X, target)
                row.steps.append(step)
                if self.stuck:
                    return row
                for side, loss in zip(totals, losses, strict=True):
                    side.add(Step(loss, 0, objective.count(target), len(X)))
        except KeyboardInterrupt:
            self.result.interrupted = True
        if row.steps:
            data = run.test or run.train
            row.ours, row.torch = self._evaluate(data), self.theirs.evaluate(data)
            losses = [side.score(objective).loss for side in totals]
            row.ours_running_loss, row.torch_running_loss = losses
        return row

    def _step(self, X: Array, target: AnyArray) -> tuple[StepResult, float, float]:
        """Take a step on both sides; return what it showed, and both losses."""
        parameters, trace = self.run.parameters, self.theirs.step(X, target)
        self.done, self.result.torch_seconds = self.done + 1, self.theirs.seconds
        found = check_step(self.done, trace, self.settings)
        self.stuck = found.worst.reason is not None
        loss, theirs, apart, diverged = nan, float(trace.loss), np.inf, False
        if not self.stuck:
            start = perf_counter()
            loss, _ = take_step(parameters, X, target, self.settings)
            self.result.ours_seconds += perf_counter() - start
            apart = distance(parameters.theta, trace.after.theta)
            diverged = _diverged(loss, parameters.theta) and _diverged(theirs, trace.after.theta)
        if found.broken and not diverged and self.result.culprit is None:
            self.result.culprit = find(self.done, found.broken)
        return replace(found, free_run=apart, diverged=diverged, broken=None), loss, theirs

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


@dataclass(frozen=True)
class Culprit:
    """The first element that left its tolerance, in the order of computation.

    verdict   both sides against the right answer; without them where there is nothing to compare
    source    the smallest call that has the element; None: the whole network has it
    """

    step: int
    difference: Difference
    verdict: Verdict
    source: Call | Update | None = None

    def __str__(self) -> str:
        """Name the side that left its bound; torch's dtypes and shapes are right as they are."""
        who = " and ".join(self.verdict.guilty) or "neither side alone, but both together"
        who = "NumPy" if self.difference.reason else who
        return f"first at step {self.step}, {self.difference}\nwrong is {who}: {self.verdict}"


def find(step: int, quantity: Quantity) -> Culprit:
    """Compare both sides with the right answer, at the element that left its tolerance."""
    difference = quantity.difference()
    if difference.reason:
        return Culprit(step, difference, Verdict(quantity.name, ()))
    source, verdict = blame(quantity, difference.index)
    return Culprit(step, difference, verdict, None if isinstance(source, WholeStep) else source)


def blame(quantity: Quantity, index: Index) -> tuple[Call | Update | WholeStep, Verdict]:
    """Return the smallest source of an element, and both sides of it against the right answer."""
    source, place = quantity.source.element(quantity.part, index)
    exact, dtype = np.asarray(source.right()[quantity.part])[place], quantity.torch.dtype
    sides = ("NumPy", quantity.ours, quantity.ours_bound), ("torch", quantity.torch, quantity.bound)
    errors = []
    for name, side, limit in sides:
        bound = np.broadcast_to(limit, side.shape)[index]
        error = measure(name, quantity.name, side[index], exact, bound, dtype)
        errors.append(replace(error, index=index))
    return source, Verdict(quantity.name, tuple(errors))


def element(
    run: Run, name: str, index: Index, step: int, device: str = "cpu", precision: Precision = "ieee"
) -> Call | Update:
    """Train in torch up to a step, and return the smallest call that has an element of it.

    Raises   ValueError for a quantity that no operation of the step has
    """
    theirs = TorchSide(run, devices.prepare(device), precision)
    for X, target in islice(batches(run), step):
        trace = theirs.step(X, target)
    for quantity in operations(trace, Settings.of(run)):
        if quantity.name == name and not isinstance(quantity.source, WholeStep):
            return quantity.source.element(quantity.part, index)[0]
    raise ValueError(f"quantity must be one of an operation of the step, got {name!r}")


def reproduction(culprit: Culprit, recipe: Recipe, dtype: str, options: Facts) -> str:
    """Return the command, and the Python lines, that show this element again, on both sides.

    `options`: seed, and what else was given of device, precision, judged_as, data_dir, threads.
    """
    given = {"data": recipe.data, **_changes(recipe, FLAGS), "dtype": dtype, **options}
    flags = " ".join(
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}"
        for name, value in (given | {"steps": culprit.step}).items()
    )
    command = f"reproduce:  python -m parity train {recipe.name} {flags}"
    call = culprit.source
    if call is None:
        return command
    usual = {"device": "cpu", "precision": "ieee", "judged_as": "ieee"}
    side: list[Any] = [options.get(name, value) for name, value in usual.items()]
    many = call.numbers > FEW
    code = _by_training(culprit, recipe, dtype, options, side) if many else call.code(*side)
    words = "in Python, this element alone"
    if isinstance(call, Call) and "NumPy" in culprit.verdict.guilty:
        verdicts = judge.judge(call.op, call.case, on=(), dy=call.dy)
        if all(verdict.holds for verdict in verdicts):
            words += " (there NumPy is right: what is wrong is the code that calls the operation)"
    lines = (f"    {line}".rstrip() for line in code.splitlines())
    return "\n".join([command, f"{words}:", *lines])


def _by_training(
    culprit: Culprit, recipe: Recipe, dtype: str, options: Facts, side: Sequence[object]
) -> str:
    """Write a program that lets torch train up to the step, to have the numbers."""
    changes = "".join(f", {n}={value!r}" for n, value in _changes(recipe).items())
    folder = f", data_dir={options['data_dir']!r}" if "data_dir" in options else ""
    rest = "".join(f", {n}={options[n]!r}" for n in ("device", "precision") if n in options)
    return (
        "from parity.training import lockstep\n"
        "from scratchnn import recipes\n\n"
        f"recipe = recipes.get({recipe.name!r}).on({recipe.data!r}{changes})\n"
        f"run = recipes.prepare(recipe, seed={options['seed']}, dtype={dtype!r}{folder})\n"
        f"call = lockstep.element(run, {culprit.verdict.quantity!r}, {culprit.difference.index}, "
        f"step={culprit.step}{rest})\n"
        f"for verdict in call.judge({', '.join(map(repr, side))}):\n"
        "    print(verdict)\n"
    )


def _changes(recipe: Recipe, names: Sequence[str] = (*FLAGS, "hidden")) -> dict[str, object]:
    usual = recipes.get(recipe.name).on(recipe.data)
    return {n: getattr(recipe, n) for n in names if getattr(recipe, n) != getattr(usual, n)}
