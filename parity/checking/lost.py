"""What is wrong at ordinary numbers and lost at extreme ones, with a clear example each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from parity.cases import Case
from parity.checking import inputs
from parity.checking.asking import CLEAR, Asked, Problem
from parity.checking.findings import KEPT, UNSTABLE, WRONG, Finding
from parity.checking.gradients import FITS
from parity.checking.inputs import Input

LOST = 256 * float(np.finfo(np.float32).eps)  # at ordinary float64 numbers, a larger error is wrong


def lost(asked: Asked, place: str) -> Iterator[Finding]:
    """Yield what is wrong at ordinary numbers, then what is lost at extremes."""
    groups = {
        "ordinary numbers": _problems(asked, inputs.ordinary(asked.row)),
        "options": _problems(asked, inputs.options(asked.reading)),
    }
    bad = {check: [p for p in found if _is_wrong(*p)] for check, found in groups.items()}
    for check, found in bad.items():
        if found and not (check == "options" and bad["ordinary numbers"]):
            yield _shown(asked, place, WRONG, check, found)
    if bad["ordinary numbers"]:
        return
    small = {check: [p for p in found if not _is_wrong(*p)] for check, found in groups.items()}
    extreme = _problems(asked, inputs.extremes(asked.reading), strict=not asked.gradient)
    clear = [p for p in extreme if p[1].size >= CLEAR]
    found = [*(clear or extreme), *small["ordinary numbers"], *small["options"]]
    if found and not (bad["options"] and not extreme):
        checks = [c for c, f in (*small.items(), ("extreme numbers", extreme)) if f]
        yield replace(_shown(asked, place, UNSTABLE, checks[-1], found), seen=tuple(checks[:-1]))


def _is_wrong(given: Input, problem: Problem) -> bool:
    """Whether an error is more than a loss of digits.

    In float64 that is a few hundred ulps of float32, in which many compute on the way; float32 may
    lose more of its own.
    """
    single = any(np.asarray(x).dtype == np.float32 for x in given.case.values())
    return problem.kind != "value" or problem.size > (FITS if single else LOST)


Found = tuple[Input, Problem]


def _problems(asked: Asked, given: Iterable[Input], strict: bool = False) -> list[Found]:
    found = []
    for case in given:
        one = replace(case, case=prepared(asked, case))
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
    since = _since(asked, given, problem) if grade == UNSTABLE else ""
    if given.words.startswith("with "):
        since = given.words
    return Finding(place, grade, check, problem.words, problem, given.case, cases, since)


def _clearest(asked: Asked, small: Iterable[Input], found: list[Found]) -> Found | None:
    """Return the smallest input that fails as clearly as most do."""
    largest = max(problem.size for _, problem in found)
    clear = min(0.05, largest / 4)
    same = found[0][1].kind
    for given in small:
        case = prepared(asked, given, None)
        with np.errstate(all="ignore"):
            problem = asked.problem(case)
        if problem and problem.size >= clear and (problem.kind == same):
            return replace(given, case=case), problem
    return None


def _order(found: Found) -> tuple[float, ...]:
    """Order failing inputs: clear ones, small ones, those of whole numbers near 1000."""
    given, problem = found
    count = sum(np.size(x) for x in given.case.values() if isinstance(x, np.ndarray))
    size = 0 if problem.size > 0.1 else 1 if problem.size > CLEAR else 2
    known = problem.right is None or bool(np.isfinite(problem.right).all())
    nice = [1000.0, 100.0, 40.0, 20.0, 10.0]
    rank = nice.index(given.scale) if given.scale in nice else len(nice)
    rank = 0 if given.scale == 1e-20 else rank  # of a small probability
    return (size, not known, count, rank)


def _since(asked: Asked, given: Input, problem: Problem) -> str:
    """Say from where on the answer is lost, by shrinking the example's numbers."""
    name = asked.row.inputs[0]
    if problem.size < CLEAR:
        return f"to a relative error of {problem.size:.1g}"
    x = given.case[name]
    if not np.isfinite(x).all() or asked.row.products:
        return ""
    if name in ("p", "q"):
        return _since_share(asked, name)

    def fails(scale: float) -> bool:
        case = given.case | {name: x * x.dtype.type(scale)}
        with np.errstate(all="ignore"):
            found = asked.problem(case, strict=True)
        return found is not None and found.size >= CLEAR

    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if fails(middle) else (middle, high)
    edge = float(abs(x).max()) * high
    if edge == 0 or not np.isfinite(edge) or edge > 1e10:
        return ""
    of = {"z": "logits", "log_q": "log q", "log_p": "log p"}.get(name, name)
    of = "z" if asked.row.name in ("sigmoid", "tanh", "relu", "softplus") else of
    sign = "-" if (x <= 0).all() else ""
    return f"for {of} beyond {sign}{edge:.3g}, in {x.dtype}"


def _since_share(asked: Asked, name: str) -> str:
    """Say below which probability the answer is lost."""
    for given in inputs.shares(asked.row):
        case = prepared(asked, given)
        with np.errstate(all="ignore"):
            problem = asked.problem(case)
        if problem and problem.size >= CLEAR:
            return f"for {name} below {given.scale:.0e}".replace("e-0", "e-")
    return ""
