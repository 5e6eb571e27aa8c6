"""Checking scratchnn against recorded trainings of torch, with NumPy alone."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from parity import golden
from parity.golden import Golden
from parity.steps import check_step
from parity.steps.trace import Settings
from parity.verdict import Difference, compare, worst
from scratchnn.arrays import Array
from scratchnn.data import minibatches
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES
from scratchnn.recipes import Run
from scratchnn.train import train_step


@dataclass(frozen=True)
class Replay:
    """What a recording and scratchnn differ in, each at its worst."""

    name: str
    judged_as: str
    differences: tuple[Difference, ...]

    @property
    def worst(self) -> Difference:
        """The one closest to its tolerance."""
        return worst(list(self.differences))

    @property
    def holds(self) -> bool:
        """Whether all are within their tolerances."""
        return self.worst.holds

    def __str__(self) -> str:
        if self.holds:
            share = f"{self.worst.ratio:.0%} of a tolerance ({self.worst.quantity})"
            return f"{self.name}: holds, at worst {share}"
        first = next(difference for difference in self.differences if not difference.holds)
        return f"{self.name}: FAILS, judged as {self.judged_as}: {first}"


def replay(recording: Golden, judged_as: str | None = None) -> Replay:
    """Train as torch was trained, and compare with what it recorded.

    float64: losses, entries of θ and norms of a free run, as 1e-12 of θ leaves them.
    float32: the first step, operation by operation within its bounds, and how far a free run
    came; in TF32 the first step alone. `judged_as` is "ieee" or "tf32", in place of the
    recording's own.

    Raises   DataError where the seed leads to another start than it did
    """
    run, judged_as = golden.prepare(recording), judged_as or recording.precision
    differences: list[Difference] = []
    if run.parameters.theta.dtype == np.float32:
        trace = golden.first_step(recording, run)
        step = check_step(1, trace, Settings.of(run, judged_as))
        broken = [step.broken.difference()] if step.broken else []
        differences += [*broken, step.outputs, step.loss, step.gradient, step.parameters]
    if recording.facts["allowed"] is not None:
        differences += _free_run(recording, run)
    return Replay(recording.name, judged_as, tuple(differences))


def _free_run(recording: Golden, run: Run) -> list[Difference]:
    arrays, allowed = recording.arrays, recording.facts["allowed"]
    exact = run.parameters.theta.dtype == np.float64
    rows = {step: row for row, step in enumerate(arrays["milestones"])}
    found = []
    for step, (loss, slope) in enumerate(_train(run, recording.facts["steps"]), 1):
        if exact:  # |ΔL| ≤ Σ |g| |Δθ|, and as much again for the rounding of L
            torch = arrays["losses"][step - 1]
            found.append(compare(f"loss of step {step}", loss, torch, allowed * (1 + slope)))
        if step in rows:
            theta, row = run.parameters.theta[arrays["entries"]], rows[step]
            found.append(compare(f"θ after step {step}", theta, arrays["theta"][row], allowed))
            if exact:  # |Δ‖θ‖| ≤ ‖Δθ‖ ≤ √n max |Δθ|
                ours, reach = golden.norms(run.parameters), allowed * _roots(run.parameters)
                found.append(compare(f"norms after {step}", ours, arrays["norms"][row], reach))
    return found


def _train(run: Run, steps: int) -> Any:
    """Take steps; yield each loss, and the sum of the gradient's magnitudes."""
    grad, goal = run.parameters.copy(), OBJECTIVES[run.recipe.objective]
    dtype = run.parameters.theta.dtype
    batches = (
        rows
        for _ in range(run.recipe.epochs)
        for rows in minibatches(len(run.train), run.recipe.batch_size, run.rng)
    )
    with np.errstate(over="ignore", invalid="ignore"):  # what diverges is reported
        for rows in islice(batches, steps):
            X, target = run.train.batch(rows, dtype)
            loss, _ = train_step(run.parameters, grad, goal, run.optimizer, X, target)
            yield np.asarray(loss, dtype), float(abs(grad.theta).sum())


def _roots(parameters: Parameters) -> Array:
    return np.sqrt([array.size for layer in parameters.layers for array in layer])
