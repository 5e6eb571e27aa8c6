"""The optimizer of a recipe, from its settings: names, numbers, and a schedule in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scratchnn.optim import OPTIMIZERS, Cosine, Optimizer, Scheduled, StepDecay
from scratchnn.optim.schedules import Schedule

if TYPE_CHECKING:
    from scratchnn.run.recipes import Recipe

OF_SGD = ("momentum", "nesterov", "dampening")  # Adam and AdamW have no such options
OF_OPTIMIZER = ("learning_rate", *OF_SGD, "weight_decay")
SCHEDULES = "constant, cosine, step:EPOCHS or step:EPOCHS,FACTOR"


def make(recipe: Recipe, examples: int) -> Optimizer:
    """Return the optimizer of a recipe. Its schedule counts steps, and the recipe's epochs.

    Options  recipe     has the settings
             examples   how many it trains on
    Raises   ValueError for a warm-up longer than the training; as the optimizer itself
    """
    options: dict[str, Any] = {"learning_rate": recipe.learning_rate}
    if recipe.optimizer == "sgd":
        options |= {name: getattr(recipe, name) for name in OF_SGD}
    if recipe.weight_decay is not None:
        options["weight_decay"] = recipe.weight_decay
    optimizer = OPTIMIZERS[recipe.optimizer](**options)
    if not 0 <= recipe.warm_up <= recipe.epochs:
        raise ValueError(
            f"the warm-up must take from 0 to {recipe.epochs} epochs, as the training has, "
            f"got {recipe.warm_up:g}"
        )
    per_epoch = math.ceil(examples / recipe.batch_size)
    schedule = _schedule(recipe.schedule, recipe.epochs, per_epoch)
    warm_up = round(recipe.warm_up * per_epoch)
    return Scheduled(optimizer, schedule, warm_up) if schedule or warm_up else optimizer


def check(recipe: Recipe) -> None:
    """Raise for a schedule or an optimizer that there is not, or options that it does not take.

    Raises   ValueError that says what there is
    """
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer must be {_one_of(OPTIMIZERS)}, got {recipe.optimizer!r}")
    wrong = [name for name in OF_SGD if getattr(recipe, name)]
    if wrong and recipe.optimizer != "sgd":
        raise ValueError(f"{_one_of(wrong)} goes with the optimizer sgd, got {recipe.optimizer}")
    if recipe.nesterov and not (recipe.momentum and not recipe.dampening):
        raise ValueError(
            "nesterov needs a momentum above 0 and no dampening, "
            f"got momentum {recipe.momentum:g} and dampening {recipe.dampening:g}"
        )
    check_schedule(recipe.schedule)


def check_schedule(text: str) -> None:
    """Raise for words that name no schedule.

    Raises   ValueError that says what there is
    """
    _schedule(text, 1, 1)


def depends_on_epochs(schedule: str) -> bool:
    """Return whether another number of epochs in all changes the rates."""
    return schedule == "cosine"


def _schedule(text: str, epochs: int, per_epoch: int) -> Schedule | None:
    """Return the schedule that the words name; None for a constant rate.

    Raises   ValueError
    """
    name, _, numbers = text.partition(":")
    if text == "constant":
        return None
    if text == "cosine":
        return Cosine(epochs * per_epoch)
    count, _, factor = numbers.partition(",")
    try:
        if name != "step" or not count.isdecimal():
            raise ValueError(text)
        return StepDecay(int(count) * per_epoch, float(factor or 0.1))
    except ValueError as error:
        raise ValueError(
            f"schedule must be {SCHEDULES}, as step:10,0.1: a tenth after every 10 epochs, "
            f"got {text!r}"
        ) from error


def _one_of(names: Any) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else str(last)
