"""Training: the loop over minibatches, and the evaluation after each epoch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing
from copy import deepcopy
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Literal, TypeAlias

import numpy as np

from scratchnn import fast, objectives
from scratchnn.data import Dataset
from scratchnn.data.given import Given, as_dataset, as_parts
from scratchnn.history import Batch, Begun, Epoch, History, Score, Step, Task, Totals
from scratchnn.mlp import Parameters, as_gradient, chain_rule, check_network, forward
from scratchnn.objectives import Objective
from scratchnn.ops.shared import AnyArray, Array, check_flag, check_whole, generator
from scratchnn.optim import Optimizer, Scheduled
from scratchnn.shown import survives
from scratchnn.threads import all_threads, fitting, limited

NOT_MEASURED: tuple[float | None, float | None] = (None, None)
EVALUATION_BATCH = 1024  # rows: few calls, and 3 MB of floats for 28 x 28 pixels


def steps(
    parameters: Parameters,
    data: Dataset,
    optimizer: Optimizer,
    objective: Objective,
    batch_size: int,
    rng: np.random.Generator,
    skip: int = 0,
) -> Generator[Step]:
    """Take a step on each minibatch of an epoch; after each one, yield what it saw.

    Options  skip   how many of the first batches to pass over, as they were taken before. They
                    are made all the same, because augmentation draws from `rng`
    """
    grad = parameters.like(np.zeros_like(parameters.theta))
    order = data.order(batch_size, rng)
    with closing(data.batches(order, parameters.theta.dtype, rng)) as batches:
        for X, target in islice(batches, skip, None):
            with np.errstate(over="ignore", invalid="ignore"):  # `fit` reports what diverges
                loss, correct = backpropagate(parameters, X, target, objective, out=grad)
                optimizer.step(parameters.theta, grad.theta)
            yield Step(loss, correct, objective.count(target), len(X))


def backpropagate(
    parameters: Parameters, X: Array, target: AnyArray, objective: Objective, *, out: Parameters
) -> tuple[float, int]:
    """Write the gradient of the mean loss into `out`; return the loss and the number right.

    Shapes   X (N, D), targets as the data set has them
    """
    outputs = forward(parameters, X)
    z = outputs[-1]
    loss, dz = objective.loss_and_gradient(z, target)
    correct = objective.correct(z, target)
    chain_rule(parameters, outputs, as_gradient(dz, z), out=out)
    return float(loss), correct


def evaluate(
    parameters: Parameters, data: Given, objective: str | Objective = "cross_entropy"
) -> Score:
    """Return the mean loss over a whole data set, and the accuracy where there are classes.

    Options  data        a data set, or arrays (X, y)
             objective   the loss, by name or as an object of scratchnn.objectives
    Raises   ValueError for a network that does not fit the data; FloatingPointError for a loss
             that is not finite
    """
    check_network(parameters)
    goal = objectives.get(objective)
    data = as_dataset(data, parameters.sizes[-1], classes=goal.classes)
    totals = total(parameters, data, goal, range(0, len(data), EVALUATION_BATCH))
    return finite(totals.score(goal), data)


def total(parameters: Parameters, data: Dataset, objective: Objective, starts: range) -> Totals:
    """Add up loss and right answers over the rows that begin at each start."""
    _check_fits(parameters, (data,), objective)
    totals = Totals()
    slices = (slice(start, start + EVALUATION_BATCH) for start in starts)
    with closing(data.batches(slices, parameters.theta.dtype)) as batches:
        for X, target in batches:
            with np.errstate(over="ignore", invalid="ignore"):  # `finite` reports it
                z = forward(parameters, X)[-1]
                loss = objective.loss(z, target)
            count, correct = objective.count(target), objective.correct(z, target)
            totals.add(Step(float(loss), correct, count, len(X)))
    return totals


def finite(score: Score, data: Dataset) -> Score:
    """Return the score; raise where its loss is not finite.

    Raises   FloatingPointError
    """
    if not math.isfinite(score.loss):
        raise FloatingPointError(f"the loss on {data.name} is {score.loss}")
    return score


Steps: TypeAlias = Callable[
    [Parameters, Dataset, Optimizer, Objective, int, np.random.Generator, int], Generator[Step]
]
Evaluate: TypeAlias = Callable[[Parameters, Dataset, Objective], Score]
# Is entered before the first step, where it may set the first three to where a run stopped, and
# gives a function that `fit` calls after each step and each epoch.
Checkpoint: TypeAlias = Callable[
    [Parameters, Optimizer, History, Task], AbstractContextManager[Callable[[], None]]
]


def fit(
    parameters: Parameters,
    train: Given | tuple[Dataset, Dataset | None],
    test: Given | None = None,
    *,
    optimizer: Optimizer,
    objective: str | Objective = "cross_entropy",
    epochs: int = 10,
    batch_size: int = 256,
    rng: np.random.Generator | int | None = None,
    evaluation: bool = True,
    history: History | None = None,
    on_batch: Callable[[Batch], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    checkpoint: Checkpoint | None = None,
    validation: Given | None = None,
    threads: int | None = None,
    blas: Literal["numpy", "scipy"] = "numpy",
    steps: Steps | None = None,
    evaluate: Evaluate | None = None,
) -> History:
    """Train a network, in place, and measure it after every epoch.

        train, test = data.digits()
        network = mlp.init([64, 30, 10])     # 64 pixels, 30 hidden units, 10 classes
        history = fit(network, train, test, optimizer=SGD(0.5), batch_size=64)
        history.epochs[-1].test_accuracy

    An epoch takes each example of `train` once, in random order, a batch at a
    time. For each batch:

    1. The network computes its outputs.
    2. The objective compares them with the targets: the loss, one number, is the
       mean over the batch.
    3. Backpropagation computes the gradient of the loss with respect to θ, which
       is all parameters of the network as one vector.
    4. The optimizer moves θ against the gradient, so that the loss falls.

    Returns a History, which has a row for every epoch: loss and accuracy, on the
    training data and on `test`. All is computed in the precision of the parameters.

    Options  parameters   the network, as `mlp.init` returns it; it is changed
             train        a data set to learn from, or arrays (X, y): X (N, ...), y (N,) class
                          indices, or real numbers. X is taken as it is: divide pixels from 0 to
                          255 by 255. data.digits() and data.mnist(folder) return
                          both parts, which may also be given as one
             test         a data set or arrays to measure on; nothing is learned from them
             optimizer    how a gradient changes θ: SGD(0.1) takes steps of 0.1 times the gradient
             objective    the loss, by name or as an object of scratchnn.objectives:
                          "cross_entropy" for classes, "squared_loss" for real numbers, ...
             epochs       how often each example is used
             batch_size   how many examples a step uses; the last batch may be shorter
             rng          a generator or a seed for the order; default: another order each time
             evaluation   whether loss and accuracy are measured after each epoch. For a small
                          network this may take as long as the training
             history      a History to continue. It grows epoch by epoch, so it holds what was
                          reached if Ctrl-C ends the training. One that stands in the middle of
                          an epoch goes on there, with the rng of that epoch
             on_batch     a function that is called with a Batch after each step
             on_epoch     a function that is called with an Epoch after each epoch: print, for
                          instance, or one of scratchnn.run.watch
             checkpoint   where to keep the training: scratchnn.RunFolder("runs/mine"), or
                          scratchnn.resume("runs/mine") to go on where that run stopped
             validation   a data set to choose the best epoch by: see `Dataset.split`
             threads      how many the matrix products may take; default: one in a small network,
                          for few examples or on a busy machine, where more would be slower or
                          bring little, else as many as NumPy takes. The last bits of θ depend
                          on it
             blas         "numpy", or "scipy" for faster steps of SGD (see scratchnn.fast), which
                          need SciPy. Other optimizers take the plain steps, with a warning
             steps        replaces the loop over the batches of an epoch, and
             evaluate     replaces the evaluation: for training on several processes, see
                          scratchnn.distributed
    Raises   FloatingPointError when the loss is no longer finite; ValueError for a network that
             does not fit the data, or a batch size below 1
    """
    _check_kinds(parameters, optimizer, checkpoint)
    check_flag(evaluation=evaluation)
    if threads is not None:
        check_whole(1, threads=threads)
    goal, any_order, rng = objectives.get(objective), rng is None, generator(rng)
    steps = steps_through(blas, parameters, optimizer, steps)
    evaluate = evaluate or _evaluate
    on_batch, on_epoch = on_batch or _ignore, on_epoch or _ignore
    parts = as_parts(train, test, validation, parameters.sizes[-1], classes=goal.classes)
    _check_fits(parameters, parts, goal, batch_size=batch_size, epochs=epochs)
    train, history, measured = parts[0], history or History(), parts if evaluation else [None] * 3
    last, batches = len(history.epochs) + epochs, math.ceil(len(train) / batch_size)
    number = threads or fitting(parameters.sizes, batch_size, len(train)) or all_threads()
    task = Task(*parts, goal, batch_size, None if any_order else rng, number)
    # The limit may import a package, which no signal should break: a checkpoint holds them off.
    with (checkpoint or survives)(parameters, optimizer, history, task) as keep, limited(number):
        rng = _order_of(history.begun, batch_size, len(train)) or rng
        for epoch in range(len(history.epochs) + 1, last + 1):
            now = history.begun = history.begun or Begun(deepcopy(rng))
            taken = steps(parameters, train, optimizer, goal, batch_size, rng, now.batches)
            with closing(taken):
                for step in now.add_up(taken):  # each step changes θ
                    batch = _batch(epoch, now, batches, step, optimizer)
                    keep()
                    on_batch(batch)
            row = _row(epoch, now, measured, goal, optimizer, partial(evaluate, parameters))
            history.end(row, rng)
            keep()
            on_epoch(row)
    history.begun = None
    return history


_steps, _evaluate = steps, evaluate  # `fit` has arguments of these names


def steps_through(
    blas: str, parameters: Parameters, optimizer: Optimizer, given: Steps | None
) -> Steps:
    """Return the loop over the batches of an epoch that a training takes.

    Options  blas    "numpy" or "scipy", as in `fit`
             given   the loop that replaces it, if any
    Raises   ValueError for another name; MissingExtraError without SciPy
    """
    if blas not in ("numpy", "scipy") or (given and blas != "numpy"):
        only = '"numpy" with steps=' if given else '"numpy" or "scipy"'
        raise ValueError(f"blas must be {only}, got {blas!r}")
    if blas == "numpy":
        return given or _steps
    reason = fast.reason_against(parameters, optimizer)
    if reason is None:
        return fast.steps
    warnings.warn(f'blas="scipy" takes the plain steps here: {reason}', stacklevel=3)
    return _steps


def _ignore(_: object) -> None:
    """Do nothing, where nobody wants to be called."""


def _order_of(begun: Begun | None, batch_size: int, examples: int) -> np.random.Generator | None:
    """Return an rng for the order of an epoch that had begun; None where there is none.

    Raises   ValueError where its batches had another size
    """
    if begun is None:
        return None
    if begun.running.examples != min(begun.batches * batch_size, examples):
        raise ValueError(
            f"the history stands after {begun.batches} batches with {begun.running.examples} "
            f"examples: batch_size and data must be those of then, got {batch_size} of {examples}"
        )
    return deepcopy(begun.rng)


def _row(
    epoch: int,
    now: Begun,
    measured: Sequence[Dataset | None],
    objective: Objective,
    optimizer: Optimizer,
    score: Callable[[Dataset, Objective], Score],
) -> Epoch:
    """Measure the network after an epoch, and return the row of it."""
    start = perf_counter()
    try:
        after, tested, valid = (
            score(data, objective) if data else NOT_MEASURED for data in measured
        )
    except FloatingPointError as error:
        raise diverged(f"{error} after epoch {epoch}", optimizer) from error
    seconds = now.seconds + perf_counter() - start
    running = now.running.score(objective)
    return Epoch(epoch, *running, *after, *tested, now.seconds, seconds, *valid)


def _batch(epoch: int, now: Begun, of: int, step: Step, optimizer: Optimizer) -> Batch:
    """Return where training stands; raise where the loss is not finite."""
    if not math.isfinite(step.loss):
        where = f"the loss is {step.loss} in epoch {epoch}, batch {now.batches}"
        raise diverged(where, optimizer)
    return Batch(epoch, now.batches, of, step.loss, step.examples)


def diverged(what: str, optimizer: Optimizer) -> FloatingPointError:
    """Return the error of a training that diverged, with what to try.

    Options  what        was found, in words
             optimizer   of the training
    """
    stepping = optimizer.optimizer if isinstance(optimizer, Scheduled) else optimizer
    less = ", or less momentum" if getattr(stepping, "momentum", 0) else ""
    below = f"{optimizer.learning_rate:g}"
    return FloatingPointError(f"{what}: try a learning rate below {below}{less}")


def _check_kinds(parameters: object, optimizer: object, checkpoint: object) -> None:
    check_network(parameters)
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        raise TypeError(f"optimizer must be an object such as SGD(0.1), got {optimizer!r}")
    if checkpoint is not None and not callable(checkpoint):
        raise TypeError(
            f"checkpoint must be RunFolder(folder) or resume(folder), got {checkpoint!r}"
        )


def _check_fits(
    parameters: Parameters,
    parts: tuple[Dataset | None, ...],
    objective: Objective,
    **numbers: int,
) -> None:
    """Raise for a network that does not fit the data, or a number below 1."""
    check_whole(1, **numbers)
    for data in parts:
        if data is None:
            continue
        if parameters.sizes[0] != data.features:
            raise ValueError(
                f"{data.name} has {data.features} features per example, and the network takes "
                f"{parameters.sizes[0]}: take other data, or a network that begins with "
                f"{data.features}"
            )
        if parameters.sizes[-1] != objective.outputs(data):
            raise ValueError(
                f"{data.name} needs {objective.outputs(data)} outputs, and the network has "
                f"{parameters.sizes[-1]}: take other data, or a network that ends with "
                f"{objective.outputs(data)}"
            )
