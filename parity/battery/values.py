"""The checks of a function's values."""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from parity import bounds, later, right
from parity.battery import hand
from parity.battery.answer import as_dtype, guarded, judged, value_problem
from parity.battery.finding import Problem, shown
from parity.battery.properties import PROPERTIES, Claim, Run, in_words
from parity.battery.search import Look, search
from parity.battery.subject import DEFAULTS, Subject
from parity.battery.typical import EXTREMES, extreme, typical, unmasked
from parity.strategies import Case
from parity.verdict import compare, measure
from scratchnn.arrays import Array

DTYPES = (np.float32, np.float64)


class Broken(NamedTuple):
    """A problem, the smallest case found that shows it, and all cases found that do."""

    problem: Problem
    case: Case
    cases: list[Case]
    dy: Array | None = None
    cause: str = ""


class Skipped(NamedTuple):
    """Why a check was not run."""

    why: str


class Remark(NamedTuple):
    """What a check that holds has to say."""

    text: str


Outcome: TypeAlias = Broken | Skipped | Remark | None


def hand_values(subject: Subject, _: int) -> Outcome:
    """Compare with values that one can compute by hand."""
    plain = {option: DEFAULTS[option] for option in subject.options}
    for given, wanted in hand.VALUES.get(subject.op.name, ()):
        case = subject.cut(plain | hand.as_arrays(given))
        if case.get("reduction", "mean") != "mean":
            return Skipped("those known by heart are means")
        exact, bound = np.asarray(wanted, np.float64), right.value_bound(subject.op, case)
        problem = _judged(subject, case, exact, bound)
        if problem:
            return Broken(problem, case, [case])
    return None


def extremes(subject: Subject, _: int) -> Outcome:
    """Try ties, one class, one dominant logit, large and huge ones, masks of -inf."""
    broken = []
    for name, dtype in product(EXTREMES, DTYPES):
        made = extreme(subject.op, name, dtype)
        if made is not None:
            case = subject.cut(made)
            problem = value_problem(subject, case, unmasked(subject.op, case))
            if problem:
                words = f"{name}, {np.dtype(dtype)}: {problem.what}"
                broken.append((problem._replace(what=words), case))
    if not broken:
        return no_rows(subject)
    return Broken(*broken[0], [case for _, case in broken])


def no_rows(subject: Subject) -> Outcome:
    """Try a batch without rows, where its value is not a mean of nothing."""
    case = subject.cut(typical(subject.op, np.float64))
    if case.get("reduction", "none") == "mean":
        case = case | ({"reduction": "none"} if "reduction" in subject.taken else {})
    if case.get("reduction", "none") == "mean":
        return Remark("an empty batch has no mean: not tried")
    rows = {n: case[n][:0] for n in (subject.op.inputs[0], "target") if n in case}
    problem = value_problem(subject, case | rows)
    if problem is None:
        return None
    words = f"a batch without rows: {problem.what}"
    return Broken(problem._replace(what=words), case | rows, [case | rows])


def properties(subject: Subject, examples: int) -> Outcome:
    """Try what is true whatever the numbers are."""
    for claim in PROPERTIES.get(subject.op.name, ()):

        def look(case: Case, claim: Callable[[Run, Case], Claim] = claim) -> Problem | None:
            return _broken_claim(subject, claim, case)

        broken = _searched(subject, look, np.float64, examples // 4)
        if broken:
            return broken
    return None


def generated(subject: Subject, examples: int) -> Outcome:
    """Compare with the oracle on generated inputs, within the rounding-error bound."""
    for dtype in DTYPES:
        broken = _searched(subject, lambda case: value_problem(subject, case), dtype, examples)
        if broken:
            return broken
    return None


def beside_torch(subject: Subject, examples: int) -> Outcome:
    """Compare with torch on generated inputs, within what rounding on both sides explains."""
    if not later.has_torch():
        return Skipped("torch is not installed; the oracle was asked")
    return _searched(subject, lambda case: _unlike_torch(subject, case), np.float32, examples // 2)


def _searched(subject: Subject, look: Look, dtype: Any, examples: int) -> Broken | None:
    plain = tuple(name for name in subject.op.inputs if name != "target")
    found = search(subject.op.cases(dtype).map(subject.cut), look, examples, plain)
    if found is None:
        return None
    smallest, broken = found
    problem = look(smallest)
    assert problem is not None  # look is a function of the case
    return Broken(problem, smallest, broken)


def accuracy(subject: Subject, _: int) -> Outcome:
    """Measure the largest error in ulps on standard normal numbers; a digit at least must be right.

    As torch has no digit right either where one logit dominates, that is a remark.
    """
    case = subject.cut(typical(subject.op, np.float32, 64, 10))
    exact, bound = right.value(subject.op, case), right.value_bound(subject.op, case)
    sides: dict[str, Callable[[Case], Any]] = {
        "yours": subject,
        "scratchnn's": lambda case: subject.op.ours(**case),
    }
    if later.has_torch():
        sides["torch's"] = lambda case: _torch_value(subject, case)
    with np.errstate(all="ignore"):
        try:
            errors = {side: _ulps(side, f(case), exact, bound) for side, f in sides.items()}
        except Exception:
            return Skipped("there is no answer to measure")
    text = ", ".join(f"{side} {ulps:,.2g}" for side, ulps in errors.items())
    lost = 0.25 / float(np.finfo(np.float32).eps)  # a relative error of a quarter
    if not errors["yours"] <= lost:
        words = f"no digit is right somewhere: largest errors in float32 ulps: {text}"
        return Broken(Problem("digits", words), case, [case])
    return Remark(f"largest errors on standard normal numbers, in float32 ulps: {text}")


def labels(subject: Subject, _: int) -> Outcome:
    """Give a label that is no class: -1 would be read as the last class, silently."""
    if subject.op.arguments == subject.op.inputs:
        return Skipped("it takes no class indices")
    z = subject.op.inputs[0]
    for label in (-1, 2):
        given = {z: np.zeros((1, 2)), "target": np.array([label])}
        wrong = {option: DEFAULTS[option] for option in subject.options} | given
        wrong |= subject.settings
        try:
            result = subject(wrong)
        except Exception:
            continue
        words = f"label {label} is no class, and nothing is said"
        return Broken(
            Problem("label", words, "an exception", shown(result)), wrong, [wrong],
            cause="NumPy counts -1 from the end, so it reads the last class: check the labels",
        )  # fmt: skip
    return None


def _judged(subject: Subject, case: Case, exact: Any, bound: Any) -> Problem | None:
    dtype = right.dtype_of(subject.op, case)
    return guarded(lambda: judged(subject(case), exact, bound, dtype), exact, dtype)


def _broken_claim(
    subject: Subject, claim: Callable[[Run, Case], Claim], case: Case
) -> Problem | None:
    dtype = right.dtype_of(subject.op, case)

    def run(case: Case) -> tuple[Array, Array]:
        bound = bounds.allowance(right.value_bound(subject.op, case), dtype)
        return as_dtype(np.asarray(subject(case)), dtype), bound

    def look() -> Problem | None:
        found, wanted, tolerance = claim(run, case)
        with np.errstate(all="ignore"):
            holds = (abs(found - wanted) <= tolerance) | (found == wanted)
        if np.all(holds):
            return None
        words = f"it must be that it {in_words(claim)}"
        return Problem("property", words, shown(wanted), shown(found))

    if not _is_settled(subject, case, claim):
        return None
    return guarded(look, right.value(subject.op, case), dtype)


def _is_settled(subject: Subject, case: Case, claim: Callable[[Run, Case], Claim]) -> bool:
    """Whether the right answer has the property: not where a mean of no rows is NaN, say."""
    dtype = right.dtype_of(subject.op, case)

    def run(case: Case) -> tuple[Array, Array]:
        bound = bounds.allowance(right.value_bound(subject.op, case), dtype)
        return np.asarray(right.value(subject.op, case)).astype(dtype), bound

    with np.errstate(all="ignore"):
        found, wanted, tolerance = claim(run, case)
        return bool(np.all(abs(found - wanted) <= tolerance))


def _unlike_torch(subject: Subject, case: Case) -> Problem | None:
    dtype, bound = right.dtype_of(subject.op, case), right.value_bound(subject.op, case)
    theirs = _torch_value(subject, case)

    def look() -> Problem | None:
        ours = as_dtype(np.asarray(subject(case)), dtype)
        difference = compare("value", ours, theirs, bounds.tolerance(bound, dtype))
        if difference.holds:
            return None
        words = (
            f"yours {difference.ours!r}, torch's {difference.torch!r}: apart by "
            f"{difference.difference:.2g}, where rounding explains {difference.tolerance:.2g}"
        )
        return Problem("torch", words, shown(theirs), shown(ours))

    return guarded(look, theirs, dtype)


def _torch_value(subject: Subject, case: Case) -> Array:
    from parity.judge import run_torch

    empty = np.zeros(np.shape(right.value(subject.op, case)), right.dtype_of(subject.op, case))
    return run_torch(subject.op, case, empty, "cpu", "ieee")[0]


def _ulps(side: str, result: Any, exact: Any, bound: Any) -> float:
    single = as_dtype(np.asarray(result), np.dtype(np.float32))
    return measure(side, "value", single, exact, bound, np.float32).ulps
