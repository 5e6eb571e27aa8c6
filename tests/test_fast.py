"""The steps through SciPy's BLAS are the plain steps, up to rounding."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnn import SGD, Adam, checkpoint, data, evaluate, fast, fit, mlp, objectives, train
from scratchnn.data import Dataset
from scratchnn.extras import MissingExtraError
from scratchnn.layers import Dense, Kronecker
from scratchnn.optim import Cosine, Scheduled
from scratchnn.run.cli import main
from scratchnn.run.record import read_record

pytest.importorskip("scipy.linalg.blas", reason="the fast steps need SciPy")

DIGITS, TEST = data.digits()


class Doubled(Dense):
    """A layer that is no dense one, though it says so."""

    def forward(self, X, *parameters):
        return 2 * super().forward(X, *parameters)


def trained(blas, sizes=(64, 30, 10), *, dtype=np.float64, activation="relu", epochs=3, **options):
    network = mlp.init(list(sizes), activation=activation, rng=0, dtype=dtype)
    optimizer = SGD(0.1, **options)
    options = {"batch_size": 100, "epochs": epochs, "rng": 1, "blas": blas}
    history = fit(network, DIGITS, optimizer=optimizer, **options)
    return network, history


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "softplus"])
def test_300_steps_of_float64_are_those_of_numpy(activation, momentum):
    options = {
        "sizes": (64, 30, 20, 10),
        "activation": activation,
        "momentum": momentum,
        "epochs": 20,
    }
    (plain, slow), (network, quick) = trained("numpy", **options), trained("scipy", **options)
    np.testing.assert_allclose(network.theta, plain.theta, rtol=1e-12, atol=1e-12)
    for one, other in zip(quick.epochs, slow.epochs, strict=True):
        assert one.running_loss == pytest.approx(other.running_loss, rel=1e-12)
        assert one.train_accuracy == other.train_accuracy


@given(
    N=st.integers(1, 5),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    momentum=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_one_included(N, sizes, momentum, seed):
    rng = np.random.default_rng(seed)
    rows = Dataset("rows", rng.normal(size=(N, sizes[0])), rng.normal(size=(N, sizes[-1])))
    start, goal = mlp.init(sizes, rng=rng, dtype=np.float64), objectives.get("mse_loss")
    ends = []
    for steps in (train.steps, fast.steps):
        network, optimizer = start.copy(), SGD(0.1, momentum=momentum)
        for _ in range(3):
            taken = list(steps(network, rows, optimizer, goal, 2, np.random.default_rng(1)))
        ends.append((network.theta, [step.loss for step in taken]))
    (plain, slow), (theta, quick) = ends
    np.testing.assert_allclose(theta, plain, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(quick, slow, rtol=1e-10, atol=1e-12)


def test_float32_is_as_near_as_its_rounding():
    network, _ = trained("scipy", dtype=np.float32, momentum=0.5)
    plain, _ = trained("numpy", dtype=np.float32, momentum=0.5)
    assert network.theta.dtype == np.float32
    np.testing.assert_allclose(network.theta, plain.theta, atol=1e-5)
    assert evaluate(network, TEST).accuracy == evaluate(plain, TEST).accuracy


def test_the_velocity_goes_from_one_to_the_other():
    alone, _ = trained("numpy", momentum=0.5, epochs=4)
    both = mlp.init([64, 30, 10], rng=0, dtype=np.float64)
    optimizer, rng = SGD(0.1, momentum=0.5), np.random.default_rng(1)
    for blas in ("numpy", "scipy"):
        fit(both, DIGITS, optimizer=optimizer, batch_size=100, epochs=2, rng=rng, blas=blas)
    np.testing.assert_allclose(both.theta, alone.theta, rtol=1e-12, atol=1e-13)


def test_another_network_begins_with_a_velocity_of_its_own():
    optimizer = SGD(0.1, momentum=0.9)
    ends = []
    for _ in range(2):
        network = mlp.init([64, 10], rng=0, dtype=np.float64)
        fit(network, DIGITS, optimizer=optimizer, epochs=1, rng=1, blas="scipy")
        ends.append(network.theta)
    assert np.array_equal(*ends)


def test_a_velocity_that_fits_is_taken_in_the_precision_of_the_network():
    ends = []
    for blas in ("numpy", "scipy"):
        network = mlp.init([64, 10], rng=0)
        optimizer = SGD(0.1, momentum=0.5)
        dtype = np.float32 if blas == "numpy" else np.float64
        optimizer.state = {"velocity": np.ones(650, dtype)}
        fit(network, DIGITS, optimizer=optimizer, epochs=1, rng=1, blas=blas)
        ends.append(network.theta)
    np.testing.assert_allclose(*ends, atol=1e-6)


def test_a_velocity_of_another_length_is_refused():
    optimizer = SGD(0.1, momentum=0.5)
    optimizer.state = {"velocity": np.ones(9, np.float32)}
    with pytest.raises(ValueError, match="velocity must have the shape of theta"):
        fit(mlp.init([64, 10]), DIGITS, optimizer=optimizer, epochs=1, blas="scipy")


def test_a_network_that_cannot_be_written_to_is_refused():
    network = mlp.init([64, 10])
    network.theta.flags.writeable = False
    with pytest.raises(ValueError, match="theta is changed in place, got a read-only array"):
        fit(network, DIGITS, optimizer=SGD(0.1), epochs=1, blas="scipy")


def test_inputs_of_another_precision_are_converted():
    rows = replace(DIGITS, transform=lambda X, dtype: X / 16)  # float64
    ends = []
    for blas in ("numpy", "scipy"):
        network = mlp.init([64, 20, 10], rng=0)
        fit(network, rows, optimizer=SGD(0.1), epochs=1, rng=1, blas=blas)
        ends.append(network.theta)
    np.testing.assert_allclose(*ends, atol=1e-6)


def test_momentum_does_not_change_within_an_epoch():
    optimizer = SGD(0.1)

    def change(batch):
        optimizer.momentum = 0.9

    with pytest.raises(ValueError, match="only the learning rate may change"):
        fit(mlp.init([64, 10]), DIGITS, optimizer=optimizer, on_batch=change, blas="scipy")


def test_batches_are_passed_over():
    goal = objectives.get("cross_entropy")
    counts = []
    for skip in (0, 10):
        network = mlp.init([64, 10], rng=0)
        taken = fast.steps(network, DIGITS, SGD(0.1), goal, 100, np.random.default_rng(0), skip)
        counts.append(len(list(taken)))
    assert counts == [15, 5]


@pytest.mark.parametrize(
    ("network", "optimizer", "why"),
    [
        (mlp.init([64, 10]), Adam(0.1), "the optimizer is Adam"),
        (mlp.init([64, 10]), Scheduled(SGD(0.1), Cosine(9)), "without a schedule or warm-up"),
        (mlp.init([64, 10]), SGD(0.1, weight_decay=0.1), "without weight_decay"),
        (mlp.init([64, 10]), SGD(0.1, momentum=0.1, nesterov=True), "without nesterov"),
        (mlp.init([64, 10]), SGD(0.1, momentum=0.1, dampening=0.1), "without dampening"),
        (mlp.init([64, 10]), SGD(0.1, maximize=True), "without maximize"),
        (mlp.init([64, 10], dtype=np.float16), SGD(0.1), "not in float16"),
        (mlp.init([Kronecker(64, 10, 2)]), SGD(0.1), "a Kronecker layer"),
        (mlp.init([Doubled(64, 10)]), SGD(0.1), "a Doubled layer"),
        (
            mlp.Parameters([Dense(64, 10)], np.zeros(1300, np.float32)[::2]),
            SGD(0.1),
            "a view with gaps",
        ),
    ],
)
def test_all_else_takes_the_plain_steps_and_says_why(network, optimizer, why):
    plain = network.copy()
    with pytest.warns(UserWarning, match=f"takes the plain steps here: .*{why}"):
        fit(network, DIGITS, optimizer=optimizer, epochs=1, rng=0, blas="scipy")
    optimizer.state = {}
    fit(plain, DIGITS, optimizer=optimizer, epochs=1, rng=0)
    np.testing.assert_allclose(network.theta, plain.theta, atol=1e-6)  # a view has other products
    with pytest.raises(ValueError, match=why):
        next(fast.steps(network, DIGITS, optimizer, objectives.get("cross_entropy"), 9, None))


def test_an_unknown_blas_is_refused():
    with pytest.raises(ValueError, match='blas must be "numpy" or "scipy", got \'mkl\''):
        trained("mkl")
    with pytest.raises(ValueError, match='blas must be "numpy" with steps='):
        fit(mlp.init([64, 10]), DIGITS, optimizer=SGD(0.1), blas="scipy", steps=train.steps)


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.linalg.blas", None)
    with pytest.raises(MissingExtraError, match=r"\[fast\]"):
        trained("scipy")


def test_a_blas_whose_threads_are_unknown_computes_the_same(monkeypatch):
    before = trained("scipy", epochs=1)
    monkeypatch.setattr(fast, "openblas", lambda *_: None)
    assert np.array_equal(trained("scipy", epochs=1)[0].theta, before[0].theta)


def test_a_run_keeps_the_path_and_the_threads(tmp_path, capsys):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train_it = ["train", "mlp", "--fast", "--threads", "1", "--epochs"]
    assert main([*train_it, "2", "--out", str(whole)]) == 0
    assert main([*train_it, "1", "--out", str(halves)]) == 0
    assert main(["train", "--resume", str(halves), "--epochs", "2"]) == 0
    assert capsys.readouterr().out.count("fast steps (SciPy)") == 3
    ends = [checkpoint.load(folder)[0].theta for folder in (whole, halves)]
    assert np.array_equal(*ends)
    for folder in (whole, halves):
        settings = read_record(folder)["settings"]
        assert settings["fast"] is True
        assert settings["threads"] == 1


def test_the_command_says_why_it_is_not_fast(capsys):
    assert main(["train", "mlp", "--fast", "--optimizer", "adam", "--epochs", "1"]) == 0
    assert "plain steps in place of --fast: it is for SGD, and the optimizer is Adam" in (
        capsys.readouterr().out
    )
