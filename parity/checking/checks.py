"""The checks: of a function's values, of what it does with its arguments, and of its backward.

A check takes what is asked, and how many cases to generate. It returns a Finding, or None where
nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from inspect import Parameter, Signature
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from parity import bounds, digits, judge, theirs
from parity.cases import Case, Dtype
from parity.checking.laws import LAWS, Law, in_words
from parity.checking.report import Finding, first, search, shown
from parity.checking.subject import DY, Asked, Backward, RaisedError, Subject, is_default
from parity.digits import Numbers
from parity.ops import Function, Op
from scratchnn import gradcheck
from scratchnn.ops.shared import AnyArray, Array

DTYPES: tuple[Dtype, ...] = (np.float32, np.float64)


def hand_values(subject: Subject, _: int) -> Finding | None:
    """Compare with values that one can compute by hand."""
    for given, value in subject.op.hand_cases():
        case = subject.prepared(given)
        if not all(is_default(subject.op, case, option) for option in subject.op.options):
            return Finding(skipped="they are known of the default options alone")
        problem = first(subject, [case], partial(_value_problem, subject, exact=value))
        if problem:
            return problem
    return None


def extremes(subject: Subject, _: int) -> Finding | None:
    """Try ties, one class, one dominant logit, large and huge ones, masks of -inf, and no rows."""
    look, found = partial(_value_problem, subject), []
    for name, dtype in product(subject.op.extremes, DTYPES):
        case = subject.prepared(subject.op.extreme(name, dtype))
        problem = first(subject, [case], look)
        if problem:
            found.append(replace(problem, what=f"{name}, {np.dtype(dtype)}: {problem.what}"))
    if found:
        return replace(found[0], cases=tuple(problem.cases[0] for problem in found))
    case = subject.typical(np.float64)
    if "reduction" in subject.taken and "reduction" not in subject.settings:
        case["reduction"] = "none"
    if case.get("reduction") == "mean":
        return Finding(remark="an empty batch has no mean: not tried")
    rows = {n: case[n][:0] for n in (subject.op.inputs[0], "target") if n in case}
    problem = first(subject, [case | rows], look)
    return problem and replace(problem, what=f"a batch without rows: {problem.what}")


def compared_with_oracle(subject: Subject, examples: int) -> Finding | None:
    """Compare with right answers on generated inputs, within the rounding-error bound."""
    look = partial(_value_problem, subject)
    found = (search(subject, dtype, look, examples) for dtype in DTYPES)
    return next(filter(None, found), None)


def compared_with_torch(subject: Subject, examples: int) -> Finding | None:
    """Compare with torch on generated inputs, within the bounds of both."""
    if not theirs.has_torch():
        return Finding(skipped="torch is not installed; the oracle was asked")
    return search(subject, np.float32, partial(_unlike_torch, subject), examples // 2)


def accuracy(subject: Subject, _: int) -> Finding:
    """Measure the largest error in ulps on standard normal numbers; one digit must be right.

    Where one logit dominates, that would be too much to ask: torch has no right digit there.
    """
    case = subject.typical(np.float32, 64, 10)
    exact, bound = judge.right_value(subject.op, case), judge.value_bound(subject.op, case)
    sides: dict[str, Callable[[Case], object]] = {"yours": subject}
    sides["scratchnn's"] = lambda case: subject.op.ours(**case)
    if theirs.has_torch() and "theirs" not in subject.op.missing:
        sides["torch's"] = partial(_torch_value, subject.op)
    errors = {}
    try:
        for side, function in sides.items():
            answer = as_dtype(function(case), np.float32)
            errors[side] = judge.measure(side, "value", answer, exact, bound, np.float32).ulps
    except Exception:  # the other checks say so
        return Finding(skipped="there is no answer to measure")
    text = ", ".join(f"{side} {ulps:,.2g}" for side, ulps in errors.items())
    lost = 0.25 / float(np.finfo(np.float32).eps)  # a relative error of a quarter
    if not errors["yours"] <= lost:
        words = f"no digit is right somewhere: largest errors in float32 ulps: {text}"
        return Finding("digits", words, cases=(case,))
    return Finding(remark=f"largest errors on standard normal numbers, in float32 ulps: {text}")


def _value_problem(subject: Subject, case: Case, exact: Numbers | None = None) -> Finding | None:
    exact = judge.right_value(subject.op, case) if exact is None else exact
    bound, dtype = judge.value_bound(subject.op, case), judge.value_dtype(subject.op, case)
    return judged(subject(case), exact, bound, dtype)


def judged(answer: object, exact: Numbers, bound: ArrayLike, dtype: DTypeLike) -> Finding | None:
    """Return what is wrong with an answer: its type, its shape, or a number beyond its bound."""
    found, kind, got = np.asarray(answer), "value", ""
    if found.dtype.kind not in "fiub":
        kind, got = "kind", repr(answer)[:200]
        words = f"the result is no array of numbers: {type(answer).__name__}"
    elif found.shape != np.shape(exact):
        kind, words = "shape", f"the result must have shape {np.shape(exact)}, got {found.shape}"
    else:
        error = judge.measure("it", "value", as_dtype(found, dtype), exact, bound, dtype)
        if error.holds:
            return None
        words = (
            f"the answer{judge.at(error.index)} is {error.value!r}, right is {error.exact!r}: "
            f"off by {error.error:.2g}, where rounding explains {error.tolerance:.2g}"
        )
    return Finding(kind, words, shown(digits.rounded(exact, dtype)), got or shown(found))


def as_dtype(answer: object, dtype: DTypeLike) -> AnyArray:
    """Return an answer in the precision it should have; whether it has it is another check."""
    with np.errstate(all="ignore"):
        try:
            return np.asarray(answer).astype(dtype)
        except (TypeError, ValueError) as error:
            raise RaisedError(f"its answer is no array of numbers: {error}") from error


def _unlike_torch(subject: Subject, case: Case) -> Finding | None:
    dtype, bound = judge.value_dtype(subject.op, case), judge.value_bound(subject.op, case)
    torchs, yours = _torch_value(subject.op, case), as_dtype(subject(case), dtype)
    if yours.shape != torchs.shape:
        words = f"the result must have shape {torchs.shape}, as torch's, got {yours.shape}"
        return Finding("shape", words, shown(torchs), shown(yours))
    difference = judge.compare("value", yours, torchs, bounds.tolerance(bound, dtype))
    if difference.holds:
        return None
    words = (
        f"yours {difference.ours!r}, torch's {difference.torch!r}: apart by "
        f"{difference.difference:.2g}, where rounding explains {difference.tolerance:.2g}"
    )
    return Finding("torch", words, shown(torchs), shown(yours))


def _torch_value(op: Op, case: Case) -> AnyArray:
    from parity.convert import to_array, to_tensors

    return to_array(op.theirs(**to_tensors(case)))


def properties(subject: Subject, examples: int) -> Finding | None:
    """Try what is true whatever the numbers are, on generated inputs in float64."""
    looks = [partial(_broken, subject, law) for law in LAWS[subject.op.function]]
    found = (search(subject, np.float64, look, examples // 4) for look in looks)
    return next(filter(None, found), None)


def _broken(subject: Subject, law: Law, case: Case) -> Finding | None:
    """Return how a law is broken, if it is, and holds of the right answer."""
    op, dtype = subject.op, judge.value_dtype(subject.op, case)

    def look(function: Callable[[Case], object]) -> Finding | None:
        def run(case: Case) -> tuple[Array, Array]:
            allowed = bounds.allowance(judge.value_bound(op, case), dtype)
            return as_dtype(function(case), dtype), allowed

        found, right, tolerance = law(run, case)
        with np.errstate(all="ignore"):
            holds = (abs(found - right) <= tolerance) | (found == right)
        words = f"it must be that it {in_words(law)}"
        return None if np.all(holds) else Finding("property", words, shown(right), shown(found))

    with np.errstate(all="ignore"):
        if look(partial(judge.right_value, op)):  # as where a mean of no rows is NaN
            return None
    shape, given = np.shape(judge.right_value(op, case)), np.shape(subject(case))
    if given != shape:
        return Finding("shape", f"the result must have shape {shape}, got {given}")
    return look(subject)


def labels(subject: Subject, _: int) -> Finding | None:
    """Give a label that is no class: NumPy would read -1 as the last one, without a word."""
    if not subject.op.labelled:
        return Finding(skipped="it takes no class indices")
    for label in (-1, 2):
        arrays = {subject.op.inputs[0]: np.zeros((1, 2)), "target": np.array([label])}
        case = {**subject.op.defaults, **subject.settings, **arrays}
        if case["ignore_index"] == label:
            continue
        try:
            got = shown(subject(case))
        except Exception:
            continue
        words = f"label {label} is no class, and nothing is said"
        return Finding("label", words, "an exception", got, (case,), warning=True)
    return None


def dtypes(subject: Subject, _: int) -> Finding | None:
    """float32 in must be float32 out, and float64 float64."""

    def look(case: Case) -> Finding | None:
        return _dtype_problem([subject(case)], str(judge.value_dtype(subject.op, case)))

    return first(subject, map(subject.typical, DTYPES), look)


def _dtype_problem(answers: list[object], dtype: str) -> Finding | None:
    """Return whether an answer has another dtype. A Python number has no precision of its own."""
    found = {str(np.asarray(answer).dtype): None for answer in answers if type(answer) is not float}
    if found.keys() <= {dtype}:
        return None
    kind = "float64" if "float64" in found and dtype != "float64" else "dtype"
    return Finding(kind, f"{dtype} in must be {dtype} out", dtype, ", ".join(found))


def inputs(subject: Subject, _: int) -> Finding | None:
    """Leave the arguments alone; take read-only and strided ones; give the same answer again."""
    return first(subject, [subject.typical(np.float64)], partial(_input_problem, subject))


def _input_problem(subject: Subject, case: Case) -> Finding | None:
    try:
        plain, problem = np.asarray(subject(case)), _modified(subject, case)
    except Exception:  # the checks of values say so
        return None
    if problem:
        return problem
    for kind, words, change in TRIALS:
        try:
            given = map(change, subject.arrays(case).values())
            answer = np.asarray(subject.call(*given, case=case))
            same = answer.shape == plain.shape and np.array_equal(answer, plain, equal_nan=True)
            got = shown(answer)
        except Exception as error:
            same, got = False, f"{type(error).__name__}: {error}"
        if not same:
            return Finding(kind, words, shown(plain), got)
    return None


def _read_only(array: AnyArray) -> AnyArray:
    array.flags.writeable = False
    return array


def _strided(array: AnyArray) -> AnyArray:
    return np.repeat(np.asfortranarray(array), 2, axis=0)[::2]


TRIALS: tuple[tuple[str, str, Callable[[AnyArray], AnyArray]], ...] = (
    ("again", "it answers differently when asked again", np.asarray),
    ("read-only", "it does not take read-only arrays", _read_only),
    ("strided", "it answers differently for arrays that are not contiguous", _strided),
)


def _modified(asked: Asked, case: Case) -> Finding | None:
    arrays = asked.arrays(case)
    before = {name: np.array(array) for name, array in arrays.items()}
    asked.call(*arrays.values(), case=case)
    for name, old in before.items():
        if not np.array_equal(arrays[name], old, equal_nan=True):
            words = f"it modifies its argument {name}"
            return Finding("modified", words, shown(old), shown(arrays[name]))
    return None


def gradients(pair: Backward, examples: int) -> Finding | None:
    """Compare with right gradients on generated inputs, for random upstream gradients."""
    look = partial(_gradient_problem, pair)
    found = (search(pair, dtype, look, examples) for dtype in DTYPES)
    return next(filter(None, found), None)


def _gradient_problem(pair: Backward, case: Case) -> Finding | None:
    op, dy, given = pair.op, case[DY], {name: v for name, v in case.items() if name != DY}
    exacts, allowed = judge.right_gradients(op, given, dy), judge.gradient_bounds(op, given, dy)
    computed, answers = judge.value_dtype(op, given), pair(case)
    if not enough(op, len(answers)):
        words = f"it must return the gradients of {', '.join(op.inputs)}, got {len(answers)}"
        return Finding("count", words)
    for name, answer, exact, bound in zip(op.inputs, answers, exacts, allowed, strict=False):
        dtype = given[name].dtype
        problem = judged(answer, exact, bound + judge.cast_error(exact, computed, dtype), dtype)
        if problem:
            return replace(problem, what=f"d{name}: {problem.what}")
    return None


def enough(op: Op, count: int) -> bool:
    """Return whether so many gradients are all that there must be: a target's may be missing."""
    return 0 < count <= len(op.inputs) and set(op.inputs[count:]) <= {"target"}


def dtype_and_inputs(pair: Backward, _: int) -> Finding | None:
    """Leave dy and the arrays alone; float32 in must be float32 out, and float64 float64."""

    def look(case: Case) -> Finding | None:
        dtype = str(case[pair.op.inputs[0]].dtype)
        try:
            return _dtype_problem(pair(case), dtype) or _modified(pair, case)
        except Exception:  # the check of the gradient says so
            return None

    return first(pair, map(pair.typical, DTYPES), look)


def own_slopes(pair: Backward, _: int) -> Finding | None:
    """Compare with the slopes of the function that the backward came with, whatever it computes."""
    subject, case = pair.subject, pair.typical(np.float64)

    def f(*arrays: Array) -> object:
        return subject.call(*arrays, case=case)

    def backward(dy: Array, *arrays: Array) -> object:
        given = [f(*arrays)] if pair.takes_result else arrays[: len(pair.arguments)]
        if pair.takes_dy:
            return pair.call(dy, *given, case=case)
        return [dy * np.asarray(gradient) for gradient in pair.call(*given, case=case)]

    names = subject.op.arguments
    try:
        wrt, arrays = range(len(pair(case))), subject.arrays(case).values()
        report = gradcheck.check(_named(f, names), _named(backward, (DY, *names)), *arrays, wrt=wrt)
    except Exception as error:
        return Finding(skipped=f"there is nothing to compare: {type(error).__name__}: {error}")
    words = "the backward is not the derivative of the function that it came with"
    problem = Finding("slope", words, got=str(report), cases=(case,), cause=report.causes)
    return None if report.ok else problem


def _named(function: Function, names: tuple[str, ...]) -> Function:
    """Give a function of any number of arguments names for them, which gradcheck reports."""
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    setattr(function, "__signature__", Signature(parameters))  # noqa: B010
    return function
