"""Which side left its bound at the first element too far apart, and how to see it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np

from parity import devices
from parity.judge import Difference, Index, Verdict, measure
from parity.training.calls import Call, Quantity, Source
from parity.training.optimizers import Update
from parity.training.step import operations
from parity.training.torch_side import TorchSide
from parity.training.trace import Settings, batches
from scratchnn.run import recipes
from scratchnn.run.recipes import Recipe, Run

if TYPE_CHECKING:
    from parity.devices import Precision

FEW = 32  # numbers that a reader copies
FLAGS = ("epochs", "batch_size", "learning_rate", "momentum", "activation")  # of the command


@dataclass(frozen=True)
class Culprit:
    """The first element that left its tolerance, in the order of computation.

    verdict   both sides against the right answer; without them where there is nothing to compare
    source    the smallest call that has the element; None: the whole network has it
    """

    step: int
    index: Index
    difference: Difference
    verdict: Verdict
    source: Call | Update | None = None

    @property
    def who(self) -> str:
        """Which side left its bound; torch's dtypes and shapes are right as they are."""
        if self.difference.reason:
            return "NumPy"
        return " and ".join(self.verdict.guilty) or "neither side alone, but both together"

    def __str__(self) -> str:
        lines = (
            f"first at step {self.step}, {self.difference}",
            f"wrong is {self.who}: {self.verdict}",
        )
        return "\n".join(lines)


def find(step: int, quantity: Quantity) -> Culprit:
    """Compare both sides with the right answer, at the element that left its tolerance."""
    difference = quantity.difference()
    if difference.reason:
        return Culprit(step, (), difference, Verdict(quantity.name, ()))
    source, verdict = blame(quantity, difference.index)
    shown = source if isinstance(source, Call | Update) else None
    return Culprit(step, difference.index, difference, verdict, shown)


def blame(quantity: Quantity, index: Index) -> tuple[Source, Verdict]:
    """Return the smallest source of an element, and both sides of it against the right answer."""
    source, place = quantity.source.element(quantity.part, index)
    exact = np.asarray(source.right()[quantity.part])[place]
    sides = ("NumPy", quantity.ours, quantity.ours_bound), ("torch", quantity.torch, quantity.bound)
    errors = []
    for name, side, limit in sides:
        bound = np.broadcast_to(limit, side.shape)[index]
        error = measure(name, quantity.name, side[index], exact, bound, quantity.torch.dtype)
        errors.append(replace(error, index=index))
    return source, Verdict(quantity.name, tuple(errors))


def element(
    run: Run,
    name: str,
    index: Index,
    *,
    step: int,
    device: str = "cpu",
    precision: Precision = "ieee",
) -> Call | Update:
    """Train in torch up to a step, and return the smallest call that has an element of it.

    Raises   ValueError for a quantity that no operation of the step has
    """
    theirs = TorchSide(run, devices.prepare(device), precision)
    for X, target in islice(batches(run), step):
        trace = theirs.step(X, target)
    for quantity in operations(trace, Settings.of(run)):
        if quantity.name == name:
            source, _ = quantity.source.element(quantity.part, index)
            if isinstance(source, Call | Update):
                return source
    raise ValueError(f"quantity must be one of an operation of the step, got {name!r}")


def reproduction(
    culprit: Culprit, recipe: Recipe, dtype: str, options: Mapping[str, object]
) -> str:
    """Return the command, and the Python lines, that show this element again, on both sides.

    `options`: seed, and what else was given of device, precision, judged_as, data_dir, threads.
    """
    given = {
        "data": recipe.data,
        **_changes(recipe, FLAGS),
        "dtype": dtype,
        **options,
        "steps": culprit.step,
    }
    flags = " ".join(
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items()
    )
    lines = [f"reproduce:  python -m parity train {recipe.name} {flags}"]
    if culprit.source:
        side = _side(options)
        code = culprit.source.code(*side)
        if culprit.source.numbers > FEW:
            code = _by_training(culprit, recipe, dtype, options, side)
        words = "in Python, this element alone"
        call = culprit.source
        if "NumPy" in culprit.verdict.guilty and isinstance(call, Call) and call.right_in_numpy():
            words += " (there NumPy is right: what is wrong is the code that calls the operation)"
        lines += [f"{words}:", *(f"    {line}".rstrip() for line in code.splitlines())]
    return "\n".join(lines)


def _side(options: Mapping[str, object]) -> tuple[str, Precision, Precision]:
    """Return torch's device, its precision, and the one that it is judged as."""
    usual = {"device": "cpu", "precision": "ieee", "judged_as": "ieee"}
    side = tuple(options.get(name, value) for name, value in usual.items())
    return cast("tuple[str, Precision, Precision]", side)


def _by_training(
    culprit: Culprit,
    recipe: Recipe,
    dtype: str,
    options: Mapping[str, object],
    side: tuple[str, Precision, Precision],
) -> str:
    """Write a program that lets torch train up to the step, to have the numbers."""
    changes = "".join(f", {name}={value!r}" for name, value in _changes(recipe).items())
    folder = f", data_dir={options['data_dir']!r}" if "data_dir" in options else ""
    given = {name: options[name] for name in ("device", "precision") if name in options}
    rest = "".join(f", {name}={value!r}" for name, value in given.items())
    return (
        "from parity.training import culprit\n"
        "from scratchnn import recipes\n\n"
        f"recipe = recipes.get({recipe.name!r}).on({recipe.data!r}{changes})\n"
        f"run = recipes.prepare(recipe, seed={options['seed']}, dtype={dtype!r}{folder})\n"
        f"call = culprit.element(run, {culprit.verdict.quantity!r}, {culprit.index}, "
        f"step={culprit.step}{rest})\n"
        f"for verdict in call.judge({', '.join(map(repr, side))}):\n"
        "    print(verdict)\n"
    )


def _changes(recipe: Recipe, names: Sequence[str] = (*FLAGS, "hidden")) -> dict[str, object]:
    """Return what differs from the recipe of this name."""
    usual = recipes.get(recipe.name).on(recipe.data)
    return {n: getattr(recipe, n) for n in names if getattr(recipe, n) != getattr(usual, n)}
