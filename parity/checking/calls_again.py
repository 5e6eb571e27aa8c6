"""Whether answers differ between calls: a function, or an object, keeps something or is random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from parity.cases import Case
from parity.checking.asking import Asked, Problem, apart, numbers
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch
from parity.checking.findings import DIFFERS, RIGHT, WRONG, Finding
from parity.checking.lost import LOST
from scratchnn.ops.shared import AnyArray

CHECK = "between calls"
DIFFERENT = "answers differ between {calls}, though the arguments are the same"
STALE = "the answer to other numbers is that of the call before"
ADDED = "{of}: calls of one object add up, as torch's .grad does: set it to 0 before each"
Answers = dict[str, AnyArray]


def between_calls(asked: Asked, place: str) -> Finding | None:
    """Ask the same again, of a new object where there are any: wrong, or a difference."""
    case, other = _cases(asked)
    answers = [_answer(asked, given) for given in (case, other, case, case)]
    if size := _difference(answers[0], answers[2:]):
        return _finding(place, case, DIFFERENT.format(calls="calls"), size)
    if _is_stale(asked, answers, case, other):
        return _finding(place, other, STALE, np.inf)
    return None


def of_one_object(asked: Asked, place: str) -> Finding | None:
    """Ask one object several times, and compare with new ones; a remark where gradients add up."""
    if not asked.subject.makes_objects or asked.reading.layout.each:
        return None
    (case, other), one = _cases(asked), replace(asked, objects=[])
    answers = [_answer(one, given) for given in (case, case, other, case)]
    if asked.gradient and (added := _added(answers)):
        what = ADDED.format(of=", ".join(f"d{role}" for role in added))
        return Finding(place, RIGHT, CHECK, what, Problem("added", what), None, (case,))
    of_case = _difference(answers[0], [answers[1], answers[3]])
    size = max(of_case, _difference(_answer(asked, other), [answers[2]]))
    return _finding(place, case, DIFFERENT.format(calls="calls of one object"), size)


def _cases(asked: Asked) -> tuple[Case, Case]:
    """Return two cases of a shape that nothing else is asked with: it may be a cache's key."""
    N = 10 + asked.gradient
    shape = (N, 4, 3) if asked.row.products else (N, 4)
    plain, moved = (asked.row.plain(shape, np.float64, seed) for seed in (3, 4))
    first = asked.row.inputs[0]
    return asked.prepared(plain), asked.prepared(plain | {first: moved[first]})


def _answer(asked: Asked, case: Case) -> Answers | None:
    """Return the arrays of an answer; None where it raises."""
    try:
        found = asked(case).arrays
    except (RaisedError, Mismatch, LookupError):
        return None
    arrays = {role: numbers(x, np.float64) for role, x in found.items()}
    return {role: x for role, x in arrays.items() if x is not None}


def _difference(one: Answers | None, others: Sequence[Answers | None]) -> float:
    """Return the largest difference of other answers from one; 0 where that is none."""
    if one is None:
        return 0.0
    return max(np.inf if other is None else _apart(one, other) for other in others)


def _apart(one: Answers, other: Answers) -> float:
    if one.keys() != other.keys():
        return np.inf
    return max((apart(other[role], one[role]) for role in one), default=0.0)


def _is_stale(asked: Asked, answers: Sequence[Answers | None], case: Case, other: Case) -> bool:
    """Whether a value that was right is given again where another one is right."""
    one, second = answers[:2]
    if asked.gradient or not one or not second or _apart(one, second):
        return False
    with np.errstate(all="ignore"):
        return asked.problem(case) is None and asked.problem(other) is not None


def _added(answers: Sequence[Answers | None]) -> list[str]:
    """Return the gradients that are twice as large the second time, if all others are the same."""
    first, second = answers[:2]
    if first is None or second is None or first.keys() != second.keys():
        return []
    changed = [role for role in first if apart(second[role], first[role])]
    return changed if all(apart(second[r], 2 * first[r]) <= LOST for r in changed) else []


def _finding(place: str, case: Case, what: str, size: float) -> Finding | None:
    if not size:
        return None
    grade = WRONG if size > LOST else DIFFERS
    problem = Problem("again", what, size=size)
    return Finding(place, grade, CHECK, what, problem, None, (case,), notes=(what,))
