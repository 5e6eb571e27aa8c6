"""A plain loop in NumPy, as a learner writes it: what `fit` may cost on top is measured by it.

It takes nothing from scratchnn but the data and the initial parameters.
"""

from __future__ import annotations

import numpy as np

from benchmarks.cases import Case
from benchmarks.inputs import Problem, dataset, normalized, problem
from scratchnn.data.datasets import PIXELS, Pixels
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray, Array, IntArray


class PlainLoop:
    """Training in NumPy, without a library."""

    def trainer(self, case: Case, dtype: str) -> Trainer:
        """Return a network with its data, the pixels as they are stored."""
        data = dataset(case)
        pixels = PIXELS[case.data]
        p = problem(case, dtype).without_data()
        return Trainer(p, data.X, data.target, pixels, normalized(case))


class Trainer:
    """A network as lists of arrays."""

    def __init__(
        self, problem: Problem, pixels: AnyArray, target: IntArray, scale: Pixels, normalize: bool
    ) -> None:
        self.problem, self.pixels, self.target = problem, pixels, target
        self.white, self.normalize = scale.max_value, normalize
        self.mean, self.std = scale.mean, scale.std
        self.layers = [(W.copy(), b.copy()) for W, b in problem.pairs]
        self.velocities = [(np.zeros_like(W), np.zeros_like(b)) for W, b in problem.pairs]
        self.data_bytes = pixels.nbytes + target.nbytes

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        order, batch, total = self.order(), self.problem.batch, 0.0
        for first in range(0, len(order), batch):
            total += self.learn(order[first : first + batch])
        return total / len(order)

    def step(self) -> None:
        """Take one step on all examples."""
        self.learn(np.arange(len(self.pixels)))

    def inputs(self, rows: IntArray) -> Array:
        """Return rows of pixels as inputs: from 0 to 1, or with mean 0 and deviation 1."""
        X = self.pixels.take(rows, axis=0).astype(np.float32)
        X /= self.white
        if self.normalize:
            X -= self.mean
            X /= self.std
        return X.astype(self.layers[0][0].dtype, copy=False)

    def learn(self, rows: IntArray) -> float:
        """Take one step on some rows; return the sum of their losses. These are the 20 lines."""
        layers, labels, examples = self.layers, self.target[rows], np.arange(len(rows))
        outputs = [self.inputs(rows)]
        for W, b in layers:  # forward: each layer's output, and ReLU between the layers
            if len(outputs) > 1:
                np.maximum(outputs[-1], 0, out=outputs[-1])
            outputs.append(outputs[-1] @ W + b)
        z = outputs.pop()
        p = np.exp(z - z.max(axis=1, keepdims=True))  # softmax
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[examples, labels]).sum()  # cross-entropy
        p[examples, labels] -= 1
        dz = p / len(rows)
        for i in reversed(range(len(layers))):  # backward
            (W, b), X = layers[i], outputs[i]
            gradients = X.T @ dz, dz.sum(axis=0)
            if i > 0:
                dz = (dz @ W.T) * (X > 0)
            for parameter, v, gradient in zip((W, b), self.velocities[i], gradients, strict=True):
                v *= self.problem.momentum
                v += gradient
                parameter -= self.problem.learning_rate * v
        return float(loss)

    def theta(self) -> Array:
        """Return the parameters in scratchnn's layout."""
        return Parameters.from_arrays(self.layers).theta

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""
        return self.problem.order()
