"""The smallest input that shows a problem: Hypothesis shrinks shapes, then numbers get plain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from parity.cases import Case
from parity.checking.report import Finding, Problem
from parity.search import smallest

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Look: TypeAlias = Callable[[Case], Problem | None]
KEPT = 12  # cases, for the diagnosis
LIMIT = 1000.0  # beyond the range of exp in every precision


def search(
    cases: SearchStrategy[Case],
    look: Look,
    examples: int,
    plain: Sequence[str],
    typical: Case | None = None,
) -> Finding:
    """Look at generated cases; return the problem of the smallest case, and others of its kind.

    Options  examples   how many cases to generate
             plain      the arrays whose numbers may be replaced by plainer ones
             typical    a case to look at besides
    """
    found: list[tuple[Case, Problem]] = []

    def gather(case: Case) -> bool:
        problem = look(case)
        if problem is not None and len(found) < KEPT:
            found.append((case, problem))
        return False  # so that the search goes on

    def shows(case: Case) -> bool:
        problem = look(case)
        return problem is not None and problem.kind == found[0][1].kind

    smallest(cases, gather, examples)
    if typical is not None:
        gather(typical)
    if not found:
        return Finding()
    case, problem = found[0]
    least = smallest(cases, shows, examples)
    if least is not None:  # the function may be random
        case = simplify(least, shows, plain)
        problem = look(case) or problem
    alike = [case for case, other in found if other.kind == problem.kind]
    return Finding(problem=problem, cases=(case, *alike))


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
