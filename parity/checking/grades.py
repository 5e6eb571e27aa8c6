"""The checks: what is found in values, in gradients, and in how arguments are treated.

They come in the order of the grades. wrong: at ordinary numbers another value or gradient;
unstable: lost at extreme ones; differs: right, but not as torch has it; right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

import numpy as np

from parity import judge
from parity.cases import Case
from parity.checking import inputs
from parity.checking.asking import CLEAR, DY, Asked, Problem, numbers
from parity.checking.identify import FITS
from parity.checking.inputs import DTYPES, Input
from parity.checking.subject import RaisedError
from scratchnn.ops.shared import AnyArray

WRONG, UNSTABLE, DIFFERS, RIGHT = GRADES = ("wrong", "unstable", "differs", "right")
KEPT = 12  # cases of a finding, for the diagnosis
PLACES = ("value", "gradient")
CHECKS = {
    "ordinary numbers": "is it right on plain numbers, within rounding?",
    "options": "is it right with each option that it takes?",
    "extreme numbers": "is it right for large, tiny, tied and masked numbers?",
    "special inputs": "a single row or class, an empty batch, the mean of nothing: as torch?",
    "slope at 0": "is the slope at a kink 0, as torch's?",
    "dtype": "does float32 in give float32 out?",
    "arguments": "are the arguments left unchanged, read-only and strided ones taken?",
    "warnings": "is NumPy silent where the answer is right?",
    "labels": "are labels that are no class refused? (a remark)",
}


@dataclass(frozen=True)
class Finding:
    """What is wrong, or different.

    Parts    place     "value" or "gradient"
             grade     one of GRADES; "right" for a remark
             check     a key of CHECKS
             what      the problem in words
             problem   the answers of the example
             case      the example
             cases     all cases that show it
             since     from where on it is lost
             seen      other checks that show the same
             cause, user_line, mended, flaw    filled in by the diagnosis
    """

    place: str
    grade: str
    check: str
    what: str
    problem: Problem | None = None
    case: Case | None = None
    cases: tuple[Case, ...] = ()
    since: str = ""
    seen: tuple[str, ...] = ()
    cause: str = ""
    known: bool = False
    user_line: str = ""
    mended: str = ""
    notes: tuple[str, ...] = field(default=())


def examine(asked: Asked) -> list[Finding]:
    """Run all checks of a value or a gradient."""
    place = PLACES[asked.gradient]
    bad = [*lost(asked, place)]
    found = [*bad, *_differences(asked, place, bad)]
    return sorted(found, key=lambda finding: GRADES.index(finding.grade))


# Wrong and unstable


def lost(asked: Asked, place: str) -> Iterator[Finding]:
    """Yield what is wrong at ordinary numbers, then what is lost at extremes."""
    groups = {
        "ordinary numbers": _problems(asked, inputs.ordinary(asked.row)),
        "options": _problems(asked, inputs.options(asked.reading)),
    }
    bad = {check: [p for p in found if _is_wrong(p[1])] for check, found in groups.items()}
    for check, found in bad.items():
        if found and not (check == "options" and bad["ordinary numbers"]):
            yield _shown(asked, place, WRONG, check, found)
    if bad["ordinary numbers"]:
        return
    small = {check: [p for p in found if not _is_wrong(p[1])] for check, found in groups.items()}
    extreme = _problems(asked, inputs.extremes(asked.reading), strict=not asked.gradient)
    clear = [p for p in extreme if p[1].size >= CLEAR]
    found = [*(clear or extreme), *small["ordinary numbers"], *small["options"]]
    if found and not (bad["options"] and not extreme):
        checks = [c for c, f in (*small.items(), ("extreme numbers", extreme)) if f]
        yield replace(_shown(asked, place, UNSTABLE, checks[-1], found), seen=tuple(checks[:-1]))


def _is_wrong(problem: Problem) -> bool:
    return problem.kind != "value" or problem.size > FITS


Found = tuple[Input, Problem]


def _problems(asked: Asked, given: Iterable[Input], strict: bool = False) -> list[Found]:
    found = []
    for case in given:
        prepared = _prepared(asked, case)
        with np.errstate(all="ignore"):
            problem = asked.problem(prepared, strict)
        if problem:
            found.append((replace(case, case=prepared), problem))
    return found


def _prepared(asked: Asked, given: Input, seed: int = 0) -> Case:
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
        case = _prepared(asked, given)
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
        case = _prepared(asked, given)
        with np.errstate(all="ignore"):
            problem = asked.problem(case)
        if problem and problem.size >= CLEAR:
            return f"for {name} below {given.scale:.0e}".replace("e-0", "e-")
    return ""


# Where it differs from torch


def _differences(asked: Asked, place: str, lost: Sequence[Finding]) -> Iterator[Finding]:
    wrong = any(finding.grade == WRONG and finding.check == "ordinary numbers" for finding in lost)
    if not wrong:
        for given in inputs.special(asked.reading):
            yield from _special(asked, place, given, bool(lost))
        yield from _kink(asked, place)
    yield from _dtype(asked, place)
    yield from _arguments(asked, place)
    if not lost:
        yield from _warnings(asked, place)
    if not wrong and not asked.gradient:
        yield from _labels(asked)


def _special(asked: Asked, place: str, given: Input, lost: bool) -> Iterator[Finding]:
    try:
        case = asked.prepared(given.case)
        with np.errstate(all="ignore"):
            problem = asked.problem(case)
    except ValueError:  # nobody knows the right answer
        return
    if given.words == inputs.NOTHING and not asked.gradient:
        problem = problem or _of_nothing(asked, case)
    if problem and not (lost and problem.kind == "value" and given.words != inputs.NOTHING):
        what = f"{given.words}: {problem.words}"
        grade = RIGHT if given.words == inputs.MASKS else DIFFERS  # infinities judge nobody
        yield Finding(place, grade, "special inputs", what, problem, case, (case,))


def _of_nothing(asked: Asked, case: Case) -> Problem | None:
    """Return what a function has for the mean of nothing, where that is not NaN."""
    try:
        got = numbers(asked(case).arrays[""], np.float64)
    except RaisedError:
        return None
    if got is None or np.isnan(got).all():
        return None
    return Problem("value", f"the answer is {got}, torch's is nan", got, np.asarray(np.nan))


def _kink(asked: Asked, place: str) -> Iterator[Finding]:
    given = inputs.at_the_kink(asked.row)
    if given is None or not asked.gradient:
        return
    case = asked.prepared(given)
    if problem := asked.problem(case):
        yield Finding(place, DIFFERS, "slope at 0", problem.words, problem, case, (case,))


def _typical(asked: Asked, dtype: Any) -> Case:
    shape = (5, 4, 3) if asked.row.products else (5, 4)
    return asked.prepared(asked.row.plain(shape, dtype, 3))


def _dtype(asked: Asked, place: str) -> Iterator[Finding]:
    """float32 in must be float32 out, and float64 float64; a Python number has no precision."""
    for dtype in DTYPES:
        case = _typical(asked, dtype)
        try:
            answers = asked(case).arrays
        except RaisedError:
            return
        own = str(np.dtype(dtype))
        for role, answer in answers.items():
            got = str(np.asarray(answer).dtype)
            if type(answer) is float or got == own or np.asarray(answer).dtype.kind not in "fiucO":
                continue
            if got == "object":
                what = "an array of Python objects comes back, and not of numbers"
            else:
                what = f"{own} in, {got} out"
            what += f" (d{role})" if role else ""
            problem = Problem("dtype", what, role=role)
            yield Finding(place, DIFFERS, "dtype", what, problem, None, (case,))
            return


def _arguments(asked: Asked, place: str) -> Iterator[Finding]:
    """Leave the arguments alone; take read-only and strided ones; give the same answer again."""
    case = _typical(asked, np.float64)
    try:
        plain = asked(case).arrays
        changed = _changed(asked, case)
    except RaisedError:
        return
    if changed:
        problem = Problem("modified", changed)
        yield Finding(place, DIFFERS, "arguments", changed, problem, None, (case,))
        return
    trials: dict[str, tuple[str, Callable[[AnyArray], AnyArray]]] = {
        "again": ("it answers differently when asked again", np.array),
        "read-only": ("it does not take read-only arrays", _read_only),
        "strided": ("it answers differently for arrays that are not contiguous", _strided),
    }
    for kind, (words, change) in trials.items():
        try:
            again = _with(asked, case, change)
            same = all(np.array_equal(plain[r], again[r], equal_nan=True) for r in plain)
        except TypeError:
            same = True  # of objects
        except RaisedError:
            same = False
        if not same:
            yield Finding(place, DIFFERS, "arguments", words, Problem(kind, words), None, (case,))
            return


def _read_only(array: AnyArray) -> AnyArray:
    array = np.array(array)
    array.flags.writeable = False
    return array


def _strided(array: AnyArray) -> AnyArray:
    return np.repeat(np.asfortranarray(array), 2, axis=0)[::2] if np.ndim(array) else array


def _with(asked: Asked, case: Case, change: Callable[[AnyArray], AnyArray]) -> dict[str, Any]:
    """Ask with arguments that are changed in how they lie in memory."""
    if asked.subject.tensors and change is not np.array:
        return asked(case).arrays
    return replace_copy(asked, change)(case).arrays


def replace_copy(asked: Asked, change: Callable[[AnyArray], AnyArray]) -> Asked:
    return replace(asked, copy=change)


def _changed(asked: Asked, case: Case) -> str:
    """Return which argument it writes into, in words; empty where none."""
    given: list[tuple[str, Any, Any]] = []

    def keep(array: AnyArray) -> AnyArray:
        mine = np.array(array)
        given.append(("", mine, np.array(array)))
        return mine

    watching = replace(asked, copy=keep)
    watching(case)
    names = [*(asked.reading.gradient.roles if asked.gradient and asked.reading.gradient else ())]
    first = [*asked.reading.binding]
    roles = first + names
    for index, (_, now, before) in enumerate(given):
        if not np.array_equal(now, before, equal_nan=now.dtype.kind == "f"):
            called = roles[index % len(roles)] if roles else "its argument"
            return f"it writes into its argument {_said(asked, called, index < len(first))}"
    return ""


def _said(asked: Asked, role: str, forward: bool) -> str:
    """Return the user's name of an argument."""
    subject, reading = asked.subject, asked.reading
    places = subject.places() if forward else subject.backward_places()
    roles = reading.binding if forward else (reading.gradient.roles if reading.gradient else ())
    pairs = dict(zip(roles, places or (), strict=False))
    return pairs.get(role, role)


def _warnings(asked: Asked, place: str) -> Iterator[Finding]:
    given = chain(inputs.ordinary(asked.row), inputs.extremes(asked.reading))
    for case in (_prepared(asked, g) for g in given):
        floats = [x for x in case.values() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        if not all(np.isfinite(x).all() for x in floats):
            continue
        try:
            warned = [w for w in asked(case).warned if "encountered" in w]
            warned = [] if _has_log_0(asked, case) else warned
        except RaisedError:
            continue
        if warned:
            what = f"the answer is right, and NumPy warns: {warned[0]}"
            problem = Problem("warns", what)
            yield Finding(place, DIFFERS, "warnings", what, problem, case, (case,))
            return


def _has_log_0(asked: Asked, case: Case) -> bool:
    """Whether a probability is 0 or 1: its logarithm is infinite, and NumPy says so."""
    given = [case[n] for n in ("p", "q", "target") if n in case and case[n].dtype.kind == "f"]
    return asked.row.inputs[0] in ("p", "q") and any(((x == 0) | (x == 1)).any() for x in given)


def _labels(asked: Asked) -> Iterator[Finding]:
    """Give a label that is no class: NumPy would read -1 as the last one, without a word."""
    if not asked.row.labelled or asked.reading.form != "indices" or asked.reading.layout.each:
        return
    case = asked.prepared(asked.row.plain((2, 3), np.float64))
    for label in (-1, 3):
        wrong = case | {"target": np.array([0, label])}
        if case.get("ignore_index") == label:
            continue
        try:
            asked(wrong)
        except RaisedError:
            continue
        what = f"label {label} is no class, and nothing is said: torch raises"
        yield Finding("value", RIGHT, "labels", what, Problem("label", what), None, (wrong,))
        return


def measured(asked: Asked) -> dict[str, float]:
    """Return the largest errors of each side in float32 ulps, on normal and on wide numbers."""
    from parity import theirs
    from parity.checking.readings import ROWS

    row, sides = asked.row, {}
    if row.products or asked.reading.layout is not ROWS or asked.gradient:
        return {}
    for scale in (1.0, 10.0):
        case = asked.prepared(row.plain((64, 10), np.float32, 5))
        if row.inputs[0] in ("z", "prediction"):
            case = case | {row.inputs[0]: case[row.inputs[0]] * np.float32(scale)}
        exact, bound = judge.right_value(row, case), judge.value_bound(row, case)
        answers: dict[str, Any] = {"yours": lambda case=case: _undone(asked, case)}
        if theirs.has_torch() and "theirs" not in row.missing:
            answers["torch's"] = lambda case=case: _torch(row, case)
        for side, answer in answers.items():
            found = answer()
            got = None if found is None else numbers(found, np.float32)
            if got is None or got.shape != np.shape(exact):
                return {}
            ulps = judge.measure(side, "value", got, exact, bound, np.float32).ulps
            sides[side] = max(ulps, sides.get(side, 0.0))
    return sides


def _undone(asked: Asked, case: Case) -> Any:
    reading = asked.reading
    if reading.reduction.over or reading.reduction.per_row or reading.factor.value != 1:
        return None
    return asked(case).arrays[""]


def _torch(row: Any, case: Case) -> Any:
    from parity.convert import to_array, to_tensors

    return to_array(row.theirs(**to_tensors(case)))


assert DY
