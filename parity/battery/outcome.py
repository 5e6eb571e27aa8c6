"""What a check returns, and the search for the smallest input that breaks it."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from parity.battery.finding import Problem
from parity.battery.search import Look, search
from parity.battery.subject import Subject
from parity.strategies import Case

DTYPES = (np.float32, np.float64)


class Broken(NamedTuple):
    """A problem, the smallest case found that shows it, and all cases found that do."""

    problem: Problem
    case: Case
    cases: list[Case]
    cause: str = ""


class Skipped(NamedTuple):
    """Why a check was not run."""

    why: str


class Remark(NamedTuple):
    """What a check that holds has to say."""

    text: str


Outcome: TypeAlias = Broken | Skipped | Remark | None


def searched(subject: Subject, look: Look, dtype: Any, examples: int) -> Broken | None:
    """Return the smallest generated case in which `look` sees a problem, if any does."""
    plain = tuple(name for name in subject.op.inputs if name != "target")
    found = search(subject.op.cases(dtype).map(subject.cut), look, examples, plain)
    if found is None:
        return None
    smallest, broken = found
    problem = look(smallest)
    assert problem is not None  # look is a function of the case
    return Broken(problem, smallest, broken)
