"""How many threads NumPy's matrix products take.

The threads of a product wait for each other in a loop. Small products gain nothing from a second
thread, and where another process keeps a core busy, they take ten times as long with it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise

from scratchnn.extras import MissingExtraError, need

SMALL = 8_000_000  # multiplications; one thread takes about 0.2 ms for as many


def fitting(sizes: Sequence[int], batch_size: int) -> int | None:
    """Return 1 where all products of a training step are small; None: as many as NumPy takes.

    Options  sizes        of the network, [D, H_1, ..., C]
             batch_size   rows of a batch
    """
    return 1 if batch_size * max(D * H for D, H in pairwise(sizes)) < SMALL else None


@contextmanager
def limited(number: int | None) -> Iterator[None]:
    """Let NumPy's products take so many threads in a block; None: as many as before.

    threadpoolctl knows every BLAS. Without it, this knows the OpenBLAS in NumPy's wheels.

    Raises   MissingExtraError for another BLAS without threadpoolctl
    """
    if number is None:
        yield
        return
    try:
        limits = need("threadpoolctl", "cli").threadpool_limits
    except MissingExtraError:
        openblas = _openblas()
        if openblas is None:
            raise
    else:
        with limits(number):
            yield
        return
    get, put = openblas
    before = get()
    put(number)
    try:
        yield
    finally:
        put(before)


def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Return the functions that tell and set the threads of NumPy's own OpenBLAS, if it has one."""
    spec = find_spec("numpy._core._multiarray_umath")
    library = ctypes.CDLL(spec.origin if spec else None)
    for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads"):
        if hasattr(library, name.format("set")):
            return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None
