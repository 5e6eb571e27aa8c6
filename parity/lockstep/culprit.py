"""Which side left its bound, at the first operation that is too far apart, and how to see it."""

import shlex
from dataclasses import dataclass, replace
from inspect import getsource
from itertools import islice
from typing import Any

import numpy as np

from parity import devices
from parity.literal import literal
from parity.lockstep.torch_side import TorchSide
from parity.oracle import digits
from parity.steps import formulas, network, operations
from parity.steps.checks import Check
from parity.steps.elements import Element, Index, evaluate
from parity.steps.trace import Settings, Trace
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
        """Which side left its bound; torch's dtypes and shapes are right as they are."""
        if self.difference.reason:
            return "NumPy"
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
    if difference.reason:
        return Culprit(step, (), difference, Verdict(check.quantity, ()), None)
    index, dtype = difference.index, check.torch.dtype
    element = check.element and check.element(index)
    with np.errstate(all="ignore"):
        if element:
            exact = evaluate(element, lambda value: digits.lift(value, dtype))
        else:
            exact = np.asarray(network.exact(trace, settings)[check.quantity])[index]
    sides = ("NumPy", check.ours, check.ours_bound), ("torch", check.torch, check.bound)
    errors = []
    for name, side, bounds in sides:
        bound = np.broadcast_to(bounds, side.shape)[index]
        error = measure(name, check.quantity, side[index], exact, bound, dtype)
        errors.append(replace(error, index=index))
    return Culprit(step, index, difference, Verdict(check.quantity, tuple(errors)), element)


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
    theirs = TorchSide(run, devices.prepare(device), precision)
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
    """Return the command, and the Python lines, that show this element again, on both sides.

    `options`: seed, and what else was given of device, precision, judged_as, data_dir, threads.
    """
    changes = _changes(recipe)
    given = {"data": recipe.data, **changes, "dtype": dtype, **options, "steps": culprit.step}
    flags = " ".join(
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items()
    )
    lines = [f"reproduce:  python -m parity train {recipe.name} {flags}"]
    if culprit.element:
        numbers = _written(culprit.element, dtype)
        numbers = numbers or _by_training(culprit, culprit.element, recipe, dtype, options)
        code = [*_formulas(culprit.element), *numbers, *_prints(culprit.element, options)]
        lines += ["in Python, this element alone:", *(f"    {line}".rstrip() for line in code)]
    return "\n".join(lines)


def _formulas(element: Element) -> list[str]:
    """Write both formulas, after what they need."""
    both: Any = element.formula, formulas.IN_TORCH[element.formula]
    names = {name for formula in both for name in formula.__code__.co_names}
    lines = ["import numpy as np", "import torch", "from parity import devices"]
    lines += ["from parity import conventions"] * ("conventions" in names)
    lines += ["from scratchnn.objectives import OBJECTIVES"] * ("OBJECTIVES" in names)
    return [*lines, "", *"\n".join(map(getsource, both)).splitlines(), ""]


def _prints(element: Element, options: dict[str, Any]) -> list[str]:
    """Write what both sides make of the numbers."""
    device, precision = options.get("device", "cpu"), options.get("precision", "ieee")
    ours, theirs = element.formula.__name__, formulas.IN_TORCH[element.formula].__name__
    given = ", ".join(element.inputs)
    arrays = ", ".join(name for name, value in element.inputs.items() if hasattr(value, "dtype"))
    relu = "" if element.y is None else " * (y > 0)"
    return [
        f'print("NumPy", float({ours}({given})){relu})',
        f'[{arrays}] = (torch.tensor(array, device="{device}") for array in [{arrays}])',
        f'with devices.products("{device}", "{precision}"):',
        f'    print("torch", {theirs}({given}).item(){relu})',
    ]


def _written(element: Element, dtype: str) -> list[str] | None:
    """Write the numbers that the element is made of, where they are few."""
    values = element.inputs | ({} if element.y is None else {"y": element.y})
    numbers = [np.asarray(value) for value in values.values() if hasattr(value, "dtype")]
    if sum(n.size for n in numbers) > FEW or not all(np.isfinite(n).all() for n in numbers):
        return None
    return [f"{name} = {_code(value, dtype)}" for name, value in values.items()]


def _by_training(
    culprit: Culprit, element: Element, recipe: Recipe, dtype: str, options: dict[str, Any]
) -> list[str]:
    """Let torch train up to the step, to have the numbers."""
    changes = "".join(f", {name}={value!r}" for name, value in _changes(recipe).items())
    folder = f", data_dir={options['data_dir']!r}" if "data_dir" in options else ""
    side = {name: options[name] for name in ("device", "precision") if name in options}
    rest = "".join(f", {name}={value!r}" for name, value in side.items())
    return [
        "from parity.lockstep import culprit",
        "from scratchnn import recipes",
        f'recipe = recipes.get("{recipe.name}").on("{recipe.data}"{changes})',
        f'run = recipes.prepare(recipe, seed={options["seed"]}, dtype="{dtype}"{folder})',
        f'found = culprit.element(run, "{culprit.verdict.quantity}", {culprit.index}, '
        f"step={culprit.step}{rest})",
        f"{', '.join(element.inputs)}{',' * (len(element.inputs) == 1)} = found.inputs.values()",
        *(["y = found.y"] if element.y is not None else []),
    ]


def _code(value: Any, dtype: str) -> str:
    if not hasattr(value, "dtype"):
        return literal(value)
    value = np.asarray(value)
    return literal(value.astype(dtype if value.dtype.kind == "f" else np.int64))


def _changes(recipe: Recipe) -> dict[str, Any]:
    usual = recipes.get(recipe.name).on(recipe.data)
    names = ("epochs", "batch_size", "learning_rate", "momentum")
    return {n: getattr(recipe, n) for n in names if getattr(recipe, n) != getattr(usual, n)}
