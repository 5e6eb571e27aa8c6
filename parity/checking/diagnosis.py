"""The cause of a problem: by its kind, by a known flaw that gives the same answers, or a guess."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parity.cases import Case
from parity.checking.gradients import enough
from parity.checking.report import Finding
from parity.checking.subject import Backward, Subject, is_default, taken
from parity.flaws import FLAWS, Flaw
from parity.ops import OPS, Op

BY_KIND = {
    "float64": "float64 came in on the way: by np.zeros or np.eye without dtype, or a NumPy scalar",
    "modified": "an in-place operation (z -= ...) on the argument: it is the caller's array",
    "read-only": "an in-place operation on the argument: copy it first",
    "strided": "it reads memory in the order of another layout: .data, .ravel('K') or .view",
    "again": "it keeps something from the last call, or is random",
    "label": "NumPy counts -1 from the end, so it reads the last class: check the labels",
}
GUESSES = {
    "raises": "what came names the line that raised",
    "shape": "is an axis summed that should stay, or keepdims missing, or one too many?",
    "kind": "return a NumPy array (or a number)",
}


def cause(finding: Finding, asked: Subject | Backward) -> str:
    """Return why the answers are wrong; empty where nobody knows.

    A flaw must give the same answers in every case that shows the problem. Of several that do, the
    first of the table is named. If none does, it is the cause that the check itself has found.
    """
    assert finding.problem is not None
    kind, _, expected, got = finding.problem
    if kind in BY_KIND:
        return BY_KIND[kind]
    place = asked.op.name, isinstance(asked, Backward)
    for flaw in FLAWS:
        if (flaw.op, flaw.backward) == place and explains(flaw, finding.cases, asked):
            return flaw.cause
    return finding.cause or GUESSES.get(kind) or _by_look(expected, got)


def _by_look(expected: str, got: str) -> str:
    if "nan" in got and "nan" not in expected:
        return (
            "inf - inf, inf / inf or 0 · inf on the way: something overflowed, or log 0 was taken"
        )
    if "inf" in got and "inf" not in expected:
        return "something overflowed, or log 0 was taken"
    return ""


def explains(flaw: Flaw, cases: Sequence[Case], asked: Subject | Backward) -> bool:
    """Return whether a flaw gives what came, in every case."""
    return all(_alike(asked.op, _flawed(flaw, case), _answer(asked, case)) for case in cases)


def _answer(asked: Subject | Backward, case: Case) -> object:
    """Return the value or the gradients; None where it raises."""
    try:
        return asked(case)
    except Exception:
        return None


def _flawed(flaw: Flaw, case: Case) -> object:
    """Return a flaw's answer; None where it raises, or an option of the case is not known to it."""
    op = OPS[flaw.op]
    subject = Subject(op, op.ours if flaw.backward else flaw.wrong, any_shape=True)
    asked = Backward(subject, flaw.wrong) if flaw.backward else subject
    unknown = set(op.options) - set(taken(flaw.wrong, op.options))
    if not all(is_default(op, case, option) for option in unknown):
        return None
    return _answer(asked, case)


def _alike(op: Op, a: object, b: object) -> bool:
    """Return whether two values, or two lists of gradients, are the same to half of their digits.

    The gradient of a target may be missing in one of the two lists.
    """
    if isinstance(a, list) and isinstance(b, list):
        count = min(len(a), len(b))
        complete = len(a) == len(b) or enough(op, count)
        return complete and all(map(_same, a[:count], b[:count]))
    return _same(a, b)


def _same(a: object, b: object) -> bool:
    """Return whether two answers are the same to half of their digits.

    What the rounding of the largest entry may change counts for nothing, as where p - 1 cancels.
    """
    if a is None or b is None:
        return False
    x, y = np.asarray(a), np.asarray(b)
    if x.shape != y.shape or x.dtype.kind not in "fiu" or y.dtype.kind not in "fiu":
        return False
    eps = float(np.finfo(np.result_type(x.dtype, y.dtype, np.float32)).eps)
    largest = float(abs(x[np.isfinite(x)]).max(initial=0))
    return bool(np.allclose(x, y, rtol=eps**0.5, atol=4 * eps * largest, equal_nan=True))
