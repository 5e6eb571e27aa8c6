"""Data that do not fit in memory: mapped files, shuffled block by block, and read ahead.

Memory holds a few batches, and one index per block of rows. docs/streaming.md says what the order
of the rows means for training.
"""

from __future__ import annotations

import mmap
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
from scratchnn.data.datasets import CLASSES, PIXELS
from scratchnn.data.idx import DataError, map_idx
from scratchnn.data.layout import torchvision_layout
from scratchnn.ops.shared import AnyArray, Array, IntArray

T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False)
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
        """Return inputs and targets of some rows, in memory; arguments as of `Dataset.batch`.

        Raises   DataError where a file has become shorter than its array: reading what is no longer
                 there would end the process
        """
        for array in (self.X, self.target):
            self._check_length(array)
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

    def split(
        self,
        share: float,
        rng: np.random.Generator | int | None = None,  # noqa: ARG002 - as of Dataset
    ) -> NoReturn:
        """Raise a ValueError: choosing rows takes a copy in memory."""
        raise ValueError(
            f"{self.name} is streamed: to split {share:.0%} of it off, load it without --stream"
        )

    def only(self, classes: Sequence[int]) -> NoReturn:
        """Raise a ValueError: choosing rows of these classes takes a copy in memory."""
        names = " and ".join(self.classes[c] for c in classes)
        raise ValueError(
            f"{self.name} is streamed: to cut it down to {names}, load it without --stream"
        )

    def _check_length(self, array: AnyArray) -> None:
        mapped = _mapped(array)
        if mapped is None or not isinstance(array, np.memmap):
            return
        needed = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY + len(mapped)
        if mapped.size() < needed:
            raise DataError(
                f"{self.name}: {array.filename} was cut short while it was in use: "
                f"{needed:,} bytes are needed, {mapped.size():,} are left"
            )

    def _ask_for(self, starts: IntArray) -> None:
        """Ask the system to read the blocks of X that start here, where it can be asked."""
        X, mapped = self.X, _mapped(self.X)
        if mapped is None or not hasattr(mmap, "MADV_WILLNEED"):
            return
        begin = X.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
        row = X.strides[0]
        for start in starts.tolist():
            first = begin + start * row
            page = first - first % mmap.PAGESIZE
            length = min(first + self.block * row, len(mapped)) - page
            with suppress(OSError):  # it is only advice
                mapped.madvise(mmap.MADV_WILLNEED, page, length)


def _mapped(array: object) -> mmap.mmap | None:
    """Return the mapped file that an array is a view of."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array


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
