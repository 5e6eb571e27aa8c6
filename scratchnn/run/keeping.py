"""A training under way in the folder of a run: what is written when, and how it goes on."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard

from scratchnn.data import DataError, files
from scratchnn.history import History, Task
from scratchnn.mlp import Parameters
from scratchnn.optim import Optimizer
from scratchnn.run import checkpoint, record
from scratchnn.run.history import (
    GRADIENTS,
    HISTORY,
    HistoryFile,
    cut_to,
    deciding_loss,
    of_batches,
    of_begun,
    of_epoch,
    parse,
    to_begun,
    to_epoch,
)
from scratchnn.run.record import RUN, read_record
from scratchnn.run.replacing import bring_back
from scratchnn.run.signals import Held
from scratchnn.run.terminal import warn

if TYPE_CHECKING:
    from scratchnn.run.folder import RunFolder

CHECKPOINT, PREVIOUS, BEST = "checkpoint.npz", "previous.npz", "best.npz"
OLD = ("parameters.npz", "history.json")  # of version 0.1
RESULTS = (RUN, CHECKPOINT, PREVIOUS, BEST, *OLD)
PICTURES = ("curves.svg", "curves.png", GRADIENTS, "report.html")  # may be missing
FILES = (*RESULTS, HISTORY, *PICTURES)
PATIENCE = 1.0  # seconds from one checkpoint to the next, where nobody says how many
RATES = ("schedule", "epochs")  # the settings that another optimizer comes from, as a run goes on


class Training:
    """A training under way in a run's folder.

    Options  folder   of the run
             file     its history, open and locked
             of       what `fit` trains: the parameters, the optimizer, the history, the task
             held     the signals that came
    """

    def __init__(
        self,
        folder: RunFolder,
        file: BinaryIO,
        of: tuple[Parameters, Optimizer, History, Task],
        held: Held,
    ) -> None:
        self.folder, self.held = folder, held
        self.parameters, self.optimizer, self.history, self.task = of
        self.file = HistoryFile(file, folder.file(HISTORY))
        self.record: dict[str, Any] = {}
        self.rows = 0  # epochs in the history's file
        self.lowest = math.inf  # the loss of the best epoch
        self.best: dict[str, Any] | None = None  # that epoch, until it is saved
        self.steps, self.unsaved, self.saved_at = 0, False, 0.0
        self.warned = False  # that the disk fails, since the last checkpoint

    def begin(self) -> None:
        """Take the folder: restore the run in it, or begin a new one."""
        task = record.of_task(self.task)
        if not self.folder.goes_on:
            with self.folder.replaced():
                self._start(task)
            return
        files.sweep(self.folder.path)
        bring_back(self.folder.path, FILES)
        self.record = read_record(self.folder.path)
        record.check_task(self.folder.path, self.record, task)
        if self._restore():
            self._describe(task)
            self._write_record("running")
        else:
            self._start(task)

    def _start(self, task: Mapping[str, object]) -> None:
        """Write a run that stands before its first step."""
        self.file.cut(b"")
        self._describe(task)
        self._write_record("running")
        self._save()

    def keep(self) -> None:
        """Note a step or an epoch, save where it is time, and stop where a signal came."""
        ended = len(self.history.epochs) > self.rows
        self.unsaved = True
        self.steps += not ended
        self._note(ended)
        if self.held.first is not None:
            self._save()
            self.held.check()
        elif self._is_due(ended):
            with self._warning("no checkpoint could be saved, the training goes on"):
                self._save()

    def end(self, error: BaseException | None) -> None:
        """Save what was reached, and write how the training ended.

        A step that diverged, or that ran out of memory half way, does not count: the last
        checkpoint stands. After a second Ctrl-C nothing is written.
        """
        if self.held.again:
            return
        lost: OSError | None = None
        if self.unsaved and not isinstance(error, (FloatingPointError, MemoryError)):
            try:
                self._save()
            except OSError as failed:
                lost = failed
        try:
            self._write_record(_status(error or lost), error or lost)
        except OSError as failed:
            lost = lost or failed
        self.folder.begun = self.file.is_in_place()  # else nothing there is of this run
        if lost and isinstance(error, Exception):
            warn(f"what was reached since the last checkpoint could not be saved: {lost}")
        elif lost:
            raise lost

    def _is_due(self, ended: bool) -> bool:
        every = self.folder.every
        if isinstance(every, int):
            return self.steps >= every
        return ended and (every == "epoch" or time.monotonic() - self.saved_at >= PATIENCE)

    def _note(self, ended: bool) -> None:
        """Write what is new to the history's file, and note the best epoch."""
        begun, log_every = self.history.begun, self.folder.log_every
        if ended:
            row = self.history.epochs[-1]
            self.rows += 1
            new = of_epoch(row)
            if (loss := deciding_loss(row)) < self.lowest:
                self.lowest, theta = loss, self.parameters.copy()
                self.best = {"parameters": theta, "epoch": row.epoch, "loss": loss}
        elif begun and log_every and begun.batches % log_every == 0:
            new = of_batches(self.rows + 1, begun)
        else:
            return
        with self._warning("a row of the history waits, the training goes on"):
            self.file.add(new)

    def _save(self) -> None:
        """Save a checkpoint; keep the one before, and the best epoch."""
        folder, run = self.folder, self.record["run"]
        self.file.check_place()
        written = self.file.sync()
        if self.best:
            checkpoint.save(folder.file(BEST), run=run, **folder.description, **self.best)
            self.best = None
        begun = self.history.begun
        checkpoint.save(
            folder.file(CHECKPOINT),
            self.parameters,
            optimizer=self.optimizer,
            previous=folder.file(PREVIOUS),
            run=run,
            epoch=self.rows,
            history=written,
            begun=of_begun(begun) if begun else None,
            **folder.description,
        )
        self.record["theta"] = _digest(self.parameters)
        self.steps, self.unsaved, self.saved_at = 0, False, time.monotonic()
        self.warned = False

    def _restore(self) -> bool:
        """Go to the last checkpoint, or to the one before; return False where there is none."""
        found = [path for path in map(self.folder.file, (CHECKPOINT, PREVIOUS)) if path.exists()]
        for path in found:
            try:
                self._restore_from(path)
            except DataError as error:
                if path == found[-1]:
                    words = "no checkpoint is left to go on from. Train anew in another folder"
                    raise DataError(f"{error}; {words}") from error
                warn(f"{error}; going on from {PREVIOUS}")
            else:
                return True
        return False

    def _restore_from(self, path: Path) -> None:
        loaded, said = checkpoint.load(path, optimizer=self.optimizer)
        if said.get("run") != self.record["run"]:
            raise DataError(f"{path}: expected a checkpoint of the run in {RUN}, got another's")
        if (loaded.layers, loaded.theta.dtype) != (
            self.parameters.layers,
            self.parameters.theta.dtype,
        ):
            raise ValueError(
                f"{self.folder.path} holds a run of {loaded}, got {self.parameters}: give it the "
                "network that it began with, or train in another folder"
            )
        written = self.folder.file(HISTORY)
        try:
            content = written.read_bytes()[: said["history"]["bytes"]]
            place = said["begun"]  # None: nothing had begun
            begun = None if place is None else to_begun(place)
            right = hashlib.sha256(content).hexdigest() == said["history"]["sha256"]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: expected the place in a training, got {error!r}") from error
        if not right:
            raise DataError(f"{written}: expected the history that {path.name} goes on from")
        rows = [row for row in parse(written, content) if "batch" not in row]
        self.parameters.theta, self.record["theta"] = loaded.theta, _digest(loaded)
        self.history.epochs[:] = map(to_epoch, rows)
        self.history.begun, self.rows = begun, len(rows)
        losses = (deciding_loss(row) for row in self.history.epochs)
        self.lowest = min(filter(math.isfinite, losses), default=math.inf)
        self.file.cut(content)
        cut_to(self.folder.file(GRADIENTS), self.rows)

    def _describe(self, task: Mapping[str, object]) -> None:
        """Let the record say how the run goes on now, and warn of what is no longer as it was."""
        now: dict[str, Any] = {
            **record.environment(),
            "threads": str(self.task.threads or "all"),
            "network": repr(self.parameters),
            "optimizer": repr(self.optimizer),
            "objective": repr(self.task.objective),
        }
        differ = self._differences(now)
        if differ:
            words = "the numbers may differ from those of a run without a stop"
            warn(f"{self.folder.path} goes on with {'; '.join(differ)}: {words}")
        rng = self.record.get("rng", task["rng"])  # whose order of the examples goes on
        begin = {"format": 1, "run": secrets.token_hex(8), "started": _time()}
        self.record = {**begin, **self.record, **task, **self.folder.facts}
        self.record |= {"rng": rng, "environment": now}
        self.record |= {"every": self.folder.every, "log_every": self.folder.log_every}
        if self.folder.goes_on:
            stop = {"at": _time(), "epoch": self.rows, "differs": differ}
            self.record["resumed"] = [*self.record.get("resumed", []), stop]

    def _differences(self, now: Mapping[str, str]) -> list[str]:
        """Return what is no longer as it was, the schedule by its name.

        Options  now   the environment
        """
        then = self.record.get("environment", now)
        settings = [self.record.get("settings"), self.folder.facts.get("settings")]
        rates = [{name: of[name] for name in RATES} for of in settings if _says_rates(of)]
        if then.get("optimizer") == now["optimizer"] or len(rates) < 2:
            return record.differences(then, now)
        same = {**then, "optimizer": now["optimizer"]}
        return record.differences(same, now) + record.differences(*rates)

    def _write_record(self, status: str, error: BaseException | None = None) -> None:
        words = f"{type(error).__name__}: {error}" if error else None
        self.file.check_place()
        self.record |= {"status": status, "changed": _time(), "error": words, "epochs": self.rows}
        files.place_text(self.folder.file(RUN), json.dumps(self.record, indent=1) + "\n")

    @contextmanager
    def _warning(self, words: str) -> Generator[None]:
        """Let a failing disk cost a warning, and not one a step."""
        try:
            yield
        except OSError as error:
            if not self.warned:
                self.warned = True
                warn(f"{words}: {error}")


def _digest(parameters: Parameters) -> str:
    return hashlib.sha256(parameters.theta.tobytes()).hexdigest()


def _status(error: BaseException | None) -> str:
    if error is None:
        return "done"
    if isinstance(error, (KeyboardInterrupt, BrokenPipeError)):
        return "interrupted"
    return "diverged" if isinstance(error, FloatingPointError) else "failed"


def _time() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _says_rates(settings: object) -> TypeGuard[Mapping[str, object]]:
    """Tell whether settings are those of `scratchnn train`: a program of one's own has others."""
    return isinstance(settings, Mapping) and all(name in settings for name in RATES)
