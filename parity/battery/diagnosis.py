"""The usual cause: the known flaw that gives the very answers that came."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.battery.backward import Backward
from parity.battery.gradient import enough
from parity.battery.outcome import Broken
from parity.battery.subject import Subject, is_default, taken
from parity.flaws import FLAWS, Flaw
from parity.ops import OPS, Op
from parity.strategies import Case


def cause(broken: Broken, asked: Subject | Backward) -> str:
    """Return why the answers are wrong: a flaw that gives these answers in every case, or a guess.

    A flaw that gives the same on more of the cases comes first; of equals, the first of the table.
    """
    flaw = next(_matching(broken.cases, asked), None)
    if flaw is not None:
        return flaw.cause
    return GUESSES.get(broken.problem.kind, "") or _by_look(broken)


GUESSES = {
    "raises": "what came names the line that raised",
    "shape": "is an axis summed that should stay, or keepdims missing, or one too many?",
    "kind": "return a NumPy array (or a number)",
}


def _by_look(broken: Broken) -> str:
    if "nan" in broken.problem.got and "nan" not in broken.problem.expected:
        return (
            "inf - inf, inf / inf or 0 · inf on the way: something overflowed, or log 0 was taken"
        )
    if "inf" in broken.problem.got and "inf" not in broken.problem.expected:
        return "something overflowed, or log 0 was taken"
    return ""


def _matching(cases: list[Case], asked: Subject | Backward) -> Iterator[Flaw]:
    backward = isinstance(asked, Backward)
    op = asked.subject.op if isinstance(asked, Backward) else asked.op
    for flaw in FLAWS:
        if (flaw.op, flaw.backward) == (op.name, backward) and _explains(flaw, cases, asked):
            yield flaw


def _explains(flaw: Flaw, cases: list[Case], asked: Subject | Backward) -> bool:
    """Whether a flaw gives what came, in every case."""
    op = OPS[flaw.op]
    return all(_same(op, _flawed(flaw, case), _answer(asked, case)) for case in cases)


def _answer(asked: Subject | Backward, case: Case) -> Any:
    """Return the value or the gradients, or None where there are none."""
    try:
        return asked(case)
    except Exception:
        return None


def _flawed(flaw: Flaw, case: Case) -> Any:
    """Return a flaw's answer, or None where it has none, or an option of the case is not known."""
    op = OPS[flaw.op]
    subject = Subject(op, op.ours if flaw.backward else flaw.wrong, any_shape=True)
    known = taken(flaw.wrong, subject.options)
    if any(not is_default(o, case[o]) for o in subject.options if o not in known):
        return None
    asked = Backward(subject, flaw.wrong) if flaw.backward else subject
    return _answer(asked, case)


def _same(op: Op, a: Any, b: Any) -> bool:
    """Whether two values, or all gradients but those of a target that one leaves out, are alike."""
    if isinstance(a, list) and isinstance(b, list):
        count = min(len(a), len(b))
        complete = len(a) == len(b) or enough(op, count)
        return complete and all(map(_alike, a[:count], b[:count]))
    return _alike(a, b)


def _alike(a: Any, b: Any) -> bool:
    """Whether two answers are the same to half of their digits."""
    if a is None or b is None:
        return False
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind not in "fiu" or b.dtype.kind not in "fiu":
        return False
    precision = np.finfo(np.result_type(a.dtype, b.dtype, np.float32))
    half = float(np.sqrt(precision.eps))
    return bool(np.allclose(a, b, rtol=half, atol=0, equal_nan=True))
