"""How a backward takes its arguments: by the rule, or in another way that may be meant.

The rule is backward(dy, *the arguments of f, **options). Learners also write backward(dy, y), with
the forward's result; they leave out dy, or a bias. `other_ways` makes a function that follows the
rule of each of them, and the usual checks then tell whether its gradients are right.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from scratchnn.ops.shared import Array

Function: TypeAlias = Callable[..., object]

RULE = "the rule is backward(dy, *the arguments of f)"


class Signature(NamedTuple):
    """The names of f's arguments and options, and whether several of them have a gradient."""

    names: Sequence[str]
    options: Sequence[str]
    several: bool


class Way(NamedTuple):
    """A way of calling backward.

    Parts    dy       whether it takes the upstream gradient
             kept     the positions of those of f's arguments that it takes
             result   the place of f's result among them; None if it does not take the result
    """

    dy: bool
    kept: tuple[int, ...]
    result: int | None

    def number(self) -> int:
        """Return how many arguments backward takes by position."""
        return self.dy + len(self.kept) + (self.result is not None)

    def distance(self, count: int) -> tuple[int, int]:
        """Return in how much it differs from the rule, for an f of `count` arguments.

        First by what is replaced, left out or added; then by the number of arguments.
        """
        changed = max(count - len(self.kept), self.result is not None)
        return (not self.dy) + changed, abs(self.number() - (1 + count))


def other_ways(f: Function, backward: Function, of_f: Signature) -> Iterator[tuple[str, Function]]:
    """Yield each other way of calling backward: in words, and as a function that follows the rule.

    The ways that differ least from the rule come first. The functions take the options by
    position, after the arguments of f, as Pair calls them.
    """
    count = len(of_f.names)
    fewer = [*range(count, max(count - 3, -1), -1), *([0] if count > 2 else [])]
    ways = [
        Way(dy, kept, result)
        for dy in (True, False)
        for size in fewer
        for kept in combinations(range(count), size)
        for result in (None, *reversed(range(size + 1)))
        if dy or result is None or size < count
    ]
    for way in sorted(ways, key=lambda way: way.distance(count)):
        if any(way.distance(count)) and accepts(backward, way.number(), of_f.options):
            yield in_words(way, of_f), _by_rule(way, f, backward, of_f)


def _by_rule(way: Way, f: Function, backward: Function, of_f: Signature) -> Function:
    """Return a function that follows the rule and calls backward in another way."""
    count = len(of_f.names)

    def by_rule(dy: Array, *values: object) -> object:
        options = dict(zip(of_f.options, values[count:], strict=True))
        given = [values[i] for i in way.kept]
        if way.result is not None:
            given.insert(way.result, f(*values[:count], **options))
        if way.dy:
            return backward(dy, *given, **options)
        gradients = backward(*given, **options)
        if not isinstance(gradients, tuple | list):
            return np.multiply(dy, np.asarray(gradients))
        return [None if g is None else np.multiply(dy, np.asarray(g)) for g in gradients]

    return by_rule


def in_words(way: Way, of_f: Signature) -> str:
    """Return what backward takes that the rule does not, and what to check instead."""
    left_out = " and ".join(name for i, name in enumerate(of_f.names) if i not in way.kept)
    takes = [] if way.dy else ["no upstream gradient dy"]
    if way.result is not None:
        takes.insert(0, f"f's result, not {left_out}" if left_out else "f's result, too")
    words = [f"takes {', and '.join(takes)}"] if takes else []
    if left_out and way.result is None:
        words.append(f"leaves out {left_out}")
    return (
        f"backward {', and '.join(words)}: if that is how it is meant, check {as_code(way, of_f)}"
    )


def as_code(way: Way, of_f: Signature) -> str:
    """Return the function that follows the rule and calls backward in another way, as code."""
    names = [name if name.isidentifier() else f"x{i}" for i, name in enumerate(of_f.names)]
    options = ["**options"] if of_f.options else []
    given = [names[i] for i in way.kept]
    if way.result is not None:
        given.insert(way.result, f"f({', '.join([*names, *options])})")
    call = f"backward({', '.join([*(['dy'] if way.dy else []), *given, *options])})"
    if not way.dy:
        call = f"[dy * dx for dx in {call}]" if of_f.several else f"dy * {call}"
    return f"lambda {', '.join(['dy', *names, *options])}: {call}"


def accepts(function: Function, count: int, options: Sequence[str]) -> bool:
    """Whether a function can be called with so many arguments and these options.

    True where Python cannot tell, as for some functions that are written in C.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*range(count), **dict.fromkeys(options))
    except TypeError:
        return False
    return True


def problem_of_f(f: Function, names: Sequence[str], options: Sequence[str]) -> str:
    """Return in words why f cannot be called with its arguments; empty if it can."""
    if accepts(f, len(names), options):
        return ""
    given = f"{len(names)} argument{'' if len(names) == 1 else 's'}"
    if options:
        given += f" and the options {', '.join(options)}"
    return (
        f"f is {getattr(f, '__name__', 'f')}{inspect.signature(f)}, and it cannot be called with "
        f"{given}: use gradcheck.check(f, backward, *the arguments of f, options={{...}})"
    )


def problem_of_backward(backward: Function, names: Sequence[str], options: Sequence[str]) -> str:
    """Return in words why backward cannot be called by the rule; empty if it can."""
    if accepts(backward, 1 + len(names), options):
        return ""
    parameters = inspect.signature(backward).parameters.values()
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_keyword = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    taken = [p.name for p in by_position]
    shown = f"backward({', '.join(taken)})"
    unknown = [name for name in options if name not in [p.name for p in parameters]]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        return (
            f"{shown} does not take {', '.join(unknown)}: "
            "options are given to f and to backward by keyword"
        )
    if taken and taken[0] in names:
        return f"{shown} takes no upstream gradient dy before the arguments of f: {RULE}"
    required = [p.name for p in by_position[1:] if p.default is p.empty]
    most = None if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(taken) - 1
    if taken and len(required) <= len(names) and (most is None or len(names) <= most):
        needs = ", ".join(name for name in by_keyword if name not in options)
        return f"{shown} needs {needs or 'other arguments'} by keyword: {RULE}"
    return f"{shown} takes {_number(len(required), most, taken)}, and f takes {len(names)} (" + (
        f"{', '.join(names)}){_left_out(taken, names)}: {RULE}"
    )


def _number(least: int, most: int | None, taken: Sequence[str]) -> str:
    """Return how many arguments backward takes after its first."""
    if not taken:
        return "no arguments"
    number = f"at least {least}" if most is None else f"{least} to {most}"
    if least == most:
        number = f"{least}" if least else "no"
    return f"{number} argument{'' if number == '1' else 's'} after {taken[0]}"


def _left_out(taken: Sequence[str], names: Sequence[str]) -> str:
    """Return which arguments of f are missing, where backward's own have the same names."""
    if not set(taken[1:]) <= set(names) or not taken[1:]:
        return ""
    return f", leaving out {' and '.join(name for name in names if name not in taken)}"


def raised(name: str, error: Exception) -> str:
    """Return which exception a function raised, and at which of its lines."""
    here = Path(__file__).parent
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent != here
    ]
    text = f"{name} raises {type(error).__name__}: {' '.join(str(error).split())}"
    if not frames:  # a function written in C
        return text
    own = [frame for frame in frames if frame.filename == frames[0].filename][-1]
    return f"{text} (line {own.lineno}{f': {own.line}' if own.line else ''})"
