"""What no epoch can do without, in any implementation: matrix products, and moving the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.backends import Task
from benchmarks.cases import Case
from benchmarks.inputs import Problem, dataset, problem
from scratchnn.ops.shared import AnyArray, Array


class Floor:
    """One part of an epoch.

    "products"      its matrix products
    "bytes"         every row gathered once as it is stored, and written once as floats
    "float bytes"   every row gathered once, from data that are floats
    """

    def __init__(self, part: str) -> None:
        self.part = part

    def floor(self, case: Case) -> Task:
        """Return the part of a case's epoch, with a result that can be checked."""
        p = problem(case, "float32")
        work = Products(p) if self.part == "products" else Bytes(p, stored(case, self.part))
        return Task(work.run, work.result)


def stored(case: Case, part: str) -> AnyArray:
    """Return the rows that a floor moves."""
    return dataset(case).X if part == "bytes" else problem(case, "float32").X


class Product:
    """The products of one dense layer in a batch, into arrays that are made beforehand.

        Y = A W        dW = Aᵀ dY        dA = dY Wᵀ

    A and dY are random numbers, except for the A of the first layer: rows of the data. A row is an
    example, as in scratchnn/layers.py.
    """

    def __init__(self, W: Array, rows: int, rng: np.random.Generator) -> None:
        D, H = W.shape
        self.W, self.dW = W, np.empty_like(W)
        self.A, self.dY = rng.random((rows, D), np.float32), rng.random((rows, H), np.float32)
        self.Y, self.dA = np.empty_like(self.dY), np.empty_like(self.A)

    def forward(self, A: Array) -> None:
        """Multiply A (N, D) by W."""
        np.matmul(A, self.W, out=self.Y[: len(A)])

    def backward_parameters(self, A: Array) -> None:
        """Multiply Aᵀ by dY."""
        np.matmul(A.T, self.dY[: len(A)], out=self.dW)

    def backward_input(self, rows: int) -> None:
        """Multiply dY by Wᵀ."""
        np.matmul(self.dY[:rows], self.W.T, out=self.dA[:rows])


class Products:
    """Y and dW of each layer, and dA of all but the first, batch by batch in the order stored."""

    def __init__(self, problem: Problem) -> None:
        self.problem, rng = problem, np.random.default_rng(0)
        self.layers = [Product(W, problem.batch, rng) for W, _ in problem.pairs]

    def run(self) -> None:
        """Multiply as often as an epoch does."""
        p = self.problem
        for start in range(0, len(p.X), p.batch):
            self._batch(p.X[start : start + p.batch])

    def result(self) -> tuple[Array, ...]:
        """Return Y, dW and dA, where there is one, of each layer in the last batch."""
        for layer in self.layers:
            for product in (layer.Y, layer.dW, layer.dA):
                product.fill(np.nan)  # what is not multiplied stays NaN, and fails the check
        self.run()
        n = len(self.problem.X[self._last :])
        return tuple(
            product
            for i, layer in enumerate(self.layers)
            for product in (layer.Y[:n], layer.dW, layer.dA[:n])[: 3 if i else 2]
        )

    def factors(self) -> Iterator[tuple[Array, Array, Array]]:
        """Yield A, W and dY of each layer in the last batch."""
        X = self.problem.X[self._last :]
        for i, layer in enumerate(self.layers):
            yield layer.A[: len(X)] if i else X, layer.W, layer.dY[: len(X)]

    @property
    def _last(self) -> int:
        return (len(self.problem.X) - 1) // self.problem.batch * self.problem.batch

    def _batch(self, X: Array) -> None:
        n = len(X)
        for i, layer in enumerate(self.layers):
            layer.forward(layer.A[:n] if i else X)
        for i in reversed(range(len(self.layers))):
            layer = self.layers[i]
            layer.backward_parameters(layer.A[:n] if i else X)
            if i > 0:
                layer.backward_input(n)


class Bytes:
    """Every row gathered once, in random order. Bytes are also written as floats."""

    def __init__(self, problem: Problem, X: AnyArray) -> None:
        self.order, self.rows, self.X = problem.order(), problem.batch, X
        self.batch = np.empty((self.rows, X.shape[1]), np.float32)
        is_float = X.dtype == np.float32
        self.gathered = self.batch if is_float else np.empty_like(self.batch, X.dtype)

    def run(self) -> None:
        """Move all rows, a batch at a time."""
        for start in range(0, len(self.order), self.rows):
            rows = self.order[start : start + self.rows]
            gathered = self.gathered[: len(rows)]
            np.take(self.X, rows, axis=0, out=gathered, mode="clip")
            if self.gathered is not self.batch:
                np.copyto(self.batch[: len(rows)], gathered)

    def result(self) -> tuple[Array, ...]:
        """Return the last batch."""
        self.run()
        return (self.batch[: len(self.order) % self.rows or self.rows],)
