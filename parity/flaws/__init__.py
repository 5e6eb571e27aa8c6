"""Bugs that people make: planted to see the checks fail, and named where a check recognizes one.

Each is a function with the operation's arguments. Its docstring is the cause that a report tells.

    flaw.py         one flaw of an operation
    softmax.py      softmax, log_softmax and logsumexp
    losses.py       losses of classes: cross-entropies and divergences
    regression.py   losses of a difference
    layers.py       layers and activations
    __init__.py     all of these
    training.py     training
"""

from __future__ import annotations

from parity.flaws import layers, losses, regression, softmax
from parity.flaws.flaw import Flaw, Plants

__all__ = ["FLAWS", "Flaw", "Plants"]

FLAWS: tuple[Flaw, ...] = (*softmax.FLAWS, *losses.FLAWS, *regression.FLAWS, *layers.FLAWS)
