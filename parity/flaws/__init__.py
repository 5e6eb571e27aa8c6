"""Bugs that people really make: planted to see the checks fail, and named where one is recognised.

Each is a function with the operation's arguments whose docstring is the usual cause.

    flaw.py         one flaw of an operation
    softmax.py      those of softmax, log_softmax and logsumexp
    losses.py       of cross-entropies
    activations.py  of activations, and of the binary cross-entropy
    regression.py   of regression losses and divergences
    layers.py       of linear layers
    __init__.py     all of these
    training.py     what goes wrong in training
"""

from parity.flaws import activations, layers, losses, regression, softmax
from parity.flaws.flaw import Flaw

__all__ = ["FLAWS", "Flaw"]

FLAWS: tuple[Flaw, ...] = tuple(
    flaw for module in (softmax, losses, activations, regression, layers) for flaw in module.FLAWS
)
