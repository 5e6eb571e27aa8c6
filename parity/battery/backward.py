"""Anyone's backward, called with what its parameters ask for.

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

from parity import right
from parity.battery.subject import DEFAULTS, Subject, in_words, quietly, taken
from parity.battery.typical import typical
from parity.strategies import Case

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
