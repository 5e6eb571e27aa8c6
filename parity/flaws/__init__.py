"""Bugs that people make: planted to see the checks fail, and named where a check recognizes one.

Each is a function with the operation's arguments. Its docstring is the cause that a report tells.

    flaw.py       one flaw of an operation
    softmax.py    softmax, log_softmax and logsumexp
    losses.py     losses of classes, and of a difference
    layers.py     layers and activations
    training.py   training, which is planted in scratchnn itself
"""

from __future__ import annotations

from parity.flaws import layers, losses, softmax
from parity.flaws.flaw import Flaw

__all__ = ["FLAWS", "Flaw"]

FLAWS: tuple[Flaw, ...] = (*softmax.FLAWS, *losses.FLAWS, *layers.FLAWS)
