"""SGD beside torch.optim.SGD: every option, several steps, and a rate that changes on the way."""

from itertools import product
from typing import Any

import numpy as np

from parity import bounds
from parity.later import torch
from parity.verdict import Difference, compare, worst
from scratchnn.sgd import SGD

STEPS, RATE, LATER_RATE = 4, 0.5, 0.125
OPTIONS = tuple(
    {"momentum": mu, "nesterov": nesterov, "dampening": tau, "weight_decay": wd, "maximize": up}
    for mu, nesterov, tau, wd, up in product(
        (0.0, 0.5), (False, True), (0.0, 0.25), (0.0, 0.25), (False, True)
    )
    if not nesterov or (mu and not tau)
)


def check_sgd() -> Difference:
    """Return the largest share of its tolerance that a θ of ours is from torch's, in float64."""
    return worst([difference for options in OPTIONS for difference in _steps(options)])


def _steps(options: dict[str, Any]) -> list[Difference]:
    """Take steps on both sides; each adds the bound of one step to a bound that grows.

    With |g| ≤ G, weight decay included (its rate is below 1), a velocity of momentum 1/2 keeps to
    |v| ≤ G + G/2 + ... = 2 G, and Nesterov's update g + v/2 to 2 G as well: 4 G is more than
    |g| and |v| together, of which bounds.sgd_step makes the rounding of a step. An error δ that θ
    has passes through weight decay and its velocity, at most decay / (1 - 1/2) = 1/2 of it, times
    the rate: to (1 + RATE / 2) δ, and the factor here is 1 + RATE.
    """
    rng, u = np.random.default_rng(0), bounds.unit_roundoff(np.float64)
    theta = rng.normal(size=7)
    parameter = torch.nn.Parameter(torch.tensor(theta))
    ours, theirs = SGD(RATE, **options), torch.optim.SGD([parameter], lr=RATE, **options)
    found, moved, largest = [], np.zeros(()), 0.0
    for number in range(STEPS):
        if number == STEPS // 2:
            ours.learning_rate = theirs.param_groups[0]["lr"] = LATER_RATE
        grad = rng.normal(size=7)
        largest = max(largest, float(abs(grad).max() + abs(theta).max()))
        ours.step(theta, grad.copy())
        parameter.grad = torch.tensor(grad)
        theirs.step()
        sizes = np.full(7, 4 * largest)
        moved = (1 + RATE) * moved + bounds.sgd_step(theta, sizes, RATE, u)
        tolerance = bounds.tolerance(moved, theta.dtype)
        found.append(compare("θ", theta, parameter.detach().numpy(), tolerance))
    return found
