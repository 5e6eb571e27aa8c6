"""The smallest input that shows a problem: Hypothesis shrinks shapes, then numbers get plain."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
from hypothesis import strategies as st

from parity import digits
from parity.cases import Case, Dtype
from parity.checking.report import Finding, shown
from parity.checking.subject import DY, Asked, RaisedError
from parity.judge import right_gradients, right_value, value_dtype
from parity.search import smallest

Look: TypeAlias = Callable[[Case], Finding | None]  # what is wrong with the answer for a case
KEPT = 12  # cases, for the diagnosis
LIMIT = 1000.0  # beyond the range of exp in every precision


def looked(asked: Asked, look: Look, case: Case) -> Finding | None:
    """Return what `look` does; an exception of the function is a problem, too."""
    try:
        return look(case)
    except RaisedError as raised:
        error = raised.__cause__
        op, given, expected = asked.op, {n: v for n, v in case.items() if n != DY}, ""
        with suppress(LookupError):  # nobody knows the right answer
            right = right_gradients(op, given, case[DY])[0] if DY in case else right_value(op, case)
            expected = shown(digits.rounded(right, value_dtype(op, case)))
        where = traceback.extract_tb(error.__traceback__ if error else None)[-1]
        got = f"{type(error).__name__}: {error}\n(line {where.lineno}: {where.line})"
        return Finding("raises", f"it raises {type(error).__name__}", expected, got)


def first(asked: Asked, cases: Iterable[Case], look: Look) -> Finding | None:
    """Return what is wrong with the first case that has something wrong."""
    found = ((case, looked(asked, look, case)) for case in cases)
    return next((replace(problem, cases=(case,)) for case, problem in found if problem), None)


def search(asked: Asked, dtype: Dtype, look: Look, examples: int) -> Finding | None:
    """Look at generated cases; return the problem of the smallest case, and others of its kind."""
    seeds = st.integers(0, 999) if DY in asked.plain else st.just(0)
    cases = st.builds(asked.prepared, asked.op.cases(dtype), seeds)
    look = partial(looked, asked, look)
    found: list[tuple[Case, Finding]] = []

    def gather(case: Case) -> bool:
        problem = look(case)
        if problem and len(found) < KEPT:
            found.append((case, problem))
        return False  # so that the search goes on

    def shows(case: Case) -> bool:
        problem = look(case)
        return problem is not None and problem.kind == found[0][1].kind

    smallest(cases, gather, examples)
    gather(asked.typical(dtype))
    if not found:
        return None
    case, problem = found[0]
    least = smallest(cases, shows, examples)
    if least is not None:  # the function may be random
        case = simplify(least, shows, asked.plain)
        problem = look(case) or problem
    alike = [case for case, other in found if other.kind == problem.kind]
    return replace(problem, cases=(case, *alike))


def simplify(case: Case, shows: Callable[[Case], bool], names: Sequence[str]) -> Case:
    """Replace numbers by plainer ones, one by one, while the case still shows what it shows."""
    for name in names:
        for index in np.ndindex(np.shape(case[name])):
            case = _plainest(case, name, index, shows)
    return case


def _plainest(case: Case, name: str, index: tuple[int, ...], shows: Callable[[Case], bool]) -> Case:
    """Replace one number x by 0, or by the whole number nearest to 0 that shows the same."""

    def at(x: float) -> Case:
        array = case[name].copy()
        array[index] = x
        return case | {name: array}

    x = float(case[name][index])
    if x == 0 or not math.isfinite(x):
        return case
    if shows(at(0.0)):
        return at(0.0)
    sign = math.copysign(1, x)
    low, high = 0, max(1, round(min(abs(x), LIMIT)))
    if not shows(at(sign * high)):
        return case
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(at(sign * middle)) else (middle, high)
    return at(sign * high)
