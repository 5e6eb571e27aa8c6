"""Minibatches: the order in which a training run sees its examples."""

from __future__ import annotations  # numpy.random need not be imported for a type

from collections.abc import Callable, Iterator

import numpy as np

from scratchnn.arrays import IntArray


def minibatches(
    examples: int,
    batch_size: int,
    rng: np.random.Generator | None = None,
    *,
    drop_last: bool = False,
) -> list[IntArray]:
    """Return the indices of an epoch's batches, shuffled if there is an rng; the last may be short.

    Every example comes exactly once: 60,000 in batches of 64 make 937 whole ones and a half,
    which `drop_last` leaves out.

    Raises   ValueError for a batch size below 1
    Torch    torch.utils.data.DataLoader(shuffle, drop_last)
    """
    _check(batch_size=batch_size)
    order = np.arange(examples) if rng is None else rng.permutation(examples)
    end = examples - examples % batch_size if drop_last else examples
    return [order[start : start + batch_size] for start in range(0, end, batch_size)]


def block_minibatches(
    examples: int,
    batch_size: int,
    rng: np.random.Generator,
    *,
    block: int,
    window: int,
    announce: Callable[[IntArray], None] = lambda _: None,
) -> Iterator[IntArray]:
    """Return an iterator over the batches of data that are read in blocks of neighbouring rows.

    The blocks are shuffled; their rows are shuffled among `window` blocks at a time, and ascend
    within a batch. Every example comes exactly once an epoch. Only a window's indices are in
    memory, and one a block. `announce` gets the first rows of the blocks of this window and the
    next.

    Raises   ValueError for a batch size, block or window below 1
    """
    _check(batch_size=batch_size, block=block, window=window)
    return _in_windows(examples, batch_size, rng, block, window, announce)


def _in_windows(
    examples: int,
    batch_size: int,
    rng: np.random.Generator,
    block: int,
    window: int,
    announce: Callable[[IntArray], None],
) -> Iterator[IntArray]:
    starts = block * rng.permutation(-(-examples // block))
    rest = starts[:0]
    for i in range(0, len(starts), window):
        announce(starts[i : i + 2 * window])
        rows = (starts[i : i + window, None] + np.arange(block)).ravel()
        rows = np.concatenate([rest, rng.permutation(rows[rows < examples])])
        whole = len(rows) - len(rows) % batch_size
        for batch in rows[:whole].reshape(-1, batch_size):
            yield np.sort(batch)
        rest = rows[whole:]
    if len(rest):
        yield np.sort(rest)


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
