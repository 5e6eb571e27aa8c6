"""The model of a run in torch: one training step, with all that it computed on the way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from parity import devices, theirs
from parity.convert import to_array, to_module, to_parameters, to_tensor, to_tensors
from parity.digits import Precision
from parity.training.optimizers import State, rule_of, unscheduled
from parity.training.trace import Trace
from scratchnn import objectives
from scratchnn.data import Dataset
from scratchnn.history import Score, Step, Totals
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray, Array, BoolArray
from scratchnn.optim import Scheduled
from scratchnn.run.recipes import Run
from scratchnn.train import EVALUATION_BATCH


class TorchSide:
    """The model of a run in torch: nn.Sequential, autograd, and torch.optim's optimizer.

    The optimizer has all settings of the run's, and its state. Under a schedule it gets the rate of
    each step, as a scheduler of torch's would set it.
    """

    def __init__(self, run: Run, device: torch.device, precision: Precision = "ieee") -> None:
        self.like, self.device, self.precision = run.parameters, device, precision
        self.module = to_module(run.parameters).to(device)
        self.weights = list(self.module.parameters())
        self.buffers = rule_of(run.optimizer).buffers
        self.optimizer = theirs.optimizer(self.weights, unscheduled(run.optimizer))
        self.schedule = run.optimizer if isinstance(run.optimizer, Scheduled) else None
        self.steps = self.schedule.steps if self.schedule else 0
        kept = {n: a for n, a in run.optimizer.state.items() if n in self.buffers}
        for name, array in kept.items():
            like_theta = to_module(self.like.like(array)).parameters() if array.ndim else ()
            tensors = like_theta or [to_tensor(array) for _ in self.weights]
            for weight, tensor in zip(self.weights, tensors, strict=True):
                self.optimizer.state[weight][self.buffers[name]] = tensor.detach().to(device)
        self.objective = objectives.get(run.recipe.objective)

    def step(self, X: Array, target: AnyArray) -> Trace:
        before, state = self.parameters(), self._state()
        outputs, loss = self._take(X, target)
        gradients = [to_array(_gradient(output)) for output in outputs]
        grad = to_parameters([_gradient(weight) for weight in self.weights], self.like)
        arrays, after = [X, *map(to_array, outputs)], self.parameters()
        return Trace(target, before, arrays, gradients, to_array(loss), grad, after, state)

    def advance(self, X: Array, target: AnyArray) -> float:
        """Take one step and keep nothing of it but the loss."""
        return self._take(X, target)[1].item()

    def _take(self, X: Array, target: AnyArray) -> tuple[list[Tensor], Tensor]:
        """Take one step; return every layer's output, and the loss."""
        outputs, labels = [to_tensor(X, self.device)], self._prepared(target, len(X))
        self.optimizer.zero_grad()
        with devices.products(self.device, self.precision):
            for layer in self.module:
                outputs.append(layer(outputs[-1]))
                outputs[-1].retain_grad()
            loss = self.loss(outputs[-1], labels)
            loss.backward()
        if self.schedule:
            self.optimizer.param_groups[0]["lr"] = self.schedule.rate(self.steps)
        self.optimizer.step()
        self.steps += 1
        return outputs[1:], loss

    def nudge(self, index: int, later: float) -> None:
        """Move one entry of θ, in our order, by one unit in its last place.

        That is its own last place, or the one that it has `later`: so the change is not lost.
        """
        theta = self.parameters()
        largest = max(abs(theta.theta[index]), abs(later))
        theta.theta[index] += np.spacing(theta.theta.dtype.type(largest))
        with torch.no_grad():
            for old, new in zip(self.weights, to_module(theta).parameters(), strict=True):
                old.copy_(new)

    def parameters(self) -> Parameters:
        return to_parameters(self.weights, self.like)

    def loss(self, z: Tensor, target: Tensor) -> Tensor:
        """Return torch's mean loss, with all options; the target is as the operation takes it."""
        options = {
            name: value.to(z.dtype) if isinstance(value, Tensor) else value
            for name, value in to_tensors(self.objective.options, z.device).items()
        }
        return theirs.operation(self.objective.op)(z, target, **options)

    def evaluate(self, data: Dataset) -> Score:
        totals = Totals()
        for z, target in self._outputs(data):
            value = self.loss(z, self._prepared(target, len(z))).item()
            correct = int(self._right(z, target).sum()) if self.objective.classes else 0
            totals.add(Step(value, correct, self.objective.count(target), len(z)))
        return totals.score(self.objective)

    def right(self, data: Dataset) -> BoolArray:
        """Return for each example whether it is classified right, by torch's own argmax."""
        return np.concatenate([self._right(z, target) for z, target in self._outputs(data)])

    def _right(self, z: Tensor, target: AnyArray) -> BoolArray:
        return to_array(theirs.right(z, to_tensor(target, self.device)))

    def _outputs(self, data: Dataset) -> Iterator[tuple[Tensor, AnyArray]]:
        """Yield the network's output and the targets, some examples at a time."""
        for start in range(0, len(data), EVALUATION_BATCH):
            X, target = data.batch(slice(start, start + EVALUATION_BATCH), self.like.theta.dtype)
            with torch.no_grad(), devices.products(self.device, self.precision):
                z = self.module(to_tensor(X, self.device))
            yield z, target

    def _prepared(self, target: AnyArray, rows: int) -> Tensor:
        z = np.empty((rows, self.like.sizes[-1]), self.like.theta.dtype)
        return to_tensor(self.objective.prepared(z, target), self.device)

    def _state(self) -> State:
        """Return the optimizer's state by our names, each as one array like θ, or as a number."""
        found: State = {}
        for name, buffer in self.buffers.items():
            tensors = [self.optimizer.state[weight].get(buffer) for weight in self.weights]
            if all(tensor is not None for tensor in tensors):
                number = tensors[0].ndim == 0  # torch has a copy of it for each parameter
                like_theta = None if number else to_parameters(tensors, self.like).theta
                found[name] = to_array(tensors[0]) if like_theta is None else like_theta
        return found


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None, "backward() has run"
    return tensor.grad
