"""One step of an optimizer: ours, torch's, the right answer, and the bound of its rounding errors.

RULES is the table: to compare another optimizer with torch.optim, write its entry there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from parity import bounds, digits, theirs
from parity.digits import Numbers
from parity.judge import Difference, Index, Verdict, compare, literal, measure, worst
from parity.training.trace import FREE_RUN_TOLERANCE
from scratchnn.ops.shared import Array
from scratchnn.optim import OPTIMIZERS, SGD, Optimizer

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer as TorchOptimizer

    from parity.devices import Precision

State = dict[str, Array]
THETA = "θ"

STEPS, RATE, LATER_RATE = 4, 0.5, 0.125  # of `check`


@dataclass(frozen=True)
class Rule:
    """What is known of an optimizer. The functions take its settings first.

    buffers     the arrays of its state, and what torch calls them
    options     the settings to try
    right       θ after a step, in the arithmetic of θ, grad and state
    bound       the error of θ after a step, of arrays in float64 and u
    handed_on   how far an error of the gradient moves θ
    """

    buffers: dict[str, str]
    options: tuple[dict[str, float], ...]
    right: Callable[[Optimizer, Numbers, Numbers, dict[str, Numbers]], Numbers]
    bound: Callable[[Optimizer, Array, Array, State, float], Array]
    handed_on: Callable[[Optimizer, State, Array], Array]


def _sgd_direction(sgd: Optimizer, theta: Numbers, g: Numbers, v: Numbers | None) -> Numbers:
    """Return what SGD subtracts, over the learning rate; g is the gradient, or its negative."""
    assert isinstance(sgd, SGD)
    if sgd.weight_decay:
        g = g + sgd.weight_decay * theta
    if not sgd.momentum:
        return g
    v = g if v is None else sgd.momentum * v + g - sgd.dampening * g
    return g + sgd.momentum * v if sgd.nesterov else v


def _sgd(sgd: Optimizer, theta: Numbers, grad: Numbers, state: dict[str, Numbers]) -> Numbers:
    assert isinstance(sgd, SGD)
    g = -grad if sgd.maximize else grad
    return theta - sgd.learning_rate * _sgd_direction(sgd, theta, g, state.get("velocity"))


def _sgd_bound(sgd: Optimizer, theta: Array, grad: Array, state: State, u: float) -> Array:
    """Bound a step by the magnitudes that it adds.

    bounds.sgd_step has the roundings of θ - learning_rate (momentum v + g). Weight decay and
    Nesterov's step round up to 4 times more: twice those are enough.
    """
    assert isinstance(sgd, SGD)
    v = state.get("velocity")
    size = _sgd_direction(sgd, abs(theta), abs(grad), None if v is None else abs(v))
    more = 2 if sgd.weight_decay or sgd.nesterov else 1
    return bounds.sgd_step(theta, more * size, sgd.learning_rate, u)


def _sgd_handed_on(sgd: Optimizer, state: State, error: Array) -> Array:
    still = np.zeros_like(error) if "velocity" in state else None
    return sgd.learning_rate * _sgd_direction(sgd, np.zeros_like(error), error, still)


SGD_OPTIONS = tuple(
    {"momentum": mu, "nesterov": nesterov, "dampening": tau, "weight_decay": wd, "maximize": up}
    for mu, nesterov, tau, wd, up in product(
        (0.0, 0.5), (False, True), (0.0, 0.25), (0.0, 0.25), (False, True)
    )
    if not nesterov or (mu and not tau)
)
RULES = {
    "SGD": Rule({"velocity": "momentum_buffer"}, SGD_OPTIONS, _sgd, _sgd_bound, _sgd_handed_on)
}


def rule_of(optimizer: Optimizer) -> Rule:
    """Return what is known of an optimizer.

    Raises   ValueError for one without an entry in RULES
    """
    name = type(optimizer).__name__
    if name not in RULES:
        raise ValueError(
            f"optimizer must be one of {', '.join(RULES)}, which parity has rules for, got {name}"
        )
    return RULES[name]


def with_state(optimizer: Optimizer, state: State) -> Optimizer:
    """Return an optimizer of the same settings with a copy of this state."""
    other = copy(optimizer)
    other.state = {name: array.copy() for name, array in state.items()}
    return other


def torch_state(
    optimizer: TorchOptimizer,
    parameters: Sequence[Tensor],
    buffers: dict[str, str],
    gather: Callable[[list[Tensor]], Array],
) -> State:
    """Return the state of an optimizer of torch by our names; `gather` makes one array of it."""
    found: State = {}
    for name, buffer in buffers.items():
        tensors = [optimizer.state[parameter].get(buffer) for parameter in parameters]
        if all(tensor is not None for tensor in tensors):
            found[name] = gather(tensors)
    return found


@dataclass(frozen=True)
class Update:
    """One step of an optimizer on θ.

    optimizer   its settings; its own state is left aside
    state       the state before the step
    """

    optimizer: Optimizer
    theta: Array
    grad: Array
    state: State

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The precision of θ."""
        return self.theta.dtype

    @property
    def numbers(self) -> int:
        """How many numbers it is made of."""
        return self.theta.size + self.grad.size + sum(a.size for a in self.state.values())

    def ours(self) -> Array:
        """Return our θ after the step."""
        theta = self.theta.copy()
        with_state(self.optimizer, self.state).step(theta, self.grad.copy())
        return theta

    def theirs(self, device: str = "cpu") -> Array:
        """Return torch's θ after the step."""
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
            theta, grad = (digits.lift(array, self.dtype) for array in (self.theta, self.grad))
            state = {name: digits.lift(array, self.dtype) for name, array in self.state.items()}
            return (rule_of(self.optimizer).right(self.optimizer, theta, grad, state),)

    def bounds(self, factors: float = 0.0) -> tuple[Array]:  # noqa: ARG002
        """Bound the error of θ after the step; it has no products of matrices."""
        theta, grad = self.theta.astype(np.float64), self.grad.astype(np.float64)
        state: State = {name: array.astype(np.float64) for name, array in self.state.items()}
        u = bounds.unit_roundoff(self.dtype)
        with np.errstate(all="ignore"):
            return (rule_of(self.optimizer).bound(self.optimizer, theta, grad, state, u),)

    def element(self, part: int, index: Index) -> tuple[Update, Index]:  # noqa: ARG002
        """Return the step of one entry of θ."""
        (i,) = index
        one = slice(i, i + 1)
        state = {name: array[one] for name, array in self.state.items()}
        return Update(self.optimizer, self.theta[one], self.grad[one], state), (0,)

    def judge(
        self,
        device: str = "cpu",
        precision: Precision = "ieee",  # noqa: ARG002
        judged_as: Precision | None = None,  # noqa: ARG002
    ) -> list[Verdict]:
        """Measure θ after the step, ours and torch's, against the right one."""
        (right,), (bound,) = self.right(), self.bounds()
        sides = ("NumPy", self.ours()), (f"torch {device}", self.theirs(device))
        errors = (measure(name, THETA, found, right, bound, self.dtype) for name, found in sides)
        return [Verdict(THETA, tuple(errors))]

    def code(
        self,
        device: str = "cpu",
        precision: Precision = "ieee",  # noqa: ARG002
        judged_as: Precision | None = None,  # noqa: ARG002
    ) -> str:
        """Return a program that judges the step and prints the verdict."""
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


def _steps(ours: Optimizer, dtype: DTypeLike = np.float64, seed: int = 0) -> Iterator[Difference]:
    from parity.convert import to_array, to_tensor

    rng = np.random.default_rng(seed)
    theta = rng.normal(size=7).astype(dtype)
    parameter = theirs.torch.nn.Parameter(to_tensor(theta))
    torch, buffers = theirs.optimizer([parameter], ours), rule_of(ours).buffers
    settings = copy(ours)  # whatever a step does to ours
    for number in range(STEPS):
        if number == STEPS // 2:
            ours.learning_rate = settings.learning_rate = LATER_RATE
            torch.param_groups[0]["lr"] = LATER_RATE
        grad = rng.normal(size=7).astype(dtype)
        state = torch_state(torch, [parameter], buffers, lambda tensors: to_array(tensors[0]))
        update = Update(settings, to_array(parameter), grad, state)
        parameter.grad = to_tensor(grad)
        torch.step()
        ours.step(theta, grad.copy())
        (bound,), after = update.bounds(), to_array(parameter)
        yield compare(THETA, update.ours(), after, bounds.tolerance(bound, dtype))
        if np.dtype(dtype) == np.float64:
            yield compare("θ, trained freely", theta, after, FREE_RUN_TOLERANCE)
