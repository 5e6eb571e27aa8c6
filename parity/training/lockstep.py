"""The same model, start and batches on both sides, compared at every step of the training.

step.py judges each step from the parameters that torch had before it. Besides, both sides train
freely, each from its own parameters. In float64 these must stay within 1e-12 of each other. For
float32 there is no such criterion: one ReLU that flips moves all that follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from math import nan
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from parity.training.culprit import Culprit, find
from parity.training.network import KINKS
from parity.training.step import StepResult, check_step, sound, take_step
from parity.training.torch_side import TorchSide
from parity.training.trace import FREE_RUN_TOLERANCE, Settings, epoch
from scratchnn.data import Dataset
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.run.recipes import Run
from scratchnn.train import Score, Step, Totals, evaluate

if TYPE_CHECKING:
    from parity.devices import Precision

UNKNOWN = Score(nan, None)


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
