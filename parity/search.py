"""Hypothesis looks for the case in which an operation's error is worst, or a bound fails.

The cases are those that the operation's row generates; a failure is shrunk to the smallest case
that still fails. Hypothesis could also climb towards the bound (`target`). But then half of the
cases are alike, and a planted overflow was missed that as many different cases find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, configuration, find, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, NoSuchExample

from parity import bounds
from parity.cases import Case, Dtype
from parity.digits import Precision
from parity.judge import Error, Verdict, judge, literal
from parity.ops import Op
from scratchnn.ops.shared import Array

T = TypeVar("T")

# A row of the matrix: the type of its numbers, and the precision of torch's matrix products.
ROWS: dict[str, tuple[Dtype, Precision]] = {
    "float32": (np.float32, "ieee"),
    "float64": (np.float64, "ieee"),
    "tf32": (np.float32, "tf32"),
}


@dataclass(frozen=True)
class Worst:
    """One side's error closest to its bound, what it was of, and its largest error in ulps."""

    quantity: str
    error: Error
    ulps: float


@dataclass(frozen=True)
class Failure:
    """The smallest case found in which a side leaves its bound, or an operation raises."""

    message: str
    guilty: tuple[str, ...]
    code: str


@dataclass
class Cell:
    """One operation in one precision, on all devices: what the search has found so far.

    `refused` counts the cases in which TF32 products left the float32 bound. It is None for other
    products. `refusals` counts them by side and product, as in "torch cpu: linear, dW". `missing`
    names the parts of the row that nobody has written yet, as `Op.missing` does.
    """

    op: str
    dtype: str
    cases: int = 0
    sides: dict[str, Worst] = field(default_factory=dict)
    refused: int | None = None
    failure: Failure | None = None  # the last one: Hypothesis ends with the smallest
    refusals: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether no side left its bound, and TF32 products left the one of float32."""
        return self.failure is None and self.refused != 0

    def compare(self, verdict: Verdict) -> None:
        for error in verdict.errors:
            found = Worst(verdict.quantity, error, error.ulps)
            before = self.sides.get(error.side, found)
            closest = max(before, found, key=lambda worst: worst.error.ratio)
            self.sides[error.side] = replace(closest, ulps=max(before.ulps, found.ulps))


def search(
    op: Op,
    dtype: str = "float32",
    on: Sequence[str] = ("cpu",),
    examples: int = 200,
    random_seed: int = 0,
    analysis: bounds.Analysis = "mixed",
) -> Cell:
    """Look for the case in which a side comes closest to its bound, or leaves it.

    Options  op            a row of the table
             dtype         a row of the matrix: "float32", "float64" or "tf32"
             on            the devices of torch
             examples      how many cases to generate
             random_seed   of the cases
             analysis      how sums are bounded, as in `bounds.analysis`
    """
    number, precision = ROWS[dtype]
    refusable = precision == "tf32" and "theirs" not in op.missing
    cell = Cell(op.name, dtype, refused=0 if refusable else None, missing=op.missing)
    refusals: Counter[str] = Counter()

    def fails(drawn: tuple[Case, int]) -> bool:
        """Judge one case; return whether a side leaves its bound, or raises."""
        cell.cases += 1
        verdicts: list[Verdict] = []
        try:
            verdicts = judge(op, *drawn, on, precision)
            found = next(((str(v), v.guilty) for v in verdicts if not v.holds), None)
        except Exception as error:
            found = f"{type(error).__name__}: {error}", ()
        for verdict in verdicts:
            cell.compare(verdict)
        if found:
            code = reproduction(op, *drawn, on, precision, analysis=analysis)
            cell.failure = Failure(*found, code)
        elif cell.refused is not None:
            as_float32 = judge(op, *drawn, on, "tf32", "ieee")
            cell.refused += not all(verdict.holds for verdict in as_float32)
            refusals.update(f"{side}: {v.quantity}" for v in as_float32 for side in v.guilty)
        return found is not None

    with bounds.analysis(analysis):
        drawn = st.tuples(op.cases(number), st.integers(0, 2**32 - 1))
        smallest(drawn, fails, examples, random_seed)
    cell.refusals = dict(refusals)
    return cell


@contextmanager
def leaving_no_folder() -> Iterator[None]:
    """Let Hypothesis write to a temporary folder, and not to .hypothesis/ in the working one."""
    with TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(None)


def smallest(
    cases: st.SearchStrategy[T], shows: Callable[[T], bool], examples: int, random_seed: int = 0
) -> T | None:
    """Return the smallest generated case that shows something; None if none does.

    It is None, too, where `shows` says two things of one case.

    Options  cases         a strategy of Hypothesis
             shows         a function of a case, true of those that are looked for
             examples      how many cases to generate
             random_seed   of the cases
    """
    phases, unhealthy = (Phase.generate, Phase.shrink), list(HealthCheck)
    plain = settings(
        database=None, deadline=None, derandomize=False, suppress_health_check=unhealthy
    )
    options = settings(plain, max_examples=examples, phases=phases)
    try:
        return find(cases, shows, settings=options, random=Random(random_seed))
    except (NoSuchExample, Flaky):
        return None


def reproduction(
    op: Op,
    case: Case,
    dy_seed: int = 0,
    on: Sequence[str] = ("cpu",),
    precision: Precision = "ieee",
    judged_as: Precision | None = None,
    *,
    dy: Array | None = None,
    analysis: bounds.Analysis = "mixed",
) -> str:
    """Return a program that judges an operation on one case, and prints the verdicts.

    Options  op          a row of the table
             case        its arguments by name
             dy_seed     of the random upstream gradient
             on          the devices of torch
             precision   of torch's float32 matrix products
             judged_as   the precision whose bounds are used; default: the same
             dy          the upstream gradient itself, instead of dy_seed
             analysis    how sums are bounded, as in `bounds.analysis`
    """
    arguments = "".join(f"    {name!r}: {literal(value)},\n" for name, value in case.items())
    options = f", dy_seed={dy_seed}" if dy is None else f", dy={literal(dy)}"
    options += f", on={list(on)}"
    options += f", precision={precision!r}" if precision != "ieee" else ""
    options += f", judged_as={judged_as!r}" if judged_as not in (None, precision) else ""
    judged = f"for verdict in judge(OPS[{op.name!r}], case{options}):\n    print(verdict)\n"
    imports = "from parity.judge import judge\nfrom parity.ops import OPS\n"
    if analysis != "mixed":
        imports = f"from parity import bounds\n{imports}"
        judged = f"with bounds.analysis({analysis!r}):\n{indent(judged, '    ')}"
    return f"import numpy as np\n\n{imports}\ncase = {{\n{arguments}}}\n{judged}"
