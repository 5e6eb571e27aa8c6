"""A function with its backward, called so that neither can harm or mislead the check."""

from __future__ import annotations  # numpy.random need not be imported for a type

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from scratchnn.arrays import Array
from scratchnn.gradcheck.derivatives import Curve


class PairError(Exception):
    """f or backward does what makes a comparison impossible."""

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(message)
        self.argument = argument


class Pair:
    """f and backward with the arguments to check them at, in float64 where f takes it.

    Raises   PairError for an f that is not finite, not pure, or has no floating-point result;
             TypeError, ValueError where there is no argument to check
    """

    def __init__(
        self,
        f: Callable[..., Any],
        backward: Callable[..., Any],
        arguments: Sequence[Any],
        wrt: Sequence[str | int] | None,
    ) -> None:
        self.f, self.backward = f, backward
        self.names = _names(f, len(arguments))
        self.floats = [i for i, argument in enumerate(arguments) if _is_float(argument)]
        if not self.floats:
            got = ", ".join(map(_describe, self.names, arguments)) or "none"
            raise TypeError(f"one of f's arguments must be a floating-point array, got {got}")
        self.wrt = self.floats if wrt is None else [self._position(which) for which in wrt]
        if not self.wrt:
            raise ValueError("wrt must name at least one argument, got none")
        self.arguments = list(arguments)
        doubled = [a.astype(np.float64) if _is_float(a) else a for a in arguments]
        try:
            f(*_copies(doubled))
            self.arguments = doubled
        except Exception:  # it may insist on its own precision
            f(*_copies(self.arguments))
        self.y = self._pure(f, "f", self.arguments)
        if self.y.dtype.kind != "f":
            raise PairError("f", f"f must return a floating-point array, got {self.y.dtype}")
        if not np.isfinite(self.y).all():
            raise PairError("f", "f is not finite here: there is no derivative to check")
        self.u = float(np.finfo(self.y.dtype).eps) / 2
        self.size = self.y.size + sum(self.arguments[i].size for i in self.floats)

    def gradients(self, dy: Array) -> list[Array]:
        """Return backward's gradients of the arguments `wrt`.

        Raises   PairError for gradients that cannot be right in number, shape, dtype or value
        """
        result = self._results(self.backward(_scalar(dy), *_copies(self.arguments)))
        for i, gradient in zip(self.wrt, result, strict=True):
            shape, name = self.arguments[i].shape, self.names[i]
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
        return result

    def gradient_at_result(self, i: int, dy: Array) -> Array | None:
        """Return backward's gradient for argument i when it is given f's result in its place.

        None where that makes no sense: the result has another shape, or backward does not take it
        """
        if self.y.shape != self.arguments[i].shape:
            return None
        other = copy(self)
        other.arguments = [*self.arguments[:i], self.y, *self.arguments[i + 1 :]]
        try:
            return other.gradients(dy)[self.wrt.index(i)]
        except Exception:  # backward may insist on anything
            return None

    def check_habits(self, dy: Array) -> None:
        """Refuse a backward that modifies its arguments, or answers differently when asked again.

        Raises   PairError
        """

        def backward(dy: Array, *arguments: Any) -> Array:
            gradients = self._results(self.backward(_scalar(dy), *arguments))
            return np.concatenate([gradient.ravel() for gradient in gradients] or [np.zeros(0)])

        self._pure(backward, "backward", [dy, *self.arguments])

    def nearby(self, rng: np.random.Generator) -> Pair:
        """Return the pair at arguments that are each moved by an ulp or less."""
        other = copy(self)
        other.arguments = list(self.arguments)
        for i in self.floats:
            x = self.arguments[i]
            other.arguments[i] = (x * (1 + self.u * draw(rng, x.shape))).astype(x.dtype)
        return other

    def curve(self, directions: Mapping[int, Array], probe: Callable[[Array], Array]) -> Curve:
        """Return t → probe(f(x + t direction)), for real and for complex t."""

        def along(t: complex) -> Array:
            kind = np.complex128 if isinstance(t, complex) else np.float64
            moved = _copies(self.arguments)
            for i in self.floats:
                x = self.arguments[i]
                step = t * directions[i] if i in directions else 0
                moved[i] = (x + step).astype(kind if kind == np.complex128 else x.dtype)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return probe(np.asarray(self.f(*moved)))

        return along

    def _results(self, result: Any) -> list[Array]:
        """Return the gradients `wrt` among those that backward returned."""
        several = isinstance(result, tuple | list)
        gradients = [np.asarray(g) for g in (result if several else [result]) if g is not None]
        if len(gradients) == len(self.wrt):
            return gradients
        if len(gradients) == len(self.floats):
            return [gradients[self.floats.index(i)] for i in self.wrt]
        expected = ", ".join(self.names[i] for i in self.wrt)
        raise PairError(
            "backward",
            f"backward must return a gradient for each of ({expected}), got {len(gradients)}",
        )

    def _pure(self, function: Callable[..., Any], name: str, arguments: list[Any]) -> Array:
        """Call a function twice; return its result, unless it modifies arguments or changes."""
        names = self.names if name == "f" else ["dy", *self.names]
        first, again = (_copies(arguments) for _ in range(2))
        value = np.array(function(*first))
        for argument, before, after in zip(names, arguments, first, strict=True):
            if isinstance(before, np.ndarray) and before.tobytes() != after.tobytes():
                raise PairError(argument, f"{name} modifies {argument} in place")
        if value.tobytes() != np.array(function(*again)).tobytes():
            raise PairError(name, f"{name} gave another result when called again: is it random?")
        return value

    def _position(self, which: str | int) -> int:
        names = [self.names[i] for i in self.floats]
        i = self.names.index(which) if which in self.names else which
        if i not in self.floats:
            raise ValueError(f"wrt must be among the floating-point arrays {names}, got {which!r}")
        return int(i)


def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return random numbers with 1 ≤ |x| < 2: never zero, and never all one."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(1, 2, shape)


def _is_float(argument: Any) -> bool:
    return isinstance(argument, np.ndarray | np.floating) and argument.dtype.kind == "f"


def _describe(name: str, argument: Any) -> str:
    if isinstance(argument, np.ndarray):
        return f"{name}: an array of {argument.dtype}"
    return f"{name}: {type(argument).__name__}"


def _copies(arguments: Sequence[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def _scalar(dy: Array) -> Any:
    return dy[()] if dy.ndim == 0 else dy


def _names(f: Callable[..., Any], count: int) -> list[str]:
    names = [f"argument {i}" for i in range(count)]
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # a ufunc, say
        return names
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (known + names[len(known) :])[:count]


def _shape_hint(gradient: Array, shape: tuple[int, ...], dy: Array) -> str:
    if gradient.shape == shape[::-1]:
        return ": it is transposed"
    for axis in range(dy.ndim):
        total = dy.sum(axis=axis)
        if total.shape == gradient.shape and np.allclose(total, gradient):
            return f": it is dy summed over axis {axis}, and that is the wrong axis"
    if gradient.ndim > len(shape) and gradient.shape[gradient.ndim - len(shape) :] == shape:
        return ": it is not summed over the rows that share the argument"
    return ""
