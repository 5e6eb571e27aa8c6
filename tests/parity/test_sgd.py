"""SGD compared with torch.optim.SGD, with every option, over several steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity.training import optimizers
from parity.training.optimizers import Update
from scratchnn.optim import SGD


@st.composite
def options(draw):
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    nesterov = momentum > 0 and draw(st.booleans())
    return {
        "momentum": momentum,
        "nesterov": nesterov,
        "dampening": 0.0 if nesterov else draw(st.sampled_from([0.0, 0.1, 0.25])),
        "weight_decay": draw(st.sampled_from([0.0, 0.01])),
        "maximize": draw(st.booleans()),
    }


@given(options(), st.floats(1e-4, 2.0), st.integers(0, 2**32 - 1), st.booleans())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_step_of_both_is_the_right_one_within_its_bound(dtype, options, rate, seed, first):
    rng = np.random.default_rng(seed)
    theta, grad, velocity = (rng.normal(size=7).astype(dtype) for _ in range(3))
    state = {"velocity": velocity} if options["momentum"] and not first else {}
    (verdict,) = Update(SGD(rate, **options), theta, grad, state).judge()
    assert [error.side for error in verdict.errors] == ["NumPy", "torch cpu"]
    assert verdict.holds, str(verdict)


def test_several_steps_agree_with_every_option():
    found = optimizers.check("sgd")
    assert found.holds, str(found)
    assert found.ratio > 0.01  # the bound says something


def test_bound_sees_a_millionth():
    rng = np.random.default_rng(0)
    theta, grad, velocity = rng.normal(size=(3, 7))
    state = {"velocity": velocity}
    right = Update(SGD(0.1, momentum=0.5, weight_decay=0.1, nesterov=True), theta, grad, state)
    for wrong in (
        Update(SGD(0.1, momentum=0.5 * (1 + 1e-6), nesterov=True), theta, grad, state),
        Update(SGD(0.1, momentum=0.5, weight_decay=0.1 * (1 + 1e-6)), theta, grad, state),
    ):
        assert (abs(wrong.ours() - right.ours()) > 100 * right.bounds()[0]).all()


def test_a_state_that_is_not_kept_is_seen(monkeypatch):
    step = SGD.step

    def forgetful(self, theta, grad):
        step(self, theta, grad)
        self.state.clear()

    monkeypatch.setattr(SGD, "step", forgetful)
    found = optimizers.check("sgd")
    assert not found.holds
    assert found.quantity == "θ, trained freely"


def test_an_entry_is_a_step_of_its_own():
    rng = np.random.default_rng(0)
    theta, grad, velocity = rng.normal(size=(3, 7))
    update = Update(SGD(0.1, momentum=0.5), theta, grad, {"velocity": velocity})
    entry, place = update.element(0, (4,))
    assert entry.numbers == 3
    assert entry.ours()[place] == update.ours()[4]


def test_first_velocity_is_not_dampened_in_torch_either():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=0.5, dampening=0.25)
    parameter.grad = torch.ones(1)
    optimizer.step()
    assert parameter.item() == -1
