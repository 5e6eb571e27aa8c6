"""The cause of a problem: by its kind, by a known flaw that gives the same answers, or a guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from parity.cases import Case
from parity.checking.checks import enough
from parity.checking.report import Finding
from parity.checking.subject import Asked, Backward, Subject, is_default
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
BY_LOOK = {
    "nan": "inf - inf, inf / inf or 0 · inf on the way: something overflowed, or log 0 was taken",
    "inf": "something overflowed, or log 0 was taken",
}


def cause(finding: Finding, asked: Asked) -> str:
    """Return why the answers are wrong; empty where nobody knows.

    A flaw must give the same answers in every case that shows the problem. Of several that do, the
    first of the table is named. If none does, it is the cause that the check itself has found.
    """
    if finding.kind in BY_KIND:
        return BY_KIND[finding.kind]
    place = asked.op.name, isinstance(asked, Backward)
    for flaw in FLAWS:
        if (flaw.op, flaw.backward) == place and explains(flaw, finding.cases, asked):
            return flaw.cause
    return finding.cause or GUESSES.get(finding.kind) or _by_look(finding)


def _by_look(finding: Finding) -> str:
    for number, words in BY_LOOK.items():
        if number in finding.got and number not in finding.expected:
            return words
    return ""


def explains(flaw: Flaw, cases: Sequence[Case], asked: Asked) -> bool:
    """Return whether a flaw gives what came, in every case."""
    return all(_alike(asked.op, _flawed(flaw, case), _answers(asked, case)) for case in cases)


def _answers(asked: Asked, case: Case) -> list[object]:
    """Return the value or the gradients; nothing where it raises."""
    try:
        return asked(case) if isinstance(asked, Backward) else [asked(case)]
    except Exception:
        return []


def _flawed(flaw: Flaw, case: Case) -> list[object]:
    """Return a flaw's answers; nothing where an option of the case is not known to it."""
    op = OPS[flaw.op]
    right = Subject(op, op.ours, any_shape=True)
    wrong = (
        Backward(op, flaw.wrong, right) if flaw.backward else replace(right, function=flaw.wrong)
    )
    known = all(o in wrong.taken or is_default(op, case, o) for o in op.options)
    return _answers(wrong, case) if known else []


def _alike(op: Op, a: list[object], b: list[object]) -> bool:
    """Return whether two lists of answers are the same; a target's gradient may be missing."""
    count = min(len(a), len(b))
    complete = len(a) == len(b) or enough(op, count)
    return count > 0 and complete and all(map(_same, a[:count], b[:count]))


def _same(a: object, b: object) -> bool:
    """Return whether two answers are the same to half of their digits.

    What the rounding of the largest entry may change counts for nothing, as where p - 1 cancels.
    """
    x, y = np.asarray(a), np.asarray(b)
    if x.shape != y.shape or x.dtype.kind not in "fiu" or y.dtype.kind not in "fiu":
        return False
    eps = float(np.finfo(np.result_type(x.dtype, y.dtype, np.float32)).eps)
    largest = float(abs(x[np.isfinite(x)]).max(initial=0))
    return bool(np.allclose(x, y, rtol=eps**0.5, atol=4 * eps * largest, equal_nan=True))
