"""Which side left its bound, at the first operation that is too far apart, and how to see it."""

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from parity import devices, digits, network
from parity.checks import Check
from parity.elements import Element, Index, evaluate
from parity.literal import literal
from parity.steps import operations
from parity.torch_side import TorchSide
from parity.trace import Settings, Trace
from parity.verdict import Difference, Verdict, measure
from scratchnn import recipes
from scratchnn.data import minibatches
from scratchnn.recipes import Recipe, Run

FEW = 32  # numbers that a reader copies


@dataclass(frozen=True)
class Culprit:
    """The first element that left its tolerance, in the order of computation."""

    step: int
    index: Index
    difference: Difference
    verdict: Verdict
    element: Element | None  # None: the whole network

    @property
    def who(self) -> str:
        """Which side left its bound."""
        return " and ".join(self.verdict.guilty) or "neither side alone, but both together"

    def __str__(self) -> str:
        return (
            f"first at step {self.step}, {self.difference}\n"
            f"wrong is {self.who}: {self.verdict}"
        )  # fmt: skip


@digits.precise()
def find(step: int, check: Check, trace: Trace, settings: Settings) -> Culprit:
    """Ask the oracle for the right answer of the element that left its tolerance."""
    difference = check.difference()
    index, dtype = difference.index, check.torch.dtype
    element = check.element and check.element(index)
    with np.errstate(all="ignore"):
        if element:
            exact = evaluate(element, lambda value: digits.lift(value, dtype))
        else:
            exact = np.asarray(network.exact(trace, settings)[check.quantity])[index]
    bound = np.broadcast_to(check.bound, check.torch.shape)[index]
    sides = {"NumPy": check.ours, "torch": check.torch}
    errors = tuple(
        replace(measure(name, check.quantity, side[index], exact, bound, dtype), index=index)
        for name, side in sides.items()
    )
    return Culprit(step, index, difference, Verdict(check.quantity, errors), element)


def element(
    run: Run,
    quantity: str,
    index: Index,
    *,
    step: int,
    device: str = "cpu",
    precision: devices.Precision = "ieee",
) -> Element:
    """Train in torch up to a step, and return what one number of that step is made of."""
    theirs = TorchSide(run, devices.choose(device), precision)
    batches = (
        rows
        for _ in range(run.recipe.epochs)
        for rows in minibatches(len(run.train), run.recipe.batch_size, run.rng)
    )
    for rows in islice(batches, step):
        trace = theirs.step(*run.train.batch(rows, run.parameters.theta.dtype))
    checks = operations(trace, Settings.of(run))
    (found,) = (c.element for c in checks if c.quantity == quantity and c.element)
    return found(index)


def reproduction(culprit: Culprit, recipe: Recipe, dtype: str, options: dict[str, Any]) -> str:
    """Return the command, and the Python lines, that show this element again.

    `options`: seed, and where they are not the defaults, device and precision.
    """
    changes = _changes(recipe)
    given = {"data": recipe.data, **changes, "dtype": dtype, **options, "steps": culprit.step}
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in given.items())
    lines = [f"reproduce:  python -m parity train {recipe.name} {flags}"]
    if culprit.element:
        code = _literal(culprit.element, dtype)
        code = code or _by_training(culprit, culprit.element, recipe, dtype, options)
        lines += ["in Python, this element alone:", *(f"    {line}" for line in code)]
    return "\n".join(lines)


def _literal(element: Element, dtype: str) -> list[str] | None:
    """Write the numbers that the element is made of, where they are few."""
    if sum(np.size(value) for value in element.inputs.values()) > FEW:
        return None
    written = [f"{name} = {_code(value, dtype)}" for name, value in element.inputs.items()]
    return [*_imports(element), *written, f"print({element.formula})"]


def _by_training(
    culprit: Culprit, element: Element, recipe: Recipe, dtype: str, options: dict[str, Any]
) -> list[str]:
    """Let torch train up to the step, to have the numbers."""
    options = dict(options)
    changes = "".join(f", {name}={value!r}" for name, value in _changes(recipe).items())
    seed = options.pop("seed")
    rest = "".join(f", {name}={value!r}" for name, value in options.items())
    return [
        "from parity import culprit",
        "from scratchnn import recipes",
        *_imports(element),
        f'recipe = recipes.get("{recipe.name}").on("{recipe.data}"{changes})',
        f'run = recipes.prepare(recipe, seed={seed}, dtype="{dtype}")',
        f'found = culprit.element(run, "{culprit.verdict.quantity}", {culprit.index}, '
        f"step={culprit.step}{rest})",
        f"{', '.join(element.inputs)} = found.inputs.values()",
        f"print({element.formula})",
    ]


def _imports(element: Element) -> list[str]:
    extra = ["from scratchnn.objectives import OBJECTIVES"] * ("OBJECTIVES" in element.formula)
    return ["import numpy as np", *extra]


def _code(value: Any, dtype: str) -> str:
    if isinstance(value, float):
        return literal(value)
    value = np.asarray(value)
    return literal(value.astype(dtype if value.dtype.kind == "f" else np.int64))


def _changes(recipe: Recipe) -> dict[str, Any]:
    usual = recipes.get(recipe.name).on(recipe.data)
    names = ("epochs", "batch_size", "learning_rate", "momentum")
    return {n: getattr(recipe, n) for n in names if getattr(recipe, n) != getattr(usual, n)}
