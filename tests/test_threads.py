"""Small products and short trainings get one thread, and a limit ends with its block."""

import sys
from contextlib import contextmanager
from itertools import cycle

import numpy as np
import pytest

from scratchnn import SGD, data, fit, mlp, threads
from scratchnn.extras import MissingExtraError

SOFTMAX, MLP = [784, 10], [784, 512, 256, 128, 64, 10]


@pytest.mark.parametrize(
    ("sizes", "batch_size", "examples"),
    [
        (SOFTMAX, 64, 60_000),  # small products
        ([64, 512, 256, 128, 64, 10], 32, 1437),  # few examples: the MLP on the digits
    ],
)
def test_small_products_and_short_trainings_get_one_thread_untried(
    monkeypatch, sizes, batch_size, examples
):
    monkeypatch.setattr(threads, "_several_are_faster", None)  # nobody calls it
    monkeypatch.setattr(threads, "openblas", lambda: object())
    assert threads.fitting(sizes, batch_size, examples) == 1


@pytest.mark.parametrize(
    ("one", "several", "number"),
    [
        ([2, 2, 2, 2, 2], [1, 1, 1, 1, 1], None),
        ([1], [30], 1),
        ([2, 2, 1], [1, 1, 30], 1),  # far slower in one trial: a program keeps a core busy
        ([2, 2, 2, 2, 2], [1, 1, 5, 1, 1], None),  # disturbed for a moment
        ([2, 2, 2, 2, 2], [3, 3, 3, 3, 3], 1),
    ],
)
@pytest.mark.parametrize(("sizes", "batch_size"), [(SOFTMAX, 256), (MLP, 64)])
def test_others_get_one_thread_where_it_is_faster(
    monkeypatch, one, several, number, sizes, batch_size
):
    """As a clock says that counts the seconds of each trial, after a first call of all threads."""
    seconds, now = {1: iter(one), None: iter([9, *several])}, {"threads": None, "clock": 0}
    starts = cycle([True, False])

    @contextmanager
    def limited(threads):
        now["threads"] = threads
        yield

    def clock():
        now["clock"] += 0 if next(starts) else next(seconds[now["threads"]])
        return now["clock"]

    monkeypatch.setattr(threads, "all_threads", lambda: 2)
    monkeypatch.setattr(threads, "openblas", lambda: object())
    monkeypatch.setattr(threads, "limited", limited)
    monkeypatch.setattr(threads, "perf_counter", clock)
    threads._several_are_faster.cache_clear()
    try:
        assert threads.fitting(sizes, batch_size, 60_000) == number
    finally:
        threads._several_are_faster.cache_clear()
    assert not [*seconds[1], *seconds[None]]  # it tried as often as it must


@pytest.mark.parametrize("by", ["OpenBLAS", "threadpoolctl"])
def test_limit_ends_with_its_block(monkeypatch, by):
    blas = threads.openblas()
    if blas is None:
        pytest.skip("this NumPy has no OpenBLAS of its own")
    before = blas.threads()
    if by == "threadpoolctl":
        pytest.importorskip("threadpoolctl")
        monkeypatch.setattr(threads, "openblas", lambda: None)
    with threads.limited(1):
        assert blas.threads() == 1
        assert np.array_equal(mlp.predict(mlp.init([2, 2], rng=0), np.ones((1, 2), "f")), [0])
    assert blas.threads() == before


def test_another_blas_needs_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr(threads, "openblas", lambda: None)
    with pytest.raises(MissingExtraError, match="threadpoolctl"), threads.limited(1):
        pass
    with threads.limited(None):
        pass


def test_a_blas_of_another_name_is_not_known(monkeypatch):
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda _: object())
    assert threads.openblas.__wrapped__() is None  # and not the answer that is kept


def test_fit_trains_where_the_threads_cannot_be_set(monkeypatch):
    monkeypatch.setattr(threads, "openblas", lambda: None)
    monkeypatch.setattr(threads, "find_spec", lambda _: None)
    assert threads.fitting([2, 2], 1, 1) is None
    train, _ = data.digits()
    assert fit(mlp.init([64, 10]), train, optimizer=SGD(0.1), epochs=1, evaluation=False).epochs


@pytest.mark.parametrize("number", [0, -1, 2.5, "2", True])
def test_fit_takes_a_whole_number_of_threads(number):
    train, _ = data.digits()
    with pytest.raises((TypeError, ValueError), match="threads must be"):
        fit(mlp.init([64, 10]), train, optimizer=SGD(0.1), threads=number)
