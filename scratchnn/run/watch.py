"""Watching a training: a line per epoch or per k batches, a progress bar, live curves."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from scratchnn import plots
from scratchnn.extras import MissingExtraError, need
from scratchnn.run.terminal import Writer, warn
from scratchnn.train import Batch, Epoch, History

Step = TypeVar("Step", Batch, Epoch)

HEADER = (
    f"{'epoch':>5}  {'running loss':>12}  {'train loss':>10}  {'test loss':>9}  "
    f"{'train acc':>9}  {'test acc':>8}  {'seconds':>7}"
)


def epoch_line(row: Epoch) -> str:
    """Format one row of a history under HEADER."""
    return (
        f"{row.epoch:>5}  {row.running_loss:>12.4f}  {_or_dash(row.train_loss, '.4f'):>10}  "
        f"{_or_dash(row.test_loss, '.4f'):>9}  {_or_dash(row.train_accuracy, '.2%'):>9}  "
        f"{_or_dash(row.test_accuracy, '.2%'):>8}  {row.seconds:>7.3f}"
    )


def epoch_log(file: Writer) -> Callable[[Epoch], None]:
    """Return a function that prints the line of an epoch: give it as `on_epoch`.

    Options  file   where it prints, as sys.stdout
    """
    return lambda row: print(epoch_line(row), file=file, flush=True)


class BatchLog:
    """Print the mean loss of every k batches, and of those left at the end of an epoch.

    Options  every   k
             file    where it prints, as sys.stdout
    Raises   ValueError for a k below 1
    """

    def __init__(self, every: int, file: Writer) -> None:
        if every < 1:
            raise ValueError(f"the losses can be shown every 1 or more batches, got {every}")
        self.every, self.file = every, file
        self.loss, self.examples, self.first = 0.0, 0, 1

    def __call__(self, batch: Batch) -> None:
        """Add a batch to the mean; print it after k batches."""
        if not self.examples:
            self.first = batch.number
        self.loss += batch.loss * batch.examples
        self.examples += batch.examples
        if batch.number % self.every == 0 or batch.number == batch.of:
            mean = self.loss / self.examples
            stretch = f"batches {self.first:>4} to {batch.number:>4} of {batch.of}"
            line = f"epoch {batch.epoch}, {stretch}: mean loss {mean:.3f}"
            print(line, file=self.file, flush=True)
            self.loss, self.examples = 0.0, 0


class ProgressBar:
    """A bar on standard error over the batches of an epoch. It is cleared at the epoch's end."""

    def __init__(self) -> None:
        self._tqdm = need("tqdm", "cli").tqdm
        self._bar: Any = None

    def __call__(self, batch: Batch) -> None:
        """Advance by one batch."""
        if self._bar is None:
            self._bar = self._tqdm(total=batch.of, desc=f"epoch {batch.epoch}", leave=False)
        self._bar.update()
        if batch.number == batch.of:
            self.close()

    def close(self) -> None:
        """Clear the bar, also one that stands half way."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def progress_bar() -> ProgressBar | None:
    """Return a bar where standard error is a terminal and tqdm is there."""
    try:
        return ProgressBar() if sys.stderr is not None and sys.stderr.isatty() else None
    except MissingExtraError:
        return None


class LivePlot:
    """Curves that grow while `fit` trains: give it as `on_epoch`.

    Options  folder   curves.svg and curves.png in it are drawn anew after each epoch; default: the
                      picture in the notebook is
             title    above the figure
             history  the History that `fit` continues; default: the epochs since then alone
    Raises   MissingExtraError
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        title: str = "",
        history: History | None = None,
    ) -> None:
        need("matplotlib.figure", "plots")
        self.folder, self.title = folder, title
        self.history = History() if history is None else history
        self._notebook: Any = need("IPython.display", "notebook") if folder is None else None
        self._shown: Any = None

    def __call__(self, row: Epoch) -> None:
        """Draw the curves with one more epoch."""
        if row not in self.history.epochs[-1:]:
            self.history.epochs.append(row)
        figure = plots.curves(self.history, self.title)
        if self.folder is not None:
            plots.save(figure, self.folder, "curves")
            return
        picture = self._notebook.Image(data=plots.png(figure))
        if self._shown is None:
            self._shown = self._notebook.display(picture, display_id=True)
        else:
            self._shown.update(picture)


class TensorBoard:
    """Losses and accuracies as scalars for TensorBoard: give it as `on_epoch`, and close it.

    Options  folder   where it writes
    Raises   MissingExtraError
    """

    def __init__(self, folder: str | Path) -> None:
        self._writer = need("tensorboardX", "tensorboard").SummaryWriter(str(folder))

    def __call__(self, row: Epoch) -> None:
        """Write an epoch: loss/running, loss/train, ..., accuracy/test, where there is one."""
        for quantity in ("loss", "accuracy"):
            for part in ("running", "train", "test"):
                value = getattr(row, f"{part}_{quantity}")
                if value is not None:
                    self._writer.add_scalar(f"{quantity}/{part}", value, row.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def tolerant(watching: Callable[[Step], None] | None) -> Callable[[Step], None] | None:
    """Return a watcher whose first failure costs a warning, and that then rests.

    Options  watching   the watcher; None stays None
    """
    if watching is None:
        return None
    failed = False

    def watch(step: Step) -> None:
        nonlocal failed
        if failed:
            return
        try:
            watching(step)
        except Exception as error:  # a picture of the training must not end it
            failed = True
            warn(f"the training goes on without {type(watching).__name__}: {error}")

    return watch


def close(watching: ProgressBar | TensorBoard | None) -> None:
    """Close a watcher; a failure costs a warning.

    Options  watching   the watcher, or None
    """
    try:
        if watching is not None:
            watching.close()
    except Exception as error:
        warn(f"{type(watching).__name__} could not be closed: {error}")


def watchers(*watching: Callable[[Step], None] | None) -> Callable[[Step], None]:
    """Make one `on_batch` or `on_epoch` of several.

    Options  watching   the functions; None among them is left out
    """
    present = [watch for watch in watching if watch is not None]

    def on_step(step: Step) -> None:
        for watch in present:
            watch(step)

    return on_step


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None or math.isnan(value) else format(value, form)
