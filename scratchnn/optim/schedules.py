"""Schedules: how the learning rate changes from step to step.

A schedule is a function of t, the number of steps taken so far. It returns the factor of the
learning rate in the next step: 1 for all of it. `Scheduled` gives a schedule to an optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from scratchnn.ops.shared import Array, check_rates, check_whole
from scratchnn.optim.state import state_of

if TYPE_CHECKING:
    from scratchnn.optim import Optimizer

Schedule: TypeAlias = Callable[[int], float]


@dataclass(frozen=True)
class StepDecay:
    """A learning rate that falls at once, every so many steps.

        factor(t) = gamma^⌊t / step_size⌋

    Options  step_size   how many steps have the same rate
             gamma       what the rate is multiplied by after them
    Raises   TypeError, ValueError for a step_size below 1, or a negative gamma
    Torch    torch.optim.lr_scheduler.StepLR
    """

    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_whole(1, step_size=self.step_size)
        check_rates(gamma=self.gamma)

    def __call__(self, t: int) -> float:
        """Return the factor of the next step, after t steps; inf where no float is as large."""
        try:
            return float(self.gamma) ** (t // self.step_size)
        except OverflowError:
            return math.inf


@dataclass(frozen=True)
class Cosine:
    """A learning rate that falls slowly at first, then fast, and slowly to 0.

        factor(t) = (1 + cos(π t / total)) / 2, and 0 from t = total on

    Options  total   the number of steps of the whole training: epochs times batches per epoch
    Raises   TypeError, ValueError for a total below 1
    Torch    torch.optim.lr_scheduler.CosineAnnealingLR, whose rate rises again after T_max
    Source   Loshchilov & Hutter 2017, arXiv:1608.03983, without its restarts
    """

    total: int

    def __post_init__(self) -> None:
        check_whole(1, total=self.total)

    def __call__(self, t: int) -> float:
        """Return the factor of the next step, after t steps."""
        return (1 + math.cos(math.pi * min(t / self.total, 1))) / 2


@dataclass
class Scheduled:
    """An optimizer whose learning rate follows a schedule. `fit` takes it like any other.

        steps = 20 * math.ceil(len(train) / 64)     # 20 epochs, in batches of 64
        optimizer = Scheduled(SGD(0.5), Cosine(steps), warm_up=100)
        fit(network, train, optimizer=optimizer, epochs=20, batch_size=64)

    The rate of a step, after t steps:

        learning_rate · min(1, (t + 1) / warm_up) · schedule(t)

    So the first steps take 1/warm_up, 2/warm_up, ... of the rate. The steps of the warm-up are
    steps of the schedule, too.

    Options  optimizer   SGD(0.5), Adam(), ...: with the learning rate that the factors apply to
             schedule    StepDecay(...), Cosine(...), or a function of t; None: always 1
             warm_up     how many steps the rate takes to reach its full size
    State    that of the optimizer, and `steps`, how many were taken
    Raises   TypeError, ValueError for a warm_up that is no whole number from 0 up, or an optimizer
             that has a schedule
    Torch    torch.optim.lr_scheduler.LinearLR(start_factor=1 / warm_up, total_iters=warm_up - 1),
             chained with the schedule's
    """

    optimizer: Optimizer
    schedule: Schedule | None = None
    warm_up: int = 0
    state: dict[str, Array] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_whole(0, warm_up=self.warm_up)
        if isinstance(self.optimizer, type) or not hasattr(self.optimizer, "step"):
            raise TypeError(f"optimizer must be an object such as SGD(0.1), got {self.optimizer!r}")
        if isinstance(self.optimizer, Scheduled):
            raise TypeError(
                "optimizer must be one without a schedule, got a Scheduled one: pass the optimizer "
                "in it, and one schedule, as lambda t: first(t) * second(t)"
            )
        if self.schedule is not None and not callable(self.schedule):
            raise TypeError(
                "schedule must be StepDecay(...), Cosine(...) or a function of the number of "
                f"steps, got {self.schedule!r}"
            )

    @property
    def learning_rate(self) -> float:
        """The rate that the factors apply to."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self.optimizer.learning_rate = rate

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return int(self.state.get("steps", 0))

    def rate(self, t: int) -> float:
        """Return the learning rate of the next step, after t steps.

        Raises   TypeError, ValueError for a schedule that returns no finite number from 0 up
        """
        warmed = min(1.0, (t + 1) / self.warm_up) if self.warm_up else 1.0
        if self.schedule is None:
            return self.learning_rate * warmed
        factor = self.schedule(t)
        check_rates(**{f"schedule({t})": factor})
        return self.learning_rate * warmed * float(factor)

    def now(self) -> Optimizer:
        """Return the optimizer that takes the next step, with the learning rate of that step."""
        optimizer = copy(self.optimizer)
        optimizer.learning_rate, optimizer.state = self.rate(self.steps), self.state
        return optimizer

    def step(self, theta: Array, grad: Array) -> None:
        """Move θ one step against the gradient, in place; `grad` is left as it is.

        Shapes   theta, grad (n,)
        """
        self.state = state_of(theta, self.state)
        optimizer, taken = self.now(), self.steps
        optimizer.step(theta, grad)
        self.state = optimizer.state
        self.state["steps"] = np.array(taken + 1)
