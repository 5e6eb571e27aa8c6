"""Is a small error one of rounding, or of the formula?

An error of rounding jumps where the arguments move by a hair. That of a formula, such as a constant
that was added, moves as little as they do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from parity import digits
from parity.cases import Case
from parity.checking.asking import DY, Asked, Problem, numbers
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch
from scratchnn.ops.shared import AnyArray

Answers = dict[str, AnyArray]
LEAST = 1e-13  # a smaller error, relative to the largest entry, is taken for rounding
HAIR = 1e-5  # of a number: more than a digit of float32, and less than a formula notices
JUMP = 0.02  # of an error: a formula's changes by about a hair


def is_rounding(asked: Asked, case: Case, problem: Problem) -> bool:
    """Whether a small error of a float64 answer is one of rounding."""
    before = _error(asked, case, problem.role)
    if problem.size < LEAST or before is None:
        return True
    for seed in range(3):
        after = _error(asked, _moved(asked, case, seed), problem.role)
        if after is None or abs(after - before).max() > JUMP * abs(before).max():
            return True
    return False


def in_single(asked: Asked, case: Case) -> bool:
    """Whether it computes in float32 what it is given in float64.

    Then its answers have float32's digits, or some argument's digits make a difference only so far
    as float32 has them.
    """
    answers = _answers(asked, case)
    if not answers:
        return False
    rights = _rights(asked, case)
    coarse = (r for r in answers if not np.array_equal(_cut(rights[r], 24), rights[r]))
    if any(np.array_equal(_cut(answers[role], 24), answers[role]) for role in coarse):
        return True
    for name in _floats(asked, case):
        of_24, of_20 = (case | {name: _cut(case[name], bits)} for bits in (24, 20))
        if _changed(answers, _answers(asked, of_24)) == 0 < _changed(rights, _rights(asked, of_24)):
            most = _changed(rights, _rights(asked, of_20)) / 2
            if _changed(answers, _answers(asked, of_20)) >= most:
                return True
    return False


def _cut(x: AnyArray, bits: int) -> AnyArray:
    """Return numbers rounded to so many binary digits: float32 has 24."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)


def _changed(a: Answers, b: Answers | None) -> int:
    """Return how many numbers are others."""
    return sum(int((a[role] != b[role]).sum()) for role in a) if b and a.keys() <= b.keys() else -1


def as_single(case: Case) -> Case:
    """Return a case in float32."""
    return {
        name: x.astype(np.float32) if getattr(x, "dtype", None) == np.float64 else x
        for name, x in case.items()
    }


def _floats(asked: Asked, case: Case) -> Iterator[str]:
    for name in (*asked.row.inputs, DY):
        if name in case and case[name].dtype == np.float64:
            yield name


def _moved(asked: Asked, case: Case, seed: int) -> Case:
    """Return a case whose numbers are smaller by a hair. Targets of 0 or 1 stay."""
    rng = np.random.default_rng(seed)
    moved = dict(case)
    for name in _floats(asked, case):
        if name != "target" or asked.reading.form != "binary":
            moved[name] = case[name] * (1 - HAIR * rng.uniform(0.5, 1, case[name].shape))
    return moved


def _answers(asked: Asked, case: Case) -> Answers | None:
    """Return its answers in float64, in the shapes of the right ones; None where there is none."""
    try:
        found, rights = asked(case).arrays, _rights(asked, case)
    except (RaisedError, Mismatch):
        return None
    got = {}
    for role, x in found.items():
        answer = numbers(asked.reshaped(x, rights[role].shape), np.float64) if role in rights else 0
        if answer is None or np.shape(answer) != np.shape(rights.get(role, 0)):
            return None
        if role in rights:
            got[role] = np.asarray(answer)
    return got


def _rights(asked: Asked, case: Case) -> Answers:
    with np.errstate(all="ignore"):
        return {role: digits.rounded(x, np.float64) for role, x in asked.rights(case)[0].items()}


def _error(asked: Asked, case: Case, role: str) -> AnyArray | None:
    answers = _answers(asked, case) or {}
    return answers[role] - _rights(asked, case)[role] if role in answers else None
