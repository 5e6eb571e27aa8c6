"""Anyone's function, and anyone's backward, called as the operation of a row.

The arrays go by position, and options by name. A case is first cut down to what the function takes.
The right answer is then that of the case that is left.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from parity import targets
from parity.cases import Case
from parity.judge import upstream, value_dtype
from parity.ops import Function, Op
from scratchnn.ops.shared import AnyArray
from scratchnn.ops.softmax import to_rows

ALIASES = {"axis": ("axis", "dim"), "keepdims": ("keepdims", "keepdim")}
OF_ROWS = ("ignore_index", "label_smoothing")  # options of losses whose classes are on axis 1
RESULTS = ("p", "probs", "probabilities", "y", "out", "output", "s", "a", "log_p", "log_probs")
BIAS = ("b", "bias")
DY = "dy"  # in a case of a gradient, its upstream gradient

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Subject:
    """A function that is meant to be an operation.

    Options  settings    the values that options have in this function, whether it takes them or not
             any_shape   whether it is given other than two dimensions, where it takes no axis
    Raises   ValueError for options that the operation does not have, or a function of other
             arguments
    """

    op: Op
    function: Function
    settings: Mapping[str, object] = field(default_factory=dict)
    any_shape: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.settings) - set(self.op.options)
        if unknown:
            raise ValueError(
                f"{self.op.name} has the options {', '.join(self.op.options) or 'none'}, "
                f"got {', '.join(sorted(unknown))}"
            )
        least, most = self._number_of_arrays()
        if not least <= len(self.op.arguments) <= most:
            raise ValueError(
                f"{self.name} must take ({', '.join(self.op.arguments)}), as {self.op.name} does, "
                f"got {in_words(self.function)}"
            )

    @property
    def name(self) -> str:
        """The name of the function."""
        return name_of(self.function)

    @cached_property
    def taken(self) -> dict[str, str]:
        """The options that the function takes, with the names that it gives them."""
        return taken(self.function, self.op.options)

    @cached_property
    def fixed(self) -> dict[str, object]:
        """The options that have the same value in every case."""
        left = {o: v for o, v in self.op.defaults.items() if o not in self.taken}
        return {**left, **self.settings}

    @property
    def not_tested(self) -> list[str]:
        """What is not tested, as the function takes no argument for it."""
        words = {
            "axis": "axis (only the last of two was)",
            "reduction": 'reduction (taken to be "mean")',
        }
        left = [words.get(o, o) for o in self.fixed if o not in self.settings]
        rows = self._any_rank or "axis" in self.op.options
        return left if rows else [*left, "other than two dimensions (--any-shape)"]

    def cut(self, case: Case) -> Case:
        """Return a case that the function can be asked.

        Options that it does not take are at their defaults. An axis is one number.
        """
        if isinstance(case.get("axis"), tuple):
            case = case | {"axis": case["axis"][-1]}
        if "ignore_index" in self.fixed and "target" in case:
            case = case | {"target": np.maximum(case["target"], 0)}
        return (case if self._any_rank else as_rows(self.op, case)) | self.fixed

    def arrays(self, case: Case) -> dict[str, AnyArray]:
        """Return copies of the arrays that go by position."""
        return {name: np.array(case[name]) for name in self.op.arguments}

    def options(self, case: Case) -> dict[str, object]:
        """Return the options that go by name."""
        return {theirs: case[ours] for ours, theirs in self.taken.items()}

    def said(self, case: Case) -> dict[str, object]:
        """Return the options that go by name, but for those at their defaults."""
        return _said(self.op, self.taken, case)

    def __call__(self, case: Case) -> object:
        """Return what the function returns for a case.

        Raises   whatever the function raises
        """
        return quietly(self.function, *self.arrays(case).values(), **self.options(case))

    @property
    def _any_rank(self) -> bool:
        """Whether the function is given arrays of any number of dimensions."""
        if "axis" in self.op.options:
            return "axis" in self.taken and "axis" not in self.settings
        return self.any_shape or not (self.op.products or set(OF_ROWS) & set(self.op.options))

    def _number_of_arrays(self) -> tuple[int, float]:
        """Return the least and the largest number of arrays that the function takes."""
        parameters = _parameters(self.function)
        if parameters is None or any(p.kind is p.VAR_POSITIONAL for p in parameters):
            return 0, np.inf
        places = [p for p in parameters if p.kind in _BY_POSITION]
        options = {*self.op.options, *self.taken.values()}
        needed = [p for p in places if p.default is p.empty and p.name not in options]
        return len(needed), len(places)


@dataclass(frozen=True)
class Backward:
    """A function that is meant to be the backward of a subject.

    It is called as backward(dy, *arrays), by scratchnn's rule, or in the other ways that its
    parameters ask for. A bias may be missing among the arrays. Where the second parameter has the
    name of a result (p, probs, y, out, log_p, ...), it is given the result and not the input.
    Without room for dy, it is taken for the gradient of the mean loss itself: backward(*arrays).
    """

    subject: Subject
    function: Function

    @classmethod
    def of(cls, subject: Subject, function: Function) -> Backward:
        """Return a backward with its subject, whose options are those that both take.

        Raises   ValueError for a backward that cannot be called
        """
        known = taken(function, subject.op.options)
        left = {o: v for o, v in subject.op.defaults.items() if o not in known}
        pair = cls(replace(subject, settings={**left, **subject.settings}), function)
        count = len(pair.parameters) - len(pair.arguments)
        reduced = pair.subject.fixed.get("reduction", "none") != "none"
        if count == 1 or (count == 0 and reduced):
            return pair
        arrays = ", ".join(pair.arguments)
        raise ValueError(
            f"{pair.name} must take (dy, {arrays}), or of a mean or sum ({arrays}), "
            f"got {in_words(function)}"
        )

    @property
    def op(self) -> Op:
        """The row of the operation."""
        return self.subject.op

    @property
    def name(self) -> str:
        """The name of the function."""
        return name_of(self.function)

    @cached_property
    def taken(self) -> dict[str, str]:
        """The options that the function takes, with the names that it gives them."""
        return taken(self.function, self.op.options)

    @cached_property
    def parameters(self) -> list[str]:
        """The names of the arrays that it takes by position: those that it needs, and a bias."""
        parameters = _parameters(self.function) or []
        if any(p.kind is p.VAR_POSITIONAL for p in parameters):
            return [DY, *self.op.arguments]
        options = {*self.op.options, *self.taken.values()}
        bias = BIAS if self.op.arguments[-1] in BIAS else ()
        return [
            p.name
            for p in parameters
            if p.kind in _BY_POSITION and p.name not in options
            if p.default is p.empty or p.name in bias
        ]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arrays of the row that it takes: all, or all but the bias."""
        names = self.op.arguments
        without = names[-1] in BIAS and len(self.parameters) == len(names)
        return names[:-1] if without else names

    @property
    def takes_dy(self) -> bool:
        """Whether there is room for an upstream gradient."""
        return len(self.parameters) > len(self.arguments)

    @property
    def takes_result(self) -> bool:
        """Whether it wants the function's result in place of its input."""
        return bool(self.op.result) and self.parameters[1] in RESULTS

    @property
    def convention(self) -> str:
        """How it is called, in words."""
        dy = "the upstream gradient" if self.takes_dy else "no upstream gradient, as of a mean"
        given = "the result" if self.takes_result else "the input"
        return f"{self.name}({', '.join(self.parameters)}): given {dy}, and {given}"

    @property
    def not_tested(self) -> list[str]:
        """What is not tested, as the function neither takes nor returns it."""
        words = [] if self.takes_dy else [f"an upstream gradient of {self.name}: it takes none"]
        try:
            count = len(self(self.with_dy(self.op.typical(np.float64), 0)))
        except Exception:  # the check of the gradient says so
            return words
        missing = self.op.inputs[count:]
        return words + [f"the gradient of {name}: {self.name} returns none" for name in missing]

    def with_dy(self, case: Case, seed: int) -> Case:
        """Return the case as it is asked, with a random upstream gradient, which is never ones."""
        case = self.subject.cut(case)
        dtype = value_dtype(self.op, case)
        y = quietly(self.op.ours, **case)
        return case | {DY: upstream(y, dtype, seed) if self.takes_dy else np.ones((), dtype)}

    def arrays(self, case: Case) -> dict[str, AnyArray]:
        """Return copies of what goes by position: dy, and the inputs or the result.

        Raises   whatever the subject raises, whose result may be asked for
        """
        given = {name: case[name] for name in self.arguments}
        if self.takes_result:
            given = {self.parameters[1]: self.subject(case)}
        copies = {name: np.array(value) for name, value in given.items()}
        return {DY: np.array(case[DY])[()], **copies} if self.takes_dy else copies

    def said(self, case: Case) -> dict[str, object]:
        """Return the options that go by name, but for those at their defaults."""
        return _said(self.op, self.taken, case)

    def call(self, *arrays: object, case: Case) -> list[object]:
        """Return the gradients for these arrays, at the options of a case."""
        options = {theirs: case[ours] for ours, theirs in self.taken.items()}
        result = quietly(self.function, *arrays, **options)
        return list(result) if isinstance(result, tuple | list) else [result]

    def __call__(self, case: Case) -> list[object]:
        """Return the gradients of a case, in the order of the row's inputs.

        Raises   whatever the function raises
        """
        return self.call(*self.arrays(case).values(), case=case)


def name_of(function: Function) -> str:
    """Return the name of a function, or of the class of an object that can be called."""
    return getattr(function, "__name__", type(function).__name__)


def in_words(function: Function) -> str:
    """Return the name of a function with those of its parameters."""
    parameters = _parameters(function)
    names = "..." if parameters is None else ", ".join(p.name for p in parameters)
    return f"{name_of(function)}({names})"


def quietly(function: Function, *arguments: object, **options: object) -> object:
    """Call a function without its warnings: the answer is what counts."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def taken(function: Function, options: tuple[str, ...]) -> dict[str, str]:
    """Return which of these options a function takes, with the names that it gives them."""
    parameters = _parameters(function) or []
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return {option: option for option in options}
    names = {p.name for p in parameters}
    known = {option: ALIASES.get(option, (option,)) for option in options}
    return {option: name for option, among in known.items() for name in among if name in names}


def as_rows(op: Op, case: Case) -> Case:
    """Return the same numbers with one example per row, and classes or features on axis 1."""
    name = op.inputs[0]
    z = case[name]
    if "axis" in case:
        return case | {name: to_rows(z, case["axis"]), "axis": -1}
    if op.products:
        return case | {name: z.reshape(-1, z.shape[-1])}
    target = case["target"]
    labels = target.dtype.kind in "iu"
    rows = target.reshape(-1) if labels else targets.to_rows(target)
    return case | {name: targets.to_rows(z), "target": rows}


def is_default(op: Op, case: Case, option: str) -> bool:
    """Return whether an option of a case is at its default."""
    value, default = case[option], op.defaults[option]
    return value is default or (not isinstance(value, np.ndarray) and value == default)


def _said(op: Op, taken: Mapping[str, str], case: Case) -> dict[str, object]:
    return {
        name: case[option] for option, name in taken.items() if not is_default(op, case, option)
    }


def _parameters(function: Function) -> list[inspect.Parameter] | None:
    """Return a function's parameters; None where Python cannot tell, as for some written in C."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
