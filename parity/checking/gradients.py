"""The checks of a backward: compared with right gradients, and with the function's own slopes.

A check takes a backward with its subject and how many cases to generate, and returns a Finding.
"""

from __future__ import annotations

from functools import partial
from inspect import Parameter, Signature

import numpy as np
from hypothesis import strategies as st

from parity import digits
from parity.cases import Case
from parity.checking.checks import DTYPES, guarded, judged
from parity.checking.report import Finding, Problem, shown
from parity.checking.smallest import search
from parity.checking.subject import DY, Backward, quietly
from parity.judge import cast_error, gradient_bounds, right_gradients, value_dtype
from parity.ops import Function, Op
from scratchnn import gradcheck
from scratchnn.ops.shared import Array


def gradients(pair: Backward, examples: int) -> Finding:
    """Compare with right gradients on generated inputs, for random upstream gradients."""
    plain = [name for name in pair.op.inputs if name != "target"]
    for dtype in DTYPES:
        cases = st.builds(pair.with_dy, pair.op.cases(dtype), st.integers(0, 999))
        names = [*plain, DY] if pair.takes_dy else plain
        typical = pair.with_dy(pair.op.typical(dtype), 0)
        found = search(cases, partial(_gradient_problem, pair), examples, names, typical)
        if found.problem:
            return found
    return Finding()


def _gradient_problem(pair: Backward, case: Case) -> Problem | None:
    """Return what is wrong with the gradients of a case, if anything."""
    op, dy, given = pair.op, case[DY], {name: v for name, v in case.items() if name != DY}
    exacts, allowed = right_gradients(op, given, dy), gradient_bounds(op, given, dy)
    computed = value_dtype(op, given)

    def look() -> Problem | None:
        answers = pair(case)
        if not enough(op, len(answers)):
            words = f"it must return the gradients of {', '.join(op.inputs)}, got {len(answers)}"
            return Problem("count", words)
        for name, answer, exact, bound in zip(op.inputs, answers, exacts, allowed, strict=False):
            dtype = given[name].dtype
            problem = judged(answer, exact, bound + cast_error(exact, computed, dtype), dtype)
            if problem:
                return problem._replace(what=f"d{name}: {problem.what}")
        return None

    return guarded(look, lambda: shown(digits.rounded(exacts[0], given[op.inputs[0]].dtype)))


def enough(op: Op, count: int) -> bool:
    """Return whether so many gradients are all that there must be: a target's may be missing."""
    return 0 < count <= len(op.inputs) and set(op.inputs[count:]) <= {"target"}


def dtype_and_inputs(pair: Backward, _: int) -> Finding:
    """Leave dy and the arrays alone; float32 in must be float32 out, and float64 float64."""
    for dtype in DTYPES:
        case = pair.with_dy(pair.op.typical(dtype), 0)
        try:
            problem = _dtype_problem(pair, case) or _modified(pair, case)
        except Exception:  # the check of the gradient says so
            return Finding()
        if problem:
            return Finding(problem=problem, cases=(case,))
    return Finding()


def _dtype_problem(pair: Backward, case: Case) -> Problem | None:
    dtype = str(case[pair.op.inputs[0]].dtype)
    found = dict.fromkeys(str(np.asarray(answer).dtype) for answer in pair(case))
    if list(found) == [dtype]:
        return None
    kind = "float64" if "float64" in found and dtype != "float64" else "dtype"
    return Problem(kind, f"{dtype} in must be {dtype} out", dtype, ", ".join(found))


def _modified(pair: Backward, case: Case) -> Problem | None:
    arrays = pair.arrays(case).values()
    before = [np.array(array) for array in arrays]
    pair.call(*arrays, case=case)
    for array, old in zip(arrays, before, strict=True):
        if not np.array_equal(array, old):
            return Problem("modified", "it modifies an argument in place", shown(old), shown(array))
    return None


def own_slopes(pair: Backward, _: int) -> Finding:
    """Compare with the slopes of the function that the backward came with, whatever it computes."""
    subject = pair.subject
    case = pair.with_dy(subject.op.typical(np.float64), 0)

    def f(*arrays: Array) -> object:
        return quietly(subject.function, *arrays, **subject.options(case))

    def backward(dy: Array, *arrays: Array) -> object:
        given = [f(*arrays)] if pair.takes_result else arrays[: len(pair.arguments)]
        if pair.takes_dy:
            return pair.call(dy, *given, case=case)
        return [dy * np.asarray(gradient) for gradient in pair.call(*given, case=case)]

    try:
        count = len(pair(case))
        report = gradcheck.check(
            _named(f, subject.op.arguments),
            _named(backward, (DY, *subject.op.arguments)),
            *subject.arrays(case).values(),
            wrt=range(count),
        )
    except Exception as error:
        return Finding(skipped=f"there is nothing to compare: {type(error).__name__}: {error}")
    if report.ok:
        return Finding()
    words = "the backward is not the derivative of the function that it came with"
    problem = Problem("slope", words, got=str(report))
    return Finding(problem=problem, cases=(case,), cause=report.causes)


def _named(function: Function, names: tuple[str, ...]) -> Function:
    """Give a function of any number of arguments names for them, which gradcheck reports."""
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    setattr(function, "__signature__", Signature(parameters))  # noqa: B010
    return function
