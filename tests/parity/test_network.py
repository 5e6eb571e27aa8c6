"""Bounds of a whole step and of a forward pass hold, and say something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from parity import bounds, devices, oracle
from parity.convert import to_array, to_module, to_tensor
from parity.training import network
from parity.training.network import output_bounds, step_bound
from parity.training.trace import Settings, of_layer, take_step
from scratchnn import mlp, objectives
from scratchnn.layers import ACTIVATIONS, Sigmoid, Softplus, Tanh
from scratchnn.objectives import CrossEntropy, HuberLoss
from scratchnn.optim import SGD

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 12)).astype(np.float32)
LABELS = RNG.integers(4, size=20)
REAL = RNG.normal(size=(20, 4)).astype(np.float32)
OPTIMIZER = SGD(0.5, momentum=0.9, weight_decay=0.01)

NETWORKS = [
    *(pytest.param({"activation": name}, id=name) for name in ACTIVATIONS),
    pytest.param({"kronecker": 4}, id="kronecker"),
]


def start(options):
    return mlp.init([12, 16, 8, 4], rng=1, **options)


@pytest.mark.parametrize("options", NETWORKS)
@pytest.mark.parametrize(
    ("objective", "target"),
    [
        ("cross_entropy", LABELS),
        (CrossEntropy(weight=np.linspace(0.2, 3, 4), label_smoothing=0.2), LABELS),
        ("one_vs_rest", LABELS),
        ("mse_loss", REAL),
        ("l1_loss", REAL),
        (HuberLoss(0.3), REAL),
    ],
)
def test_step_keeps_to_its_bound(options, objective, target):
    """A step in float32 is within its bound of the right one, and a thousandth is not."""
    parameters, goal = start(options), objectives.get(objective)
    bound = step_bound(parameters, X, target, Settings(goal, OPTIMIZER))
    wide, ours = parameters.astype(np.float64), parameters.copy()
    right = network.right_step(wide, X, target, Settings(goal, OPTIMIZER), {})
    take_step(ours, X, target, Settings(goal, replace(OPTIMIZER)))
    error = abs(ours.theta - right.after.theta)
    assert (error <= bound).all()
    moved = 1e-3 * abs(right.after.theta - parameters.theta)
    assert np.mean(moved > 2 * bound) > 0.5


@pytest.mark.parametrize("options", NETWORKS)
def test_outputs_keep_to_their_bounds(options):
    parameters = start(options)
    outputs, errors = output_bounds(parameters, X)
    assert len(outputs) == len(errors) == 6
    assert not errors[0].any()
    z = mlp.forward(parameters, X)[-1]
    assert (abs(z - outputs[-1]) <= errors[-1]).all()
    assert (1e-3 * abs(z) > errors[-1]).mean() > 0.9


@pytest.mark.parametrize("options", NETWORKS)
def test_outputs_of_tf32_keep_to_its_bounds_alone(options):
    parameters = start(options)
    (right, strict), (_, loose) = (
        output_bounds(parameters, X, factors=factors) for factors in (0.0, bounds.TF32)
    )
    with devices.products("cpu", "tf32"), torch.no_grad():
        z = to_array(to_module(parameters)(to_tensor(X)))
    error = abs(z - right[-1])
    assert (error <= loose[-1]).all()
    assert (error > strict[-1]).any()


def test_relu_that_may_flip_makes_the_gradient_behind_it_uncertain():
    """z_1 is 0 but for rounding: W_1 may have a gradient, or none."""
    parameters = mlp.Parameters.from_arrays(
        [
            (np.float32([[0.1], [-0.1]]), np.float32([1e-10])),
            (np.float32([[1, 2, 3]]), np.zeros(3, "f")),
        ]
    )
    ones, target = np.ones((1, 2), np.float32), np.array([0])
    far, near = (
        step_bound(parameters, x, target, Settings(CrossEntropy(), SGD(1.0)))
        for x in (ones * np.float32([1, 2]), ones)
    )
    assert far[:2].max() < 1e-5
    assert near[:2].min() > 0.1


def test_a_bound_that_overflowed_is_still_a_number():
    """Errors of z beyond all measure move p by at most 1."""
    z = np.array([[0.0, 1.0, -1e6]])  # the last p is 0
    np.testing.assert_array_equal(network.softmax_handed_on(z, np.full(z.shape, 1e9)), 1)


@pytest.mark.parametrize("objective", ["cross_entropy", "one_vs_rest"])
def test_errors_of_z_move_dz_as_far_as_is_allowed(objective):
    goal, z = objectives.get(objective), RNG.normal(size=(20, 4))
    for size in (1e-3, 1.0, 30.0):
        error = size * RNG.uniform(size=z.shape)
        call = network.of_objective(goal, z, LABELS)
        allowed = network.handed_on_to_dz(call, error, Settings(goal, OPTIMIZER))
        _, before = goal.loss_and_gradient(z, LABELS)
        for sign in RNG.choice([-1.0, 1.0], (50, *z.shape)):
            _, after = goal.loss_and_gradient(z + sign * error, LABELS)
            assert (abs(after - before) <= allowed * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    "name", ["squared_loss", "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"]
)
def test_errors_of_a_prediction_move_its_gradient_as_far_as_is_allowed(name):
    goal, z = objectives.get(name), 2 * RNG.normal(size=(20, 4))
    for size in (1e-3, 1.0, 30.0):
        error = size * RNG.uniform(size=z.shape)
        call = network.of_objective(goal, z, REAL.astype(float))
        allowed = network.handed_on_to_dz(call, error, Settings(goal, OPTIMIZER))
        _, before = goal.loss_and_gradient(z, REAL.astype(float))
        for sign in (-1.0, 1.0):
            _, after = goal.loss_and_gradient(z + sign * error, REAL.astype(float))
            assert (abs(after - before) <= allowed * (1 + 1e-9)).all()


@pytest.mark.parametrize("layer", [Sigmoid(), Tanh(), Softplus(), Softplus(beta=100.0)])
def test_slope_of_an_activation_changes_by_no_more_than_its_bound(layer):
    z, error = RNG.normal(size=(2, 1000)) / 10
    slope, change = network._slope(of_layer(layer, z, ()), abs(error))
    moved, _ = network._slope(of_layer(layer, z + error, ()), abs(error))
    rounding = 1e-15 * slope.max()
    assert (abs(moved - slope) <= change + rounding).all()
    assert change.max() > 10 * rounding


def test_steep_activation_multiplies_the_errors_that_come_in(monkeypatch):
    """y = 30 tanh z has a slope of up to 30, and passes errors on with it."""
    monkeypatch.setattr(oracle, "tanh", lambda z: 30 * np.tanh(z))
    monkeypatch.setattr(oracle, "tanh_backward", lambda dy, z: 30 * dy * (1 - np.tanh(z) ** 2))
    outputs, errors = output_bounds(start({"activation": "tanh"}), X)
    (z, y), (z_error, y_error) = outputs[1:3], errors[1:3]
    assert abs(z).min() < 0.1
    for sign in (-1, 1):
        moved = abs(30 * np.tanh(z + sign * z_error) - y)
        assert (moved <= y_error).all()
    steep = abs(z) < 0.1
    assert (y_error > 29 * z_error)[steep].all()
