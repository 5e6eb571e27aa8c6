"""Schedules by hand, and as an optimizer. tests/parity/test_schedules.py compares with torch."""

import math

import numpy as np
import pytest

from scratchnn import checkpoint, data, fit, mlp
from scratchnn.optim import OPTIMIZERS, SGD, Adam, Cosine, Scheduled, StepDecay


def rates(optimizer, steps):
    return [optimizer.rate(t) for t in range(steps)]


@pytest.mark.parametrize(
    ("schedule", "warm_up", "expected"),
    [
        (None, 0, [8, 8, 8, 8, 8]),
        (None, 4, [2, 4, 6, 8, 8]),
        (StepDecay(2, 0.5), 0, [8, 8, 4, 4, 2]),
        (StepDecay(2, 0.5), 4, [2, 4, 3, 4, 2]),
        (Cosine(4), 0, [8, 4 + 4 * math.sqrt(0.5), 4, 4 - 4 * math.sqrt(0.5), 0]),
        (Cosine(2), 0, [8, 4, 0, 0, 0]),  # it does not rise again
        (lambda t: 1 / (1 + t), 0, [8, 4, 8 / 3, 2, 1.6]),
    ],
)
def test_rates_by_hand(schedule, warm_up, expected):
    np.testing.assert_allclose(rates(Scheduled(SGD(8.0), schedule, warm_up), 5), expected, 1e-15)


def test_steps_have_the_rates_of_the_schedule():
    optimizer, theta = Scheduled(SGD(8.0), StepDecay(2, 0.5), warm_up=4), np.zeros(1)
    moved = []
    for _ in range(5):
        before = theta[0]
        optimizer.step(theta, np.array([-1.0]))
        moved.append(theta[0] - before)
    assert moved == rates(optimizer, 5)
    assert optimizer.steps == 5
    assert optimizer.learning_rate == 8.0  # the one that the factors apply to


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_constant_schedule_changes_no_bit(name):
    plain, thetas = OPTIMIZERS[name](0.1), (np.ones(3), np.ones(3))
    for optimizer, theta in zip((plain, Scheduled(OPTIMIZERS[name](0.1))), thetas, strict=True):
        for grad in np.random.default_rng(0).normal(size=(4, 3)):
            optimizer.step(theta, grad)
    np.testing.assert_array_equal(*thetas)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_networks_each_begin_with_the_first_step(name):
    shared, results = Scheduled(OPTIMIZERS[name](0.1), StepDecay(1, 0.5)), []
    for _ in range(2):
        theta = np.ones(3)
        for _ in range(3):
            shared.step(theta, 2 * theta)
        results.append(theta)
    np.testing.assert_array_equal(*results)
    assert shared.steps == 3


def test_learning_rate_may_be_changed_between_steps():
    optimizer, theta = Scheduled(SGD(1.0), StepDecay(1, 0.5)), np.zeros(1)
    optimizer.step(theta, np.array([-1.0]))
    optimizer.learning_rate = 8.0
    optimizer.step(theta, np.array([-1.0]))
    assert theta[0] == 1 + 8 * 0.5


TRAIN = data.Dataset(
    "t",
    np.random.default_rng(0).normal(size=(20, 4)),
    np.arange(20) % 3,
    ("a", "b", "c"),
)


def scheduled(name):
    options = {"momentum": 0.9} if name == "sgd" else {}
    return Scheduled(OPTIMIZERS[name](0.1, **options), Cosine(6), warm_up=2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_checkpoint_goes_on_at_the_same_place_bit_for_bit(name, tmp_path):
    """Two epochs at once; or one, another optimizer with the saved state, and another one."""
    whole = mlp.init([4, 6, 3], rng=1)
    fit(whole, TRAIN, optimizer=scheduled(name), epochs=2, batch_size=8, rng=_rng())
    network, order = mlp.init([4, 6, 3], rng=1), _rng()
    first, second = scheduled(name), scheduled(name)
    fit(network, TRAIN, optimizer=first, epochs=1, batch_size=8, rng=order)
    checkpoint.save(tmp_path / "x.npz", network, optimizer=first)
    network, _ = checkpoint.load(tmp_path / "x.npz", optimizer=second)
    assert second.steps == 3
    fit(network, TRAIN, optimizer=second, epochs=1, batch_size=8, rng=order)
    np.testing.assert_array_equal(network.theta, whole.theta)


def _rng():
    return np.random.default_rng(2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_of_steps_alone_goes_on_there(name):
    optimizer, theta = Scheduled(OPTIMIZERS[name](learning_rate=8.0), StepDecay(3, 0.5)), np.ones(1)
    optimizer.state = {"steps": np.array(3)}
    optimizer.step(theta, np.ones(1))
    assert optimizer.steps == 4
    assert theta[0] < -2  # by the rate of 4, and not of 8
    assert theta[0] > -4


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path):
    network, optimizer = mlp.init([4, 3]), Scheduled(Adam(), Cosine(9))
    fit(network, TRAIN, optimizer=optimizer, epochs=1)
    checkpoint.save(tmp_path / "x.npz", network, optimizer=optimizer)
    with pytest.raises(ValueError, match=r"saved with the optimizer Adam, .*, got SGD"):
        checkpoint.load(tmp_path / "x.npz", optimizer=Scheduled(SGD(0.1), Cosine(9)))


@pytest.mark.parametrize(("momentum", "more"), [(0.0, ""), (0.9, ", or less momentum")])
def test_a_training_that_diverges_names_the_rate_to_lower(momentum, more):
    optimizer = Scheduled(SGD(1e30, momentum), warm_up=2)
    with pytest.raises(FloatingPointError, match=rf"try a learning rate below 1e\+30{more}$"):
        fit(mlp.init([4, 6, 3]), TRAIN, optimizer=optimizer, objective="cross_entropy", epochs=9)


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (lambda t: 1.0 - t, ValueError, r"schedule\(2\) must be finite and not negative, got -1"),
        (lambda t: np.nan, ValueError, r"schedule\(0\) must be finite and not negative, got nan"),
        (lambda t: None, TypeError, r"schedule\(0\) must be a number, got None"),
    ],
)
def test_a_schedule_of_ones_own_that_gives_no_rate(schedule, error, message):
    network, optimizer = mlp.init([4, 3]), Scheduled(SGD(0.5), schedule)
    with pytest.raises(error, match=message):
        fit(network, TRAIN, optimizer=optimizer, epochs=3)


@pytest.mark.parametrize("gamma", [10, 10.0, np.float32(10)])
def test_a_rate_that_grows_beyond_all_floats_is_named(gamma):
    optimizer = Scheduled(SGD(0.5), StepDecay(1, gamma))
    assert optimizer.rate(300) == pytest.approx(0.5e300)
    with pytest.raises(ValueError, match=r"schedule\(400\) must be finite .* got inf"):
        optimizer.rate(400)


def test_a_schedule_of_ones_own_leaves_the_precision_alone():
    optimizer, theta = Scheduled(SGD(0.5), lambda t: np.float64(0.1)), np.zeros(1, np.float32)
    optimizer.step(theta, np.ones(1, np.float32))
    assert theta[0] == -np.float32(0.5 * 0.1)
    assert type(optimizer.rate(0)) is float


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Cosine(0), ValueError, "total must be at least 1, got 0"),
        (lambda: Cosine(1.5), TypeError, r"total must be a whole number, got 1\.5"),
        (lambda: StepDecay(0), ValueError, "step_size must be at least 1, got 0"),
        (lambda: StepDecay(3, -0.1), ValueError, "gamma must be finite and not negative"),
        (lambda: Scheduled(SGD(0.1), warm_up=-1), ValueError, "warm_up must be at least 0, got -1"),
        (lambda: Scheduled(SGD(0.1), warm_up=True), TypeError, "warm_up must be a whole number"),
        (lambda: Scheduled(0.1), TypeError, r"optimizer must be an object such as SGD\(0\.1\)"),
        (lambda: Scheduled(SGD), TypeError, "optimizer must be an object"),
        (
            lambda: Scheduled(Scheduled(SGD(1.0), Cosine(5)), warm_up=2),
            TypeError,
            "optimizer must be one without a schedule, got a Scheduled one: pass the optimizer",
        ),
        (lambda: Scheduled(SGD(0.1), "cosine"), TypeError, r"schedule must be StepDecay\(\.\.\.\)"),
    ],
)
def test_impossible_schedules_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
