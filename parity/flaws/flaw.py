"""One planted bug of an operation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Flaw:
    """A wrong function in place of an operation, or of its backward."""

    op: str
    wrong: Callable[..., Any]
    backward: bool = False
    title: str = ""

    @property
    def name(self) -> str:
        """What is wrong, in a few words: its title, or the function's name."""
        return self.title or self.wrong.__name__.replace("_", " ")

    @property
    def cause(self) -> str:
        """What to say to whoever made it."""
        return " ".join((self.wrong.__doc__ or "").split())


class Plants(list[Flaw]):
    """The flaws of a file, gathered by decorators."""

    def of(self, *ops: str, backward: bool = False, name: str = "") -> Callable[..., Any]:
        """Return a decorator that plants a function in these operations, under this name or its."""

        def plant(wrong: Callable[..., Any]) -> Callable[..., Any]:
            self.extend(Flaw(op, wrong, backward, name) for op in ops)
            return wrong

        return plant

    def backward(self, *ops: str) -> Callable[..., Any]:
        """Return a decorator that plants a function as the backward of these operations."""
        return self.of(*ops, backward=True)
