"""Bugs that people make: planted to see the checks fail, and named where a check recognizes one.

Each is a function with the operation's arguments. Its docstring is the cause that a report tells.

    softmax.py        softmax, log_softmax and logsumexp
    cross_entropy.py  losses of classes
    probabilities.py  losses of probabilities
    losses.py         losses of yes or no, of two distributions, and of a difference
    layers.py         layers and activations
    training.py       training, which is planted in scratchnn itself
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isfunction, signature

from parity.ops import Function


@dataclass(frozen=True)
class Flaw:
    """A wrong function in place of an operation or its backward, or of a part of training.

    Parts    op      the name of a row of the table of operations, or of an attribute of `where`
             wrong   the function, whose docstring says to its author what is wrong
             where   of training: the class or module that has the right function
    """

    op: str
    wrong: Function
    where: object = None

    @property
    def name(self) -> str:
        """What is wrong, in a few words."""
        return self.wrong.__name__.replace("_", " ")

    @property
    def cause(self) -> str:
        """What to say to the author."""
        return " ".join((self.wrong.__doc__ or "").split())

    @property
    def backward(self) -> bool:
        """Whether it stands in place of the backward: an upstream gradient comes first then."""
        return next(iter(signature(self.wrong).parameters)).startswith("d")


class Plants(list[Flaw]):
    """The flaws of a file. Those in one place are the functions of a class, without a self."""

    def of(self, op: str, where: object = None) -> Callable[[type], type]:
        """Return a decorator of such a class."""

        def plant(functions: type) -> type:
            wrong = filter(isfunction, vars(functions).values())
            self.extend(Flaw(op, function, where) for function in wrong)
            return functions

        return plant


def reduced(losses, reduction):
    """Return the mean or the sum of the losses, or the losses."""
    return losses if reduction == "none" else getattr(losses, reduction)()


def no_mean(reduction):
    """Return the reduction with "sum" in place of "mean"."""
    return "sum" if reduction == "mean" else reduction
