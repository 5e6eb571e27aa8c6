"""The model of a run in torch: one training step, with all that it computed on the way."""

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parity import conventions, devices
from parity.convert import to_array, to_module, to_parameters, to_tensor
from parity.steps.trace import Trace
from scratchnn.arrays import Array
from scratchnn.data import Dataset
from scratchnn.mlp import Parameters
from scratchnn.objectives import OBJECTIVES
from scratchnn.recipes import Run
from scratchnn.train import EVALUATION_BATCH, Score, Totals


class TorchSide:
    """The model of a run in torch: nn.Sequential, autograd and torch.optim.SGD."""

    def __init__(
        self, run: Run, device: torch.device, precision: devices.Precision = "ieee"
    ) -> None:
        self.like, self.device, self.precision = run.parameters, device, precision
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
        with devices.products(self.device, self.precision):
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
            [to_array(_gradient(output)) for output in outputs[1:]],
            to_array(loss),
            to_parameters([_gradient(p) for p in self.module.parameters()], self.like),
            self.parameters(),
        )  # fmt: skip

    def advance(self, X: Array, target: NDArray[Any]) -> float:
        """Take one step and keep nothing of it but the loss."""
        self.optimizer.zero_grad()
        with devices.products(self.device, self.precision):
            z = self.module(to_tensor(X, self.device))
            loss = self.loss(z, to_tensor(target, self.device))
            loss.backward()
        self.optimizer.step()
        return loss.item()

    def nudge(self, index: int, later: float) -> None:
        """Move one entry of θ, in our order, by one unit in its last place.

        Of its own last place or of that which it has `later`, so that the way there keeps it.
        """
        theta = self.parameters()
        largest = max(abs(theta.theta[index]), abs(later))
        theta.theta[index] += np.spacing(theta.theta.dtype.type(largest))
        with torch.no_grad():
            for old, new in zip(
                self.module.parameters(), to_module(theta).parameters(), strict=True
            ):
                old.copy_(new)

    def parameters(self) -> Parameters:
        """Return a copy of torch's θ."""
        return to_parameters(list(self.module.parameters()), self.like)

    def evaluate(self, data: Dataset, objective: str) -> Score:
        """Return loss and accuracy over a data set, by torch's own forward pass and loss."""
        goal, totals = OBJECTIVES[objective], Totals()
        for z, labels in self._outputs(data):
            correct = conventions.correct(z, labels, objective)
            totals.add(self.loss(z, labels).item(), correct, len(z))
        return totals.score(goal)

    def right(self, data: Dataset, objective: str) -> NDArray[np.bool_]:
        """Tell for each example whether it is classified right, by torch's own argmax."""
        return np.array(
            [
                bool(conventions.correct(z, label, objective))
                for outputs, labels in self._outputs(data)
                for z, label in zip(outputs.cpu().split(1), labels.cpu().split(1), strict=True)
            ]
        )

    def _outputs(self, data: Dataset) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the network's output and the targets, some examples at a time."""
        for start in range(0, len(data), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            X, target = data.batch(rows, self.like.theta.dtype)
            with torch.no_grad(), devices.products(self.device, self.precision):
                z = self.module(to_tensor(X, self.device))
            yield z, to_tensor(target, self.device)

    def _velocity(self) -> Parameters | None:
        buffers = [
            conventions.momentum_buffer(self.optimizer, parameter)
            for parameter in self.module.parameters()
        ]
        present = [buffer for buffer in buffers if buffer is not None]
        return to_parameters(present, self.like) if present else None


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.grad is not None, "backward() has run"
    return tensor.grad
