"""The checks of a backward: beside the oracle, and beside the forward that it came with."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from parity import right
from parity.battery.answer import guarded, judged
from parity.battery.backward import DY, Backward
from parity.battery.finding import Problem, shown
from parity.battery.outcome import DTYPES, Broken, Outcome, Skipped
from parity.battery.search import search
from parity.battery.subject import quietly
from parity.battery.typical import typical
from parity.ops import Op
from parity.strategies import Case
from scratchnn import gradcheck
from scratchnn.arrays import Array


def gradients(pair: Backward, examples: int) -> Outcome:
    """Compare with the oracle's gradients on generated inputs, with random upstream gradients."""
    for dtype in DTYPES:
        cases = st.builds(pair.with_dy, pair.subject.op.cases(dtype), st.integers(0, 999))
        plain = tuple(name for name in pair.subject.op.inputs if name != "target")
        plain += (DY,) if pair.takes_dy else ()
        found = search(cases, lambda case: gradient_problem(pair, case), examples, plain)
        if found:
            problem = gradient_problem(pair, found[0])
            assert problem is not None  # it is a function of the case
            return Broken(problem, *found)
    return None


def gradient_problem(pair: Backward, case: Case) -> Problem | None:
    """Return what is wrong with the gradients of a case, if anything."""
    op, (dy, case) = pair.subject.op, (case[DY], {n: v for n, v in case.items() if n != DY})
    exacts = right.gradients(op, case, dy)
    allowed = right.gradient_bounds(op, case, dy)
    dtype = right.dtype_of(op, case)

    def look() -> Problem | None:
        answers = pair(case | {DY: dy})
        if not enough(op, len(answers)):
            words = f"it must return the gradients of {', '.join(op.inputs)}, got {len(answers)}"
            return Problem("count", words)
        for i, (name, answer) in enumerate(zip(op.inputs, answers, strict=False)):
            problem = judged(answer, exacts[i], allowed[i], dtype)
            if problem:
                return problem._replace(what=f"d{name}: {problem.what}")
        return None

    return guarded(look, exacts[0], dtype)


def enough(op: Op, count: int) -> bool:
    """Whether so many gradients are all that there must be: only a target's may be missing."""
    return 0 < count <= len(op.inputs) and set(op.inputs[count:]) <= {"target"}


def gradient_habits(pair: Backward, _: int) -> Outcome:
    """Leave dy and the arrays alone; float32 in, float32 out."""
    for dtype in DTYPES:
        case = pair.with_dy(typical(pair.subject.op, dtype), 0)
        try:
            first = pair(case)
        except Exception:
            return None  # the gradient says so
        found = {np.asarray(answer).dtype for answer in first}
        if found != {np.dtype(dtype)}:
            words = f"{np.dtype(dtype)} in must be {np.dtype(dtype)} out"
            problem = Problem("dtype", words, str(np.dtype(dtype)), ", ".join(map(str, found)))
            return Broken(problem, case, [case])
        arrays = pair.arrays(case)
        before = [np.array(array) for array in arrays]
        pair.call(*arrays, case=case)
        for array, old in zip(arrays, before, strict=True):
            if not np.array_equal(array, old):
                words = "it modifies an argument in place"
                return Broken(Problem("modified", words, shown(old), shown(array)), case, [case])
    return None


def consistency(pair: Backward, _: int) -> Outcome:
    """Compare with the slopes of the very forward that it came with, whatever that computes."""
    subject = pair.subject
    case = pair.with_dy(typical(subject.op, np.float64), 0)

    def f(*arrays: Any) -> Any:
        return quietly(subject.function, *arrays, **subject.named(case))

    def backward(dy: Array, *arrays: Any) -> Any:
        arrays = arrays[: len(pair.arguments)]
        if not pair.takes_dy:
            return [dy * gradient for gradient in pair.call(*arrays, case=case)]
        return pair.call(dy, *([f(*arrays)] if pair.takes_result else arrays), case=case)

    try:
        count = len(pair(case))
        report = gradcheck.check(f, backward, *subject.arrays(case), wrt=range(count))
    except Exception as error:
        return Skipped(f"there is nothing to compare: {type(error).__name__}: {error}")
    if report.ok:
        return None
    words = "the backward is not the derivative of the function that it came with"
    return Broken(Problem("slope", words, got=str(report)), case, [case], cause=report.causes)
