"""What the tests run with little memory: train on a file of 4 GB, or try to load it.

stream.py FOLDER LIMIT stream|load    prints how many examples were trained on
"""

import resource
import sys
from pathlib import Path

import numpy as np

from scratchnn import SGD, data, fit, mlp

PIXELS, EXAMPLES = 4096, 2**20  # 64 x 64 pixels; 4 GB


def make(folder: Path) -> None:
    """Make files of zeros that have a length, and take no room on the disk."""
    for name, shape in (("images", (EXAMPLES, PIXELS)), ("labels", (EXAMPLES,))):
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape)


def main(folder: str, limit: str, how: str) -> None:
    """Take one epoch of softmax regression."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))  # mapped files are free
    mode = "r" if how == "stream" else None
    images, labels = (
        np.load(f"{folder}/{name}.npy", mmap_mode=mode) for name in ("images", "labels")
    )
    train = data.Stream("zeros", images, labels, tuple("0123456789"), data.ToTensor())
    seen = []
    network = mlp.init([PIXELS, 10], rng=1)
    fit(
        network, train, optimizer=SGD(0.1), epochs=1, batch_size=1024, rng=1,
        on_batch=lambda batch: seen.append(batch.examples),
    )  # fmt: skip
    print(sum(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
