"""What the tests run with little memory: train on a file of 2 GB, or try to load it.

stream.py FOLDER LIMIT stream|load    prints how many examples were trained on
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from scratchnn import SGD, data, fit, mlp
from scratchnn.history import Batch

PIXELS, EXAMPLES = 4096, 2**19  # 64 x 64 pixels; 2 GB


def make(folder: Path) -> None:
    """Make files of zeros that have a length, and take no room on the disk."""
    for name, shape in (("images", (EXAMPLES, PIXELS)), ("labels", (EXAMPLES,))):
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape)


class Done(Exception):  # noqa: N818
    """Raised behind the last batch: evaluating would read all again."""


def main(folder: str, limit: str, how: str) -> None:
    """Take one epoch of softmax regression."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))  # mapped files are free
    mode = "r" if how == "stream" else None
    X, target = (np.load(f"{folder}/{name}.npy", mmap_mode=mode) for name in ("images", "labels"))
    train = data.Stream("zeros", X, target, tuple("0123456789"))
    seen = 0

    def on_batch(batch: Batch) -> None:
        nonlocal seen
        seen += batch.examples
        if batch.number == batch.of:
            raise Done

    with suppress(Done):
        fit(
            mlp.init([PIXELS, 10], rng=1),
            train,
            optimizer=SGD(0.1),
            batch_size=1024,
            rng=1,
            on_batch=on_batch,
        )
    print(seen)


if __name__ == "__main__":
    main(*sys.argv[1:])
