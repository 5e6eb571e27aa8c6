"""Data that do not fit in memory: mapped files, shuffled block by block, and read ahead.

Memory holds a few batches, and one index per block of rows. docs/streaming.md says what the order
of the rows means for training.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from scratchnn.data.batches import block_minibatches
from scratchnn.data.dataset import Dataset
from scratchnn.data.datasets import CLASSES, PIXELS, torchvision_layout
from scratchnn.data.idx import map_idx
from scratchnn.ops.shared import AnyArray, Array, IntArray

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Stream(Dataset):
    """A data set whose arrays are mapped files: np.load(path, mmap_mode="r"), or `map_idx`.

    An epoch shuffles blocks of neighbouring rows, and the rows within a window of blocks, because
    reading single rows from all over a file is slow.

    Options  as of `Dataset`, and
             block    the number of rows in a block
             window   the number of blocks in a window
    """

    block: int = 256
    window: int = 64

    def batch(
        self, rows: IntArray | slice, dtype: DTypeLike, rng: np.random.Generator | None = None
    ) -> tuple[Array, AnyArray]:
        """Return inputs and targets of some rows, in memory; arguments as of `Dataset.batch`."""
        X, target = super().batch(rows, dtype, rng)
        return X, target.astype(np.intp) if self.classes else target

    def order(self, batch_size: int, rng: np.random.Generator) -> Iterable[IntArray]:
        """Return the rows of each batch of one epoch; arguments as of `Dataset.order`."""
        sizes = {"block": self.block, "window": self.window}
        return block_minibatches(len(self), batch_size, rng, **sizes, announce=self._ask_for)

    def batches(
        self,
        order: Iterable[IntArray | slice],
        dtype: DTypeLike,
        rng: np.random.Generator | None = None,
    ) -> Generator[tuple[Array, AnyArray]]:
        """Yield a `batch` for each entry of an order; arguments as of `Dataset.batches`.

        A thread reads the next batches while one is in use.
        """
        return read_ahead(super().batches(order, dtype, rng))

    def only(self, classes: Sequence[int]) -> NoReturn:
        """Raise a ValueError: choosing rows of these classes takes a copy in memory."""
        names = " and ".join(self.classes[c] for c in classes)
        raise ValueError(f"{self.name} is streamed: it cannot be cut down to {names}")

    def _ask_for(self, starts: IntArray) -> None:
        """Ask the system to read the blocks of X that start here, where it can be asked."""
        X = self.X
        if not (isinstance(X, np.memmap) and X.filename and hasattr(os, "posix_fadvise")):
            return
        row = X.strides[0]
        with suppress(OSError), Path(X.filename).open("rb") as file:  # it is only advice
            for start in starts.tolist():
                first, length = X.offset + start * row, self.block * row
                os.posix_fadvise(file.fileno(), first, length, os.POSIX_FADV_WILLNEED)


def stream(
    name: str, data_dir: str | Path | None = None, *, normalize: bool = False
) -> tuple[Stream, Stream]:
    """Return (train, test) of MNIST or Fashion-MNIST, which stay in their files.

    Options  name        "mnist" or "fashion-mnist"
             data_dir    the folder of the data, in torchvision's layout; default: $SCRATCHNN_DATA
             normalize   scale to mean 0 and standard deviation 1, not to [0, 1]
    Raises   ValueError for another name; FileNotFoundError; DataError, for compressed files, too
    """
    if name not in CLASSES:
        raise ValueError(f"data to stream must be {' or '.join(CLASSES)}, got {name}")
    transform = PIXELS[name].transform(normalize)
    train, test = (
        Stream.of_images(part, images, labels, CLASSES[name], transform)
        for part, images, labels in torchvision_layout(name, data_dir, map_idx)
    )
    return train, test


def read_ahead(items: Iterator[T], depth: int = 2) -> Generator[T]:
    """Yield the items of an iterator that runs in a thread, at most `depth` items ahead.

    An exception in the thread is raised here, at the item where it happened. The
    thread ends when the iterator does, or when this one is closed.

    Options  items   the iterator
             depth   how many items ahead, at most
    """
    from concurrent.futures import ThreadPoolExecutor  # takes a while, and few programs stream

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as thread:
        coming = deque(thread.submit(list, islice(items, 1)) for _ in range(depth))
        while item := coming.popleft().result():  # a list of one, or of none at the end
            coming.append(thread.submit(list, islice(items, 1)))
            yield from item
