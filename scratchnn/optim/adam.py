"""Adam and AdamW: every parameter gets a step size of its own, from the size of its gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from scratchnn.ops.shared import Array, check_flag, check_number, check_rates, check_same_shape
from scratchnn.optim.state import check_step, state_of


@dataclass
class Adam:
    """Adam. Every option means what it means in torch.optim.Adam.

        g = ∂L/∂θ + weight_decay θ              (-∂L/∂θ with maximize)
        m = β₁ m + (1 - β₁) g                   the mean of the gradients
        v = β₂ v + (1 - β₂) g²                  the mean of their squares
        θ = θ - learning_rate m̂ / (√v̂ + ε),    m̂ = m / (1 - β₁ᵗ),   v̂ = v / (1 - β₂ᵗ)

    m and v start at 0, so after t steps they are too small by 1 - βᵗ; m̂ and v̂
    are not. A parameter whose gradients are large moves as far as one whose
    gradients are small: about the learning rate.

    Options  learning_rate   the size of a step
             betas           β₁ and β₂ in [0, 1): how much of m and v is kept
             eps             ε: keeps the quotient finite where v is 0
             weight_decay    how much of θ is added to its gradient
             maximize        whether to go up, along the gradient
    State    m, v (of θ's shape), and t, the number of steps. They belong to one θ: a step of
             another network begins anew
    Raises   TypeError, ValueError for an option out of its range, or a state of another length
             than θ
    Torch    torch.optim.Adam
    Source   Kingma & Ba 2015, arXiv:1412.6980
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    maximize: bool = False
    state: dict[str, Array] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_rates(learning_rate=self.learning_rate, eps=self.eps, weight_decay=self.weight_decay)
        check_flag(maximize=self.maximize)
        if not isinstance(self.betas, (tuple, list)):
            raise TypeError(f"betas must be two numbers in [0, 1), got {self.betas!r}")
        check_number(**{f"betas[{i}]": beta for i, beta in enumerate(self.betas)})
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas}")

    def step(self, theta: Array, grad: Array) -> None:
        """Move θ one step against the gradient, in place; `grad` is left as it is.

        Shapes   theta, grad (n,)
        """
        check_step(theta, grad)
        self.state = state_of(theta, self.state)
        g = -grad if self.maximize else grad
        if self.weight_decay:
            g = self._decayed(theta, g)
        if "m" not in self.state:
            zeros = np.zeros_like(theta)
            self.state |= {"m": zeros, "v": zeros.copy(), "t": np.zeros(())}
        m, v = self.state["m"], self.state["v"]
        check_same_shape(theta=theta, m=m)
        self.state["t"] += 1
        (beta_1, beta_2), t = self.betas, float(self.state["t"])
        m += (1 - beta_1) * (g - m)
        v *= beta_2
        v += (1 - beta_2) * (g * g)
        rate = self.learning_rate / (1 - beta_1**t)
        theta -= rate * m / (np.sqrt(v) / math.sqrt(1 - beta_2**t) + self.eps)

    def _decayed(self, theta: Array, g: Array) -> Array:
        return g + self.weight_decay * theta


@dataclass
class AdamW(Adam):
    """Adam whose weight decay shrinks θ itself, and does not pass through m and v.

        θ = (1 - learning_rate weight_decay) θ - learning_rate m̂ / (√v̂ + ε)

    Options  as Adam's; weight_decay is 0.01 where nothing is said
    Torch    torch.optim.AdamW
    Source   Loshchilov & Hutter 2019, arXiv:1711.05101
    """

    weight_decay: float = 1e-2

    def _decayed(self, theta: Array, g: Array) -> Array:
        theta *= 1 - self.learning_rate * self.weight_decay
        return g
