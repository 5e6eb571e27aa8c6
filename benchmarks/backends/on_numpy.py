"""scratchnn, by its public functions: `fit` trains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import scratchnn
import scratchnn.functional as F
from benchmarks import ops
from benchmarks.backends import Task, collect
from benchmarks.cases import Case
from benchmarks.inputs import SEED, Problem, dataset, problem
from parity.cases import Case as Arguments
from scratchnn import mlp, objectives, train
from scratchnn.data import Dataset, as_float, minibatches
from scratchnn.ops.shared import AnyArray, Array, IntArray


class OnNumpy:
    """The work in NumPy.

    floats    the data are kept as floats, not as the bytes of the pixels
    options   of `fit`
    """

    def __init__(self, floats: bool = False, **options: Any) -> None:
        self.floats, self.options = floats, options

    def op(self, name: str, dy: Array, arguments: Arguments) -> Task:
        """Return the value and the gradients of an operation."""
        work = ops.ours(name, dy, arguments)
        return Task(work, work)

    def trainer(self, case: Case, dtype: str) -> Trainer:
        """Return a network with its data."""
        data = self._data(case, dtype)
        threads = os.environ.get("OPENBLAS_NUM_THREADS")  # of this process: `fit` might take less
        options = {"threads": int(threads) if threads else None, **self.options}
        return Trainer(problem(case, dtype).without_data(), data, options)

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")

        def predict() -> tuple[Array]:
            z = mlp.forward(p.start, p.X)[-1]
            return (F.softmax(z, out=z),)

        return Task(predict, predict)

    def loader(self, case: Case) -> Task:
        """Return the batches of an epoch."""
        data = self._data(case, "float32")

        def batches() -> Iterator[tuple[Array, AnyArray]]:
            for rows in minibatches(len(data), case.batch, np.random.default_rng(SEED)):
                yield data.batch(rows, np.float32)

        return Task(lambda: [None for _ in batches()], lambda: collect(batches()))

    def _data(self, case: Case, dtype: str) -> Dataset:
        data = dataset(case)
        if self.floats:
            X = data.transform(data.X, np.float32).astype(dtype, copy=False)
            return replace(data, X=X, transform=as_float)
        if dtype == "float32":
            return data
        stored = data.transform

        def widened(X: AnyArray, dtype: DTypeLike) -> Array:
            return stored(X, np.float32).astype(dtype)

        return replace(data, transform=widened)


class Trainer:
    """A network that `fit` trains."""

    def __init__(self, problem: Problem, data: Dataset, options: dict[str, Any]) -> None:
        self.problem, self.data, self.options = problem, data, options  # the problem has no data
        self.parameters = problem.start.copy()
        self.optimizer = scratchnn.SGD(problem.learning_rate, momentum=problem.momentum)
        self.objective = objectives.get("cross_entropy")
        self.grad = self.parameters.like(np.zeros_like(self.parameters.theta))
        self.data_bytes = data.X.nbytes + data.target.nbytes

    def epoch(self) -> None:
        """Train on every example once."""
        scratchnn.fit(
            self.parameters,
            self.data,
            optimizer=self.optimizer,
            objective=self.objective,
            epochs=1,
            batch_size=self.problem.batch,
            rng=SEED,
            evaluation=False,
            **self.options,
        )

    def step(self) -> None:
        """Take one step on all examples, which are there as floats."""
        train.backpropagate(self.parameters, *self.batch, self.objective, out=self.grad)
        self.optimizer.step(self.parameters.theta, self.grad.theta)

    @cached_property
    def batch(self) -> tuple[Array, AnyArray]:
        """All examples as one batch."""
        return self.data.batch(np.arange(len(self.data)), self.parameters.theta.dtype)

    def theta(self) -> Array:
        """Return the parameters."""
        return self.parameters.theta

    def order(self) -> IntArray:
        """Return the order of `fit` with this seed."""
        return self.problem.order()
