"""Where an implementation differs from torch, though its numbers are right; and its accuracy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parity import judge, theirs
from parity.cases import Case, Dtype
from parity.checking import inputs
from parity.checking.asking import Asked, Problem, apart, numbers
from parity.checking.calls import RaisedError
from parity.checking.classes import Mismatch
from parity.checking.conventions import COLUMNS, ROWS
from parity.checking.findings import DIFFERS, RIGHT, WRONG, Finding
from parity.checking.inputs import DTYPES, Input
from parity.checking.lost import LOST
from parity.checking.rounding import in_single
from parity.ops import Op
from scratchnn.ops.shared import AnyArray

AXIS = re.compile(r"axis|[(,] ?-?[01]\)")  # of code: axis=1, .sum(1), np.sum(x, 1)


def differences(asked: Asked, place: str, lost: Sequence[Finding]) -> Iterator[Finding]:
    """Yield what differs from torch, once `lost` has tried ordinary and extreme numbers."""
    heard = [*asked.heard]
    wrong = any(finding.grade == WRONG and finding.check == "ordinary numbers" for finding in lost)
    if not wrong:
        for given in inputs.special(asked.reading):
            yield from _special(asked, place, given, bool(lost))
        yield from _kink(asked, place)
    yield from _dtype(asked, place)
    yield from _arguments(asked, place)
    if not lost:
        yield from _warnings(asked, place, heard)
    if not wrong and not asked.gradient:
        yield from _labels(asked)
        yield from _layout(asked)


def _special(asked: Asked, place: str, given: Input, lost: bool) -> Iterator[Finding]:
    try:
        case = asked.prepared(given.case)
        with np.errstate(all="ignore"):
            problem = asked.problem(case)
    except ValueError:  # nobody knows the right answer
        return
    if given.words == inputs.NOTHING and not asked.gradient:
        problem = problem or _of_nothing(asked, case)
    small = bool(problem and problem.kind == "value" and (lost or problem.size <= LOST))
    if problem and (not small or given.words == inputs.NOTHING):
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


def _typical(asked: Asked, dtype: Dtype) -> Case:
    shape = (5, 4, 3) if asked.row.products else (5, 4)
    return asked.prepared(asked.row.plain(shape, dtype, 3))


def _dtype(asked: Asked, place: str) -> Iterator[Finding]:
    """float32 in must be float32 out, and float64 float64; a Python number has no precision."""
    if _computes_in_single(asked):
        case = _typical(asked, np.float64)
        problem = Problem("single", SINGLE)
        yield Finding(place, DIFFERS, "dtype", SINGLE, problem, None, (case,))
        return
    for dtype in DTYPES:
        case = _typical(asked, dtype)
        try:
            answers = asked(case).arrays
        except RaisedError:
            return
        own = str(np.dtype(dtype))
        for role, answer in answers.items():
            got = str(np.asarray(answer).dtype)
            if type(answer) is float or got == own or numbers(answer, dtype) is None:
                continue
            if got == "object":
                what = "an array of Python objects comes back, and not of numbers"
            else:
                what = f"{own} in, {got} out"
            what += f" (d{role})" if role else ""
            problem = Problem("dtype", what, got, role=role)
            yield Finding(place, DIFFERS, "dtype", what, problem, None, (case,))
            return


SINGLE = "it computes in float32 what it is given in float64"


def _computes_in_single(asked: Asked) -> bool:
    """Whether it computes in float32, and does not return that."""
    case = _typical(asked, np.float64)
    lost = asked.problem(case)
    if lost is None or lost.size > LOST or not in_single(asked, case):
        return False
    return all(np.asarray(x).dtype != np.float32 for x in asked(case).arrays.values())


def _arguments(asked: Asked, place: str) -> Iterator[Finding]:
    """Leave the arguments alone; take read-only and strided ones."""
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
    for kind, (words, change) in TRIALS.items():
        try:
            again = _with(asked, case, change)
            same = all(_equal(plain[r], again[r]) for r in plain)
        except TypeError:
            same = True  # of objects
        except RaisedError:
            same = False
        if not same:
            yield Finding(place, DIFFERS, "arguments", words, Problem(kind, words), None, (case,))
            return


def _equal(one: object, other: object) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)


def _read_only(array: AnyArray) -> AnyArray:
    array = np.array(array)
    array.flags.writeable = False
    return array


def _strided(array: AnyArray) -> AnyArray:
    return np.repeat(np.asfortranarray(array), 2, axis=0)[::2] if np.ndim(array) else array


TRIALS: dict[str, tuple[str, Callable[[AnyArray], AnyArray]]] = {
    "read-only": ("it does not take read-only arrays", _read_only),
    "strided": ("it answers differently for arrays that are not contiguous", _strided),
}


def _with(asked: Asked, case: Case, change: Callable[[AnyArray], AnyArray]) -> dict[str, Any]:
    """Ask with arguments that are changed in how they lie in memory."""
    if asked.subject.tensors and change is not np.array:
        return asked(case).arrays
    return replace_copy(asked, change)(case).arrays


def replace_copy(asked: Asked, change: Callable[[AnyArray], AnyArray]) -> Asked:
    return replace(asked, copy=change)


def _changed(asked: Asked, case: Case) -> str:
    """Return which argument it writes into, in words; empty where none."""
    given: list[tuple[AnyArray, AnyArray]] = []

    def keep(array: AnyArray) -> AnyArray:
        mine = np.array(array)
        given.append((mine, np.array(array)))
        return mine

    watching = replace(asked, copy=keep)
    watching(case)
    names = [*(asked.reading.gradient.roles if asked.gradient and asked.reading.gradient else ())]
    first = [*asked.reading.binding]
    roles = first + names
    for index, (now, before) in enumerate(given):
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


def _warnings(asked: Asked, place: str, heard: list[tuple[Case, str]]) -> Iterator[Finding]:
    """Report the first warning of NumPy's where the answer was right."""
    for case, words in heard:
        floats = [x for x in case.values() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        if all(np.isfinite(x).all() for x in floats) and not _has_log_0(asked, case):
            what = f"the answer is right, and NumPy warns: {words}"
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


def _layout(asked: Asked) -> Iterator[Finding]:
    """Remark that an example is a row, or a column, by the divisor of the mean alone.

    Of the other layout, such a function gives N / C times the right mean. Code that names an axis
    says which it means.
    """
    reading = asked.reading
    if AXIS.search(asked.subject.source):
        return
    if reading.layout not in (ROWS, COLUMNS) or "target" not in reading.row.arguments:
        return
    turned = COLUMNS if reading.layout is ROWS else ROWS
    other = replace(asked, reading=replace(reading, layout=turned), heard=[])
    N, C = 5, 4
    case = other.prepared(reading.row.plain((N, C), np.float64, 3))
    try:
        got = numbers(other(case).arrays[""], np.float64)
    except (RaisedError, Mismatch):
        return
    right = np.asarray(other.reading.right(case), np.float64)
    if got is None or got.shape != right.shape or apart(got, right * N / C) > LOST:
        return
    taken, others = ("rows", "columns")[:: 1 if reading.layout is ROWS else -1]
    what = f"the {taken} are the examples: the layout was found by the divisor alone; were they "
    what += f"the {others}, the mean would be N / C times the right one"
    yield Finding("value", RIGHT, "layout", what, Problem("layout", what), None, (case,))


def measured(asked: Asked) -> dict[str, float]:
    """Return the largest errors of each side in float32 ulps, on normal and on wide numbers."""
    row = asked.row
    sides: dict[str, float] = {}
    if row.products or asked.reading.layout is not ROWS or asked.gradient:
        return {}
    for scale in (1.0, 10.0):
        case = asked.prepared(row.plain((64, 10), np.float32, 5))
        if row.inputs[0] in ("z", "prediction"):
            case = case | {row.inputs[0]: case[row.inputs[0]] * np.float32(scale)}
        exact, bound = judge.right_value(row, case), judge.value_bound(row, case)
        answers: dict[str, object] = {"yours": _undone(asked, case)}
        if theirs.has_torch() and "theirs" not in row.missing:
            answers["torch's"] = _torch(row, case)
        for side, found in answers.items():
            got = None if found is None else numbers(found, np.float32)
            if got is None or got.shape != np.shape(exact):
                return {}
            ulps = judge.measure(side, "value", got, exact, bound, np.float32).ulps
            sides[side] = max(ulps, sides.get(side, 0.0))
    return sides


def _undone(asked: Asked, case: Case) -> object:
    reading = asked.reading
    if reading.reduction.over or reading.reduction.per_row or reading.factor.value != 1:
        return None
    try:
        return asked(case).arrays[""]
    except (RaisedError, Mismatch):  # it takes no 64 rows, for instance
        return None


def _torch(row: Op, case: Case) -> AnyArray:
    from parity.convert import to_array, to_tensors

    return to_array(row.theirs(**to_tensors(case)))
