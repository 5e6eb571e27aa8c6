"""A function f and its backward, with the arguments to check them at.

Both are called with copies of the arguments. A function that writes into its arguments is noticed,
and spoils nothing.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy

import numpy as np

from scratchnn.gradcheck.calls import (
    Function,
    Signature,
    other_ways,
    problem_of_backward,
    problem_of_f,
    raised,
)
from scratchnn.gradcheck.derivatives import Curve
from scratchnn.ops.shared import Array


class PairError(Exception):
    """f or backward does something that makes a comparison impossible.

    `argument` names the argument of f that the message is about, or is "f", "backward" or "dy".
    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(message)
        self.argument = argument


class Pair:
    """f and backward with their arguments, in float64 where f takes it.

    Parts    arguments   the arguments of f, and after them the values of the options
             names       their names
             floats      the positions of the floating-point arrays among the arguments of f
             wrt         the positions of those to check
             y           the result of f
             u           the unit roundoff of y

    Raises   PairError where f is not finite, gives two results for the same arguments, writes
             into them, or has no floating-point result;
             TypeError, ValueError where there is no argument to check or f does not take them
    """

    def __init__(
        self,
        f: Function,
        backward: Function,
        arguments: Sequence[object],
        options: Mapping[str, object],
        wrt: Sequence[str | int] | None,
    ) -> None:
        for what, function in {"f": f, "backward": backward}.items():
            if not callable(function):
                got = type(function).__name__
                raise TypeError(f"{what} must be a function, got {got}: check(f, backward, x, ...)")
        names = _names(f, len(arguments))
        problem = problem_of_f(f, names, list(options))
        if problem:
            raise TypeError(problem)
        self._given, self._own_names, self._options = (f, backward), names, list(options)
        self.f, self.backward = (
            _by_position(function, self._options) for function in (f, backward)
        )
        self.names = [*names, *options]
        self.floats = [i for i, argument in enumerate(arguments) if _is_float(argument)]
        self.wrt = self._positions(arguments, wrt)
        self.arguments = self._in_precision([*arguments, *options.values()])
        self.y = self._pure(self.f, "f", self.names, self.arguments)
        if self.y.dtype.kind != "f":
            raise PairError("f", f"f must return a floating-point array, got {self.y.dtype}")
        if not np.isfinite(self.y).all():
            raise PairError("f", "f is not finite here: there is no derivative to check")
        self.u = float(np.finfo(self.y.dtype).eps) / 2
        self.size = self.y.size + sum(self.array(i).size for i in self.floats)

    def array(self, i: int) -> Array:
        """Return argument i, one of the floating-point arrays."""
        return np.asarray(self.arguments[i])

    def gradients(self, dy: Array) -> list[Array]:
        """Return backward's gradients of the arguments `wrt`.

        Raises   PairError where backward raises, or where a gradient has the wrong shape or dtype,
                 is not finite, or is missing
        """
        gradients = self._gradients(_scalar(dy), *_copies(self.arguments))
        for i, gradient in zip(self.wrt, gradients, strict=True):
            shape, name = self.array(i).shape, self.names[i]
            if gradient.dtype.kind != "f":
                raise PairError(name, f"its gradient must be floating point, got {gradient.dtype}")
            if gradient.shape != shape:
                hint = _shape_hint(gradient, shape, dy)
                raise PairError(
                    name, f"its gradient must have its shape {shape}, got {gradient.shape}{hint}"
                )
            if not np.isfinite(gradient).all():
                at = tuple(map(int, np.argwhere(~np.isfinite(gradient))[0]))
                raise PairError(name, f"its gradient is {gradient[at]} at {at}")
        return gradients

    def check_backward_is_pure(self, dy: Array) -> None:
        """Raise where backward writes into its arguments, or gives two results for the same ones.

        Raises   PairError
        """

        def backward(dy: Array, *arguments: object) -> Array:
            gradients = self._gradients(_scalar(dy), *arguments)
            return np.concatenate([gradient.ravel() for gradient in gradients] or [np.zeros(0)])

        self._pure(backward, "backward", ["dy", *self.names], [dy, *self.arguments])

    def called_otherwise(self) -> Iterator[tuple[str, Pair]]:
        """Yield each other way in which backward may take its arguments, in words and as a pair."""
        of_f = Signature(self._own_names, self._options, len(self.floats) > 1)
        for words, by_rule in other_ways(*self._given, of_f):
            other = copy(self)
            other.backward = by_rule
            yield words, other

    def nearby(self, rng: np.random.Generator) -> Pair:
        """Return the pair at arguments that are moved by about one rounding each."""
        other = copy(self)
        other.arguments = list(self.arguments)
        for i in self.floats:
            x = self.array(i)
            other.arguments[i] = (x * (1 + self.u * draw(rng, x.shape))).astype(x.dtype)
        return other

    def curve(self, directions: Mapping[int, Array], probe: Callable[[Array], Array]) -> Curve:
        """Return t → probe(f(x + t direction)), for real and for complex t.

        Raises   PairError, when it is called, where f raises at these arguments
        """

        def along(t: complex) -> Array:
            is_complex = isinstance(t, complex)
            moved = _copies(self.arguments)
            for i in self.floats:
                x = self.array(i)
                step = t * directions[i] if i in directions else 0
                moved[i] = (x + step).astype(np.complex128 if is_complex else x.dtype)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                try:
                    return probe(np.asarray(self.f(*moved)))
                except Exception as error:
                    near = "where its arguments are moved a little, to measure its slope"
                    raise PairError("f", f"{raised('f', error)}, {near}") from error

        return along

    def _in_precision(self, arguments: list[object]) -> list[object]:
        """Return the arguments in float64, or as they are where f insists on their precision."""
        doubled = list(arguments)
        for i in self.floats:
            doubled[i] = np.float64(np.asarray(arguments[i]))
        try:
            self.f(*_copies(doubled))
        except Exception:
            pass
        else:
            return doubled
        self.f(*_copies(arguments))  # its own exception, if it raises again
        return arguments

    def _positions(self, arguments: Sequence[object], wrt: Sequence[str | int] | None) -> list[int]:
        """Return the positions of the arguments to check.

        Raises   TypeError for no floating-point array; ValueError for a `wrt` that is not one
        """
        if not self.floats:
            got = ", ".join(map(_describe, self.names, arguments)) or "none"
            raise TypeError(f"one of f's arguments must be a floating-point array, got {got}")
        if wrt is None:
            return self.floats
        positions, names = [], {self.names[i]: i for i in self.floats}
        for which in wrt:
            i = names.get(which) if isinstance(which, str) else int(which)
            if i is None or i not in self.floats:
                among = f"wrt must be among the floating-point arrays {list(names)}"
                raise ValueError(f"{among}, got {which!r}")
            positions.append(i)
        if not positions:
            raise ValueError("wrt must name at least one argument, got none")
        return positions

    def _gradients(self, dy: object, *arguments: object) -> list[Array]:
        """Return the gradients `wrt` among those that backward returns."""
        try:
            result = self.backward(dy, *arguments)
        except Exception as error:
            problem = problem_of_backward(self._given[1], self._own_names, self._options)
            raise PairError("backward", problem or raised("backward", error)) from error
        several = result if isinstance(result, tuple | list) else [result]
        gradients = [np.asarray(gradient) for gradient in several if gradient is not None]
        if len(gradients) == len(self.wrt):
            return gradients
        if len(gradients) == len(self.floats):
            return [gradients[self.floats.index(i)] for i in self.wrt]
        expected = ", ".join(self.names[i] for i in self.wrt)
        words = f"backward must return a gradient for each of ({expected}), got {len(gradients)}"
        if self._options and len(gradients) > len(self.floats):
            words += ": options have no gradient, so give what has one by position"
        raise PairError("backward", words)

    def _pure(
        self, function: Function, label: str, names: Sequence[str], arguments: Sequence[object]
    ) -> Array:
        """Return a function's result, called twice.

        Raises   PairError where it writes into its arguments, or the two results differ
        """
        first, again = _copies(arguments), _copies(arguments)
        value = np.array(function(*first))
        for name, before, after in zip(names, arguments, first, strict=True):
            if isinstance(before, np.ndarray) and before.tobytes() != np.asarray(after).tobytes():
                raise PairError(name, f"{label} modifies {name} in place")
        if value.tobytes() != np.array(function(*again)).tobytes():
            raise PairError(label, f"{label} gave another result when called again: is it random?")
        return value


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return random numbers with 1 ≤ |x| < 2: never zero, and never all one."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(1, 2, shape)


def _by_position(function: Function, options: Sequence[str]) -> Function:
    """Return a function that takes its options by position, after its other arguments."""
    if not options:
        return function

    def by_position(*values: object) -> object:
        count = len(values) - len(options)
        return function(*values[:count], **dict(zip(options, values[count:], strict=True)))

    return by_position


def _is_float(argument: object) -> bool:
    return isinstance(argument, np.ndarray | np.floating) and argument.dtype.kind == "f"


def _describe(name: str, argument: object) -> str:
    if isinstance(argument, np.ndarray):
        return f"{name}: an array of {argument.dtype}"
    return f"{name}: {type(argument).__name__}"


def _copies(arguments: Sequence[object]) -> list[object]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def _scalar(dy: Array) -> object:
    """Return dy as a number where it has no axes, as f's result was."""
    return dy[()] if dy.ndim == 0 else dy


def _names(f: Function, count: int) -> list[str]:
    """Return the names of f's arguments, as far as Python knows them."""
    names = [f"argument {i}" for i in range(count)]
    if isinstance(f, np.ufunc):  # older NumPy does not tell Python their names
        return ["x", *names[1:]] if f.nin == 1 else [*("x1", "x2"), *names[2:]][:count]
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # some functions that are written in C
        return names
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (known + names[len(known) :])[:count]


def _shape_hint(gradient: Array, shape: tuple[int, ...], dy: Array) -> str:
    """Return why a gradient may have another shape than its argument."""
    if gradient.shape == shape[::-1]:
        return ": it is transposed"
    for axis in range(dy.ndim):
        total = dy.sum(axis=axis)
        if total.shape == gradient.shape and np.allclose(total, gradient):
            return f": it is dy summed over axis {axis}, and that is the wrong axis"
    if gradient.ndim > len(shape) and gradient.shape[gradient.ndim - len(shape) :] == shape:
        return ": it is not summed over the rows that share the argument"
    return ""
