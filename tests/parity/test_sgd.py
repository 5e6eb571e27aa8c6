"""SGD against torch.optim.SGD, with every option, over several steps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity import bounds
from parity.verdict import compare
from scratchnn.sgd import SGD


@st.composite
def options(draw):
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    nesterov = momentum > 0 and draw(st.booleans())
    return {
        "momentum": momentum,
        "nesterov": nesterov,
        "dampening": 0.0 if nesterov else draw(st.sampled_from([0.0, 0.25])),
        "weight_decay": draw(st.sampled_from([0.0, 0.01])),
        "maximize": draw(st.booleans()),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(options(), st.floats(1e-4, 2.0), st.integers(0, 2**32 - 1))
def test_sgd_agrees_with_torch(dtype, options, learning_rate, seed):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=7).astype(dtype)
    parameter = torch.nn.Parameter(torch.tensor(theta))
    ours = SGD(learning_rate, **options)
    theirs = torch.optim.SGD([parameter], lr=learning_rate, **options)
    u, moved, largest = bounds.unit_roundoff(dtype), 0.0, 0.0
    for _ in range(5):
        grad = rng.normal(size=7).astype(dtype)
        ours.step(theta, grad)
        parameter.grad = torch.tensor(grad)
        theirs.step()
        # each step adds the rounding of θ, and that of a velocity of at most 10 gradients
        largest = max(largest, float(abs(grad).max() + 0.01 * abs(theta).max()))
        moved += bounds.sgd_step(theta, np.full(7, 10 * largest), learning_rate, u) * 5
        tolerance = bounds.tolerance(moved, dtype)
        difference = compare("θ", theta, parameter.detach().numpy(), tolerance)
        assert difference.holds, str(difference)


def test_first_velocity_is_not_dampened_in_torch_either():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=0.5, dampening=0.25)
    parameter.grad = torch.ones(1)
    optimizer.step()
    assert parameter.item() == -1
