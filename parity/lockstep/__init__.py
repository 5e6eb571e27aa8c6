"""The same model, start and batches on both sides, compared at every step of the training.

parity.steps judges each step from the parameters that torch had before it. Besides, both sides
train freely, each from its own parameters. In float64 these must stay within 1e-12 of each other;
for float32 there is no such criterion: one ReLU that flips moves all that follows.

    torch_side.py  a step in torch
    culprit.py     what left its bound first, on which side, and how to see it again
    __init__.py    both sides through a whole training
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from math import nan
from time import perf_counter
from typing import Any

import numpy as np
import torch

from parity import devices
from parity.lockstep.culprit import Culprit, find
from parity.lockstep.torch_side import TorchSide
from parity.steps import StepResult, check_step
from parity.steps.trace import Settings
from scratchnn.data import Dataset, minibatches
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES
from scratchnn.recipes import Run
from scratchnn.train import Score, Totals, evaluate, train_step

FREE_RUN_TOLERANCE = 1e-12  # of float64 parameters
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
    """The results of a run on both sides."""

    dtype: str
    device: str
    epochs: list[EpochResult] = field(default_factory=list)
    ours_seconds: float = 0.0  # of the training steps alone
    torch_seconds: float = 0.0
    culprit: Culprit | None = None  # of the first step that left a tolerance
    reproduction: str | None = None  # how to see it again
    limits: list[float] | None = None  # of the free run at each step, where a control was run
    interrupted: bool = False

    @property
    def steps(self) -> list[StepResult]:
        """All steps of all epochs."""
        return [step for epoch in self.epochs for step in epoch.steps]

    @property
    def flips(self) -> int:
        """How many ReLUs were on in one and off in the other within rounding, over all steps."""
        return sum(step.flips for step in self.steps)

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
        return max(self.steps, key=lambda step: step.worst.ratio)

    @property
    def strayed(self) -> StepResult | None:
        """The first step after which the free runs were too far apart, in float64."""
        if self.free_run_tolerance is None:
            return None
        limits = self.limits or []
        for i, step in enumerate(self.steps):
            if step.free_run > max([self.free_run_tolerance, *limits[i : i + 1]]):
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
        return all(step.worst.holds for step in self.steps)

    @property
    def holds(self) -> bool:
        """Whether every step is within its tolerances and, in float64, both sides end alike."""
        return self.steps_hold and self.strayed is None and self.unlike is None


def train(
    run: Run,
    device: torch.device,
    *,
    max_steps: int | None = None,
    precision: devices.Precision = "ieee",
    judged_as: devices.Precision = "ieee",
) -> Iterator[tuple[Lockstep, EpochResult]]:
    """Train on both sides, epoch by epoch, and compare every step; yields the results so far.

    `precision` is that of torch's products of float32 matrices, `judged_as` that of the bounds.
    Ctrl-C ends the epoch where it stands: it is yielded, and the last.
    """
    pair = _Pair(run, device, precision, Settings.of(run, judged_as))
    result = pair.result
    for epoch in range(1, run.recipe.epochs + 1):
        row = pair.epoch(epoch, max_steps)
        if not row.steps:
            return
        result.epochs.append(row)
        yield result, row
        if result.interrupted or pair.stuck:
            return


class _Pair:
    """Both sides of a run, and what was found about them."""

    def __init__(
        self, run: Run, device: torch.device, precision: devices.Precision, settings: Settings
    ) -> None:
        self.run, self.settings = run, settings
        self.theirs = TorchSide(run, device, precision)
        self.grad = Parameters.zeros(run.parameters.sizes, run.parameters.theta.dtype)
        self.result = Lockstep(run.parameters.theta.dtype.name, device.type)
        self.done, self.stuck = 0, False  # stuck: our next step would make no sense

    def epoch(self, number: int, max_steps: int | None) -> EpochResult:
        """Take an epoch's steps, or as many as are left, and evaluate both sides."""
        run, recipe, ours, theirs = self.run, self.run.recipe, Totals(), Totals()
        row = EpochResult(number)
        batches = minibatches(len(run.train), recipe.batch_size, run.rng)
        left = None if max_steps is None else max_steps - self.done
        try:
            for rows in islice(batches, left):
                row.steps.append(self._step(*run.train.batch(rows, self.grad.theta.dtype)))
                if self.stuck:
                    return row
                ours.add(self.loss, 0, len(rows))
                theirs.add(self.theirs_loss, 0, len(rows))
        except KeyboardInterrupt:
            self.result.interrupted = True
        if row.steps:
            data, objective = run.test or run.train, OBJECTIVES[recipe.objective]
            row.ours = _evaluate(run, data)
            row.torch = self.theirs.evaluate(data, recipe.objective)
            row.ours_running_loss = ours.score(objective).loss
            row.torch_running_loss = theirs.score(objective).loss
        return row

    def _step(self, X: Any, target: Any) -> StepResult:
        trace = self.theirs.step(X, target)
        self.theirs_loss, self.result.torch_seconds = float(trace.loss), self.theirs.seconds
        self.done += 1
        found = check_step(self.done, trace, self.settings)
        if found.broken and self.result.culprit is None:
            self.result.culprit = find(self.done, found.broken, trace, self.settings)
        self.stuck = found.worst.reason is not None
        if not self.stuck:
            self._train(X, target)
        apart = np.inf if self.stuck else distance(self.run.parameters.theta, trace.after.theta)
        return replace(found, free_run=apart, broken=None)

    def _train(self, X: Any, target: Any) -> None:
        """Take our own step, from our own parameters."""
        run, goal = self.run, OBJECTIVES[self.run.recipe.objective]
        start = perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is reported
            self.loss, _ = train_step(
                run.parameters, self.grad, goal, run.optimizer, X, target
            )  # fmt: skip
        self.result.ours_seconds += perf_counter() - start


def distance(ours: Any, theirs: Any) -> float:
    """Return max |θ - θ|, infinite where one alone is not finite; two that diverged are alike."""
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.nan_to_num(abs(ours - theirs), nan=np.inf, posinf=np.inf)
    return float(np.where(np.isfinite(ours) | np.isfinite(theirs), apart, 0.0).max())


def _evaluate(run: Run, data: Dataset) -> Score:
    try:
        return evaluate(run.parameters, data, run.recipe.objective)
    except FloatingPointError:  # it diverged
        return Score(nan, nan)
