"""The same model, start and batches on both sides, compared at every step of the training.

step.py judges each step from the parameters that torch had before it. Besides, both sides train
freely, each from its own parameters. In float64 these must stay within 1e-12 of each other. For
float32 there is no such criterion: one ReLU that flips moves all that follows.

Of the first step that fails, the culprit is found: which side left its bound, at which element.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import nan
from textwrap import indent

import numpy as np
import torch

from parity import judge
from parity.digits import Precision
from parity.judge import Difference, Index, Verdict, measure
from parity.training import network
from parity.training.optimizers import Update, at_next_step
from parity.training.report import EpochResult, Lockstep
from parity.training.step import Quantity, StepResult, WholeStep, check_step
from parity.training.torch_side import TorchSide
from parity.training.trace import Call, Settings, epoch, take_step
from scratchnn.data import Dataset
from scratchnn.history import Score
from scratchnn.ops.shared import AnyArray, Array
from scratchnn.run.recipes import Run
from scratchnn.train import evaluate

FEW = 32  # numbers that a reader copies


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
        row = EpochResult(number)
        left = None if max_steps is None else max_steps - self.done
        try:
            for X, target in islice(epoch(self.run), left):
                row.steps.append(self._step(X, target))
                if self.stuck:
                    return row
        except KeyboardInterrupt:
            self.result.interrupted = True
        if row.steps:
            data = self.run.test or self.run.train
            row.ours, row.torch = self._evaluate(data), self.theirs.evaluate(data)
        return row

    def _step(self, X: Array, target: AnyArray) -> StepResult:
        """Take a step on both sides, and return what it showed."""
        theta, trace = self.run.parameters.theta, self.theirs.step(X, target)
        self.done += 1
        now = replace(self.settings, optimizer=at_next_step(self.settings.optimizer))
        found = check_step(self.done, trace, now)
        self.stuck = found.worst.reason is not None
        apart, diverged = np.inf, False
        if not self.stuck:
            loss, _ = take_step(self.run.parameters, X, target, self.settings)
            apart = distance(theta, trace.after.theta)
            diverged = _diverged(loss, theta) and _diverged(float(trace.loss), trace.after.theta)
        if found.broken and not diverged and self.result.culprit is None:
            self.result.culprit = find(self.done, found.broken)
        return replace(found, free_run=apart, diverged=diverged, broken=None)

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


def alone(culprit: Culprit, device: str = "cpu", *precisions: Precision) -> list[str]:
    """Return what there is to say of an element by itself, and a program if its numbers are few.

    Options  precisions   of torch's products, and the one that they are judged as
    """
    call, lines = culprit.source, []
    if isinstance(call, Call) and "NumPy" in culprit.verdict.guilty:
        verdicts = judge.judge(call.op, call.case, on=(), dy=call.dy)
        if all(verdict.holds for verdict in verdicts):
            words = f"{call.op.function} alone is right: what is wrong is the code that calls it"
            lines.append(f"(on these numbers NumPy's {words})")
    if call is not None and call.numbers <= FEW:
        code = indent(call.code(device, *precisions), "    ")
        lines += ["in Python, this element alone:", *code.splitlines()]
    return lines
