"""One step of an optimizer: ours, torch's, the right answer, and the bound of its rounding errors.

RULES is the table: to compare another optimizer with torch.optim, write its entry there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from itertools import product

import numpy as np

from parity import bounds, digits, theirs
from parity.digits import Numbers
from parity.judge import Difference, Index, Verdict, compare, literal, measure, worst
from parity.training.trace import FREE_RUN_TOLERANCE
from scratchnn.ops.shared import Array
from scratchnn.optim import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, Scheduled

State = dict[str, Array]
THETA = "θ"

STEPS, RATE, LATER_RATE = 4, 0.5, 0.125  # of `check`


@dataclass(frozen=True)
class Rule:
    """What is known of an optimizer. The functions take the optimizer, for its settings, first.

    buffers     the arrays of its state, like θ or a single number, and what torch calls them
    options     the settings to try
    right       (θ, grad, state) → θ after a step, in their arithmetic
    bound       (θ, grad, state, u) → the error of θ after a step, of arrays in float64
    handed_on   (θ, grad, state, error) → how far an error of the gradient moves θ
    """

    buffers: dict[str, str]
    options: Sequence[Mapping[str, object]]
    right: Callable[..., Numbers]
    bound: Callable[..., Array]
    handed_on: Callable[..., Array]


def _sgd_direction(sgd: SGD, theta: Numbers, g: Numbers, v: Numbers | None) -> Numbers:
    """Return what SGD subtracts, over the learning rate; g is the gradient, or its negative."""
    if sgd.weight_decay:
        g = g + sgd.weight_decay * theta
    if not sgd.momentum:
        return g
    v = g if v is None else sgd.momentum * v + g - sgd.dampening * g
    return g + sgd.momentum * v if sgd.nesterov else v


def _sgd(sgd: SGD, theta: Numbers, grad: Numbers, state: dict[str, Numbers]) -> Numbers:
    g = -grad if sgd.maximize else grad
    return theta - sgd.learning_rate * _sgd_direction(sgd, theta, g, state.get("velocity"))


def _sgd_bound(sgd: SGD, theta: Array, grad: Array, state: State, u: float) -> Array:
    """Bound a step by the magnitudes that it adds.

    bounds.sgd_step has the roundings of θ - learning_rate (momentum v + g). Weight decay and
    Nesterov's step round up to 4 times more: twice those are enough.
    """
    v = state.get("velocity")
    size = _sgd_direction(sgd, abs(theta), abs(grad), None if v is None else abs(v))
    more = 2 if sgd.weight_decay or sgd.nesterov else 1
    return bounds.sgd_step(theta, more * size, sgd.learning_rate, u)


def _sgd_handed_on(sgd: SGD, theta: Array, grad: Array, state: State, error: Array) -> Array:
    """A step is linear in the gradient: so it is the step of the error, from nothing."""
    del theta, grad
    nothing = np.zeros_like(error)
    return abs(_sgd(sgd, nothing, error, dict.fromkeys(state, nothing)))


SGD_OPTIONS = tuple(
    {"momentum": mu, "nesterov": nesterov, "dampening": tau, "weight_decay": wd, "maximize": up}
    for mu, nesterov, tau, wd, up in product(
        (0.0, 0.5), (False, True), (0.0, 0.25), (0.0, 0.25), (False, True)
    )
    if not nesterov or (mu and not tau)
)


def _adam(adam: Adam, theta: Numbers, grad: Numbers, state: dict[str, Numbers]) -> Numbers:
    theta, _, m, v, t = _adam_parts(adam, theta, grad, state)
    beta_1, beta_2 = adam.betas
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return theta - adam.learning_rate * m_hat / (v_hat**0.5 + adam.eps)


def _adam_parts(
    adam: Adam, theta: Numbers, grad: Numbers, state: dict[str, Numbers]
) -> tuple[Numbers, Numbers, Numbers, Numbers, int]:
    """Return θ after AdamW's decay, and g, m, v and t of the step."""
    g = -grad if adam.maximize else grad
    if isinstance(adam, AdamW):
        theta = theta * (1 - adam.learning_rate * adam.weight_decay)
    else:
        g = g + adam.weight_decay * theta
    (beta_1, beta_2), nothing = adam.betas, 0 * g
    m = beta_1 * state.get("m", nothing) + (1 - beta_1) * g
    v = beta_2 * state.get("v", nothing) + (1 - beta_2) * g * g
    return theta, g, m, v, int(state.get("t", 0)) + 1


def _adam_bound(adam: Adam, theta: Array, grad: Array, state: State, u: float) -> Array:
    """Bound a step: θ - rate m / d, with rate = learning_rate / (1 - β₁ᵗ), d = √v̂ + ε.

        G = |g| + weight_decay |θ|, of which g is made       δg = 2 u G
        δm = 5 u (β₁ |m| + (1 - β₁) (|m| + G))                as torch adds (1 - β₁) (g - m) to m
        δv = 4 u v + (1 - β₂) (2 |g| δg + δg²)
        δd = √(v + δv) - √(v - δv), over √(1 - β₂ᵗ), and 4 u d
        rate m / d is off by its factors' errors, and 4 roundings; θ by 3

    1 - βᵗ is computed in Python's floats: off by 2 β βᵗ / (1 - βᵗ) of their roundoff.
    """
    decayed, g, m, v, t = _adam_parts(adam, theta, grad, state)
    (beta_1, beta_2), zero = adam.betas, np.zeros_like(theta)
    old = abs(state.get("m", zero))
    G = abs(g) if isinstance(adam, AdamW) else abs(grad) + adam.weight_decay * abs(theta)
    dg = 2 * u * G
    dm = 5 * u * (old + (1 - beta_1) * G) + (1 - beta_1) * dg
    dv = 4 * u * v + (1 - beta_2) * (2 * abs(g) + dg) * dg
    root = np.sqrt(1 - beta_2**t)
    d = np.sqrt(v) / root + adam.eps
    dd = (np.sqrt(v + dv) - np.sqrt(np.maximum(v - dv, 0))) / root + 4 * u * d
    powers = sum(2 * beta**t / (1 - beta**t) for beta in adam.betas) * bounds.unit_roundoff(float)
    rate, least = adam.learning_rate / (1 - beta_1**t), np.maximum(d - dd, adam.eps)
    step = dm / least + abs(m) * (dd / (d * least) + (4 * u + powers) / d)
    return 3 * u * abs(decayed) + 3 * u * abs(theta) + rate * step


def _adam_handed_on(adam: Adam, theta: Array, grad: Array, state: State, error: Array) -> Array:
    """m moves by (1 - β₁) error, and √v by √(1 - β₂) error at most."""
    _, _, m, v, t = _adam_parts(adam, theta, grad, state)
    (beta_1, beta_2), root = adam.betas, np.sqrt(1 - adam.betas[1] ** t)
    d, dd = np.sqrt(v) / root + adam.eps, np.sqrt(1 - beta_2) / root * error
    rate, least = adam.learning_rate / (1 - beta_1**t), np.maximum(d - dd, adam.eps)
    return rate * ((1 - beta_1) * error / least + abs(m) * dd / (d * least))


ADAM_OPTIONS = tuple(
    {"betas": betas, "eps": eps, "weight_decay": wd, "maximize": up}
    for betas, eps, wd, up in product(
        ((0.9, 0.999), (0.5, 0.75), (0.0, 0.5)), (1e-8, 0.25), (0.0, 0.25), (False, True)
    )
)
ADAM_BUFFERS = {"m": "exp_avg", "v": "exp_avg_sq", "t": "step"}
ADAM = Rule(ADAM_BUFFERS, ADAM_OPTIONS, _adam, _adam_bound, _adam_handed_on)
RULES = {
    "SGD": Rule({"velocity": "momentum_buffer"}, SGD_OPTIONS, _sgd, _sgd_bound, _sgd_handed_on),
    "Adam": ADAM,
    "AdamW": ADAM,
}


def rule_of(optimizer: Optimizer) -> Rule:
    """Return what is known of an optimizer; of a scheduled one, the rule of the optimizer.

    Raises   ValueError for one without an entry in RULES
    """
    optimizer = unscheduled(optimizer)
    name = type(optimizer).__name__
    if name not in RULES:
        known, got = ", ".join(RULES), getattr(optimizer, "__name__", repr(optimizer))
        raise ValueError(
            f"optimizer must be one of {known}, with a learning rate, as SGD(0.1), which parity "
            f"has rules for, got {got}"
        )
    return RULES[name]


def unscheduled(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer that a schedule is wrapped around, or the optimizer itself."""
    return optimizer.optimizer if isinstance(optimizer, Scheduled) else optimizer


def at_next_step(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer with the learning rate that its schedule has for the next step."""
    return optimizer.now() if isinstance(optimizer, Scheduled) else optimizer


def with_state(optimizer: Optimizer, state: State) -> Optimizer:
    """Return an optimizer of the same settings with a copy of this state.

    Raises   ValueError for one without an entry in RULES
    """
    rule_of(optimizer)
    other = copy(optimizer)
    other.state = deepcopy(state)
    return other


@dataclass(frozen=True)
class Update:
    """One step of an optimizer on θ: like a `Call` of a row, it is judged and reproduced.

    optimizer   its settings; its own state is left aside
    state       the state before the step
    """

    optimizer: Optimizer
    theta: Array
    grad: Array
    state: State

    @property
    def numbers(self) -> int:
        return self.theta.size + self.grad.size + sum(a.size for a in self.state.values())

    def ours(self) -> Array:
        theta = self.theta.copy()
        with_state(self.optimizer, self.state).step(theta, self.grad.copy())
        return theta

    def theirs(self, device: str = "cpu") -> Array:
        from parity.convert import to_array, to_tensor

        parameter = theirs.torch.nn.Parameter(to_tensor(self.theta, device))
        optimizer = theirs.optimizer([parameter], self.optimizer)
        for name, array in self.state.items():
            buffer = rule_of(self.optimizer).buffers[name]
            optimizer.state[parameter][buffer] = to_tensor(array, device)
        parameter.grad = to_tensor(self.grad, device)
        optimizer.step()
        return to_array(parameter)

    def right(self) -> tuple[Numbers]:
        """Return the right θ after the step, with digits to spare."""
        with digits.precise(), np.errstate(all="ignore"):
            lifted = self._each(lambda array: digits.lift(array, self.theta.dtype))
            return (rule_of(self.optimizer).right(self.optimizer, *lifted),)

    def bounds(self, _: float = 0.0) -> tuple[Array]:
        """Bound the error of θ after the step; it has no products of matrices."""
        wide, u = self._each(lambda x: x.astype(np.float64)), bounds.unit_roundoff(self.theta.dtype)
        with np.errstate(all="ignore"):
            return (rule_of(self.optimizer).bound(self.optimizer, *wide, u),)

    def element(self, _: int, index: Index) -> tuple[Update, Index]:
        (i,) = index
        entry = self._each(lambda array: array[i : i + 1] if array.ndim else array)
        return Update(self.optimizer, *entry), (0,)

    def _each(self, f: Callable[[Array], Numbers]) -> tuple[Numbers, Numbers, dict[str, Numbers]]:
        return f(self.theta), f(self.grad), {name: f(array) for name, array in self.state.items()}

    def judge(self, device: str = "cpu", *_: object) -> list[Verdict]:
        """Measure θ after the step, ours and torch's, against the right one."""
        (right,), (bound,) = self.right(), self.bounds()
        sides = {"NumPy": self.ours(), f"torch {device}": self.theirs(device)}
        dtype = self.theta.dtype
        errors = (measure(s, THETA, after, right, bound, dtype) for s, after in sides.items())
        return [Verdict(THETA, tuple(errors))]

    def code(self, device: str = "cpu", *_: object) -> str:
        state = ", ".join(f"{name!r}: {literal(array)}" for name, array in self.state.items())
        name = type(self.optimizer).__name__
        return (
            "import numpy as np\n\n"
            "from parity.training.optimizers import Update\n"
            f"from scratchnn.optim import {name}\n\n"
            f"optimizer = {self.optimizer!r}\n"
            f"theta = {literal(self.theta)}\n"
            f"grad = {literal(self.grad)}\n"
            f"state = {{{state}}}\n"
            f"for verdict in Update(optimizer, theta, grad, state).judge({device!r}):\n"
            "    print(verdict)\n"
        )


def check(name: str = "sgd") -> Difference:
    """Compare an optimizer with torch's in float64, with all options: the worst difference.

    Each of a few steps is taken from torch's θ and state, within the bound of one step. Besides,
    ours goes on from its own, and must stay within 1e-12: so it keeps its state as torch does. The
    learning rate changes on the way.
    """
    make = OPTIMIZERS[name]
    options = rule_of(make(RATE)).options
    return worst([difference for chosen in options for difference in _steps(make(RATE, **chosen))])


def _steps(ours: Optimizer) -> Iterator[Difference]:
    from parity.convert import to_array, to_tensor

    rng, settings = np.random.default_rng(0), copy(ours)  # settings: whatever a step does to ours
    theta = rng.normal(size=7)
    parameter = theirs.torch.nn.Parameter(to_tensor(theta))
    torch, buffers = theirs.optimizer([parameter], ours), rule_of(ours).buffers
    for number in range(STEPS):
        if number == STEPS // 2:
            ours.learning_rate = settings.learning_rate = LATER_RATE
            torch.param_groups[0]["lr"] = LATER_RATE
        kept, grad = torch.state[parameter], rng.normal(size=7)
        state = {n: to_array(kept[b]) for n, b in buffers.items() if kept.get(b) is not None}
        update = Update(settings, to_array(parameter), grad, state)
        parameter.grad = to_tensor(grad)
        torch.step()
        ours.step(theta, grad.copy())
        (bound,), after = update.bounds(), to_array(parameter)
        yield compare(THETA, update.ours(), after, bounds.tolerance(bound, np.float64))
        yield compare("θ, trained freely", theta, after, FREE_RUN_TOLERANCE)
