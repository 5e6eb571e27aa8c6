"""Optimizers: how a gradient changes the parameters. All follow one protocol.

sgd.py         minibatch SGD, with momentum
adam.py        Adam and AdamW
schedules.py   a learning rate that changes from step to step
state.py       what they keep from step to step, for one network
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from scratchnn.ops.shared import Array
from scratchnn.optim.adam import Adam, AdamW
from scratchnn.optim.schedules import Cosine, Scheduled, StepDecay
from scratchnn.optim.sgd import SGD

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Cosine",
    "Optimizer",
    "Scheduled",
    "StepDecay",
]


class Optimizer(Protocol):
    """What training asks of an optimizer.

    learning_rate   the size of a step; it may be changed between steps
    state           the arrays that it keeps from step to step, by name; empty before the first
                    step. A checkpoint saves it, and assigning it restores it. One optimizer may
                    train several networks, one after the other: none gets another's state.
    """

    learning_rate: float
    state: dict[str, Array]

    def step(self, theta: Array, grad: Array) -> None:
        """Change θ in place, against its gradient; leave `grad` as it is."""


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
