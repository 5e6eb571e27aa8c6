"""One planted bug of an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from parity.ops import Function

F = TypeVar("F", bound=Function)


@dataclass(frozen=True)
class Flaw:
    """A wrong function in place of an operation, or of its backward.

    Parts    op         the name of a row of the table of operations
             wrong      the function, whose docstring says to its author what is wrong
             backward   whether it stands in place of the backward
             title      what is wrong, in a few words; default: the function's name
    """

    op: str
    wrong: Function
    backward: bool = False
    title: str = ""

    @property
    def name(self) -> str:
        """What is wrong, in a few words."""
        return self.title or self.wrong.__name__.replace("_", " ")

    @property
    def cause(self) -> str:
        """What to say to the author."""
        return " ".join((self.wrong.__doc__ or "").split())


class Plants(list[Flaw]):
    """The flaws of a file, gathered by decorators."""

    def of(self, op: str, *, title: str = "") -> Callable[[F], F]:
        """Return a decorator that plants a function in place of an operation."""
        return self._planting(op, False, title)

    def backward(self, op: str, *, title: str = "") -> Callable[[F], F]:
        """Return a decorator that plants a function in place of an operation's backward."""
        return self._planting(op, True, title)

    def _planting(self, op: str, backward: bool, title: str) -> Callable[[F], F]:
        def plant(wrong: F) -> F:
            self.append(Flaw(op, wrong, backward, title))
            return wrong

        return plant


def reduced(losses, reduction):
    """Return the mean or the sum of the losses, or the losses."""
    return losses if reduction == "none" else getattr(losses, reduction)()


def no_mean(reduction):
    """Return the reduction with "sum" in place of "mean"."""
    return "sum" if reduction == "mean" else reduction
