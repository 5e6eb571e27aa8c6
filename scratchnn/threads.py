"""How many threads NumPy's matrix products take.

The threads of a product wait for each other in a loop. Small products gain nothing from a second
thread, and where another process keeps a core busy, they take ten times as long with it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from math import prod
from time import perf_counter
from typing import NamedTuple

import numpy as np

from scratchnn.extras import need

SMALL_PRODUCT = 1_000_000  # multiplications: 0.02 ms, and less than OpenBLAS divides
SMALL_EPOCH = 400_000_000  # multiplications forward: 0.02 s of training
STEPS, TRIALS = 8, 5  # to time: 0.1 s in all, as a new process gets more than its share at first


def fitting(sizes: Sequence[int], batch_size: int, examples: int) -> int | None:
    """Return 1 where one thread is the best choice for a training; None: as many as NumPy takes.

    One is best for small products, and good for a short training. For others, a few steps are
    tried with one thread and with all, once in a process, because one is faster where other
    programs keep the cores busy. The last bits of a result depend on the number: to have the same
    bits under any load, say it.

    Options  sizes        of the network, [D, H_1, ..., C]
             batch_size   rows of a batch
             examples     rows of an epoch
    """
    if openblas() is None and find_spec("threadpoolctl") is None:  # the number cannot be changed
        return None
    weights = [prod(pair) for pair in pairwise(sizes)]
    if batch_size * max(weights) < SMALL_PRODUCT or examples * sum(weights) < SMALL_EPOCH:
        return 1
    return None if all_threads() == 1 or _several_are_faster() else 1


@cache
def _several_are_faster() -> bool:
    """Try steps of a layer, of which one thread takes a millisecond or two.

    Products alone would not tell: a thread that waits for the next product may take as much from
    the work between the products as it gives to them.
    """
    X, W = np.ones((64, 1024), np.float32), np.zeros((1024, 512), np.float32)

    def seconds(threads: int | None) -> float:
        with limited(threads):
            start = perf_counter()
            for _ in range(STEPS):
                W[...] -= X.T @ np.maximum(X @ W, 0)
            return perf_counter() - start

    seconds(None)  # the first call starts the threads
    several = one = 0.0
    for _ in range(TRIALS):  # in turns, as the load may change
        several += seconds(None)
        one += seconds(1)
        if several > 2 * one:  # on a busy machine: 40 times as long
            return False
    return several < one


def all_threads() -> int | None:
    """Return how many threads NumPy's products take by themselves; None where that is unknown."""
    blas = openblas()
    return blas.threads() if blas else None


@contextmanager
def limited(number: int | None) -> Iterator[None]:
    """Let NumPy's products take so many threads in a block; None: as many as before.

    This knows the OpenBLAS in NumPy's wheels. For another BLAS it needs threadpoolctl, which is
    slower: it looks through all libraries of the process.

    Raises   MissingExtraError for another BLAS without threadpoolctl
    """
    if number is None:
        yield
        return
    blas = openblas()
    if blas is None:
        with need("threadpoolctl", "cli").threadpool_limits(number):
            yield
        return
    before = blas.threads()
    blas.limit(number)
    try:
        yield
    finally:
        blas.limit(before)


class OpenBLAS(NamedTuple):
    """An OpenBLAS in this process.

    threads   tells how many threads it has, and
    limit     sets it
    """

    threads: Callable[[], int]
    limit: Callable[[int], None]


@cache
def openblas(module: str = "numpy._core._multiarray_umath") -> OpenBLAS | None:
    """Return the OpenBLAS in the wheel of NumPy, or of SciPy; None where it has another BLAS.

    Options  module   one that uses it: "scipy.linalg._fblas" for SciPy's
    """
    spec = find_spec(module)
    library = ctypes.CDLL(spec.origin if spec else None)
    for name in ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}"):
        if hasattr(library, name.format("set_num_threads")):
            return OpenBLAS(
                getattr(library, name.format("get_num_threads")),
                getattr(library, name.format("set_num_threads")),
            )
    return None
