"""Stochastic gradient descent on the flat parameter vector."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scratchnn.ops.shared import Array, check_flag, check_number, check_rates, check_same_shape
from scratchnn.optim.state import check_step, state_of

BLOCK = 65_536  # numbers: 256 KiB in float32, which stay in the processor's cache


@dataclass
class SGD:
    """Minibatch stochastic gradient descent. Every option means what it means in torch.optim.SGD.

        θ = θ - learning_rate ∂L/∂θ

    and with options

        g = ∂L/∂θ + weight_decay θ              (-∂L/∂θ with maximize)
        v = g  at first, then  momentum v + (1 - dampening) g
        θ = θ - learning_rate v                 (g + momentum v in place of v with nesterov)

    The learning rate is not part of v, so a change of it acts at once. (In the form of Sutskever
    et al. 2013 it is part of v.)

    Options  learning_rate   the size of a step
             momentum        how much of the velocity v is kept
             dampening       v gets 1 - dampening of the gradient
             weight_decay    how much of θ is added to its gradient
             nesterov        whether to look one step of momentum ahead
             maximize        whether to go up, along the gradient
    State    velocity   v, of θ's shape, where there is momentum. It belongs to one θ: a step of
                        another network begins anew
    Raises   TypeError, ValueError for a negative rate, nesterov without momentum or with
             dampening, or a state of another length than θ
    Torch    torch.optim.SGD
    """

    learning_rate: float
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = False
    state: dict[str, Array] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_rates(
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        check_flag(nesterov=self.nesterov, maximize=self.maximize)
        check_number(dampening=self.dampening)
        if not math.isfinite(self.dampening):
            raise ValueError(f"dampening must be finite, got {self.dampening}")
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("nesterov needs momentum > 0 and dampening = 0")

    def step(self, theta: Array, grad: Array) -> None:
        """Move θ one step against the gradient, in place; `grad` is left as it is.

        Shapes   theta, grad (n,)
        """
        check_step(theta, grad)
        self.state = state_of(theta, self.state)
        g = -grad if self.maximize else grad
        if self.weight_decay:
            g = g + self.weight_decay * theta
        if self.momentum:
            v = self._velocity(g)
            g = g + self.momentum * v if self.nesterov else v
        # theta -= learning_rate * g, block by block: so there is no temporary array as long as θ
        for start in range(0, len(theta), BLOCK):
            part = theta[start : start + BLOCK]
            part -= self.learning_rate * g[start : start + BLOCK]

    def _velocity(self, g: Array) -> Array:
        """Return v after this gradient."""
        v = self.state.get("velocity")
        if v is None:
            v = g.copy()
            self.state["velocity"] = v
            return v
        check_same_shape(theta=g, velocity=v)
        v *= self.momentum
        v += g if self.dampening == 0 else (1 - self.dampening) * g
        return v
