"""Anyone's function, and anyone's backward, called as the operation of a row.

The arrays go by position, and options by name. A case is first cut down to what the function takes.
The right answer is then that of the case that is left.
"""

from __future__ import annotations

import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from parity import oracle
from parity.cases import Case, Dtype
from parity.judge import upstream, value_dtype
from parity.ops import Function, Op
from scratchnn.ops.shared import AnyArray
from scratchnn.ops.softmax import to_rows

ALIASES = {"axis": ("axis", "dim"), "keepdims": ("keepdims", "keepdim")}
OF_ROWS = ("ignore_index", "label_smoothing")  # options of losses whose classes are on axis 1
RESULTS = ("p", "probs", "probabilities", "y", "out", "output", "s", "a", "log_p", "log_probs")
NOT_TESTED = {
    "axis": "axis (only the last of two was)",
    "reduction": 'reduction (taken to be "mean")',
}
BIAS = ("b", "bias")
DY = "dy"  # in a case of a gradient, its upstream gradient


class RaisedError(Exception):
    """An exception of the function that is checked, which is its cause; no fault of our own."""


@dataclass(frozen=True)
class Asked(ABC):
    """A function of somebody's, which the checks ask."""

    op: Op
    function: Function

    @property
    def name(self) -> str:
        """The name of the function, or of the class of an object that can be called."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def in_words(self) -> str:
        parameters = _parameters(self.function)
        names = "..." if parameters is None else ", ".join(p.name for p in parameters)
        return f"{self.name}({names})"

    @cached_property
    def taken(self) -> dict[str, str]:
        """The options that the function takes, with the names that it gives them."""
        parameters = _parameters(self.function) or []
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return {option: option for option in self.op.options}
        names = {p.name for p in parameters}
        known = {option: ALIASES.get(option, (option,)) for option in self.op.options}
        return {option: name for option, among in known.items() for name in among if name in names}

    @property
    def plain(self) -> list[str]:
        """The arrays whose numbers may be replaced by plainer ones."""
        return [name for name in self.op.inputs if name != "target"]

    @abstractmethod
    def prepared(self, case: Case, seed: int = 0) -> Case:
        """Return a case that the function can be asked."""

    @abstractmethod
    def arrays(self, case: Case) -> dict[str, AnyArray]:
        """Return copies of what goes by position: for a backward, dy and the inputs or result."""

    def typical(self, dtype: Dtype, *shape: int) -> Case:
        return self.prepared(self.op.typical(dtype, *shape))

    def said(self, case: Case) -> dict[str, object]:
        """Return the options that go by name, but for those at their defaults."""
        names = {o: name for o, name in self.taken.items() if not is_default(self.op, case, o)}
        return {name: case[option] for option, name in names.items()}

    def call(self, *arrays: object, case: Case) -> Any:
        """Return what the function returns for these arrays, at the options of a case."""
        options = {theirs: case[ours] for ours, theirs in self.taken.items()}
        return quietly(self.function, *arrays, **options)

    def __call__(self, case: Case) -> Any:
        """Return what the function returns for a case."""
        arrays = self.arrays(case).values()
        try:
            return self.call(*arrays, case=case)
        except Exception as error:
            raise RaisedError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Subject(Asked):
    """A function that is meant to be an operation.

    Options  settings    the values that options have in this function, whether it takes them or not
             any_shape   whether it is given other than two dimensions, where it takes no axis
    Raises   ValueError for options that the operation does not have, or a function of other
             arguments
    """

    settings: Mapping[str, object] = field(default_factory=dict)
    any_shape: bool = False

    def __post_init__(self) -> None:
        if unknown := set(self.settings) - set(self.op.options):
            known, got = ", ".join(self.op.options) or "none", ", ".join(sorted(unknown))
            raise ValueError(f"{self.op.name} has the options {known}, got {got}")
        parameters, arrays = _parameters(self.function), ", ".join(self.op.arguments)
        try:
            if parameters is not None:
                options = dict.fromkeys(self.taken.values())
                inspect.Signature(parameters).bind(*self.op.arguments, **options)
        except TypeError as error:
            words = f"must take ({arrays}), as {self.op.name} does, got {self.in_words}"
            raise ValueError(f"{self.name} {words}") from error

    @cached_property
    def fixed(self) -> dict[str, object]:
        """The options that have the same value in every case."""
        left = {o: v for o, v in self.op.defaults.items() if o not in self.taken}
        return {**left, **self.settings}

    @property
    def not_tested(self) -> list[str]:
        """What is not tested, as the function takes no argument for it."""
        left = [NOT_TESTED.get(o, o) for o in self.fixed if o not in self.settings]
        rows = self._any_rank or "axis" in self.op.options
        return left if rows else [*left, "other than two dimensions (--any-shape)"]

    def prepared(self, case: Case, seed: int = 0) -> Case:  # noqa: ARG002
        """Return a case that the function can be asked.

        Options that it does not take are at their defaults. An axis is one number.
        """
        if isinstance(case.get("axis"), tuple):
            case = case | {"axis": case["axis"][-1]}
        if "ignore_index" in self.fixed and "target" in case:
            case = case | {"target": np.maximum(case["target"], 0)}
        return (case if self._any_rank else as_rows(self.op, case)) | self.fixed

    def arrays(self, case: Case) -> dict[str, AnyArray]:
        return {name: np.array(case[name]) for name in self.op.arguments}

    @property
    def _any_rank(self) -> bool:
        """Whether the function is given arrays of any number of dimensions."""
        if "axis" in self.op.options:
            return "axis" in self.taken and "axis" not in self.settings
        return self.any_shape or not (self.op.products or set(OF_ROWS) & set(self.op.options))


@dataclass(frozen=True)
class Backward(Asked):
    """A function that is meant to be the backward of a subject.

    It is called as backward(dy, *arrays), by scratchnn's rule, or in the other ways that its
    parameters ask for. A bias may be missing among the arrays. Where the second parameter has the
    name of a result (p, probs, y, out, log_p, ...), it is given the result and not the input.
    Without room for dy, it is taken for the gradient of the mean loss itself: backward(*arrays).
    """

    subject: Subject

    @classmethod
    def of(cls, subject: Subject, function: Function) -> Backward:
        """Return a backward with its subject, whose options are those that both take."""
        pair = cls(subject.op, function, subject)
        left = {o: v for o, v in subject.op.defaults.items() if o not in pair.taken}
        subject = replace(subject, settings={**left, **subject.settings})
        count = len(pair.parameters) - len(pair.arguments)
        if count == 1 or (count == 0 and subject.fixed.get("reduction", "none") != "none"):
            return replace(pair, subject=subject)
        arrays = ", ".join(pair.arguments)
        words = f"must take (dy, {arrays}), or of a mean or sum ({arrays}), got {pair.in_words}"
        raise ValueError(f"{pair.name} {words}")

    @cached_property
    def parameters(self) -> list[str]:
        """The names of the arrays that it takes by position: those that it needs, and a bias."""
        parameters = _parameters(self.function) or []
        if any(p.kind is p.VAR_POSITIONAL for p in parameters):
            return [DY, *self.op.arguments]
        options = {*self.op.options, *self.taken.values()}
        bias = BIAS if self.op.arguments[-1] in BIAS else ()
        kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
        places = [p for p in parameters if p.kind in kinds and p.name not in options]
        return [p.name for p in places if p.default is p.empty or p.name in bias]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arrays of the row that it takes: all, or all but the bias."""
        names = self.op.arguments
        without = names[-1] in BIAS and len(self.parameters) == len(names)
        return names[:-1] if without else names

    @property
    def takes_dy(self) -> bool:
        return len(self.parameters) > len(self.arguments)

    @property
    def takes_result(self) -> bool:
        """Whether it wants the function's result in place of its input."""
        return bool(self.op.result) and self.parameters[1] in RESULTS

    @property
    def plain(self) -> list[str]:
        return [*super().plain, DY] if self.takes_dy else super().plain

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
            count = len(self(self.typical(np.float64)))
        except Exception:  # the check of the gradient says so
            return words
        missing = self.op.inputs[count:]
        return words + [f"the gradient of {name}: {self.name} returns none" for name in missing]

    def prepared(self, case: Case, seed: int = 0) -> Case:
        """Return the case as it is asked, with a random upstream gradient, which is never ones."""
        case = self.subject.prepared(case)
        dtype = value_dtype(self.op, case)
        y = quietly(self.op.ours, **case)
        return case | {DY: upstream(y, dtype, seed) if self.takes_dy else np.ones((), dtype)}

    def arrays(self, case: Case) -> dict[str, AnyArray]:
        given = {name: case[name] for name in self.arguments}
        if self.takes_result:
            given = {self.parameters[1]: self.subject(case)}
        copies = {name: np.array(value) for name, value in given.items()}
        return {DY: np.array(case[DY])[()], **copies} if self.takes_dy else copies

    def call(self, *arrays: object, case: Case) -> list[object]:
        """Return the gradients for these arrays, in the order of the row's inputs."""
        result = super().call(*arrays, case=case)
        return list(result) if isinstance(result, tuple | list) else [result]


def quietly(function: Function, *arguments: object, **options: object) -> object:
    """Call a function without its warnings: the answer is what counts."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def as_rows(op: Op, case: Case) -> Case:
    """Return the same numbers with one example per row, and classes or features on axis 1."""
    name = op.inputs[0]
    z = case[name]
    if "axis" in case:
        return case | {name: to_rows(z, case["axis"]), "axis": -1}
    if op.products:
        return case | {name: z.reshape(-1, z.shape[-1])}
    target = case["target"]
    rows = target.reshape(-1) if oracle.holds_indices(target) else oracle.to_rows(target)
    return case | {name: oracle.to_rows(z), "target": rows}


def is_default(op: Op, case: Case, option: str) -> bool:
    value, default = case[option], op.defaults[option]
    return value is default or (not isinstance(value, np.ndarray) and value == default)


def _parameters(function: Function) -> list[inspect.Parameter] | None:
    """Return a function's parameters; None where Python cannot tell, as for some written in C."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
