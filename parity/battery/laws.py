"""The check of what is true whatever the numbers are."""

from collections.abc import Callable

import numpy as np

from parity import bounds, right
from parity.battery.answer import as_dtype, guarded
from parity.battery.finding import Problem, shown
from parity.battery.outcome import Outcome, searched
from parity.battery.properties import PROPERTIES, Claim, Run, in_words
from parity.battery.subject import Subject
from parity.strategies import Case
from scratchnn.arrays import Array


def properties(subject: Subject, examples: int) -> Outcome:
    """Try what is true whatever the numbers are."""
    for claim in PROPERTIES[subject.op.name]:

        def look(case: Case, claim: Callable[[Run, Case], Claim] = claim) -> Problem | None:
            return _broken_claim(subject, claim, case)

        broken = searched(subject, look, np.float64, examples // 4)
        if broken:
            return broken
    return None


def _broken_claim(
    subject: Subject, claim: Callable[[Run, Case], Claim], case: Case
) -> Problem | None:
    dtype = right.dtype_of(subject.op, case)

    def run(case: Case) -> tuple[Array, Array]:
        bound = bounds.allowance(right.value_bound(subject.op, case), dtype)
        return as_dtype(np.asarray(subject(case)), dtype), bound

    def look() -> Problem | None:
        found, wanted, tolerance = claim(run, case)
        with np.errstate(all="ignore"):
            holds = (abs(found - wanted) <= tolerance) | (found == wanted)
        if np.all(holds):
            return None
        words = f"it must be that it {in_words(claim)}"
        return Problem("property", words, shown(wanted), shown(found))

    if not _is_settled(subject, case, claim):
        return None
    return guarded(look, right.value(subject.op, case), dtype)


def _is_settled(subject: Subject, case: Case, claim: Callable[[Run, Case], Claim]) -> bool:
    """Whether the right answer has the property: not where a mean of no rows is NaN, say."""
    dtype = right.dtype_of(subject.op, case)

    def run(case: Case) -> tuple[Array, Array]:
        bound = bounds.allowance(right.value_bound(subject.op, case), dtype)
        return np.asarray(right.value(subject.op, case)).astype(dtype), bound

    with np.errstate(all="ignore"):
        found, wanted, tolerance = claim(run, case)
        return bool(np.all(abs(found - wanted) <= tolerance))
