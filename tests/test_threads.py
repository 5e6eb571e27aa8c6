"""Small products get one thread, and a limit ends with its block."""

import sys

import numpy as np
import pytest

from scratchnn import mlp, threads
from scratchnn.extras import MissingExtraError


def test_small_products_get_one_thread():
    assert threads.fitting([64, 512, 256, 128, 64, 10], 32) == 1  # the MLP on the digits
    assert threads.fitting([784, 10], 256) == 1
    assert threads.fitting([784, 512, 256, 128, 64, 10], 64) is None  # on MNIST


def pool():
    """Return how many threads NumPy's OpenBLAS has now."""
    found = threads._openblas()
    if found is None:
        pytest.skip("this NumPy has no OpenBLAS of its own")
    return found[0]()


@pytest.mark.parametrize("without", [False, True])
def test_limit_ends_with_its_block(monkeypatch, without):
    before = pool()
    if without:
        monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    else:
        pytest.importorskip("threadpoolctl")
    with threads.limited(1):
        assert pool() == 1
        assert np.array_equal(mlp.predict(mlp.init([2, 2], rng=0), np.ones((1, 2), "f")), [0])
    assert pool() == before


def test_another_blas_needs_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr(threads, "_openblas", lambda: None)
    with pytest.raises(MissingExtraError, match="threadpoolctl"), threads.limited(1):
        pass
    with threads.limited(None):
        pass


def test_a_blas_of_another_name_is_not_known(monkeypatch):
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda _: object())
    assert threads._openblas() is None
