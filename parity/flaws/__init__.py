"""Bugs that people really make: planted to see the checks fail, and named where one is recognised.

Each is a function with the operation's arguments whose docstring is the usual cause.
"""

from parity.flaws import activations, layers, losses, regression, softmax
from parity.flaws.flaw import Flaw

__all__ = ["FLAWS", "Flaw"]

FLAWS: tuple[Flaw, ...] = tuple(
    flaw for module in (softmax, losses, activations, regression, layers) for flaw in module.FLAWS
)
