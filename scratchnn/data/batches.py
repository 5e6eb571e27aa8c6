"""Minibatches: the order in which a training run sees its examples."""

from __future__ import annotations  # numpy.random need not be imported for a type

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
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    order = np.arange(examples) if rng is None else rng.permutation(examples)
    end = examples - examples % batch_size if drop_last else examples
    return [order[start : start + batch_size] for start in range(0, end, batch_size)]
