"""What a training records: its steps, its epochs, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import NamedTuple

import numpy as np

from scratchnn.data import Dataset
from scratchnn.objectives import Objective
from scratchnn.shown import Shown, reached


class Task(NamedTuple):
    """What a training is given besides network and optimizer: one that goes on needs the same.

    Parts    train, test, validation   the data; None: none
             objective                 the loss
             batch_size                how many examples a step uses
             rng                       of the order of the examples; None: no matter which
             threads                   of the matrix products; None: as many as NumPy takes
    """

    train: Dataset
    test: Dataset | None
    validation: Dataset | None
    objective: Objective
    batch_size: int
    rng: np.random.Generator | None
    threads: int | None


class Step(NamedTuple):
    """What a step of training saw before it changed θ.

    Units    loss: the mean over the batch, in nats or squared units of the target;
             weight: how much it counts in the mean over an epoch; examples: its rows
    """

    loss: float
    correct: int
    weight: float
    examples: int


class Score(NamedTuple):
    """The mean loss of some examples, and the share classified right; None without classes."""

    loss: float
    accuracy: float | None


@dataclass
class Totals:
    """Sums over steps. Means made of them are right with a short last batch, too."""

    loss: float = 0.0
    correct: int = 0
    weight: float = 0.0
    examples: int = 0

    def add(self, step: Step) -> None:
        """Add a batch by its mean loss."""
        self.loss += step.loss * step.weight
        self.correct += step.correct
        self.weight += step.weight
        self.examples += step.examples

    def score(self, objective: Objective) -> Score:
        """Return the means."""
        accuracy = self.correct / self.examples if objective.classes else None
        return Score(self.loss / self.weight if self.weight else math.nan, accuracy)


@dataclass(frozen=True)
class Epoch:
    """One row of a history.

    `running_*` average over the epoch's batches while θ moves, as tutorials report them. The others
    are evaluated at the end of the epoch, all at the same θ; None where they are not.

    Units    loss in nats (or squared units of the target), accuracy in [0, 1], seconds
    """

    epoch: int
    running_loss: float
    running_accuracy: float | None
    train_loss: float | None
    train_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    training_seconds: float  # without the evaluation
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None

    def __str__(self) -> str:
        """What `fit(..., on_epoch=print)` prints."""
        return f"epoch {self.epoch}: {reached(asdict(self))}"


@dataclass
class Begun:
    """The epoch in which a training stands: what `fit` needs to go on from there.

    Parts    rng       as it was when the epoch began, so that the order is the same again
             batches   how many batches were taken
             running   the sums over them
             seconds   how long they took
    """

    rng: np.random.Generator
    batches: int = 0
    running: Totals = field(default_factory=Totals)
    seconds: float = 0.0

    def add_up(self, taken: Iterable[Step]) -> Iterator[Step]:
        """Yield the steps that are taken, each after it was added."""
        start = perf_counter() - self.seconds
        for step in taken:
            self.batches += 1
            self.running.add(step)
            self.seconds = perf_counter() - start
            yield step


@dataclass(repr=False)
class History(Shown):
    """What `fit` reached, epoch by epoch; `begun` is the epoch after them while it trains."""

    epochs: list[Epoch] = field(default_factory=list)
    begun: Begun | None = field(default=None, repr=False, compare=False)

    def end(self, row: Epoch, rng: np.random.Generator) -> None:
        """Add the row of an epoch that is over; the next one begins with this rng."""
        self.epochs.append(row)
        self.begun = Begun(deepcopy(rng))

    def column(self, name: str) -> list[float | None]:
        """Return one quantity over the epochs: history.column("test_accuracy")."""
        return [getattr(epoch, name) for epoch in self.epochs]

    def as_dicts(self) -> list[dict[str, float | None]]:
        """Return the rows as plain dictionaries, ready for JSON."""
        return [asdict(epoch) for epoch in self.epochs]


class Batch(NamedTuple):
    """Where training stands: passed to `on_batch` after each step."""

    epoch: int  # from 1
    number: int  # from 1
    of: int  # batches per epoch
    loss: float
    examples: int
