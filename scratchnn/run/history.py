"""A history as JSON, and the file that it grows in: history.jsonl, an object a line."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from scratchnn.data import DataError, files
from scratchnn.history import Begun, Epoch, History, Totals

HISTORY, GRADIENTS = "history.jsonl", "gradients.jsonl"  # their names in a run's folder
NAMES = [field.name for field in fields(Epoch)]


def deciding_loss(row: Epoch) -> float:
    """Return the loss by which epochs are compared: the validation loss where it was measured.

    Else it is the first that was measured of test loss, training loss and running loss.
    """
    losses = (row.validation_loss, row.test_loss, row.train_loss, row.running_loss)
    return next(loss for loss in losses if loss is not None)


def best_by_validation(history: History) -> str:
    """Say which epoch the validation data choose, and what it reaches; "" where there are none."""
    if not history.epochs or history.epochs[-1].validation_loss is None:
        return ""
    best = min(history.epochs, key=deciding_loss)
    scores = [
        f"{part} loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.2%}")
        for part, loss, accuracy in (
            ("validation", best.validation_loss, best.validation_accuracy),
            ("test", best.test_loss, best.test_accuracy),
        )
        if loss is not None
    ]
    return f"best epoch by validation: {best.epoch}, {'; '.join(scores)}"


def length(history: History, kind: str = "") -> str:
    """Return how many epochs a history has, in words.

    Options  kind   of epochs, as "whole "
    """
    count = len(history.epochs)
    return f"{count} {kind}epoch" + ("" if count == 1 else "s")


def of_epoch(row: Epoch) -> dict[str, float | None]:
    """Return a row as JSON values: a number that is not finite is None, which JSON calls null."""
    return {
        name: value if value is None or math.isfinite(value) else None
        for name, value in asdict(row).items()
    }


def of_batches(epoch: int, begun: Begun) -> dict[str, float | None]:
    """Return how an epoch stands after some batches: the mean loss over them."""
    loss = begun.running.loss / begun.running.weight if begun.running.weight else None
    return {"epoch": epoch, "batch": begun.batches, "running_loss": loss}


def to_epoch(row: Mapping[str, Any]) -> Epoch:
    """Return the Epoch of a row."""
    loss = math.nan if row["running_loss"] is None else row["running_loss"]
    return Epoch(**{**{name: row[name] for name in NAMES}, "running_loss": loss})


def of_begun(begun: Begun) -> dict[str, Any]:
    """Return the place in an epoch as JSON values, all bits of them."""
    return {
        "batches": begun.batches,
        "running": asdict(begun.running),
        "seconds": begun.seconds,
        "rng": of_generator(begun.rng),
    }


def to_begun(place: Mapping[str, Any]) -> Begun:
    """Return what `of_begun` wrote down.

    Raises   KeyError, TypeError, ValueError for something else
    """
    rng, running = _to_generator(place["rng"]), Totals(**place["running"])
    return Begun(rng, int(place["batches"]), running, float(place["seconds"]))


def of_generator(rng: np.random.Generator) -> dict[str, Any]:
    """Write down a generator: its state, and the seed that its children are spawned from."""
    bits = rng.bit_generator
    written: dict[str, Any] = {"kind": type(bits).__name__, "state": _as_lists(bits.state)}
    if isinstance(bits.seed_seq, np.random.SeedSequence):
        written["seed"] = _as_lists(
            {
                name: getattr(bits.seed_seq, name)
                for name in ("entropy", "spawn_key", "pool_size", "n_children_spawned")
            }
        )
    return written


def _to_generator(written: Mapping[str, Any]) -> np.random.Generator:
    kinds = ("PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937")
    if written["kind"] not in kinds:
        raise ValueError(f"a generator of an unknown kind: {written['kind']}")
    seed = np.random.SeedSequence(**written["seed"]) if "seed" in written else None
    bits = getattr(np.random, written["kind"])(seed)
    bits.state = written["state"]
    return np.random.Generator(bits)


def _as_lists(value: Any) -> Any:
    """Return dictionaries whose arrays are lists, and whose NumPy numbers are Python's."""
    if isinstance(value, dict):
        return {name: _as_lists(part) for name, part in value.items()}
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def parse(path: Path, content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the rows of a history's file. What follows the last line feed is no whole line.

    Raises   DataError that names the line, at the first that is damaged
    """
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
            if "batch" not in row:
                to_epoch(row)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            words = f"expected a row of a history, got {error}"
            raise DataError(f"{path}, line {number}: {words}") from error
        yield row


def read(path: Path) -> History:
    """Return the whole epochs of a history's file.

    Raises   FileNotFoundError; DataError
    """
    rows = parse(path, path.read_bytes())
    return History([to_epoch(row) for row in rows if "batch" not in row])


def cut_to(path: Path, epochs: int) -> None:
    """Cut a file with a line per epoch back to the first epochs. It may be missing.

    Options  path     each line is an object with "epoch"
             epochs   how many
    Raises   OSError that names the file
    """
    if not path.is_file():
        return
    with files.naming(path):
        content = path.read_bytes()
    lines = takewhile(lambda line: _epoch(line) <= epochs, content.splitlines(keepends=True))
    kept = b"".join(lines)
    if kept != content:
        files.place(path, lambda file: file.write(kept))


def _epoch(line: bytes) -> float:
    """Return the epoch of a line; infinity for one that is torn."""
    try:
        return int(json.loads(line)["epoch"]) if line.endswith(b"\n") else math.inf
    except (ValueError, TypeError, KeyError):
        return math.inf


class HistoryFile:
    """The file, open to grow: each row is written at once, and known by length and SHA-256.

    A row that cannot be written, because the disk is full, waits for the next one.

    Options  file   open to append, without a buffer
             path   what messages call it
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path = file, path
        self.length, self.digest = 0, hashlib.sha256()
        self.waiting, self.torn = b"", False

    def is_in_place(self) -> bool:
        """Return whether the path still leads to this file: somebody may have moved its folder."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self.file.fileno()))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def check_place(self) -> None:
        """Raise where the folder was moved or removed: another run may be in its place by now.

        Raises   OSError that names the file
        """
        if not self.is_in_place():
            words = "Is not where it was: the folder was moved or removed as the run trained. "
            raise OSError(errno.ENOENT, words + "Move it back", str(self.path))

    def cut(self, content: bytes) -> None:
        """Cut the file back to what it began with.

        Options  content   these bytes, as they were read
        """
        with files.naming(self.path):
            os.ftruncate(self.file.fileno(), len(content))
        self.length, self.digest, self.waiting = len(content), hashlib.sha256(content), b""

    def add(self, row: Mapping[str, float | None]) -> None:
        """Write a row."""
        self.waiting += json.dumps(row, allow_nan=False).encode() + b"\n"
        self.write()

    def write(self) -> None:
        """Write the rows that wait, all or none of them.

        Raises   OSError that names the file
        """
        with files.naming(self.path):
            if self.torn:  # what a write that failed has left must go first
                os.ftruncate(self.file.fileno(), self.length)
            self.torn, written = True, 0
            while written < len(self.waiting):
                written += self.file.write(self.waiting[written:])
            self.torn = False
        self.length += len(self.waiting)
        self.digest.update(self.waiting)
        self.waiting = b""

    def sync(self) -> dict[str, int | str]:
        """Bring all rows to the disk; return length and SHA-256 of the file.

        Raises   OSError that names the file
        """
        self.write()
        with files.naming(self.path):
            os.fsync(self.file.fileno())
        return {"bytes": self.length, "sha256": self.digest.hexdigest()}
