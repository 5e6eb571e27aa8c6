"""What no implementation of an epoch can do without: its matrix products, and moving its data."""

import numpy as np

from benchmarks.backends import Task
from benchmarks.cases import Case
from benchmarks.inputs import Problem, problem
from scratchnn.arrays import Array


class Floor:
    """One part of an epoch: its "products", or the "bytes" of gathering every row once."""

    def __init__(self, part: str) -> None:
        self.part = part

    def floor(self, case: Case) -> Task:
        """Return the part of a case's epoch, with a result that can be checked."""
        p = problem(case, "float32")
        work = Products(p) if self.part == "products" else Bytes(p)
        return Task(work.run, work.result)


class Products:
    """Y = A W, dW = Aᵀ dY and, but for the first layer, dA = dY Wᵀ; batch by batch, in order.

    The activations and gradients are any numbers, and nothing is allocated on the way.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        rng = np.random.default_rng(0)
        self.weights = [layer.W for layer in problem.start.layers]
        widths = problem.start.sizes
        self.activations = [rng.random((problem.batch, H), np.float32) for H in widths]
        self.dW = [np.empty_like(W) for W in self.weights]
        self.Y = [np.empty_like(a) for a in self.activations]

    def run(self) -> None:
        """Multiply as often as an epoch does."""
        p = self.problem
        for start in range(0, len(p.X), p.batch):
            self._batch(p.X[start : start + p.batch])

    def result(self) -> tuple[Array, ...]:
        """Return the last batch's dW of the first layer."""
        self.run()
        return (self.dW[0],)

    def _batch(self, X: Array) -> None:
        n, last = len(X), len(self.weights) - 1
        a = [X, *(values[:n] for values in self.activations[1:])]
        for i, W in enumerate(self.weights):
            np.matmul(a[i], W, out=self.Y[i + 1][:n])
        for i in range(last, -1, -1):
            np.matmul(a[i].T, a[i + 1], out=self.dW[i])
            if i > 0:
                np.matmul(a[i + 1], self.weights[i].T, out=self.Y[i][:n])


class Bytes:
    """Every row of the data, as floats, copied once into a batch, in random order."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.order = problem, problem.order()
        self.batch = np.empty((problem.batch, problem.X.shape[1]), np.float32)

    def run(self) -> None:
        """Copy all rows, a batch at a time."""
        p = self.problem
        for start in range(0, len(self.order), p.batch):
            rows = self.order[start : start + p.batch]
            np.take(p.X, rows, axis=0, out=self.batch[: len(rows)], mode="clip")

    def result(self) -> tuple[Array, ...]:
        """Return the last batch."""
        self.run()
        return (self.batch[: len(self.order) % self.problem.batch or self.problem.batch],)


open = Floor
