"""Optimizers: SGD by hand, and the protocol. tests/parity compares every option with torch."""

import copy
import dataclasses
import pickle
from functools import partial

import numpy as np
import pytest

from scratchnn import data, fit, mlp
from scratchnn.optim import OPTIMIZERS, SGD, Adam, AdamW


def steps(optimizer, *gradients):
    theta = np.zeros(1)
    for gradient in gradients:
        optimizer.step(theta, np.array([gradient]))
    return theta[0]


@pytest.mark.parametrize(
    ("options", "theta"),
    [
        ({}, -0.5 * (8 + 4)),
        ({"maximize": True}, 0.5 * (8 + 4)),
        ({"momentum": 0.5}, -0.5 * (8 + (4 + 4))),
        # the first velocity is the whole gradient, dampening comes later
        ({"momentum": 0.5, "dampening": 0.25}, -0.5 * (8 + (4 + 3))),
        ({"momentum": 0.5, "nesterov": True}, -0.5 * ((8 + 4) + (4 + 4))),
        # θ = -4 after the first step adds 0.5 · -4 to the second gradient
        ({"weight_decay": 0.5}, -0.5 * (8 + 2)),
    ],
)
def test_step_hand_values(options, theta):
    assert steps(SGD(0.5, **options), 8.0, 4.0) == theta


def test_step_takes_a_new_learning_rate_at_once():
    optimizer, theta = SGD(1.0, momentum=0.5), np.zeros(1)
    optimizer.step(theta, np.array([8.0]))
    optimizer.learning_rate = 0.1
    optimizer.step(theta, np.array([0.0]))
    assert theta[0] == -8 - 0.1 * 4  # Sutskever's form would have -8 - 1.0 * 4


@pytest.mark.parametrize("options", [{}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}])
def test_step_works_in_place_and_leaves_the_gradient_alone(options):
    rng = np.random.default_rng(0)
    theta, optimizer = rng.normal(size=6).astype(np.float32), SGD(0.1, weight_decay=0.1, **options)
    view = theta[2:4]
    for _ in range(3):
        grad = rng.normal(size=6).astype(np.float32)
        grad.flags.writeable = False
        optimizer.step(theta, grad)
    np.testing.assert_array_equal(view, theta[2:4])
    assert theta.dtype == np.float32
    assert all(array.dtype == np.float32 for array in optimizer.state.values())


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}, {"maximize": True}]
)
def test_step_by_blocks_ends_at_the_same_bits(options, monkeypatch):
    """Seven numbers in blocks of three, and all at once: three steps of each."""
    ends = []
    for block in (3, 7):
        monkeypatch.setattr("scratchnn.optim.sgd.BLOCK", block)
        rng = np.random.default_rng(0)
        theta, optimizer = rng.normal(size=7).astype(np.float32), SGD(0.1, **options)
        for grad in rng.normal(size=(3, 7)).astype(np.float32):
            optimizer.step(theta, grad)
        ends.append(theta)
    np.testing.assert_array_equal(*ends)


def test_velocity_is_no_view_of_the_gradient():
    optimizer, grad = SGD(0.1, momentum=0.9), np.ones(3)
    optimizer.step(np.zeros(3), grad)
    grad[:] = 7
    np.testing.assert_array_equal(optimizer.state["velocity"], np.ones(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate must be finite and not negative, got -0.1"),
        ({"learning_rate": float("nan")}, "learning_rate must be finite and not negative, got nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be finite and not negative, got inf"),
        (
            {"learning_rate": 0.1, "momentum": -1},
            "momentum must be finite and not negative, got -1",
        ),
        (
            {"learning_rate": 0.1, "weight_decay": -1},
            "weight_decay must be finite and not negative, got -1",
        ),
        ({"learning_rate": 0.1, "nesterov": True}, "nesterov needs momentum > 0"),
        (
            {"learning_rate": 0.1, "nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "and dampening = 0",
        ),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SGD(**options)


def test_step_refuses_what_would_broadcast():
    with pytest.raises(ValueError, match=r"grad must have the shape of theta \(3,\), got \(1,\)"):
        SGD(0.1).step(np.zeros(3), np.zeros(1))


def test_restored_state_of_another_length_is_named():
    optimizer, theta = SGD(0.1, momentum=0.9), np.zeros(1)
    optimizer.state = {"velocity": np.ones(3)}
    with pytest.raises(ValueError, match=r"velocity must have .* theta \(1,\), got \(3,\)"):
        optimizer.step(theta, np.ones(1))
    assert theta == 0


# The protocol, for every optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_follows_the_protocol(name):
    optimizer, theta = OPTIMIZERS[name](0.25), np.ones(3)
    assert optimizer.learning_rate == 0.25
    assert optimizer.state == {}
    optimizer.step(theta, np.array([1.0, 0.0, -1.0]))
    assert theta[0] < theta[1] <= 1 < theta[2]  # against the gradient; AdamW shrinks them all


def test_fit_takes_any_optimizer_of_the_protocol():
    class SignDescent:
        learning_rate = 0.25

        def __init__(self):
            self.state = {}

        def step(self, theta, grad):
            theta -= self.learning_rate * np.sign(grad)

    train = data.Dataset("one", np.ones((1, 2)), np.zeros((1, 1)))
    network = mlp.Parameters.from_arrays([(np.ones((2, 1)), np.ones(1))])
    fit(network, train, optimizer=SignDescent(), objective="mse_loss", epochs=2)
    np.testing.assert_array_equal(network.theta, [0.5, 0.5, 0.5])


def test_state_is_empty_until_there_is_a_velocity():
    plain, heavy = SGD(0.1), SGD(0.1, momentum=0.9)
    for optimizer in (plain, heavy):
        assert optimizer.state == {}
        optimizer.step(np.zeros(3), np.ones(3))
    assert plain.state == {}
    assert list(heavy.state) == ["velocity"]


def test_each_optimizer_has_a_state_of_its_own():
    first, second = SGD(0.1, momentum=0.9), SGD(0.1, momentum=0.9)
    first.step(np.zeros(3), np.ones(3))
    assert second.state == {}


@pytest.mark.parametrize("make", [partial(SGD, 0.1, momentum=0.9), Adam, AdamW])
@pytest.mark.parametrize("sizes", [(3, 3), (3, 5)])
def test_one_optimizer_gives_no_network_anothers_state(make, sizes):
    """A loop over seeds, or a notebook cell run twice, gives the same numbers every time."""
    shared, results = make(), []
    for size in sizes:
        alone, thetas = make(), (np.ones(size), np.ones(size))
        for _ in range(3):
            shared.step(thetas[0], 2 * thetas[0])
            alone.step(thetas[1], 2 * thetas[1])
        results.append(np.array_equal(*thetas))
    assert results == [True, True]


def test_state_is_copied_and_pickled_as_plain_arrays():
    optimizer, theta = SGD(0.1, momentum=0.9), np.zeros(3)
    optimizer.step(theta, np.ones(3))
    for state in (copy.deepcopy(optimizer.state), pickle.loads(pickle.dumps(optimizer.state))):
        assert type(state) is dict
        np.testing.assert_array_equal(state["velocity"], np.ones(3))


@pytest.mark.parametrize("options", [{"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}])
def test_state_restored_continues_bit_for_bit(options):
    """Two epochs at once, or one, a new optimizer with the saved state, and another one."""
    rng = np.random.default_rng(0)
    train = data.Dataset("t", rng.normal(size=(20, 4)), rng.integers(3, size=20), tuple("abc"))

    def run(*epochs, restore=True):
        network, state = mlp.init([4, 6, 3], rng=1), {}
        order = np.random.default_rng(2)
        for count in epochs:
            optimizer = SGD(0.1, **options)
            if restore:
                optimizer.state = {name: array.copy() for name, array in state.items()}
            fit(network, train, optimizer=optimizer, epochs=count, batch_size=8, rng=order)
            state = optimizer.state
        return network.theta

    np.testing.assert_array_equal(run(1, 1), run(2))
    assert (run(1, 1, restore=False) != run(2)).any()


# Adam


@pytest.mark.parametrize(
    ("options", "theta"),
    [
        ({}, -0.5 - 0.5),  # the same gradient again: each step is the learning rate
        ({"maximize": True}, 0.5 + 0.5),
        ({"eps": 4.0}, -0.5 * 4 / 8 - 0.5 * 4 / 8),
    ],
)
def test_adam_hand_values(options, theta):
    adam = Adam(0.5, betas=(0.5, 0.75), **{"eps": 0.0} | options)
    assert steps(adam, 4.0, 4.0) == theta
    assert sorted(adam.state) == ["m", "t", "v"]
    assert (adam.state["m"], adam.state["v"], adam.state["t"]) == (
        (1 - 0.5**2) * (-4 if "maximize" in options else 4),
        (1 - 0.75**2) * 16,
        2,
    )


def test_adam_adds_the_decay_to_the_gradient_and_adamw_shrinks_theta():
    theta = np.array([8.0])
    Adam(0.5, eps=0.0, weight_decay=0.25).step(theta, np.array([-1.0]))  # g = -1 + 0.25 · 8
    assert theta == 8 - 0.5
    theta = np.array([8.0])
    AdamW(0.5, eps=0.0, weight_decay=0.25).step(theta, np.array([-1.0]))
    assert theta == 8 * (1 - 0.5 * 0.25) + 0.5


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_adam_works_in_place_and_leaves_the_gradient_alone(kind):
    theta, grad = np.ones(3, np.float32), np.arange(1, 4, dtype=np.float32)
    optimizer = kind(0.1, weight_decay=0.5, maximize=True)
    for _ in range(2):
        optimizer.step(theta, grad)
    np.testing.assert_array_equal(grad, [1, 2, 3])
    assert theta.dtype == optimizer.state["m"].dtype == np.float32
    assert (theta != 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate must be finite and not negative, got -0.1"),
        ({"eps": np.nan}, "eps must be finite and not negative, got nan"),
        ({"weight_decay": -1.0}, "weight_decay must be finite"),
        ({"betas": (0.9, 1.0)}, r"betas must be two numbers in \[0, 1\), got \(0.9, 1.0\)"),
        ({"betas": (0.9,)}, "betas must be two numbers"),
    ],
)
def test_adam_names_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        Adam(**options)


def test_adams_restored_state_of_another_length_is_named():
    adam = Adam()
    adam.state = {"m": np.ones(3), "v": np.ones(3), "t": np.ones(())}
    with pytest.raises(ValueError, match=r"m must have the shape of theta \(4,\), got \(3,\)"):
        adam.step(np.zeros(4), np.ones(4))


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_adam_restored_continues_bit_for_bit(kind):
    rng, whole, first = np.random.default_rng(0), kind(0.1), kind(0.1)
    gradients, theta = rng.normal(size=(4, 5)), np.ones(5)
    for grad in gradients:
        whole.step(theta, grad)
    again = np.ones(5)
    for grad in gradients[:2]:
        first.step(again, grad)
    second = kind(0.1)
    second.state = {name: array.copy() for name, array in first.state.items()}
    for grad in gradients[2:]:
        second.step(again, grad)
    np.testing.assert_array_equal(again, theta)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_copies_of_an_optimizer_do_not_share_a_state(name):
    first = OPTIMIZERS[name](learning_rate=0.1, **({"momentum": 0.9} if name == "sgd" else {}))
    others = [copy.copy(first), dataclasses.replace(first)]
    first.step(np.ones(3), np.ones(3))
    assert first.state
    for other in others:
        assert not other.state
