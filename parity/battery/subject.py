"""Anyone's function, called as the operation of a row: with the arrays and options that it takes.

The arrays go by position, options by name. A case is first cut down to what the function takes, and
the right answer is that of the case that is left.
"""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.ops import Op
from parity.strategies import Case
from scratchnn.arrays import Array
from scratchnn.targets import row_shape, to_rows

DEFAULTS = {
    "axis": -1, "keepdims": False, "reduction": "mean",
    "weight": None, "ignore_index": -100, "label_smoothing": 0.0,
    "pos_weight": None, "log_target": False, "delta": 1.0, "beta": 1.0,
}  # fmt: skip
ALIASES = {"axis": ("axis", "dim")}


@dataclass(frozen=True)
class Subject:
    """A function that claims to be an operation.

    `settings` are options with the value that they have in this function, whether it takes them or
    not. Without `any_shape` it is given examples in rows only, unless it takes an axis.
    """

    op: Op
    function: Callable[..., Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    any_shape: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.settings) - set(self.options)
        if unknown:
            raise ValueError(
                f"{self.op.name} has the options {', '.join(self.options) or 'none'}, "
                f"got {', '.join(sorted(unknown))}"
            )
        positional = _positional(self.function)
        if positional is not None and not positional[0] <= len(self.op.arguments) <= positional[1]:
            raise ValueError(
                f"{self.name} must take ({', '.join(self.op.arguments)}), as {self.op.name} does, "
                f"got {in_words(self.function)}"
            )

    @property
    def name(self) -> str:
        """What the function is called."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the operation."""
        return self.op.options

    @property
    def taken(self) -> dict[str, str]:
        """The options that the function takes, with the names that it gives them."""
        return taken(self.function, self.options)

    @property
    def not_taken(self) -> list[str]:
        """What is not tested, as the function has nothing to say it with."""
        left = [o for o in self.options if o not in self.taken and o not in self.settings]
        if "axis" in left:
            left[left.index("axis")] = "axis (only the last of two was)"
        if "reduction" in left:
            left[left.index("reduction")] = 'reduction (taken to be "mean")'
        rows = self._any_rank or "axis" in self.options
        return left if rows else [*left, "other than two dimensions (--any-shape)"]

    def cut(self, case: Case) -> Case:
        """Return a case that the function can be asked."""
        fixed = {o: self.settings.get(o, DEFAULTS[o]) for o in self.options if o not in self.taken}
        fixed |= self.settings
        if "ignore_index" in fixed and "target" in case:
            case = case | {"target": np.maximum(case["target"], 0)}
        return (case if self._any_rank else as_rows(self.op, case)) | fixed

    def arrays(self, case: Case) -> list[Any]:
        """Return copies of the arrays that go by position."""
        return [np.array(case[name]) for name in self.op.arguments]

    def named(self, case: Case) -> dict[str, Any]:
        """Return the options that go by name."""
        return {theirs: case[ours] for ours, theirs in self.taken.items()}

    def __call__(self, case: Case) -> Any:
        """Return what the function makes of a case.

        Raises   whatever it raises
        """
        return quietly(self.function, *self.arrays(case), **self.named(case))

    @property
    def _any_rank(self) -> bool:
        rows_alone = {"ignore_index", "label_smoothing"} & set(self.options)
        if "axis" in self.options:
            return "axis" in self.taken and "axis" not in self.settings
        return self.any_shape or not (rows_alone or self.op.products)


def in_words(function: Callable[..., Any]) -> str:
    """Return a function's name with those of its parameters."""
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name}({', '.join(inspect.signature(function).parameters)})"


def quietly(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function without a word of its warnings: the answer is what counts."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def taken(function: Callable[..., Any], options: tuple[str, ...]) -> dict[str, str]:
    """Return which of these options a function takes, with the names that it gives them."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a built-in one
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return {option: option for option in options}
    names = {option: ALIASES.get(option, (option,)) for option in options}
    return {option: name for option, known in names.items() for name in known if name in parameters}


def is_default(option: str, value: Any) -> bool:
    """Return whether an option has the value that it has where nothing is said."""
    default = DEFAULTS[option]
    return value is default or (not isinstance(value, np.ndarray) and value == default)


def as_rows(op: Op, case: Case) -> Case:
    """Return the same numbers with an example a row, and its classes or features on axis 1."""
    name = op.inputs[0]
    z: Array = case[name]
    if "axis" in case:
        rows = np.moveaxis(z, case["axis"], -1).reshape(-1, z.shape[case["axis"]])
        return case | {name: rows, "axis": -1}
    if op.products:
        return case | {name: z.reshape(-1, z.shape[-1])}
    target = case["target"]
    shape = (-1,) if np.shape(target) == row_shape(z) else (-1, z.shape[0 if z.ndim == 1 else 1])
    rows = to_rows(target).reshape(shape) if len(shape) == 2 else np.reshape(target, shape)
    return case | {name: to_rows(z), "target": rows}


def _positional(function: Callable[..., Any]) -> tuple[int, float] | None:
    """Return the least and largest number of arguments by position; None where nobody knows."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 0, np.inf
    known = {name for names in ALIASES.values() for name in names} | set(DEFAULTS)
    required = [p for p in places if p.default is p.empty and p.name not in known]
    return len(required), len(places)
