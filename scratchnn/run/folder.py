"""The folder of a run: at every moment its files are whole, and of one run.

    run.json         settings, environment, data, and how it stands or ended
    history.jsonl    a line per epoch, and per `log_every` batches; the only file that grows
    checkpoint.npz   θ, the optimizer's state, and the place in the training: `resume` goes on there
    previous.npz     the checkpoint before; best.npz: θ of the epoch with the lowest loss

Whoever trains in the folder holds a lock on history.jsonl, which ends with its process.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from scratchnn.data import DataError, files
from scratchnn.data.transforms import description_as_json
from scratchnn.history import History, Task
from scratchnn.mlp import Parameters
from scratchnn.optim import Optimizer
from scratchnn.run import signals
from scratchnn.run.history import HISTORY
from scratchnn.run.keeping import (
    BEST,
    CHECKPOINT,
    FILES,
    OLD,
    PICTURES,
    PREVIOUS,
    RESULTS,
    Training,
)
from scratchnn.run.record import RECORDED, RUN, history_of, read_record
from scratchnn.run.replacing import current, replacing

PLACE = ("run", "epoch", "loss", "history", "begun")  # of a checkpoint, in its training
LOG_EVERY = "log_every must be a number of batches from 1 up"


class RunFolder:
    """Where `fit` keeps a training, so that it can go on after whatever ends it.

        fit(network, train, optimizer=SGD(0.5), rng=0, checkpoint=RunFolder("runs/mine"))
        fit(network, train, optimizer=SGD(0.5), rng=0, checkpoint=resume("runs/mine"))

    Ctrl-C, SIGTERM, SIGHUP and SIGXCPU let the step end, and save. A second Ctrl-C ends at once.

    Options  folder      is made where it is missing; it must not hold a run
             every       how often to save: after so many steps, or after each "epoch"; default:
                         after an epoch, at most once a second, and at the end
             log_every   write the running loss to the history after so many batches, too
             overwrite   replace the run that the folder holds, as soon as the new one is saved
             facts       what run.json says besides, of JSON values, under names of its own
             description   what the checkpoints say besides, in the same way: see `checkpoint.save`
             goes_on     restore the run that the folder holds: see `resume`
    Raises   FileExistsError for a folder that holds a run; BlockingIOError for one where another
             process trains; OSError for one that cannot be written
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        every: int | Literal["epoch"] | None = None,
        log_every: int | None = None,
        overwrite: bool = False,
        facts: Mapping[str, Any] | None = None,
        description: Mapping[str, Any] | None = None,
        goes_on: bool = False,
    ) -> None:
        if not isinstance(folder, (str, os.PathLike)):
            raise TypeError(f"the folder of a run must be a path, got {folder!r}")
        if not str(folder) or "\0" in str(folder):
            raise ValueError(f"the folder of a run must have a name, got {str(folder)!r}")
        self.path, self.begun = Path(folder), False
        self.every, self.log_every = _every(every), _count(LOG_EVERY, log_every)
        self.overwrite, self.goes_on = overwrite, goes_on
        self.facts = _own("facts", facts or {}, RECORDED)
        self.description = _own("description", description or {}, PLACE)
        self.made = False
        if goes_on:
            found = read_record(self.path)
            history_of(self.path)  # raises where it is missing
            try:
                self.every = self.every or _every(found.get("every"))
                self.log_every = self.log_every or _count(LOG_EVERY, found.get("log_every"))
            except ValueError as error:
                raise DataError(f"{self.file(RUN)}: {error}") from error
        else:
            with files.naming(self.path):
                self.made = not self.path.exists()
                if not (self.made or self.path.is_dir()):
                    raise NotADirectoryError(f"{self.path} is a file: name a folder")
                if self.made and self.path.is_symlink():
                    words = "is a link to something that is missing: name a folder"
                    raise FileNotFoundError(f"{self.path} {words}")
                self.path.mkdir(parents=True, exist_ok=True)
        self._refuse_other_kinds()
        self._prove_writable()
        if not goes_on:
            self.refuse_a_run()

    def file(self, name: str) -> Path:
        """Return the path of one of its files."""
        return self.path / name

    def discard(self) -> None:
        """Remove the folder if this object made it and nothing was begun in it."""
        if self.made and not self.begun:
            with suppress(OSError):  # what is not empty stays
                self.path.rmdir()

    def present(self) -> list[Path]:
        """Return the files of the run that are there, but for the pictures."""
        names = (RUN, HISTORY, CHECKPOINT, PREVIOUS, BEST)
        return [self.file(name) for name in names if self.file(name).exists()]

    @contextmanager
    def __call__(
        self, parameters: Parameters, optimizer: Optimizer, history: History, task: Task
    ) -> Generator[Callable[[], None]]:
        """Keep a training in a block: `fit` calls what this yields after each step and epoch."""
        with signals.held() as held, self.taken() as file:
            training = Training(self, file, (parameters, optimizer, history, task), held)
            training.begin()
            self.begun = True
            try:
                yield training.keep
            except BaseException as error:
                training.end(error)
                raise
            training.end(None)

    def refuse_a_run(self) -> None:
        """Raise where the folder holds a run that is not to be replaced."""
        run = current(self.path)
        held = [name for name in RESULTS if (run / name).exists()]
        if held and not self.overwrite:
            go_on = "go on with it (--resume, scratchnn.resume), " if RUN in held else ""
            old = " of scratchnn 0.1, which cannot go on" if held[0] in OLD else ""
            raise FileExistsError(
                f"{self.path} holds a run{old} ({', '.join(held)}): {go_on}replace it "
                "(--overwrite, overwrite=True), or name another folder"
            )

    def _refuse_other_kinds(self) -> None:
        """Raise for a folder in the place of a file; a pipe there would let us wait for ever."""
        for path in map(self.file, (*RESULTS[:4], HISTORY, *PICTURES)):
            if path.is_dir():
                words = "Is a folder, where the run needs a file: name another folder for it"
                raise IsADirectoryError(errno.EISDIR, words, str(path))
            if path.exists() and not path.is_file():
                words = "Is a pipe or a device, where the run needs a file: remove it"
                raise OSError(errno.EINVAL, words, str(path))

    def _prove_writable(self) -> None:
        files.prove_writable(self.path)
        if self.file(HISTORY).exists():
            with self.taken():
                pass

    @contextmanager
    def replaced(self) -> Generator[None]:
        """Let a block write the new run, in the place of an old one. The folder must be taken.

        Raises   FileExistsError for a run that is not to be replaced: another process may have been
                 here since this object was made
        """
        files.sweep(self.path)
        self.refuse_a_run()
        with replacing(self.path, FILES):
            yield

    @contextmanager
    def taken(self) -> Generator[BinaryIO]:
        """Open the history under its lock: for the block, no other process writes into the folder.

        Raises   BlockingIOError where another process trains
        """
        with files.naming(self.path):
            file = self.file(HISTORY).open("ab", buffering=0)
        with file:
            if not files.lock(file):
                raise BlockingIOError(
                    f"{self.path} is in use: another process trains there. Wait until it ends, "
                    "or name another folder"
                )
            yield file


def _own(what: str, values: Mapping[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """Return what a run's files say besides, as JSON values.

    Raises   ValueError for a name that the run itself takes; TypeError for what JSON cannot hold
    """
    if names := [name for name in values if name in taken]:
        raise ValueError(
            f"{what} must have other names than {', '.join(map(repr, names))}: the run itself "
            "says that there"
        )
    said: dict[str, Any] = json.loads(description_as_json(values))
    return said


def _every(value: object) -> int | Literal["epoch"] | None:
    if isinstance(value, str) and value == "epoch":
        return "epoch"
    return _count("every must be a number of steps from 1 up or 'epoch'", value)


def _count(words: str, value: object) -> int | None:
    """Return a number from 1 up as an int; None stays None.

    Raises   ValueError
    """
    if value is None:
        return None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise ValueError(f"{words}, got {value!r}")


def resume(
    folder: str | Path,
    *,
    every: int | Literal["epoch"] | None = None,
    log_every: int | None = None,
) -> RunFolder:
    """Go on with a run where it stopped: give this to `fit` in place of its RunFolder.

    Before the first step, `fit` then gets the network, the optimizer's state, the history and the
    order of the examples of the last checkpoint. With the same arguments as then it reaches the
    same numbers, bit for bit, as if nothing had stopped it. `epochs` is the number in all.

    Options  folder             as of `RunFolder`; it must hold a run
             every, log_every   as of `RunFolder`
    Raises   FileNotFoundError for a folder without a run; DataError for damaged files; ValueError
             for another network; as of `RunFolder`
    """
    return RunFolder(folder, every=every, log_every=log_every, goes_on=True)
