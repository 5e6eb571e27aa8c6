"""Data that do not fit in memory: mapped files, shuffled block by block, and read ahead.

Nothing here grows with the number of examples but one index a block.
"""

from __future__ import annotations  # numpy.random need not be imported for a type

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from scratchnn.arrays import Array, IntArray
from scratchnn.data.batches import block_minibatches
from scratchnn.data.dataset import Dataset
from scratchnn.data.datasets import CLASSES, PIXELS, torchvision_layout
from scratchnn.data.idx import map_idx

T = TypeVar("T")
END: Final = object()


@dataclass(frozen=True, eq=False)
class Stream(Dataset):
    """A data set whose arrays are mapped files: np.load(path, mmap_mode="r"), or `map_idx`.

    Reading single rows all over a file is slow. So an epoch shuffles blocks of neighbouring rows,
    and the rows within a window of so many blocks: see docs/streaming.md for what this changes.
    """

    block: int = 256  # rows
    window: int = 64  # blocks

    def batch(
        self, rows: IntArray | slice, dtype: DTypeLike, rng: np.random.Generator | None = None
    ) -> tuple[Array, NDArray[Any]]:
        """Return inputs and targets of some rows, in memory."""
        X, target = super().batch(rows, dtype, rng)
        return X, target.astype(np.intp) if self.classes else target

    def order(self, batch_size: int, rng: np.random.Generator) -> Iterable[IntArray]:
        """Return the rows of an epoch's batches, one batch after another."""
        return block_minibatches(
            len(self), batch_size, rng,
            block=self.block, window=self.window, announce=self._ask_for,
        )  # fmt: skip

    def batches(
        self,
        order: Iterable[IntArray | slice],
        dtype: DTypeLike,
        rng: np.random.Generator | None = None,
    ) -> Generator[tuple[Array, NDArray[Any]]]:
        """Yield a `batch` for each of these rows, read by a thread while the last one is in use."""
        return read_ahead(super().batches(order, dtype, rng))

    def only(self, classes: Sequence[int]) -> NoReturn:
        """Refuse to choose rows: they would have to be in memory."""
        names = " and ".join(self.classes[c] for c in classes)
        raise ValueError(f"{self.name} is streamed: it cannot be cut down to {names}")

    def _ask_for(self, starts: IntArray) -> None:
        """Ask the system to read the blocks of X that start here, where it takes such advice."""
        X = self.X
        if not (isinstance(X, np.memmap) and X.filename and hasattr(os, "posix_fadvise")):
            return
        row = X.strides[0]
        with Path(X.filename).open("rb") as file:
            for start in starts.tolist():
                first, length = X.offset + start * row, self.block * row
                os.posix_fadvise(file.fileno(), first, length, os.POSIX_FADV_WILLNEED)


def stream(
    name: str, data_dir: str | Path | None = None, *, normalize: bool = False
) -> tuple[Stream, Stream]:
    """Return (train, test) of MNIST or Fashion-MNIST, left in files that are not compressed.

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
    """Yield the items of an iterator that runs in a thread, at most `depth` ahead.

    Its errors are raised here, in their turn. The thread ends when the iterator does, or when
    this one is closed.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as thread:
        coming = deque(thread.submit(next, items, END) for _ in range(depth))
        while (item := coming.popleft().result()) is not END:
            coming.append(thread.submit(next, items, END))
            yield item  # type: ignore[misc]
