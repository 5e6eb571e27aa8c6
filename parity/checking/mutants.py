"""Planted bugs, and which check sees which: no bug may survive, and no check may see nothing.

A wrong operation goes through the checks of `parity.check`. Wrong training goes through each
optimizer compared with torch's, and through the lockstep of a small network, where the quantities
of the first step that fails count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from parity.checking import FLAWS, GRADIENT_CHECKS, VALUE_CHECKS, check
from parity.flaws import Flaw
from parity.flaws.training import FLAWS as TRAINING_FLAWS
from parity.flaws.training import NOMINAL, planted
from parity.ops import OPS
from parity.report import save_rows
from scratchnn import recipes
from scratchnn.optim import OPTIMIZERS

RESULTS = Path(__file__).parents[2] / "docs/results/mutants.json"
OPTIMIZER_CHECKS = {type(make(1.0)).__name__: name for name, make in OPTIMIZERS.items()}
STEP_CHECKS = ("outputs", "loss", "gradient", "parameters", "trained freely")
TRAINING_CHECKS = (*OPTIMIZER_CHECKS, *STEP_CHECKS)
STEPS = 46  # the 45th batch of the digits is the short one
EXAMPLES = 40
TRAINING, BACKWARD = "training", ", backward"


class Mutant(NamedTuple):
    """One planted bug.

    Parts    where       the operation, the operation with ", backward", or "training"
             bug         its name
             killed_by   the checks that saw it
             named       whether the report told its cause
    """

    where: str
    bug: str
    killed_by: tuple[str, ...]
    named: bool = False

    @property
    def survives(self) -> bool:
        return not self.killed_by


def run(examples: int = EXAMPLES) -> Iterator[Mutant]:
    for flaw in FLAWS:
        yield of_operation(flaw, examples)
    yield from map(of_training, TRAINING_FLAWS)


def of_operation(flaw: Flaw, examples: int = EXAMPLES) -> Mutant:
    """Check a wrong operation, or a wrong backward of the right operation."""
    where, right = flaw.op, OPS[flaw.op].ours
    if flaw.backward:
        report = check(right, where, flaw.wrong, skip=VALUE_CHECKS, examples=examples)
        where += BACKWARD
    else:
        report = check(flaw.wrong, where, examples=examples)
    return Mutant(where, flaw.name, report.failed + report.warned, flaw.cause in report.causes)


def of_training(flaw: Flaw) -> Mutant:
    """Train a small network on both sides, with something wrong on ours."""
    with planted(flaw):
        return Mutant(TRAINING, flaw.name, trained())


def trained() -> tuple[str, ...]:
    """Compare the optimizers, and train a small network with SGD on both sides.

    Return the checks that fail, and the quantities that fail first.
    """
    import torch

    from parity.training import lockstep, optimizers
    from parity.training.step import KINDS

    both = OPTIMIZER_CHECKS.items()
    seen = tuple(column for column, name in both if not optimizers.check(name).holds)
    recipe = recipes.get("mlp")
    small = recipe.on(recipe.default_data, hidden=(12, 8), batch_size=NOMINAL)
    prepared = recipes.prepare(small, dtype="float64")
    try:
        with np.errstate(all="ignore"):
            *_, (result, _) = lockstep.train(prepared, torch.device("cpu"), max_steps=STEPS)
    except FloatingPointError:  # it diverges
        return (*seen, "trained freely")
    first = next((step for step in result.steps if not step.worst.holds), None)
    seen += tuple(kind for kind in KINDS if first and not getattr(first, kind).holds)
    return (*seen, "trained freely") if result.strayed else seen


# The tables of docs/mutants.md


def checks_of(mutants: list[Mutant]) -> dict[str, int]:
    """Return how many bugs each check sees; "training: " stands before those of training."""
    names = [*VALUE_CHECKS, *GRADIENT_CHECKS, *(f"{TRAINING}: {c}" for c in TRAINING_CHECKS)]
    counts = dict.fromkeys(names, 0)
    for mutant in mutants:
        for name in mutant.killed_by:
            counts[f"{TRAINING}: {name}" if mutant.where == TRAINING else name] += 1
    return counts


def tables(mutants: list[Mutant]) -> dict[str, str]:
    """Return three tables, of wrong values, gradients and training; a dot is a kill."""
    backward = [m for m in mutants if m.where.endswith(BACKWARD)]
    training = [m for m in mutants if m.where == TRAINING]
    values = [m for m in mutants if m not in backward and m not in training]
    return {
        "values": _table(values, tuple(VALUE_CHECKS)),
        "gradients": _table(backward, tuple(GRADIENT_CHECKS)),
        "training": _table(training, TRAINING_CHECKS),
    }


def _table(mutants: list[Mutant], checks: tuple[str, ...]) -> str:
    lines = [f"| in | bug | {' | '.join(checks)} |", f"|---|---|{':-:|' * len(checks)}"]
    for mutant in mutants:
        marks = " | ".join("●" if name in mutant.killed_by else "" for name in checks)
        lines.append(f"| {mutant.where} | {mutant.bug} | {marks} |")
    return "\n".join(lines) + "\n"


def summary(mutants: list[Mutant]) -> str:
    """Return how many bugs were planted, seen and named, and which checks saw none."""
    survivors = [f"{m.where}: {m.bug}" for m in mutants if m.survives]
    of_ops = [m for m in mutants if m.where != TRAINING]
    idle = [name for name, count in checks_of(mutants).items() if count == 0]
    seen = f"{len(mutants)} bugs planted, {len(mutants) - len(survivors)} seen"
    named = f"of {len(of_ops)} in operations, {sum(m.named for m in of_ops)} told by name."
    lines = [f"{seen}; {named}", *(f"SURVIVES: {survivor}" for survivor in survivors)]
    lines += [f"No bug is seen by: {', '.join(idle)}."] if idle else ["Every check sees one."]
    return "\n".join(lines) + "\n"


def save(path: Path, mutants: list[Mutant], environment: Mapping[str, object]) -> None:
    save_rows(path, environment, "mutants", (mutant._asdict() for mutant in mutants))


def read(path: Path) -> list[Mutant]:
    rows = json.loads(path.read_text())["mutants"]
    return [Mutant(**row | {"killed_by": tuple(row["killed_by"])}) for row in rows]
