"""What is wrong at ordinary numbers and lost at extreme ones, with a clear example each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from parity.cases import Case
from parity.checking import inputs, ranges
from parity.checking.asking import CLEAR, Asked, Problem, numbers
from parity.checking.causes import find
from parity.checking.findings import DIFFERS, KEPT, UNSTABLE, WRONG, Finding
from parity.checking.gradients import FITS
from parity.checking.inputs import Input
from parity.checking.rounding import as_single, in_single, is_rounding

LOST = 256 * float(np.finfo(np.float32).eps)  # at ordinary float64 numbers, a larger error is wrong
HUGE = 1e10  # of numbers that nobody meets: smaller ones make the better example
Found = tuple[Input, Problem]


def lost(asked: Asked, place: str) -> Iterator[Finding]:
    """Yield what is wrong at ordinary numbers, then what is lost at extremes.

    A function that computes in float32 is judged in float32: that is a difference of dtype.
    """
    groups = _groups(asked)
    single = any(
        problem.size <= LOST and not _has_float32(given.case) and in_single(asked, given.case)
        for given, problem in groups["ordinary numbers"][:1]
    )
    groups = _groups(asked, single) if single else groups
    bad = {check: [f for f in found if _is_wrong(*f)] for check, found in groups.items()}
    for check, found in bad.items():
        if found and not (check == "options" and bad["ordinary numbers"]):
            yield _shown(asked, place, WRONG, check, found)
    if bad["ordinary numbers"]:
        return
    small = {check: [f for f in found if not _is_wrong(*f)] for check, found in groups.items()}
    extreme = _problems(asked, inputs.extremes(asked.reading), single, strict=not asked.gradient)
    clear = [f for f in extreme if f[1].size >= CLEAR]
    for check in (check for check in groups if not bad[check]):
        if finding := _of_the_formula(asked, place, check, small[check], lost=bool(clear)):
            yield finding
            return
    found = [*(clear or extreme), *small["ordinary numbers"], *small["options"]]
    if found and not (bad["options"] and not extreme):
        checks = [c for c, f in (*small.items(), ("extreme numbers", extreme)) if f]
        yield replace(_shown(asked, place, UNSTABLE, checks[-1], found), seen=tuple(checks[:-1]))


def _groups(asked: Asked, single: bool = False) -> dict[str, list[Found]]:
    return {
        "ordinary numbers": _problems(asked, inputs.ordinary(asked.row), single),
        "options": _problems(asked, inputs.options(asked.reading), single),
    }


def _is_wrong(given: Input, problem: Problem) -> bool:
    """Whether an error is more than a loss of digits, in whatever precision that came about.

    In float64 that is a few hundred ulps of float32, in which many compute on the way; float32 may
    lose more of its own.
    """
    return problem.kind != "value" or problem.size > (FITS if _has_float32(given.case) else LOST)


def _has_float32(case: Case) -> bool:
    return any(np.asarray(x).dtype == np.float32 for x in case.values())


def _of_the_formula(
    asked: Asked, place: str, check: str, small: list[Found], lost: bool
) -> Finding | None:
    """Return small errors at ordinary numbers that are no rounding: the formula is another one.

    A known flaw may hardly show at ordinary numbers, such as an ε in a logarithm. Its answer is
    then not wrong: it is unstable if something is lost at extreme numbers, else it differs.
    """
    smooth = [
        (given, problem)
        for given, problem in small
        if not _has_float32(given.case) and not is_rounding(asked, given.case, problem)
    ]
    if not smooth:
        return None
    finding = _shown(asked, place, WRONG, check, smooth)
    cause = find(asked, finding)
    if cause is None or cause.flaw is None or cause.pair:
        return finding
    return None if lost else replace(finding, grade=DIFFERS)


def _problems(
    asked: Asked, given: Iterable[Input], single: bool = False, strict: bool = False
) -> list[Found]:
    """Return the inputs that fail, and their problems. Options: single   ask in float32 alone"""
    found = []
    for case in given:
        one = replace(case, case=prepared(asked, case))
        one = replace(one, case=as_single(one.case)) if single else one
        with np.errstate(all="ignore"):
            problem = asked.problem(one.case, strict)
        if problem:
            found.append((one, problem))
    return found


def prepared(asked: Asked, given: Input, seed: int | None = 0) -> Case:
    case = inputs.off_the_kink(asked.row, given.case) if asked.gradient else given.case
    return asked.prepared(case, seed)


# The example: the smallest that fails clearly


def _shown(asked: Asked, place: str, grade: str, check: str, found: list[Found]) -> Finding:
    """Return a finding with its example."""
    small: Iterable[Input] = ()
    if grade == WRONG:
        options = check == "options"
        small = inputs.options(asked.reading, True) if options else inputs.ordinary(asked.row, True)
    least = _clearest(asked, small, found)
    given, problem = least or min(found, key=_order)
    cases = tuple(f[0].case for f in islice(found, KEPT))
    since = ranges.since(asked, given.case, problem) if grade == UNSTABLE else ""
    if given.words.startswith("with "):
        since = given.words
    return Finding(place, grade, check, problem.words, problem, given.case, cases, since)


def _clearest(asked: Asked, small: Iterable[Input], found: list[Found]) -> Found | None:
    """Return the smallest input that fails as clearly as most do."""
    sizes = [problem.size for _, problem in found]
    largest = max((size for size in sizes if size < np.inf), default=np.inf)
    clear = min(0.05, largest / 4)
    same, finite = found[0][1].kind, any(_is_finite(problem) for _, problem in found)
    for given in small:
        case = prepared(asked, given, None)
        with np.errstate(all="ignore"):
            problem = asked.problem(case)
        if problem is None or problem.size < clear or problem.kind != same:
            continue
        if _is_finite(problem) or not finite:
            return replace(given, case=case), problem
    return None


def _is_finite(problem: Problem) -> bool:
    got = numbers(problem.got, np.float64)
    return got is not None and bool(np.isfinite(got).all())


def _order(found: Found) -> tuple[float, ...]:
    """Order failing inputs: clear ones, small ones, those of whole numbers near 1000."""
    given, problem = found
    count = sum(np.size(x) for x in given.case.values() if isinstance(x, np.ndarray))
    size = 0 if problem.size > 0.1 else 1 if problem.size > CLEAR else 2
    known = problem.right is None or bool(np.isfinite(problem.right).all())
    nice = [1000.0, 100.0, 40.0, 20.0, 10.0]
    rank = nice.index(given.scale) if given.scale in nice else len(nice) + (given.scale > HUGE)
    rank = -1 if given.scale == 1e-20 else rank  # of a small probability
    return (size, not known, count, rank)
