"""The checks of a function's values, and of what it does with its arguments.

A check takes a subject and how many cases to generate, and returns a Finding.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from parity import bounds, digits, theirs
from parity.cases import Case, Dtype
from parity.checking.laws import LAWS, Law, in_words
from parity.checking.report import Finding, Problem, shown
from parity.checking.smallest import Look, search
from parity.checking.subject import Subject, is_default, quietly
from parity.digits import Numbers
from parity.judge import compare, measure, right_value, value_bound, value_dtype
from parity.ops import Op
from scratchnn.ops.shared import AnyArray, Array

DTYPES: tuple[Dtype, ...] = (np.float32, np.float64)
Ask: TypeAlias = Callable[[Subject, Case], object]


# The values, compared with right ones


def hand_values(subject: Subject, _: int) -> Finding:
    """Compare with values that one can compute by hand."""
    for given, value in subject.op.hand_cases():
        case = subject.cut(given)
        if not all(is_default(subject.op, case, option) for option in subject.op.options):
            return Finding(skipped="they are known of the default options alone")
        problem = _problem(subject, case, value)
        if problem:
            return Finding(problem=problem, cases=(case,))
    return Finding()


def extremes(subject: Subject, _: int) -> Finding:
    """Try ties, one class, one dominant logit, large and huge ones, masks of -inf."""
    found = []
    for name, dtype in product(subject.op.extremes, DTYPES):
        case = subject.cut(subject.op.extreme(name, dtype))
        problem = value_problem(subject, case)
        if problem:
            words = f"{name}, {np.dtype(dtype)}: {problem.what}"
            found.append((problem._replace(what=words), case))
    if not found:
        return no_rows(subject)
    return Finding(problem=found[0][0], cases=tuple(case for _, case in found))


def no_rows(subject: Subject) -> Finding:
    """Try a batch without rows, unless the result is a mean, which is then one of nothing."""
    case = subject.cut(subject.op.typical(np.float64))
    if "reduction" in subject.taken and "reduction" not in subject.settings:
        case["reduction"] = "none"
    if case.get("reduction") == "mean":
        return Finding(remark="an empty batch has no mean: not tried")
    rows = {n: case[n][:0] for n in (subject.op.inputs[0], "target") if n in case}
    problem = value_problem(subject, case | rows)
    if problem is None:
        return Finding()
    words = f"a batch without rows: {problem.what}"
    return Finding(problem=problem._replace(what=words), cases=(case | rows,))


def compared_with_oracle(subject: Subject, examples: int) -> Finding:
    """Compare with right answers on generated inputs, within the rounding-error bound."""
    for dtype in DTYPES:
        found = _search(subject, partial(value_problem, subject), dtype, examples)
        if found.problem:
            return found
    return Finding()


def compared_with_torch(subject: Subject, examples: int) -> Finding:
    """Compare with torch on generated inputs, within the bounds of both."""
    if not theirs.has_torch():
        return Finding(skipped="torch is not installed; the oracle was asked")
    return _search(subject, partial(_unlike_torch, subject), np.float32, examples // 2)


def accuracy(subject: Subject, _: int) -> Finding:
    """Measure the largest error in ulps on standard normal numbers; one digit must be right.

    Where one logit dominates, that would be too much to ask: torch has no right digit there.
    """
    case = subject.cut(subject.op.typical(np.float32, 64, 10))
    exact, bound = right_value(subject.op, case), value_bound(subject.op, case)
    sides: dict[str, Callable[[Case], object]] = {
        "yours": subject,
        "scratchnn's": lambda case: subject.op.ours(**case),
    }
    if theirs.has_torch() and "theirs" not in subject.op.missing:
        sides["torch's"] = partial(_torch_value, subject.op)
    try:
        with np.errstate(all="ignore"):
            errors = {side: _ulps(side, f(case), exact, bound) for side, f in sides.items()}
    except Exception:  # the other checks say so
        return Finding(skipped="there is no answer to measure")
    text = ", ".join(f"{side} {ulps:,.2g}" for side, ulps in errors.items())
    lost = 0.25 / float(np.finfo(np.float32).eps)  # a relative error of a quarter
    if not errors["yours"] <= lost:
        words = f"no digit is right somewhere: largest errors in float32 ulps: {text}"
        return Finding(problem=Problem("digits", words), cases=(case,))
    return Finding(remark=f"largest errors on standard normal numbers, in float32 ulps: {text}")


def _search(subject: Subject, look: Look, dtype: Dtype, examples: int) -> Finding:
    op = subject.op
    plain = [name for name in op.inputs if name != "target"]
    typical = subject.cut(op.typical(dtype))
    return search(op.cases(dtype).map(subject.cut), look, examples, plain, typical)


def value_problem(subject: Subject, case: Case) -> Problem | None:
    """Return what is wrong with the function's value for a case, if anything."""
    return _problem(subject, case, right_value(subject.op, case))


def _problem(subject: Subject, case: Case, exact: Numbers) -> Problem | None:
    bound, dtype = value_bound(subject.op, case), value_dtype(subject.op, case)
    return guarded(
        lambda: judged(subject(case), exact, bound, dtype),
        lambda: shown(digits.rounded(exact, dtype)),
    )


def guarded(look: Callable[[], Problem | None], expected: Callable[[], str]) -> Problem | None:
    """Return what `look` does; an exception in it is the function's, and a problem."""
    try:
        return look()
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        got = f"{type(error).__name__}: {error}\n(line {where.lineno}: {where.line})"
        return Problem("raises", f"it raises {type(error).__name__}", expected(), got)


def judged(answer: object, exact: Numbers, bound: ArrayLike, dtype: DTypeLike) -> Problem | None:
    """Return what is wrong with an answer: its type, its shape, or a number beyond its bound."""
    found, kind, got = np.asarray(answer), "value", ""
    if found.dtype.kind not in "fiub":
        kind, got = "kind", repr(answer)[:200]
        words = f"the result is no array of numbers: {type(answer).__name__}"
    elif found.shape != np.shape(exact):
        kind, words = "shape", f"the result must have shape {np.shape(exact)}, got {found.shape}"
    else:
        error = measure("it", "value", as_dtype(found, dtype), exact, bound, dtype)
        if error.holds:
            return None
        at = f"[{', '.join(map(str, error.index))}]" if error.index else ""
        words = (
            f"the answer{at} is {error.value!r}, right is {error.exact!r}: "
            f"off by {error.error:.2g}, where rounding explains {error.tolerance:.2g}"
        )
    return Problem(kind, words, shown(digits.rounded(exact, dtype)), got or shown(found))


def as_dtype(answer: object, dtype: DTypeLike) -> AnyArray:
    """Return an answer in the precision it should have; whether it has it is another check."""
    with np.errstate(all="ignore"):
        return np.asarray(answer).astype(dtype)


def _unlike_torch(subject: Subject, case: Case) -> Problem | None:
    dtype, bound = value_dtype(subject.op, case), value_bound(subject.op, case)
    torchs = _torch_value(subject.op, case)

    def look() -> Problem | None:
        yours = as_dtype(subject(case), dtype)
        difference = compare("value", yours, torchs, bounds.tolerance(bound, dtype))
        if difference.holds:
            return None
        words = (
            f"yours {difference.ours!r}, torch's {difference.torch!r}: apart by "
            f"{difference.difference:.2g}, where rounding explains {difference.tolerance:.2g}"
        )
        return Problem("torch", words, shown(torchs), shown(yours))

    return guarded(look, lambda: shown(torchs))


def _torch_value(op: Op, case: Case) -> AnyArray:
    from parity.convert import to_array, to_tensors

    return to_array(op.theirs(**to_tensors(case)))


def _ulps(side: str, answer: object, exact: Numbers, bound: Array) -> float:
    single = as_dtype(answer, np.float32)
    return measure(side, "value", single, exact, bound, np.float32).ulps


# Properties


def properties(subject: Subject, examples: int) -> Finding:
    """Try what is true whatever the numbers are, on generated inputs in float64."""
    for law in LAWS[subject.op.function]:
        found = _search(subject, partial(_broken, subject, law), np.float64, examples // 4)
        if found.problem:
            return found
    return Finding()


def _broken(subject: Subject, law: Law, case: Case) -> Problem | None:
    """Return how a law is broken, if it is, and holds of the right answer."""
    op, dtype = subject.op, value_dtype(subject.op, case)

    def look(function: Callable[[Case], object]) -> Problem | None:
        def run(case: Case) -> tuple[Array, Array]:
            return as_dtype(function(case), dtype), bounds.allowance(value_bound(op, case), dtype)

        found, right, tolerance = law(run, case)
        with np.errstate(all="ignore"):
            holds = (abs(found - right) <= tolerance) | (found == right)
        if np.all(holds):
            return None
        words = f"it must be that it {in_words(law)}"
        return Problem("property", words, shown(right), shown(found))

    with np.errstate(all="ignore"):
        if look(partial(right_value, op)):  # as where a mean of no rows is NaN
            return None
    right = partial(right_value, op, case)
    return guarded(partial(look, subject), lambda: shown(digits.rounded(right(), dtype)))


# Labels, precision and arguments


def labels(subject: Subject, _: int) -> Finding:
    """Give a label that is no class: NumPy would read -1 as the last one, without a word."""
    if not subject.op.labelled:
        return Finding(skipped="it takes no class indices")
    for label in (-1, 2):
        arrays = {subject.op.inputs[0]: np.zeros((1, 2)), "target": np.array([label])}
        case = {**subject.op.defaults, **subject.settings, **arrays}
        if case["ignore_index"] == label:
            continue
        try:
            answer = subject(case)
        except Exception:
            continue
        words = f"label {label} is no class, and nothing is said"
        problem = Problem("label", words, "an exception", shown(answer))
        return Finding(problem=problem, cases=(case,), warning=True)
    return Finding()


def dtypes(subject: Subject, _: int) -> Finding:
    """float32 in must be float32 out, and float64 float64."""
    for dtype in DTYPES:
        case = subject.cut(subject.op.typical(dtype))
        look = partial(_dtype_problem, subject, case)
        problem = guarded(look, partial("an array of {}".format, np.dtype(dtype)))
        if problem:
            return Finding(problem=problem, cases=(case,))
    return Finding()


def _dtype_problem(subject: Subject, case: Case) -> Problem | None:
    answer, dtype = subject(case), value_dtype(subject.op, case)
    found = np.asarray(answer).dtype
    if found == dtype or type(answer) is float:  # a Python number has no precision of its own
        return None
    kind = "float64" if found == np.float64 else "dtype"
    return Problem(kind, f"{dtype} in must be {dtype} out", str(dtype), str(found))


def inputs(subject: Subject, _: int) -> Finding:
    """Leave the arguments alone; take read-only and strided ones; give the same answer again."""
    case = subject.cut(subject.op.typical(np.float64))
    try:
        plain = np.asarray(subject(case))
    except Exception:  # the checks of values say so
        return Finding()
    for kind, words, ask in TRIALS:
        try:
            answer = np.asarray(ask(subject, case))
            same = answer.shape == plain.shape and np.array_equal(answer, plain, equal_nan=True)
            got = shown(answer)
        except Exception as error:
            same, got = False, f"{type(error).__name__}: {error}"
        if not same:
            return Finding(problem=Problem(kind, words, shown(plain), got), cases=(case,))
    return Finding()


def _modified(subject: Subject, case: Case) -> object:
    """Return the answer.

    Raises   ValueError where an argument has other numbers afterwards
    """
    arrays = subject.arrays(case)
    answer = quietly(subject.function, *arrays.values(), **subject.options(case))
    for name, array in arrays.items():
        if not np.array_equal(array, case[name], equal_nan=True):
            raise ValueError(f"{name} is {shown(array)} afterwards, was {shown(case[name])}")
    return answer


def _read_only(subject: Subject, case: Case) -> object:
    arrays = subject.arrays(case).values()
    for array in arrays:
        array.flags.writeable = False
    return quietly(subject.function, *arrays, **subject.options(case))


def _strided(subject: Subject, case: Case) -> object:
    arrays = [
        np.repeat(np.asfortranarray(a), 2, axis=0)[::2] for a in subject.arrays(case).values()
    ]
    return quietly(subject.function, *arrays, **subject.options(case))


def _again(subject: Subject, case: Case) -> object:
    return subject(case)


TRIALS: tuple[tuple[str, str, Ask], ...] = (
    ("again", "it answers differently when asked again", _again),
    ("modified", "it modifies its argument", _modified),
    ("read-only", "it does not take read-only arrays", _read_only),
    ("strided", "it answers differently for arrays that are not contiguous", _strided),
)
