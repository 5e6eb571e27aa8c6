"""A small training in this process, kept in a folder, and what may stop it there."""

import os
import signal

import numpy as np
import pytest

from scratchnn import SGD, RunFolder, fit, mlp
from scratchnn.data import Dataset, files
from scratchnn.run import signals
from tests.helpers import C, D, H

CLASSES = tuple("abcd")
FILES = ["best.npz", "checkpoint.npz", "history.jsonl", "previous.npz", "run.json"]


def dataset(n=20, seed=0, **more):
    rng = np.random.default_rng(seed)
    return Dataset("t", rng.normal(size=(n, D)), rng.integers(C, size=n), CLASSES, **more)


def train(
    keep=None, *, epochs=4, optimizer=None, network=None, rng=1, on_batch=None, batch_size=8, **more
):
    """Train a small network; return it, and its history without the times."""
    network = network or mlp.init([D, H, C], rng=3)
    reached = fit(
        network, more.pop("train", dataset()), more.pop("test", dataset(10, seed=2)),
        optimizer=optimizer or SGD(0.1, 0.5), epochs=epochs, batch_size=batch_size, rng=rng,
        checkpoint=keep, on_batch=on_batch, **more,
    )  # fmt: skip
    rows = [{n: v for n, v in row.items() if "seconds" not in n} for row in reached.as_dicts()]
    return network.theta.tobytes(), rows


def stop_at(epoch, number, sent=signal.SIGTERM):
    """Return an on_batch that lets a signal come after a batch; the step after it is the last."""

    def on_batch(batch):
        if (batch.epoch, batch.number) == (epoch, number):
            os.kill(os.getpid(), sent)

    return on_batch


def stop(path, epoch=2, number=1, **options):
    """Train until a signal comes."""
    with pytest.raises(signals.Stopped):
        train(RunFolder(path), on_batch=stop_at(epoch, number), **options)


class FullDisk:
    """A disk on which no checkpoint has room while it is full."""

    def __init__(self, monkeypatch):
        self.full, self.place = False, files.place
        monkeypatch.setattr(files, "place", self)

    def __call__(self, path, write, **options):
        if self.full:
            raise OSError(28, "No space left on device", str(path))
        self.place(path, write, **options)
