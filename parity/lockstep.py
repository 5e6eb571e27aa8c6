"""The same model, start and batches on both sides, compared at every step of the training.

Both sides train freely, each from its own parameters. At every step, moreover, each operation of
ours is given the very inputs that torch's had (its θ, its activations, its gradients) and must
come within the rounding-error bound of that one operation. So a failure names the operation, and
a ReLU whose input is within rounding of 0 cannot be on in one and off in the other.

Freely trained float64 parameters must stay within 1e-12 of each other. For float32 there is no
such criterion: one ReLU that flips moves all that follows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import scratchnn.functional as F
from parity import bounds, conventions, devices
from parity.convert import to_array, to_module, to_parameters, to_tensor
from parity.verdict import Difference, compare, worst
from scratchnn.arrays import Array
from scratchnn.data import Dataset, minibatches
from scratchnn.linear import linear_backward_input, linear_backward_parameters
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES
from scratchnn.recipes import Run
from scratchnn.sgd import SGD
from scratchnn.train import EVALUATION_BATCH, Score, Totals, evaluate, train_step

FREE_RUN_TOLERANCE = 1e-12  # of float64 parameters


@dataclass
class Trace:
    """All that torch computed in one step, as NumPy arrays of our layout."""

    X: Array
    target: NDArray[Any]
    before: Parameters
    velocity: Parameters | None
    outputs: list[Array]  # z_1, a_1, z_2, a_2, ..., z_L
    gradients: list[Array]  # of the loss, for each of these
    loss: Array
    grad: Parameters
    after: Parameters


class TorchSide:
    """The model of a run in torch: nn.Sequential, autograd and torch.optim.SGD."""

    def __init__(self, run: Run, device: torch.device) -> None:
        self.like, self.device = run.parameters, device
        self.module = to_module(run.parameters).to(device)
        recipe = run.recipe
        self.optimizer = torch.optim.SGD(
            self.module.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum
        )
        self.loss = conventions.LOSSES[recipe.objective]
        self.seconds = 0.0

    def step(self, X: Array, target: NDArray[Any]) -> Trace:
        """Take one step and return what happened in it."""
        before, velocity = self.parameters(), self._velocity()
        inputs, labels = to_tensor(X, self.device), to_tensor(target, self.device)
        devices.synchronize(self.device)
        start = perf_counter()
        self.optimizer.zero_grad()
        outputs = [inputs]
        for layer in self.module:
            outputs.append(layer(outputs[-1]))
            outputs[-1].retain_grad()
        loss = self.loss(outputs[-1], labels)
        loss.backward()
        self.optimizer.step()
        devices.synchronize(self.device)
        self.seconds += perf_counter() - start
        return Trace(
            X, target, before, velocity,
            [to_array(output) for output in outputs[1:]],
            [to_array(output.grad) for output in outputs[1:]],
            to_array(loss),
            to_parameters([p.grad for p in self.module.parameters()], self.like),
            self.parameters(),
        )  # fmt: skip

    def parameters(self) -> Parameters:
        """Return a copy of torch's θ."""
        return to_parameters(list(self.module.parameters()), self.like)

    def evaluate(self, data: Dataset, objective: str) -> Score:
        """Return loss and accuracy over a data set, by torch's own forward pass and loss."""
        goal, totals = OBJECTIVES[objective], Totals()
        with torch.no_grad():
            for start in range(0, len(data), EVALUATION_BATCH):
                rows = slice(start, start + EVALUATION_BATCH)
                X, target = data.batch(rows, self.like.theta.dtype)
                z = self.module(to_tensor(X, self.device))
                loss = self.loss(z, to_tensor(target, self.device)).item()
                correct = goal.correct(to_array(z), target) if goal.correct else 0
                totals.add(loss, correct, len(X))
        return totals.score(goal)

    def _velocity(self) -> Parameters | None:
        buffers = [
            conventions.momentum_buffer(self.optimizer, parameter)
            for parameter in self.module.parameters()
        ]
        present = [buffer for buffer in buffers if buffer is not None]
        return to_parameters(present, self.like) if present else None


@dataclass(frozen=True)
class StepResult:
    """The worst differences of one step, each in one kind of quantity."""

    step: int
    outputs: Difference  # of the layers
    loss: Difference
    gradient: Difference
    parameters: Difference
    free_run: float  # max |θ - θ| of the two that train freely

    @property
    def worst(self) -> Difference:
        """The one closest to its tolerance."""
        return worst([self.outputs, self.loss, self.gradient, self.parameters])


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
        """Whether every difference of every step is within its tolerance."""
        within = self.free_run_tolerance is None or self.free_run <= self.free_run_tolerance
        return within and all(step.worst.holds for step in self.steps)


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
            steps.append(check_step(step, trace, run))
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


def check_step(step: int, trace: Trace, run: Run) -> StepResult:
    """Give each of our operations the inputs that torch's had, and compare what comes out."""
    loss, dz = _check_loss(trace, run.recipe.objective)
    return StepResult(
        step,
        outputs=worst(_check_forward(trace)),
        loss=loss,
        gradient=worst([dz, *_check_backward(trace)]),
        parameters=_check_update(trace, run.optimizer),
        free_run=float(abs(run.parameters.theta - trace.after.theta).max()),
    )


def _check_forward(trace: Trace) -> list[Difference]:
    u, dtype = _precision(trace)
    differences, a = [], trace.X
    for i, (W, b) in enumerate(trace.before.layers):
        z, where = trace.outputs[2 * i], f"layer {i + 1}"
        tolerance = bounds.tolerance(bounds.linear(a, W, b, u), dtype)
        differences.append(compare(f"{where} z", F.linear(a, W, b), z, tolerance))
        if i + 1 < len(trace.before.layers):
            a = trace.outputs[2 * i + 1]
            differences.append(compare(f"{where} relu", F.relu(z), a, 0.0))
    return differences


def _check_loss(trace: Trace, objective: str) -> tuple[Difference, Difference]:
    z, dz = trace.outputs[-1], trace.gradients[-1]
    loss, ours_dz = OBJECTIVES[objective].loss_and_gradient(z, trace.target)
    loss_bound, dz_bound = _loss_bounds(objective, z, trace.target)
    dtype = z.dtype
    return (
        compare("loss", loss, trace.loss, bounds.tolerance(loss_bound, dtype)),
        compare("dz of the loss", ours_dz, dz, bounds.tolerance(dz_bound, dtype)),
    )


def _loss_bounds(objective: str, z: Array, target: NDArray[Any]) -> tuple[Array, Array]:
    u, one = bounds.unit_roundoff(z.dtype), np.float64(1)
    z = z.astype(np.float64)
    match objective:
        case "cross_entropy":
            value, backward = bounds.cross_entropy, bounds.cross_entropy_backward
        case "two_classes" | "one_vs_rest":
            value = bounds.binary_cross_entropy_with_logits
            backward = bounds.binary_cross_entropy_with_logits_backward
            target = target[:, None] == (1 if objective == "two_classes" else np.arange(z.shape[1]))
            target = target.astype(np.float64)
        case _:  # squared_loss has half of both
            value, backward = bounds.mse_loss, bounds.mse_loss_backward
    return value(z, target, "mean", u), backward(one, z, target, "mean", u)


def _check_backward(trace: Trace) -> list[Difference]:
    u, dtype = _precision(trace)
    differences = []
    for i, (W, _) in enumerate(trace.before.layers):
        dz, where = trace.gradients[2 * i], f"layer {i + 1}"
        a = trace.outputs[2 * i - 1] if i > 0 else trace.X
        parameters = zip(
            ("dW", "db"),
            linear_backward_parameters(dz, a),
            trace.grad.layers[i],
            bounds.linear_backward_parameters(dz, a, u),
            strict=True,
        )
        for name, ours, theirs, bound in parameters:
            tolerance = bounds.tolerance(bound, dtype)
            differences.append(compare(f"{where} {name}", ours, theirs, tolerance))
        if i > 0:
            ours = F.relu_backward(linear_backward_input(dz, W), a)
            tolerance = bounds.tolerance(bounds.linear_backward_input(dz, W, u), dtype)
            theirs = trace.gradients[2 * i - 2]
            differences.append(compare(f"layer {i} dz", ours, theirs, tolerance))
    return differences


def _check_update(trace: Trace, optimizer: SGD) -> Difference:
    u, dtype = _precision(trace)
    theta = trace.before.theta.copy()
    velocity = trace.velocity.theta.copy() if trace.velocity else None
    replace(optimizer, velocity=velocity).step(theta, trace.grad.theta)
    momentum = optimizer.momentum * abs(velocity) if velocity is not None else 0.0
    update = abs(trace.grad.theta) + momentum
    bound = bounds.sgd_step(trace.before.theta, update, optimizer.learning_rate, u)
    return compare("θ", theta, trace.after.theta, bounds.tolerance(bound, dtype))


def _precision(trace: Trace) -> tuple[float, np.dtype[Any]]:
    dtype = trace.X.dtype
    return bounds.unit_roundoff(dtype), dtype
