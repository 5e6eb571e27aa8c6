"""Minibatches: the order in which a training run takes its examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from scratchnn.ops.shared import IntArray, check_flag, check_whole, generator


def minibatches(
    examples: int,
    batch_size: int,
    rng: np.random.Generator | None = None,
    *,
    drop_last: bool = False,
) -> list[IntArray]:
    """Return the indices of each batch of one epoch.

    Every example comes exactly once: 60,000 examples in batches of 64 are 937
    batches of 64 and a last one of 32.

    Options  examples     how many there are
             batch_size   how many are in a batch
             rng          shuffles the examples; default: they come in order
             drop_last    leave out the last batch if it is shorter; default: keep it
    Raises   ValueError for a batch size below 1
    Torch    torch.utils.data.DataLoader(shuffle, drop_last)
    """
    check_whole(0, examples=examples)
    check_whole(1, batch_size=batch_size)
    check_flag(drop_last=drop_last)
    order = np.arange(examples) if rng is None else generator(rng).permutation(examples)
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
    """Return an iterator over the batches of one epoch, for data that are read from a file.

    Reading single rows from all over a file is slow. So blocks of neighbouring
    rows are shuffled, and then the rows within a window of several blocks. Within
    a batch the rows ascend. Every example comes exactly once. Memory holds the
    indices of one window, and one index per block.

    Options  examples     how many there are
             batch_size   how many are in a batch
             rng          shuffles the blocks, and the rows in a window
             block        the number of rows in a block
             window       the number of blocks in a window
             announce     is called with the first rows of the blocks of this window and the next,
                          before they are needed
    Raises   ValueError for a batch size, block or window below 1
    """
    check_whole(1, batch_size=batch_size, block=block, window=window)
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
    rest = starts[:0]  # the rows of a window that did not fill a batch
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
