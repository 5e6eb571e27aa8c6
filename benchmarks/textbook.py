"""How long cross-entropy and its gradient take, compared with the textbook's formulas.

Both are measured as one function of z, as a training step calls it, and as two functions, each of
which starts at z. All take turns in every round; what counts is the ratio of the medians.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from statistics import median
from time import perf_counter
from typing import TypedDict

import numpy as np

import scratchnn.functional as F
from scratchnn.ops.shared import Array, IntArray

SHAPES = ((256, 10), (4096, 10), (512, 1000))
DTYPES = ("float32", "float64")
ROUNDS = 201


class Row(TypedDict):
    """The median seconds of each of PAIRS at one shape and precision."""

    N: int
    C: int
    dtype: str
    rounds: int
    seconds: dict[str, float]


def textbook_in_one(z: Array, target: IntArray) -> tuple[Array, Array]:
    """Return the mean loss and its gradient from one exponential, with the maximum subtracted."""
    rows = np.arange(len(z))
    shifted = z - z.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    dz = e / total
    dz[rows, target] -= 1
    dz /= len(z)
    return -(shifted - np.log(total))[rows, target].mean(), dz


def textbook_in_two(z: Array, target: IntArray) -> tuple[Array, Array]:
    """Return the same from two functions, each of which starts at z."""
    rows = np.arange(len(z))
    shifted = z - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    dz = e / e.sum(axis=1, keepdims=True)
    dz[rows, target] -= 1
    dz /= len(z)
    return -log_p[rows, target].mean(), dz


def in_two(z: Array, target: IntArray) -> tuple[Array, Array]:
    dz = F.cross_entropy_backward(1.0, z, target)
    assert isinstance(dz, np.ndarray)  # of class indices it is dz alone
    return F.cross_entropy(z, target), dz


PAIRS: dict[str, Callable[[Array, IntArray], tuple[Array, Array]]] = {
    "ours, one call": F.cross_entropy_with_gradient,
    "textbook, one call": textbook_in_one,
    "ours, two calls": in_two,
    "textbook, two calls": textbook_in_two,
}


def measure(rounds: int = ROUNDS) -> list[Row]:
    """Return the median seconds of each of `PAIRS` by shape and precision."""
    found: list[Row] = []
    for (N, C), dtype in product(SHAPES, DTYPES):
        rng = np.random.default_rng(0)
        z, target = rng.normal(size=(N, C)).astype(dtype), rng.integers(C, size=N)
        times: dict[str, list[float]] = {name: [] for name in PAIRS}
        for _ in range(rounds):
            for name, pair in PAIRS.items():
                start = perf_counter()
                pair(z, target)
                times[name].append(perf_counter() - start)
        seconds = {name: median(of) for name, of in times.items()}
        found.append({"N": N, "C": C, "dtype": dtype, "rounds": rounds, "seconds": seconds})
    return found


def table(found: Sequence[Row]) -> str:
    lines = ["| (N, C) | dtype | one call, µs | to the textbook's | two calls, µs | to its two |"]
    lines.append("|---|---|--:|--:|--:|--:|")
    for row in found:
        cells = [f"({row['N']}, {row['C']})", row["dtype"]]
        for calls in ("one call", "two calls"):
            ours, theirs = (row["seconds"][f"{of}, {calls}"] for of in ("ours", "textbook"))
            cells += [f"{1e6 * ours:.0f}", f"{ours / theirs:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
