"""The arrays of a case. They come from a fixed seed, so that every process has the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from benchmarks.cases import Case
from scratchnn import data, mlp
from scratchnn.data import Dataset
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import Array, IntArray

SEED = 0
CHECK_ROWS = 512  # of the step that is checked
CHECK_BATCHES = 20.5  # of the epoch that is checked: whole batches, and a short one


@dataclass(frozen=True)
class Problem:
    """A network before its training, and the data.

    Shapes   X (N, D) as the network takes it; target (N,) class indices
    """

    start: Parameters
    X: Array
    target: IntArray
    batch: int
    learning_rate: float
    momentum: float
    examples: int

    @property
    def pairs(self) -> list[tuple[Array, Array]]:
        """W and b of each layer at the start."""
        return [(W, b) for W, b in filter(None, self.start.views)]

    def order(self) -> IntArray:
        """Return the order of an epoch's examples: the one that `fit` draws with rng=SEED."""
        return np.random.default_rng(SEED).permutation(self.examples)

    def without_data(self) -> Problem:
        """Return all but the arrays of the data, for a backend that holds the data itself."""
        return replace(self, X=np.empty((0, 0), self.X.dtype), target=np.empty(0, np.intp))


def problem(case: Case, dtype: str) -> Problem:
    """Return a case's network and data; in float64 the data are the same float32 numbers."""
    train = dataset(case)
    X = train.transform(train.X, np.float32).astype(dtype, copy=False)
    start = mlp.init(case.sizes, rng=SEED, dtype=dtype)
    return Problem(start, X, train.target, case.batch, case.learning_rate, case.momentum, len(X))


def dataset(case: Case) -> Dataset:
    """Return a case's examples as `scratchnn.data` has them, or random ones."""
    if not case.data:
        rng = np.random.default_rng(SEED)
        shape = (case.examples, case.sizes[0])
        classes = tuple(map(str, range(case.sizes[-1])))
        target = rng.integers(len(classes), size=case.examples)
        return Dataset("random", rng.random(shape, np.float32), target, classes)
    train = _load(case.data, normalized(case))
    if not case.examples:
        return train
    X, target = train.X[: case.examples], train.target[: case.examples]
    return replace(train, X=X.copy(), target=target.copy())  # a view would keep all in memory


def normalized(case: Case) -> bool:
    """Return whether the pixels are normalized: those of the multilayer perceptron are."""
    return len(case.sizes) > 2


@cache
def _load(name: str, normalize: bool) -> Dataset:
    return data.load(name, normalize=normalize)[0]


def forget() -> None:
    """Let go of the data sets that were read."""
    _load.cache_clear()


def short(case: Case) -> Case:
    """Return the case with the few examples that its check takes."""
    if case.kind == "step":
        examples, batch = min(case.examples, CHECK_ROWS), min(case.batch, CHECK_ROWS)
        return replace(case, examples=examples, batch=batch)
    rows = int(CHECK_BATCHES * case.batch)
    return replace(case, examples=min(case.examples or len(dataset(case)), rows))


def one_step(case: Case) -> Case:
    """Return the case with a single batch."""
    few = short(case)
    rows = min(few.batch, few.examples)
    return replace(few, examples=rows, batch=rows)
