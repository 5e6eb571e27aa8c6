"""The same model, start and batches on both sides, compared at every step of the training.

Both sides train freely, each from its own parameters; steps.py judges each step. Freely trained
float64 parameters must stay within 1e-12 of each other. For float32 there is no such criterion: one
ReLU that flips moves all that follows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

import torch

from parity.steps import StepResult, check_step
from parity.torch_side import TorchSide
from scratchnn.data import minibatches
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES
from scratchnn.recipes import Run
from scratchnn.train import Score, Totals, evaluate, train_step

FREE_RUN_TOLERANCE = 1e-12  # of float64 parameters


@dataclass
class EpochResult:
    """What both sides reached by the end of an epoch, and its steps."""

    epoch: int
    ours: Score
    torch: Score
    ours_running_loss: float
    torch_running_loss: float
    steps: list[StepResult] = field(default_factory=list)


@dataclass
class Lockstep:
    """The results of a run on both sides."""

    dtype: str
    device: str
    epochs: list[EpochResult] = field(default_factory=list)
    ours_seconds: float = 0.0  # of the training steps alone
    torch_seconds: float = 0.0

    @property
    def steps(self) -> list[StepResult]:
        """All steps of all epochs."""
        return [step for epoch in self.epochs for step in epoch.steps]

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
    def holds(self) -> bool:
        """Whether every step is within its tolerances and, in float64, both sides end alike."""
        steps_hold = all(step.worst.holds for step in self.steps)
        if self.free_run_tolerance is None:
            return steps_hold
        alike = all(row.ours.accuracy == row.torch.accuracy for row in self.epochs)
        return steps_hold and alike and self.free_run <= self.free_run_tolerance


def train(
    run: Run, device: torch.device, *, max_steps: int | None = None
) -> Iterator[tuple[Lockstep, EpochResult]]:
    """Train on both sides, epoch by epoch, and compare every step; yields the results so far."""
    recipe, objective = run.recipe, OBJECTIVES[run.recipe.objective]
    theirs = TorchSide(run, device)
    result = Lockstep(run.parameters.theta.dtype.name, device.type)
    grad = Parameters.zeros(run.parameters.sizes, run.parameters.theta.dtype)
    step = 0
    for epoch in range(1, recipe.epochs + 1):
        ours_running, torch_running, steps = Totals(), Totals(), []
        for rows in minibatches(len(run.train), recipe.batch_size, run.rng):
            if step == max_steps:
                break
            step += 1
            X, target = run.train.batch(rows, run.parameters.theta.dtype)
            start = perf_counter()
            loss, _ = train_step(run.parameters, grad, objective, run.optimizer, X, target)
            result.ours_seconds += perf_counter() - start
            trace = theirs.step(X, target)
            ours_running.add(loss, 0, len(X))
            torch_running.add(float(trace.loss), 0, len(X))
            steps.append(check_step(step, trace, run.parameters, recipe.objective, run.optimizer))
        if not steps:
            return
        data = run.test or run.train
        row = EpochResult(
            epoch,
            evaluate(run.parameters, data, recipe.objective),
            theirs.evaluate(data, recipe.objective),
            ours_running.score(objective).loss,
            torch_running.score(objective).loss,
            steps,
        )
        result.epochs.append(row)
        result.torch_seconds = theirs.seconds
        yield result, row
