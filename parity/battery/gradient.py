"""The checks of a backward: beside the oracle, and beside the forward that it came with.

It is called as backward(dy, *arrays) with the row's arrays, but for a bias, which it may leave out;
or, where its second parameter has the name of a result (p, probs, y, out, log_p, ...), with the
result in place of the only input; without room for dy it is the gradient of the mean loss itself:
backward(*arrays). Only the gradient of a loss's target may be missing.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from parity import right
from parity.battery.answer import guarded, judged
from parity.battery.finding import Problem, shown
from parity.battery.outcome import DTYPES, Broken, Outcome, Skipped
from parity.battery.search import search
from parity.battery.subject import DEFAULTS, Subject, in_words, quietly, taken
from parity.battery.typical import typical
from parity.ops import Op
from parity.strategies import Case
from scratchnn import gradcheck
from scratchnn.arrays import Array

RESULTS = ("p", "probs", "probabilities", "y", "out", "output", "s", "a", "log_p", "log_probs")
BIAS = "b"
DY = "dy"  # a case of a gradient holds its upstream gradient, too


@dataclass(frozen=True)
class Backward:
    """Anyone's backward of a subject, whose options are those that both take: see `of`."""

    subject: Subject
    function: Callable[..., Any]

    @classmethod
    def of(cls, subject: Subject, function: Callable[..., Any]) -> "Backward":
        """Return the pair at the options that both take; at a mean where there is no dy.

        Raises   ValueError for a backward that cannot be called
        """
        known = taken(function, subject.options)
        fixed = {o: DEFAULTS[o] for o in subject.options if o not in known} | dict(subject.settings)
        pair = cls(replace(subject, settings=fixed), function)
        arrays, count = ", ".join(pair.arguments), len(pair.parameters) - len(pair.arguments)
        if count == 1 or (count == 0 and fixed.get("reduction", "none") != "none"):
            return pair
        raise ValueError(
            f"{pair.name} must take (dy, {arrays}), or of a mean or sum ({arrays}), "
            f"got {in_words(function)}"
        )

    @property
    def name(self) -> str:
        """What the function is called."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def parameters(self) -> list[str]:
        """The names of what it takes by position and cannot do without."""
        known = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        options = {*self.subject.options, *taken(self.function, self.subject.options).values()}
        return [
            p.name for p in inspect.signature(self.function).parameters.values()
            if p.kind in known and p.default is p.empty and p.name not in options
        ]  # fmt: skip

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arrays of the row that it takes: without the bias, where it takes none."""
        names = self.subject.op.arguments
        without = names[-1] == BIAS and len(self.parameters) == len(names)
        return names[:-1] if without else names

    @property
    def takes_dy(self) -> bool:
        """Whether there is room for an upstream gradient."""
        return len(self.parameters) > len(self.arguments)

    @property
    def takes_result(self) -> bool:
        """Whether it wants what the function returned in place of what it was given."""
        return self.subject.op.of_result and self.parameters[1] in RESULTS

    @property
    def convention(self) -> str:
        """How it is called, in words."""
        dy = "the upstream gradient" if self.takes_dy else "no upstream gradient, as of a mean"
        given = "the result" if self.takes_result else "the input"
        return f"{self.name}({', '.join(self.parameters)}): given {dy}, and {given}"

    @property
    def not_tested(self) -> list[str]:
        """What is not tested, as it has nothing to say it with."""
        words = [] if self.takes_dy else [f"an upstream gradient of {self.name}: it takes none"]
        try:
            count = len(self(self.with_dy(typical(self.subject.op, np.float64), 0)))
        except Exception:
            return words  # the gradient says so
        missing = self.subject.op.inputs[count:]
        return words + [f"the gradient of {name}: {self.name} returns none" for name in missing]

    def with_dy(self, case: Case, seed: int) -> Case:
        """Return the case as the pair is asked it, with a random upstream gradient, never ones."""
        case = self.subject.cut(case)
        dtype = right.dtype_of(self.subject.op, case)
        y = quietly(self.subject.op.ours, **case)
        return case | {DY: right.upstream(y, dtype, seed) if self.takes_dy else np.ones((), dtype)}

    def arrays(self, case: Case) -> list[Any]:
        """Return copies of what goes by position: dy, and the arrays or the result."""
        given = self.by_name(case).items()
        return [np.array(value)[()] if name == DY else np.array(value) for name, value in given]

    def by_name(self, case: Case) -> dict[str, Any]:
        """Return what goes by position: dy, and the arrays or the result, under its name for it."""
        arrays = {name: case[name] for name in self.arguments}
        if self.takes_result:
            arrays = {self.parameters[1]: self.subject(case)}
        return {DY: case[DY], **arrays} if self.takes_dy else arrays

    def call(self, *arrays: Any, case: Case) -> list[Any]:
        """Return the gradients that it gives for these arrays, in the order of the inputs."""
        known = taken(self.function, self.subject.options)
        result = quietly(self.function, *arrays, **{name: case[o] for o, name in known.items()})
        return list(result) if isinstance(result, tuple | list) else [result]

    def __call__(self, case: Case) -> list[Any]:
        """Return the gradients of a case, in the order of the row's inputs.

        Raises   whatever it raises
        """
        return self.call(*self.arrays(case), case=case)


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
