"""The arrays of a case: drawn from a fixed seed, so that every process has the same."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import scratchnn.functional as F
from benchmarks.cases import Case
from scratchnn import data, mlp
from scratchnn.arrays import Array, IntArray
from scratchnn.data import Dataset
from scratchnn.mlp import Parameters

SEED = 0
CHECK_ROWS = 512  # of a training step
CHECK_BATCHES = 20.5  # of an epoch: whole ones and a short one


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

    def order(self) -> IntArray:
        """Return the order of an epoch's examples: what `fit` draws with rng=SEED."""
        return np.random.default_rng(SEED).permutation(self.examples)

    def without_data(self) -> "Problem":
        """Return all but the arrays of the data, for a backend that keeps its own."""
        return replace(self, X=np.empty((0, 0), self.X.dtype), target=np.empty(0, np.intp))


def problem(case: Case, dtype: str) -> Problem:
    """Return a case's network and data; in float64 the data are the same float32 numbers."""
    train = dataset(case)
    X = train.transform(train.X, np.float32).astype(dtype, copy=False)
    start = mlp.init(case.sizes, rng=SEED, dtype=dtype)
    return Problem(
        start, X, train.target, case.batch, case.learning_rate, case.momentum, len(X)
    )  # fmt: skip


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
    return replace(train, X=train.X[: case.examples], target=train.target[: case.examples])


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
    rows = CHECK_ROWS if case.kind == "step" else int(CHECK_BATCHES * case.batch)
    if case.kind == "step":
        return replace(case, examples=min(case.examples, rows), batch=min(case.batch, rows))
    return replace(case, examples=min(case.examples or len(dataset(case)), rows))


def one_step(case: Case) -> Case:
    """Return the case with a single batch."""
    few = short(case)
    rows = min(few.batch, few.examples)
    return replace(few, examples=rows, batch=rows)


def op_inputs(op: str, shape: tuple[int, ...]) -> tuple[Array, dict[str, Any]]:
    """Return a random upstream gradient dy, and an operation's arguments by name, in float32."""
    rng = np.random.default_rng(SEED)

    def normal(*shape: int) -> Array:
        return np.asarray(rng.normal(size=shape), np.float32)

    one = normal()
    z = normal(*shape[:2])
    match op:
        case "linear":
            N, D, H = shape
            return normal(N, H), {"X": z, "W": normal(D, H), "b": normal(H)}
        case "relu" | "sigmoid" | "softmax" | "log_softmax":
            return normal(*shape), {"z": z}
        case "logsumexp":
            return normal(shape[0]), {"z": z}
        case "nll_loss":
            return one, {"log_p": F.log_softmax(z), "target": _labels(rng, shape)}
        case "cross_entropy" | "cross_entropy_with_gradient":  # the latter has dy = 1
            dy = one if op == "cross_entropy" else np.ones_like(one)
            return dy, {"z": z, "target": _labels(rng, shape)}
        case "binary_cross_entropy_with_logits":
            return one, {"z": z, "target": rng.random(shape, np.float32)}
        case "kl_div":
            return one, {"log_q": F.log_softmax(z), "target": F.softmax(normal(*shape))}
    return one, {"prediction": z, "target": normal(*shape)}


def _labels(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return rng.integers(shape[1], size=shape[0])
