"""What a function does besides computing: its precision, and what becomes of its arguments."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from parity import right
from parity.battery.answer import guarded
from parity.battery.finding import Problem, shown
from parity.battery.outcome import DTYPES, Broken, Outcome
from parity.battery.subject import Subject, quietly
from parity.battery.typical import typical
from parity.strategies import Case


def dtypes(subject: Subject, _: int) -> Outcome:
    """float32 in must be float32 out, and float64 float64."""
    for dtype in DTYPES:
        case = subject.cut(typical(subject.op, dtype))
        look = partial(_dtype_problem, subject, case)
        problem = guarded(look, right.value(subject.op, case), np.dtype(dtype))
        if problem:
            return Broken(problem, case, [case], cause=CAUSES.get(problem.kind, ""))
    return None


CAUSES = {
    "float64": "float64 came in on the way: by np.zeros or np.eye without dtype, or a NumPy scalar",
    "modified": "an in-place operation (z -= ...) on the argument: it is the caller's array",
    "read-only": "an in-place operation on the argument: copy it first",
    "strided": "it reads memory in the order of another layout: .data, .ravel('K') or .view",
    "again": "it keeps something from the last call, or is random",
}


def inputs(subject: Subject, _: int) -> Outcome:
    """Leave the arguments alone; take read-only and non-contiguous ones; answer twice alike."""
    case = subject.cut(typical(subject.op, np.float64))
    try:
        plain = np.asarray(subject(case))
    except Exception:
        return None  # the values say so
    for kind, what, ask in TRIALS:
        try:
            answer = np.asarray(ask(subject, case))
            alike = answer.shape == plain.shape and np.array_equal(answer, plain, equal_nan=True)
            got = shown(answer)
        except Exception as error:
            alike, got = False, f"{type(error).__name__}: {error}"
        if not alike:
            problem = Problem(kind, what, shown(plain), got)
            return Broken(problem, case, [case], cause=CAUSES[kind])
    return None


def _modified(subject: Subject, case: Case) -> Any:
    """Return the answer, or what became of the argument."""
    arrays = subject.arrays(case)
    answer = quietly(subject.function, *arrays, **subject.named(case))
    for name, array in zip(subject.op.arguments, arrays, strict=True):
        if not np.array_equal(array, case[name], equal_nan=True):
            raise ValueError(f"{name} is {shown(array)} afterwards, was {shown(case[name])}")
    return answer


def _read_only(subject: Subject, case: Case) -> Any:
    arrays = subject.arrays(case)
    for array in arrays:
        array.flags.writeable = False
    return quietly(subject.function, *arrays, **subject.named(case))


def _strided(subject: Subject, case: Case) -> Any:
    arrays = [np.repeat(np.asfortranarray(a), 2, axis=0)[::2] for a in subject.arrays(case)]
    return quietly(subject.function, *arrays, **subject.named(case))


TRIALS: tuple[tuple[str, str, Callable[[Subject, Case], Any]], ...] = (
    ("modified", "it modifies its argument", _modified),
    ("read-only", "it does not take read-only arrays", _read_only),
    ("strided", "it answers differently for arrays that are not contiguous", _strided),
    ("again", "it answers differently when asked again", lambda subject, case: subject(case)),
)


def _dtype_problem(subject: Subject, case: Case) -> Problem | None:
    result, dtype = subject(case), right.dtype_of(subject.op, case)
    found = np.asarray(result).dtype
    if found == dtype or type(result) is float:  # Python's has no precision of its own
        return None
    kind = "float64" if found == np.float64 else "dtype"
    return Problem(kind, f"{dtype} in must be {dtype} out", str(dtype), str(found))
