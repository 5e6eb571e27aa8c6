"""Planted bugs, and which check sees which: no bug may survive, and no check may see nothing.

A wrong operation goes through the checks of `parity.check`. Wrong training goes through each
optimizer compared with torch's, and through the lockstep of a small network, where the quantities
of the first step that fails count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from parity.checking import CHECKS, FLAWS, check
from parity.checking.rows import ALL
from parity.flaws import Flaw
from parity.flaws.training import FLAWS as TRAINING_FLAWS
from parity.flaws.training import NOMINAL, planted
from parity.report import save_rows
from scratchnn import recipes
from scratchnn.optim import OPTIMIZERS

RESULTS = Path(__file__).parents[2] / "docs/results/mutants.json"
OPTIMIZER_CHECKS = {type(make(1.0)).__name__: name for name, make in OPTIMIZERS.items()}
STEP_CHECKS = ("outputs", "loss", "gradient", "parameters", "trained freely")
TRAINING_CHECKS = (*OPTIMIZER_CHECKS, *STEP_CHECKS)
STEPS = 46  # the 45th batch of the digits is the short one
TRAINING, BACKWARD = "training", ", backward"


class Mutant(NamedTuple):
    """One planted bug.

    Parts    where       the operation, the operation with ", backward", or "training"
             bug         its name
             killed_by   the checks that saw it
             named       whether the report told its cause
             other       a known flaw that the report named in its place; empty if none
    """

    where: str
    bug: str
    killed_by: tuple[str, ...]
    named: bool = False
    other: str = ""

    @property
    def survives(self) -> bool:
        return not self.killed_by


def run() -> Iterator[Mutant]:
    yield from map(of_operation, FLAWS)
    yield from map(of_training, TRAINING_FLAWS)


def of_operation(flaw: Flaw) -> Mutant:
    """Check a wrong operation, or a wrong backward of the right one, by torch's conventions."""
    where, right = flaw.op, ALL[flaw.op].ours
    function, backward = (right, flaw.wrong) if flaw.backward else (flaw.wrong, None)
    report = check(function, where, backward, as_torch=True)
    where += BACKWARD if flaw.backward else ""
    place = "gradient" if flaw.backward else "value"
    found = [f for f in report.findings if f.place == place]
    killed_by = tuple(dict.fromkeys(c for f in found for c in (f.check, *f.seen)))
    causes = [f.cause for f in found if f.known]
    named = any(same(flaw.cause, cause) for cause in causes)
    told = [f.cause for f in FLAWS if any(same(f.cause, cause) for cause in causes)]
    return Mutant(where, flaw.name, killed_by, named, "" if named or not told else told[0])


def same(cause: str, told: str) -> bool:
    """Return whether a cause is told, whatever the constant in it is."""
    parts = [re.escape(part) for part in re.split(r"\{\w+\}", cause)]
    return re.search(r"[\de.-]+".join(parts), told) is not None


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
    names = [*CHECKS, *(f"{TRAINING}: {c}" for c in TRAINING_CHECKS)]
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
        "values": _table(values, _seen(values)),
        "gradients": _table(backward, _seen(backward)),
        "training": _table(training, TRAINING_CHECKS),
    }


def _seen(mutants: list[Mutant]) -> tuple[str, ...]:
    return tuple(check for check in CHECKS if any(check in m.killed_by for m in mutants))


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
    count = sum(m.named for m in of_ops)
    named = f"of {len(of_ops)} in operations, {count} told by name ({100 * count // len(of_ops)} %)"
    false = [f"{m.where}: {m.bug}: {m.other}" for m in mutants if m.other]
    lines = [f"{seen}; {named}, {len(false)} by a false one."]
    lines += [f"SURVIVES: {survivor}" for survivor in survivors]
    lines += [f"FALSE CAUSE: {cause}" for cause in false]
    lines += [f"No bug is seen by: {', '.join(idle)}."] if idle else ["Every check sees one."]
    return "\n".join(lines) + "\n"


def save(path: Path, mutants: list[Mutant], environment: Mapping[str, object]) -> None:
    save_rows(path, environment, "mutants", (mutant._asdict() for mutant in mutants))


def read(path: Path) -> list[Mutant]:
    rows = json.loads(path.read_text())["mutants"]
    return [Mutant(**row | {"killed_by": tuple(row["killed_by"])}) for row in rows]
