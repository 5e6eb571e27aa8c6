"""Adam and AdamW compared with torch.optim's, with every option, and through a training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity.training import lockstep, network, optimizers
from parity.training.optimizers import RULES, Update
from parity.training.trace import Settings
from scratchnn.objectives import CrossEntropy
from scratchnn.optim import Adam, AdamW
from scratchnn.run import recipes

KINDS = [Adam, AdamW]


@st.composite
def options(draw):
    betas = tuple(draw(st.sampled_from([(0.9, 0.999), (0.5, 0.75), (0.0, 0.5), (0.9, 0.0)])))
    return {
        "betas": betas,
        "eps": draw(st.sampled_from([1e-8, 1e-3])),
        "weight_decay": draw(st.sampled_from([0.0, 0.01])),
        "maximize": draw(st.booleans()),
    }


def state_of(rng, dtype, t):
    m, v = rng.normal(size=7).astype(dtype), rng.exponential(size=7).astype(dtype)
    return {"m": m, "v": v, "t": np.array(float(t))} if t else {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(options(), st.floats(1e-4, 1.0), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 9, 999]))
def test_step_of_both_is_the_right_one_within_its_bound(kind, dtype, options, rate, seed, t):
    rng = np.random.default_rng(seed)
    theta, grad = rng.normal(size=(2, 7)).astype(dtype)
    (verdict,) = Update(kind(rate, **options), theta, grad, state_of(rng, dtype, t)).judge()
    assert [error.side for error in verdict.errors] == ["NumPy", "torch cpu"]
    assert verdict.holds, str(verdict)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_several_steps_agree_with_every_option(name):
    found = optimizers.check(name)
    assert found.holds, str(found)
    assert found.ratio > 0.01  # the bound says something


@pytest.mark.parametrize("kind", KINDS)
def test_bound_sees_a_millionth(kind):
    rng = np.random.default_rng(0)
    theta, grad = rng.normal(size=(2, 7))
    state = state_of(rng, np.float64, 3)
    right = Update(kind(0.1, weight_decay=0.1), theta, grad, state)
    for wrong in (
        Update(kind(0.1, betas=(0.9 * (1 + 1e-6), 0.999), weight_decay=0.1), theta, grad, state),
        Update(kind(0.1, weight_decay=0.1 * (1 + 1e-6)), theta, grad, state),
    ):
        assert (abs(wrong.ours() - right.ours()) > 100 * right.bounds()[0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_gradient_moves_theta_at_most_so_far(kind):
    rng, adam = np.random.default_rng(0), kind(0.1, weight_decay=0.1)
    theta, grad = rng.normal(size=(2, 7))
    state, rule = state_of(rng, np.float64, 3), RULES[kind.__name__]
    for error in (1e-6, 1e-2, 1.0):
        far = rule.handed_on(adam, theta, grad, state, np.full(7, error))
        for sign in (-1, 1):
            moved = Update(adam, theta, grad + sign * error, state).ours()
            assert (abs(moved - Update(adam, theta, grad, state).ours()) <= far).all()


def trained(kind, dtype):
    recipe = recipes.get("mlp")
    run = recipes.prepare(recipe.on("digits", hidden=(24, 16)), dtype=dtype)
    run.optimizer = kind(1e-3)
    *_, (result, _) = lockstep.train(run, torch.device("cpu"), max_steps=300)
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_lockstep_holds_over_300_steps(kind):
    result = trained(kind, "float64")
    assert len(result.steps) == 300
    assert result.holds
    assert result.free_run <= 1e-12


def test_lockstep_sees_adam_without_its_correction(monkeypatch):
    def uncorrected(self, theta, grad):
        self.state = self.state or {"m": 0 * theta, "v": 0 * theta, "t": np.zeros(())}
        m, v = self.state["m"], self.state["v"]
        m += (1 - self.betas[0]) * (grad - m)
        v += (1 - self.betas[1]) * (grad * grad - v)
        self.state["t"] += 1
        theta -= self.learning_rate * m / (np.sqrt(v) + self.eps)

    monkeypatch.setattr(Adam, "step", uncorrected)
    run = recipes.prepare(recipes.get("softmax-regression").on("digits"), dtype="float64")
    run.optimizer = Adam(1e-3)
    *_, (result, _) = lockstep.train(run, torch.device("cpu"), max_steps=2)
    assert not result.holds
    assert "θ" in result.culprit.difference.quantity


def test_network_bound_takes_adam():
    run = recipes.prepare(recipes.get("softmax-regression").on("digits"), dtype="float32")
    X, target = run.train.batch(slice(32), np.float32)
    settings = Settings(CrossEntropy(), Adam(1e-3))
    bound = network.step_bound(run.parameters, X, target, settings)
    assert np.isfinite(bound).all()
