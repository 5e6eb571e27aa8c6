"""The smallest input that shows a problem: Hypothesis shrinks shapes, then numbers get plain."""

import math
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import SearchStrategy

from parity.battery.finding import Problem
from parity.strategies import Case

Look = Callable[[Case], Problem | None]
BROKEN_CASES = 12  # kept for the diagnosis
LIMIT = 1000.0  # past the range of exp in every precision


def search(
    cases: SearchStrategy[Case], look: Look, examples: int, plain: tuple[str, ...]
) -> tuple[Case, list[Case]] | None:
    """Return the smallest case with a problem, and several with the same; None if none has one.

    The numbers of the arguments `plain` may be changed to plainer ones.
    """
    broken: list[Case] = []
    kinds: list[str] = []

    def gather(case: Case) -> bool:
        problem = look(case)
        if problem is not None and len(broken) < BROKEN_CASES:
            kinds.append(problem.kind)
            broken.append(case)
        return False  # go on

    def shows(case: Case) -> bool:
        problem = look(case)
        return problem is not None and problem.kind == kinds[0]

    _find(cases, gather, examples)
    smallest = _find(cases, shows, examples) if broken else None
    if smallest is None:
        return None
    alike = [case for case, kind in zip(broken, kinds, strict=True) if kind == kinds[0]]
    return simplify(smallest, shows, plain), alike


def simplify(case: Case, shows: Callable[[Case], bool], names: tuple[str, ...]) -> Case:
    """Replace numbers by plainer ones, one by one, while the case still shows what it shows."""
    for name in names:
        for index in np.ndindex(np.shape(case[name])):
            at = partial(_changed, case, name, index)

            def tried(x: float, at: Callable[[float], Case] = at) -> bool:
                return shows(at(x))

            case = at(_plainest(float(case[name][index]), tried))
    return case


def _changed(case: Case, name: str, index: tuple[int, ...], x: float) -> Case:
    array = case[name].copy()
    array[index] = x
    return case | {name: array}


def _plainest(x: float, shows: Callable[[float], bool]) -> float:
    """Return 0, or the whole number nearest to 0, in place of x where it shows the same."""
    if x == 0 or not math.isfinite(x):
        return x
    if shows(0.0):
        return 0.0
    sign = math.copysign(1, x)
    high = max(1, round(min(abs(x), LIMIT)))
    if not shows(sign * high):
        return x
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(sign * middle) else (middle, high)
    return sign * high


def _find(
    cases: SearchStrategy[Case], condition: Callable[[Case], bool], examples: int
) -> Case | None:
    options: Any = settings(
        max_examples=examples, database=None, deadline=None,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    try:
        return find(cases, condition, settings=options, random=Random(0))
    except NoSuchExample:
        return None
