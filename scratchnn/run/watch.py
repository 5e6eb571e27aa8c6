"""Watching a training: a line per epoch or per k batches, a progress bar, live curves."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from scratchnn import mlp, objectives, plots
from scratchnn.data import Dataset
from scratchnn.extras import MissingExtraError, need
from scratchnn.history import Batch, Epoch, History
from scratchnn.mlp import Parameters
from scratchnn.objectives import Objective
from scratchnn.run.history import GRADIENTS
from scratchnn.run.recipes import Run
from scratchnn.run.terminal import Writer, warn
from scratchnn.train import EVALUATION_BATCH, backpropagate, diverged

Step = TypeVar("Step", Batch, Epoch)

DIVERGED = 10  # times the loss of the first parameters

HEADER = (
    f"{'epoch':>5}  {'running loss':>12}  {'train loss':>10}  {'test loss':>9}  "
    f"{'train acc':>9}  {'test acc':>8}  {'seconds':>7}"
)


VALIDATION_HEADER = f"{HEADER}  {'valid. loss':>11}  {'valid. acc':>10}"


def epoch_line(row: Epoch) -> str:
    """Format one row of a history under HEADER, or VALIDATION_HEADER."""
    line = (
        f"{row.epoch:>5}  {row.running_loss:>12.4f}  {_or_dash(row.train_loss, '.4f'):>10}  "
        f"{_or_dash(row.test_loss, '.4f'):>9}  {_or_dash(row.train_accuracy, '.2%'):>9}  "
        f"{_or_dash(row.test_accuracy, '.2%'):>8}  {row.seconds:>7.3f}"
    )
    if row.validation_loss is None:
        return line
    accuracy = _or_dash(row.validation_accuracy, ".2%")
    return f"{line}  {row.validation_loss:>11.4f}  {accuracy:>10}"


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


class GradientNorms:
    """The norm of each layer's gradient after every epoch: give it as `on_epoch`.

    The gradient is that of the mean loss over the first examples of the data, always the same
    ones, at the θ that the epoch ended with.

        norms = watch.GradientNorms(network, train)
        fit(network, train, test, optimizer=SGD(0.5), on_epoch=norms)
        plots.gradients(norms.by_layer)

    Options  network     that is trained
             data        the training data
             objective   that of the training
             folder      of a run: a line per epoch is added to its gradients.jsonl; default: none
    Parts    by_layer    the norms so far, by layers with parameters: {"layer 1": [0.2, ...], ...}
    """

    def __init__(
        self,
        network: Parameters,
        data: Dataset,
        objective: str | Objective = "cross_entropy",
        folder: str | Path | None = None,
    ) -> None:
        self.network, self.objective = network, objectives.get(objective)
        self.batch = data.batch(slice(EVALUATION_BATCH), network.theta.dtype)
        self.path = Path(folder) / GRADIENTS if folder is not None else None
        self.by_layer: dict[str, list[float]] = {}

    def __call__(self, row: Epoch) -> None:
        """Measure the gradient after an epoch."""
        grad = self.network.like(np.empty_like(self.network.theta))
        backpropagate(self.network, *self.batch, self.objective, out=grad)
        layers = [views for views in grad.views if views]
        norms = {
            f"layer {i}": math.sqrt(sum(float(np.square(view).sum()) for view in views))
            for i, views in enumerate(layers, 1)
        }
        for name, norm in norms.items():
            self.by_layer.setdefault(name, []).append(norm)
        if self.path is not None:
            with self.path.open("w" if row.epoch == 1 else "a", encoding="utf-8") as file:
                file.write(json.dumps({"epoch": row.epoch, "norms": norms}) + "\n")


def read_gradients(path: Path, epochs: int) -> dict[str, list[float]]:
    """Return the norms that `GradientNorms` wrote, by layer; {} where none are complete.

    Options  path     of gradients.jsonl; it may be missing
             epochs   how many the run has. What a run wrote that later went on from an earlier
                      checkpoint, is replaced by what it wrote then
    """
    found: dict[int, dict[str, float]] = {}
    try:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            found[int(row["epoch"])] = {str(k): float(v) for k, v in row["norms"].items()}
        rows = [found[epoch] for epoch in range(1, epochs + 1)]
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # a picture less


class TensorBoard:
    """Losses and accuracies as scalars for TensorBoard: give it as `on_epoch`, and close it.

    Options  folder   where it writes
    Raises   MissingExtraError
    """

    def __init__(self, folder: str | Path) -> None:
        self._writer = need("tensorboardX", "tensorboard").SummaryWriter(str(folder))

    def __call__(self, row: Epoch) -> None:
        """Write an epoch: loss/running, loss/train, ..., accuracy/test, where there is one.

        The same once more under the reference texts' tags: metrics/train_loss, ...
        """
        for quantity in ("loss", "accuracy"):
            for part in ("running", "train", "test", "validation"):
                value = getattr(row, f"{part}_{quantity}")
                if value is not None:
                    self._writer.add_scalar(f"{quantity}/{part}", value, row.epoch)
        for tag, value in texts_scalars(row).items():
            self._writer.add_scalar(tag, value, row.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def texts_scalars(row: Epoch) -> dict[str, float]:
    """Return an epoch's scalars under the tags of the reference texts.

    Their training figures average over the epoch's batches while θ moves, as `running_*` here.
    """
    values = {
        "metrics/train_loss": row.running_loss,
        "metrics/train_acc": row.running_accuracy,
        "metrics/test_acc": row.test_accuracy,
    }
    return {tag: value for tag, value in values.items() if value is not None}


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


def check_learned(run: Run) -> Callable[[Epoch], None]:
    """Return a function that raises where the last epoch ends far above the loss at the start.

    Such a training has diverged, though its loss is finite.
    """
    goal = objectives.get(run.recipe.objective)
    X, target = run.train.batch(slice(EVALUATION_BATCH), run.parameters.theta.dtype)
    start = float(goal.loss(mlp.forward(run.parameters, X)[-1], target))

    def check(row: Epoch) -> None:
        loss = row.running_loss if row.train_loss is None else row.train_loss
        if row.epoch == run.recipe.epochs and loss > DIVERGED * start:
            raise diverged(
                f"the loss is {loss:.4g} after the last epoch, and was {start:.4g} before the "
                "first step",
                run.optimizer,
            )

    return check
