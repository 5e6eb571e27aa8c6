"""`fit` and `evaluate` on several ranks: those of scratchnn.train, with each batch divided.

Each rank computes the gradient of its part of a batch. `Ranks.average` makes the batch's gradient
of them, and every rank takes the same step from it. So all have the same θ at all times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, nullcontext
from functools import partial

import numpy as np

from scratchnn import objectives, train
from scratchnn.data import Dataset
from scratchnn.distributed.ranks import Ranks
from scratchnn.history import Batch, Epoch, History, Score, Step, Task, Totals
from scratchnn.mlp import Parameters
from scratchnn.objectives import CrossEntropy, Objective
from scratchnn.ops.shared import IntArray
from scratchnn.optim import Optimizer
from scratchnn.optim.state import state_of
from scratchnn.train import EVALUATION_BATCH, Checkpoint


def fit(
    parameters: Parameters,
    train_data: Dataset,
    test: Dataset | None = None,
    *,
    ranks: Ranks,
    optimizer: Optimizer,
    objective: str | Objective = "cross_entropy",
    epochs: int = 10,
    batch_size: int = 256,
    rng: np.random.Generator | int | None = None,
    validation: Dataset | None = None,
    evaluation: bool = True,
    history: History | None = None,
    on_batch: Callable[[Batch], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    checkpoint: Checkpoint | None = None,
    threads: int | None = None,
) -> History:
    """Train a network on all ranks together, as `scratchnn.fit` does on one.

    They start with the θ, the optimizer's state, the rng and the history of the first rank, and
    get one history.

    Options  ranks        the processes: `scratchnn.launch.world()` returns those of mpiexec
             checkpoint   as of `scratchnn.fit`; that of the first rank is used
             threads      of each rank: `ranks.threads()` is its share of the machine's cores
             the others are those of `scratchnn.fit`
    Raises   as `scratchnn.fit`; ValueError on several ranks for label smoothing with a class of
             weight 0
    """
    goal = objectives.get(objective)
    if ranks.size > 1 and isinstance(goal, CrossEntropy):
        _check_shards(goal)
    history = train.fit(
        parameters,
        train_data,
        test,
        optimizer=optimizer,
        objective=goal,
        epochs=epochs,
        batch_size=batch_size,
        rng=ranks.same(np.random.default_rng(rng)),
        validation=validation,
        evaluation=evaluation,
        history=history,
        on_batch=on_batch,
        on_epoch=on_epoch,
        checkpoint=partial(_alike, ranks, checkpoint, rng is None),
        threads=threads,
        steps=partial(steps, ranks=ranks),
        evaluate=partial(evaluate, ranks=ranks),
    )
    history.epochs[:] = ranks.same(history.epochs)  # the seconds of the first rank
    return history


@contextmanager
def _alike(
    ranks: Ranks,
    checkpoint: Checkpoint | None,
    any_order: bool,
    parameters: Parameters,
    optimizer: Optimizer,
    history: History,
    task: Task,
) -> Generator[Callable[[], None]]:
    """Start all ranks alike, where a run of the first one stopped, too. It alone keeps it."""
    first = checkpoint if ranks.rank == 0 else None
    task = task._replace(rng=None) if any_order else task
    kept = first(parameters, optimizer, history, task) if first else nullcontext(lambda: None)
    with kept as keep:
        parameters.theta = ranks.same(parameters.theta)
        optimizer.state = ranks.same(state_of(parameters.theta, optimizer.state))
        history.epochs[:], history.begun = ranks.same((history.epochs, history.begun))
        yield keep


def steps(
    parameters: Parameters,
    data: Dataset,
    optimizer: Optimizer,
    objective: Objective,
    batch_size: int,
    rng: np.random.Generator,
    skip: int = 0,
    *,
    ranks: Ranks,
) -> Generator[Step]:
    """Take a step on each minibatch of an epoch; each rank computes on its part of the batch.

    Options  ranks   the processes; the others are those of `scratchnn.train.steps`
    """
    grad, whole = ranks.gradient(parameters), deque[IntArray]()

    def part(rows: IntArray) -> IntArray:
        whole.append(rows)
        return ranks.shard(rows)

    order = map(part, data.order(batch_size, rng))
    with closing(data.batches(order, parameters.theta.dtype, ranks.own(rng))) as batches:
        for number, (X, target) in enumerate(batches):
            rows = whole.popleft()
            if number < skip:
                continue
            count = objective.count(data.target[rows])
            share = objective.count(target) / count if count else 0.0
            with np.errstate(over="ignore", invalid="ignore"):  # `fit` reports what diverges
                loss, correct = 0.0, 0
                if len(X):
                    loss, correct = train.backpropagate(parameters, X, target, objective, out=grad)
                loss, correct = ranks.average(grad, loss, correct, share)
                optimizer.step(parameters.theta, grad.theta)
            yield Step(loss, correct, count, len(rows))


def evaluate(
    parameters: Parameters,
    data: Dataset,
    objective: str | Objective = "cross_entropy",
    *,
    ranks: Ranks,
) -> Score:
    """Evaluate as `scratchnn.evaluate` does. Each rank computes on a part of the rows.

    Options  ranks       the processes
             objective   the loss, by name or as an object of scratchnn.objectives
    Raises   as `scratchnn.evaluate`
    """
    goal = objectives.get(objective)
    first = ranks.rank * EVALUATION_BATCH
    starts = range(first, len(data), ranks.size * EVALUATION_BATCH)
    mine = train.total(parameters, data, goal, starts)
    loss, correct, weight, examples = ranks.sum(
        [mine.loss, mine.correct, mine.weight, mine.examples]
    )
    return train.finite(Totals(loss, int(correct), weight, int(examples)).score(goal), data)


def _check_shards(objective: CrossEntropy) -> None:
    """Raise where the mean over a batch is not made of the means over its shards.

    A shard whose rows all have weight 0 has no mean. With label smoothing its losses are not 0.
    """
    weight = objective.weight
    if objective.label_smoothing and weight is not None and not weight.all():
        raise ValueError("label_smoothing with a class of weight 0 needs a single rank")
