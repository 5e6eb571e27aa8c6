"""Training: the loop over minibatches, the evaluation after each epoch, and the record of both."""

from __future__ import annotations  # numpy.random need not be imported for a type

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratchnn.arrays import Array
from scratchnn.data import Dataset
from scratchnn.distributed import ALONE, Ranks
from scratchnn.mlp import Parameters, backward, forward
from scratchnn.objectives import OBJECTIVES, Objective
from scratchnn.sgd import SGD

EVALUATION_BATCH = 1024  # rows: few calls, and 3 MB of floats for 28 x 28 pixels


class Score(NamedTuple):
    """The mean loss of some examples, and the share classified right, where that means anything."""

    loss: float
    accuracy: float | None


@dataclass
class Totals:
    """Sums over examples: means of them are right with a short last batch, too."""

    loss: float = 0.0
    correct: int = 0
    examples: int = 0

    def add(self, mean_loss: float, correct: int, examples: int) -> None:
        """Add a batch by its mean loss."""
        self.loss += mean_loss * examples
        self.correct += correct
        self.examples += examples

    def score(self, objective: Objective) -> Score:
        """Return the means."""
        accuracy = self.correct / self.examples if objective.correct else None
        return Score(self.loss / self.examples, accuracy)


@dataclass(frozen=True)
class Epoch:
    """One row of a history.

    `running_*` average over the epoch's batches while θ moves, as tutorials report them; `train_*`
    and `test_*` are evaluated at the end of the epoch, all at the same θ, if at all.

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


@dataclass
class History:
    """What `fit` reached, epoch by epoch."""

    epochs: list[Epoch] = field(default_factory=list)

    def column(self, name: str) -> list[Any]:
        """Return one quantity over the epochs: history.column("test_accuracy")."""
        return [getattr(epoch, name) for epoch in self.epochs]

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as plain dictionaries, ready for JSON."""
        return [asdict(epoch) for epoch in self.epochs]


class Batch(NamedTuple):
    """Where training stands: passed to `on_batch` after each step."""

    epoch: int  # from 1
    number: int  # from 1
    of: int  # batches in an epoch
    loss: float
    examples: int


def fit(
    parameters: Parameters,
    train: Dataset,
    test: Dataset | None = None,
    *,
    optimizer: SGD,
    objective: str = "cross_entropy",
    epochs: int = 10,
    batch_size: int = 256,
    rng: np.random.Generator | int | None = None,
    evaluation: bool = True,
    history: History | None = None,
    on_batch: Callable[[Batch], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    ranks: Ranks = ALONE,
) -> History:
    """Train a network by minibatch SGD, in place, and evaluate it after every epoch.

    The precision is that of θ. Rows are appended to `history` as they come, so
    that whoever passes one has it when Ctrl-C ends the training. Without the
    `evaluation`, which takes long beside a small network's epoch, it has None there.
    Several `ranks` share each batch, start with θ, velocity and rng of the first,
    and get one history.

    Raises   FloatingPointError when the loss is no longer finite; ValueError for a network that
             does not fit the data
    """
    _objective(objective)  # refuses what is none
    for data in (train, test) if test else (train,):
        _check_fits(parameters, data)
    rng = ranks.same(np.random.default_rng(rng))
    parameters.theta = ranks.same(parameters.theta)
    optimizer.velocity = ranks.same(optimizer.velocity)
    run = _Run(
        parameters, train, test, optimizer=optimizer, objective=objective, batch_size=batch_size,
        rng=rng, evaluation=evaluation, on_batch=on_batch, ranks=ranks,
    )  # fmt: skip
    history = History() if history is None else history
    for epoch in range(len(history.epochs) + 1, len(history.epochs) + epochs + 1):
        row = ranks.same(_epoch(run, epoch))  # its seconds
        history.epochs.append(row)
        if on_epoch:
            on_epoch(row)
    return history


def evaluate(
    parameters: Parameters,
    data: Dataset,
    objective: str = "cross_entropy",
    *,
    ranks: Ranks = ALONE,
) -> Score:
    """Return the mean loss over a whole data set, and the accuracy where there are classes.

    Several `ranks` take turns at its rows, and all get the result.

    Raises   ValueError for a network that does not fit the data; FloatingPointError for a loss
             that is not finite
    """
    goal = _objective(objective)
    _check_fits(parameters, data)
    totals, first = Totals(), ranks.rank * EVALUATION_BATCH
    starts = range(first, len(data), ranks.size * EVALUATION_BATCH)
    slices = (slice(start, start + EVALUATION_BATCH) for start in starts)
    batches = data.batches(slices, parameters.theta.dtype)
    with (
        closing(batches),
        np.errstate(over="ignore", invalid="ignore"),  # a loss that is not finite is reported
    ):
        for X, target in batches:
            z = forward(parameters, X)[-1]
            loss, _ = goal.loss_and_gradient(z, target)
            totals.add(float(loss), goal.correct(z, target) if goal.correct else 0, len(X))
    loss_sum, correct, examples = ranks.sum([totals.loss, totals.correct, totals.examples])
    totals = Totals(loss_sum, int(correct), int(examples))
    if not math.isfinite(totals.loss):
        raise FloatingPointError(f"the loss on {data.name} is {totals.loss / len(data)}")
    return totals.score(goal)


def train_step(
    parameters: Parameters,
    grad: Parameters,
    objective: Objective,
    optimizer: SGD,
    X: Array,
    target: NDArray[Any],
    ranks: Ranks = ALONE,
    share: float = 1.0,
) -> tuple[float, int]:
    """Take one step of SGD in place, overwriting `grad`; return the loss and hits before it.

    With several ranks X is a share of a batch, maybe none of it, and `grad` is `ranks.gradient`:
    the step, and what is returned, are those of the whole batch.
    """
    loss, hits = _gradient(parameters, grad, objective, X, target) if share else (0.0, 0)
    loss, hits = ranks.average(grad, loss, hits, share)
    optimizer.step(parameters.theta, grad.theta)
    return loss, hits


def _gradient(
    parameters: Parameters, grad: Parameters, objective: Objective, X: Array, target: NDArray[Any]
) -> tuple[float, int]:
    activations = forward(parameters, X)
    z = activations[-1]
    loss, dz = objective.loss_and_gradient(z, target)
    backward(parameters, activations, dz, out=grad)
    return float(loss), objective.correct(z, target) if objective.correct else 0


@dataclass(frozen=True)
class _Run:
    """What is the same in all epochs of a training; see `fit`."""

    parameters: Parameters
    train: Dataset
    test: Dataset | None
    optimizer: SGD
    objective: str
    batch_size: int
    rng: np.random.Generator
    evaluation: bool
    on_batch: Callable[[Batch], None] | None
    ranks: Ranks


def _epoch(run: _Run, epoch: int) -> Epoch:
    """Train for an epoch, evaluate, and return its row of the history."""
    start = perf_counter()
    running = _train_epoch(run, epoch)
    trained = perf_counter()
    try:
        after, tested = (
            evaluate(run.parameters, data, run.objective, ranks=run.ranks)
            if run.evaluation and data
            else None
            for data in (run.train, run.test)
        )
    except FloatingPointError as error:
        raise _diverged(f"{error} after epoch {epoch}", run.optimizer) from error
    return Epoch(
        epoch,
        *running,
        *_columns(after),
        *_columns(tested),
        training_seconds=trained - start,
        seconds=perf_counter() - start,
    )


def _train_epoch(run: _Run, epoch: int) -> Score:
    """Take a step on each batch; return the loss and the accuracy while θ moved."""
    goal, ranks, rows = _objective(run.objective), run.ranks, len(run.train)
    grad, totals = ranks.gradient(run.parameters), Totals()
    order = map(ranks.shard, run.train.order(run.batch_size, run.rng))
    batches = run.train.batches(order, run.parameters.theta.dtype, ranks.own(run.rng))
    with (
        closing(batches),
        np.errstate(over="ignore", invalid="ignore"),  # a loss that is not finite is reported
    ):
        for number, (X, target) in enumerate(batches, 1):
            n = min(run.batch_size, rows - (number - 1) * run.batch_size)
            loss, hits = train_step(
                run.parameters, grad, goal, run.optimizer, X, target, ranks, len(X) / n
            )
            if not math.isfinite(loss):
                where = f"the loss is {loss} in epoch {epoch}, batch {number}"
                raise _diverged(where, run.optimizer)
            totals.add(loss, hits, n)
            if run.on_batch:
                run.on_batch(Batch(epoch, number, math.ceil(rows / run.batch_size), loss, n))
    return totals.score(goal)


def _columns(score: Score | None) -> tuple[float | None, float | None]:
    return score or (None, None)


def _diverged(what: str, optimizer: SGD) -> FloatingPointError:
    rate = optimizer.learning_rate
    return FloatingPointError(f"{what}: try a learning rate below {rate}, or less momentum")


def _objective(name: str) -> Objective:
    if name not in OBJECTIVES:
        raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got {name!r}")
    return OBJECTIVES[name]


def _check_fits(parameters: Parameters, data: Dataset) -> None:
    if parameters.sizes[0] != data.features:
        raise ValueError(
            f"{data.name} has {data.features} features an example, "
            f"and the network takes {parameters.sizes[0]}"
        )
