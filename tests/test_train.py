"""Training: what fit does to θ, what it reports of each epoch, and how it ends early.

Where numbers are compared they are integers, or sums of powers of two, so that every sum is exact.
"""

import re
from dataclasses import replace

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn import SGD, History, Parameters, data, evaluate, fit, mlp, train
from scratchnn.data import Dataset
from scratchnn.history import Batch, Epoch, Score
from scratchnn.layers import ACTIVATIONS
from scratchnn.objectives import CrossEntropy
from scratchnn.run.watch import epoch_line
from scratchnn.shown import Shown
from scratchnn.train import EVALUATION_BATCH
from tests.helpers import DTYPES, C, D, H

CLASSES = tuple("abcd")


def integers(*shape, seed=1):
    return np.random.default_rng(seed).integers(-3, 4, size=shape).astype(float)


def regression(n):
    """Integer inputs and targets: X w + b and the sum of the squared losses are exact."""
    return Dataset("plane", integers(n, D), integers(n, 1, seed=2))


def classification(n, seed=1):
    rng = np.random.default_rng(seed)
    return Dataset("classes", rng.normal(size=(n, D)), rng.integers(C, size=n), CLASSES)


def plane(dtype=float):
    W = np.array([[1], [-2], [3]], dtype)
    return Parameters.from_arrays([(W, np.array([2], dtype))])


def squared_error(parameters, dataset):
    ((W, b),) = parameters.views
    return ((dataset.X @ W + b - dataset.target) ** 2 / 2).sum()


# What fit does


def test_fit_takes_the_step_of_the_formula():
    dataset, parameters = regression(8), plane()
    ((W, b),) = plane().views
    residual = dataset.X @ W + b - dataset.target
    fit(
        parameters, dataset,
        optimizer=SGD(0.5), objective="squared_loss", epochs=1, batch_size=8, rng=1,
    )  # fmt: skip
    np.testing.assert_array_equal(parameters.views[0][0], W - 0.5 * dataset.X.T @ residual / 8)
    np.testing.assert_array_equal(parameters.views[0][1], b - 0.5 * residual.mean(axis=0))


def test_fit_divides_a_short_batch_by_its_own_length():
    def theta_after(learning_rate, dataset):
        parameters = plane()
        fit(
            parameters, dataset, optimizer=SGD(learning_rate), objective="squared_loss",
            epochs=1, batch_size=8, rng=1,
        )  # fmt: skip
        return parameters.theta

    row = Dataset("row", integers(1, D), integers(1, 1, seed=2))
    rows = Dataset("rows", np.repeat(row.X, 8, axis=0), np.repeat(row.target, 8, axis=0))
    np.testing.assert_array_equal(theta_after(0.5, row), theta_after(0.5, rows))


def test_fit_augments_what_it_trains_on_and_nothing_that_it_evaluates():
    """Images of ones turned to zeros train b alone, at a rate of 1 to the target."""

    def fade(images, rng):
        assert isinstance(rng, np.random.Generator)
        return 0 * images

    ones = Dataset("ones", np.ones((8, 4)), np.full((8, 1), 3.0), image_size=(2, 2), augment=fade)
    parameters = Parameters.from_arrays([(np.ones((4, 1)), np.zeros(1))])
    history = fit(
        parameters, ones,
        optimizer=SGD(1.0), objective="squared_loss", epochs=1, batch_size=8, rng=1,
    )  # fmt: skip
    np.testing.assert_array_equal(parameters.views[0][0], np.ones((4, 1)))
    np.testing.assert_array_equal(parameters.views[0][1], [3.0])
    assert history.column("running_loss") == [9 / 2]  # of 0 W + 0 - 3
    assert history.column("train_loss") == [16 / 2]  # of 1 W + 3 - 3


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_fit_is_decided_by_the_seed(momentum):
    def run(seed):
        parameters = mlp.init([D, H, C], rng=3)
        history = fit(
            parameters, classification(20), classification(10, seed=2),
            optimizer=SGD(0.1, momentum), epochs=3, batch_size=8, rng=seed,
        )  # fmt: skip
        return parameters.theta, history

    (theta, history), (same, same_history), (other, _) = run(1), run(1), run(2)
    np.testing.assert_array_equal(theta, same)
    for column in ("running_loss", "train_loss", "test_loss", "test_accuracy"):
        assert history.column(column) == same_history.column(column)
    assert not np.array_equal(theta, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("objective", ["cross_entropy", "one_vs_rest"])
def test_fit_computes_in_the_precision_of_theta(dtype, objective):
    asked = []

    def transform(values, dtype):
        asked.append(dtype)
        return values.astype(dtype)

    dataset = Dataset("d", integers(20, D), np.arange(20) % C, CLASSES, transform)
    parameters = mlp.init([D, H, C], rng=1, dtype=dtype)
    theta = parameters.theta
    fit(parameters, dataset, optimizer=SGD(0.1, 0.9), objective=objective, epochs=1, batch_size=8)
    assert parameters.theta is theta
    assert theta.dtype == dtype
    assert set(asked) == {np.dtype(dtype)}


def test_fit_learns():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, D))
    dataset = Dataset("signs", X, 2 * (X[:, 0] > 0) + (X[:, 1] > 0), CLASSES)
    history = fit(
        mlp.init([D, H, C], rng=1), dataset, optimizer=SGD(0.2),
        epochs=30, batch_size=16, rng=1,
    )  # fmt: skip
    assert history.epochs[0].train_loss > 2 * history.epochs[-1].train_loss
    assert history.epochs[-1].train_accuracy > 0.95


# What it reports


@pytest.mark.parametrize("batch_size", [4, 8, 16])
def test_fit_counts_examples_not_batches(batch_size):
    dataset = regression(17)  # the last batch is a single example
    history = fit(
        plane(), dataset, dataset, optimizer=SGD(0.0), objective="squared_loss",
        epochs=1, batch_size=batch_size, rng=1,
    )  # fmt: skip
    (row,) = history.epochs
    mean = squared_error(plane(), dataset) / 17
    assert row.running_loss == row.train_loss == row.test_loss == mean
    assert row.running_accuracy is row.train_accuracy is row.test_accuracy is None


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_fit_accuracy_is_a_count_over_examples(batch_size):
    dataset, parameters = classification(10), mlp.init([D, H, C], rng=1)
    right = mlp.predict(parameters, dataset.X.astype(np.float32)) == dataset.target
    assert 0 < right.sum() < 10
    history = fit(
        parameters, dataset, dataset, optimizer=SGD(0.0), epochs=1, batch_size=batch_size, rng=1
    )
    (row,) = history.epochs
    assert row.running_accuracy == row.train_accuracy == row.test_accuracy == right.sum() / 10


def test_fit_running_figures_are_before_the_step_and_train_figures_after():
    dataset, parameters = regression(8), plane()
    history = fit(
        parameters, dataset, optimizer=SGD(0.5), objective="squared_loss",
        epochs=1, batch_size=8, rng=1,
    )  # fmt: skip
    (row,) = history.epochs
    assert row.running_loss == squared_error(plane(), dataset) / 8
    assert row.train_loss == evaluate(parameters, dataset, "squared_loss").loss
    assert row.train_loss != row.running_loss
    assert row.test_loss is row.test_accuracy is None


def test_fit_test_figures_are_of_the_test_data():
    train, test = classification(20), classification(10, seed=2)
    parameters = mlp.init([D, H, C], rng=1)
    history = fit(parameters, train, test, optimizer=SGD(0.1), epochs=2, batch_size=8, rng=1)
    assert evaluate(parameters, test) == (
        history.epochs[-1].test_loss, history.epochs[-1].test_accuracy
    )  # fmt: skip
    assert evaluate(parameters, train) == (
        history.epochs[-1].train_loss, history.epochs[-1].train_accuracy
    )  # fmt: skip


def test_fit_tells_of_every_batch_and_epoch():
    batches, rows = [], []
    history = fit(
        plane(), regression(10), optimizer=SGD(0.0), objective="squared_loss",
        epochs=2, batch_size=4, rng=1, on_batch=batches.append, on_epoch=rows.append,
    )  # fmt: skip
    assert [(b.epoch, b.number, b.of, b.examples) for b in batches] == [
        (1, 1, 3, 4), (1, 2, 3, 4), (1, 3, 3, 2), (2, 1, 3, 4), (2, 2, 3, 4), (2, 3, 3, 2)
    ]  # fmt: skip
    assert isinstance(batches[0], Batch)
    assert rows == history.epochs
    total = sum(batch.loss * batch.examples for batch in batches[:3])
    assert total / 10 == rows[0].running_loss


def test_fit_measures_time():
    history = fit(plane(), regression(8), optimizer=SGD(0.1), objective="mse_loss", epochs=2)
    for row in history.epochs:
        assert 0 < row.training_seconds <= row.seconds


def test_history_columns_and_dicts():
    history = fit(plane(), regression(8), optimizer=SGD(0.1), objective="mse_loss", epochs=3)
    assert history.column("epoch") == [1, 2, 3]
    assert [row["train_loss"] for row in history.as_dicts()] == history.column("train_loss")
    assert list(history.as_dicts()[0]) == [
        "epoch", "running_loss", "running_accuracy", "train_loss", "train_accuracy",
        "test_loss", "test_accuracy", "training_seconds", "seconds",
        "validation_loss", "validation_accuracy",
    ]  # fmt: skip
    assert History().column("epoch") == History().as_dicts() == []


# Going on, and ending early


def test_fit_goes_on_where_a_history_ends():
    def run(*parts):
        parameters, optimizer = mlp.init([D, H, C], rng=1), SGD(0.1, 0.5)
        rng, history = np.random.default_rng(1), History()
        for epochs in parts:
            fit(
                parameters, classification(20), optimizer=optimizer, epochs=epochs,
                batch_size=8, rng=rng, history=history,
            )  # fmt: skip
        return parameters.theta, history

    theta, history = run(2, 3)
    whole_theta, whole = run(5)
    np.testing.assert_array_equal(theta, whole_theta)
    assert history.column("epoch") == [1, 2, 3, 4, 5]
    assert history.column("train_loss") == whole.column("train_loss")


@pytest.mark.parametrize(("stop", "whole_epochs"), [((1, 2), 0), ((3, 1), 2), ((3, 3), 2)])
def test_fit_interrupted_leaves_the_whole_epochs(stop, whole_epochs):
    def interrupt(batch):
        if (batch.epoch, batch.number) == stop:
            raise KeyboardInterrupt

    history, parameters = History(), plane()
    with pytest.raises(KeyboardInterrupt):
        fit(
            parameters, regression(10), optimizer=SGD(2**-6), objective="squared_loss",
            batch_size=4, rng=1, history=history, on_batch=interrupt,
        )  # fmt: skip
    assert history.column("epoch") == list(range(1, whole_epochs + 1))
    assert not np.array_equal(parameters.theta, plane().theta)


@pytest.mark.parametrize("dtype", DTYPES)
def test_fit_says_when_the_loss_diverges(dtype):
    history = History()
    with pytest.raises(FloatingPointError, match=r"loss is (inf|nan) in epoch \d+, batch \d+"):
        fit(
            plane(dtype), regression(10), optimizer=SGD(1e30), objective="squared_loss",
            batch_size=1, rng=1, history=history,
        )  # fmt: skip
    assert np.isfinite(history.column("train_loss")).all()


def test_fit_says_when_the_last_step_of_an_epoch_diverges():
    with pytest.raises(FloatingPointError, match="epoch 1"):
        fit(
            plane(np.float32), regression(8), optimizer=SGD(1e30), objective="squared_loss",
            epochs=1, batch_size=8, rng=1,
        )  # fmt: skip


# evaluate


@pytest.mark.parametrize("n", [1, EVALUATION_BATCH, 2 * EVALUATION_BATCH + 2])
def test_evaluate_counts_examples_not_batches(n):
    dataset = regression(n)
    expected = Score(squared_error(plane(), dataset) / n, None)
    assert evaluate(plane(), dataset, "squared_loss") == expected


def test_evaluate_accuracy_hand_counted():
    dataset = Dataset("d", np.eye(4)[[0, 1, 2, 3, 0]], np.array([0, 1, 2, 0, 3]), CLASSES)
    parameters = Parameters.from_arrays([(10 * np.eye(4), np.zeros(4))])
    assert evaluate(parameters, dataset).accuracy == 3 / 5


def test_evaluate_leaves_theta_alone():
    parameters = mlp.init([D, H, C], rng=1)
    parameters.theta.flags.writeable = False
    evaluate(parameters, classification(10))


# Errors


@pytest.mark.parametrize("objective", ["hinge", "", "CROSS_ENTROPY", CrossEntropy, None, []])
def test_fit_and_evaluate_refuse_unknown_objectives(objective):
    message = r"objective must be one of cross_entropy, .*, or an object such as CrossEntropy\(\), "
    message += re.escape(f"got {objective!r}")
    with pytest.raises(ValueError, match=message):
        fit(plane(), regression(8), optimizer=SGD(0.1), objective=objective)
    with pytest.raises(ValueError, match=message):
        evaluate(plane(), regression(8), objective)


def test_fit_and_evaluate_refuse_data_of_another_size():
    message = (
        "plane has 3 features per example, and the network takes 7: take other data, or a network "
        "that begins with 3"
    )
    with pytest.raises(ValueError, match=message):
        fit(mlp.init([H, 1]), regression(8), optimizer=SGD(0.1), objective="mse_loss")
    with pytest.raises(ValueError, match=message):
        evaluate(mlp.init([H, 1]), regression(8), "mse_loss")


@pytest.mark.parametrize(
    ("dataset", "outputs", "objective", "error"),
    [
        (classification(10), C - 1, "cross_entropy", ValueError),
        (classification(10), C, "mse_loss", TypeError),
        (regression(8), 2, "squared_loss", ValueError),
        (regression(8), 1, "cross_entropy", TypeError),
    ],
)
def test_fit_refuses_targets_that_do_not_fit(dataset, outputs, objective, error):
    parameters = mlp.init([D, outputs], rng=1)
    theta = parameters.theta.copy()
    with pytest.raises(error, match=r"target|outputs"):
        fit(parameters, dataset, optimizer=SGD(0.1), objective=objective, batch_size=100)
    np.testing.assert_array_equal(parameters.theta, theta)


def test_fit_refuses_empty_batches():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        fit(plane(), regression(8), optimizer=SGD(0.1), objective="mse_loss", batch_size=0)


def test_fit_refuses_a_test_set_of_another_size_before_training():
    other = Dataset("other", integers(8, H), integers(8, 1))
    parameters = plane()
    with pytest.raises(ValueError, match="other has 7 features"):
        fit(parameters, regression(8), other, optimizer=SGD(0.1), objective="mse_loss")
    np.testing.assert_array_equal(parameters.theta, plane().theta)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fit_learns_the_digits(digits, activation):
    train, test = digits
    network = mlp.init([64, 20, 10], activation=activation, rng=1)
    history = fit(
        network, train, test, optimizer=SGD(0.5, 0.5), epochs=6, batch_size=32, rng=1,
    )  # fmt: skip
    assert history.epochs[-1].test_accuracy > 0.85


def test_fit_without_evaluation_trains_the_same_and_leaves_its_columns_empty():
    network, train, test = plane(), regression(5), regression(3)
    same = network.copy()
    options = {"objective": "squared_loss", "epochs": 2, "batch_size": 2, "rng": 0}
    watched = fit(network, train, test, optimizer=SGD(0.125), **options)
    alone = fit(same, train, test, optimizer=SGD(0.125), **options, evaluation=False)
    assert np.array_equal(network.theta, same.theta)
    assert alone.column("running_loss") == watched.column("running_loss")
    for name in ("train_loss", "test_loss"):
        assert None not in watched.column(name)
        assert alone.column(name) == [None, None]
    assert epoch_line(alone.epochs[0]).split()[2:6] == ["-"] * 4


# Objectives with options


OPTIONS = [
    {"weight": np.array([0.5, 2.0, 1.0, 3.0])},
    {"label_smoothing": 0.25},
    {"weight": np.array([0.5, 2.0, 1.0, 3.0]), "label_smoothing": 0.25},
    {"weight": np.array([0.5, 2.0, 1.0, 3.0]), "ignore_index": 2},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_mean_over_a_data_set_is_right_with_weights_and_a_short_last_batch(options, monkeypatch):
    """Each batch counts by the weights of its rows. A mean over the rows is another number."""
    monkeypatch.setattr(train, "EVALUATION_BATCH", 8)
    dataset, network = classification(19), mlp.init([D, H, C], rng=1, dtype=np.float64)
    z = mlp.forward(network, dataset.X)[-1]
    whole = F.cross_entropy(z, dataset.target, **options)
    u = bounds.unit_roundoff(np.float64)
    bound = loss_bounds.cross_entropy(z, dataset.target, **options, u=u) + 19 * u * whole
    objective = CrossEntropy(**options)
    score = evaluate(network, dataset, objective)
    np.testing.assert_allclose(score.loss, whole, rtol=0, atol=2 * bound)
    assert score.accuracy == (z.argmax(axis=1) == dataset.target).mean()
    (row,) = fit(
        network, dataset, dataset, optimizer=SGD(0.0), objective=objective, epochs=1,
        batch_size=8, rng=1,
    ).epochs  # fmt: skip
    for loss in (row.running_loss, row.train_loss, row.test_loss):
        np.testing.assert_allclose(loss, whole, rtol=0, atol=2 * bound)


def test_fit_takes_the_step_of_the_objective_that_it_is_given():
    options = OPTIONS[2]
    dataset, network = classification(8), mlp.init([D, C], rng=1, dtype=np.float64)
    start = network.copy()
    fit(
        network, dataset, optimizer=SGD(0.5), objective=CrossEntropy(**options), epochs=1,
        batch_size=8, rng=1,
    )  # fmt: skip
    outputs = mlp.forward(start, dataset.X)
    dz = F.cross_entropy_backward(1.0, outputs[-1], dataset.target, **options)
    grad = mlp.backward(start, outputs, dz)
    np.testing.assert_allclose(network.theta, start.theta - 0.5 * grad.theta, rtol=1e-12)


def test_fit_goes_on_over_a_batch_in_which_nothing_counts():
    X, target = integers(6, D), np.array([0, 1, 2, 2, 3, 2])
    dataset = Dataset("some ignored", X, target, CLASSES)
    objective = CrossEntropy(ignore_index=2)
    network = mlp.init([D, C], rng=1, dtype=np.float64)
    history = fit(
        network, dataset, optimizer=SGD(0.1), objective=objective, epochs=2, batch_size=1, rng=1
    )
    assert np.isfinite(history.column("running_loss")).all()
    assert np.isfinite(history.column("train_loss")).all()
    with pytest.raises(FloatingPointError, match="the loss on nothing is nan"):
        evaluate(network, Dataset("nothing", X, np.full(6, 2), CLASSES), objective)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_is_that_of_the_mean_loss(activation):
    dataset = classification(8)
    network = mlp.init([D, H, C], activation=activation, rng=1, dtype=np.float64)
    out = network.like(np.zeros_like(network.theta))
    objective = CrossEntropy(**OPTIONS[0])
    loss, correct = train.backpropagate(network, dataset.X, dataset.target, objective, out=out)
    outputs = mlp.forward(network, dataset.X)
    expected, dz = objective.loss_and_gradient(outputs[-1], dataset.target)
    assert loss == expected
    assert correct == (outputs[-1].argmax(axis=1) == dataset.target).sum()
    np.testing.assert_array_equal(out.theta, mlp.backward(network, outputs, dz).theta)


def changed(change):
    """Return an objective of one's own, whose dz is not that of cross-entropy."""

    class Changed(CrossEntropy):
        def loss_and_gradient(self, z, target):
            loss, dz = super().loss_and_gradient(z, target)
            return loss, change(dz)

    return Changed()


@pytest.mark.parametrize("blas", ["numpy", "scipy"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda dz: dz[None], rf"dz must have the shape of z \(8, {C}\), got \(1, 8, {C}\)"),
        (lambda dz: dz[:-1], rf"dz must have the shape of z \(8, {C}\), got \(7, {C}\)"),
        (lambda dz: 1.0, rf"dz must have the shape of z \(8, {C}\), got \(\)"),
        (lambda dz: dz.astype(int), "dz must be floating point, got int64"),
        (lambda dz: dz.tolist(), "dz must be a NumPy array, got list"),
        (lambda dz: dz + 1j, "dz must be real, as the arguments are, got complex numbers"),
        (np.ma.array, "dz must be a plain array, got a masked one"),
    ],
)
def test_an_objective_of_ones_own_must_return_a_gradient_of_the_logits(change, words, blas):
    if blas == "scipy":
        pytest.importorskip("scipy.linalg.blas")
    network, options = mlp.init([D, H, C], rng=1), {"optimizer": SGD(0.1), "batch_size": 8}
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        fit(network, classification(8), objective=changed(change), blas=blas, **options)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_gradient_in_another_precision_is_rounded_to_that_of_the_network(activation):
    """So all products are in one precision, and the result is that of any other objective."""
    thetas = []
    for change in (lambda dz: dz, lambda dz: dz.astype(np.float64)):
        network = mlp.init([D, H, C], activation=activation, rng=1)
        fit(network, classification(8), optimizer=SGD(0.1), objective=changed(change), rng=1)
        thetas.append(network.theta)
    np.testing.assert_array_equal(*thetas)


@pytest.mark.parametrize(
    ("optimizer", "advice"),
    [(SGD(1e200, momentum=0.9), "less momentum"), (SGD(1e200), r"below 1e\+200$")],
)
def test_advice_where_training_diverges(optimizer, advice):
    with pytest.raises(FloatingPointError, match=advice):
        fit(mlp.init([D, H, C], rng=1), classification(64), optimizer=optimizer, rng=1)


# how a history shows itself


def test_history_shows_what_was_reached_in_one_line():
    assert repr(History()) == "<History of 0 epochs>"
    rows = [Epoch(n, 0.5, 0.25, 0.125, 0.75, None, None, 1.0, 2.0) for n in (1, 2)]
    expected = "<History of 2 epochs, train loss 0.1250, train accuracy 75.00%>"
    assert repr(History(rows)) == expected


def test_an_epoch_prints_what_it_reached():
    """As `fit(..., on_epoch=print)` prints it."""
    row = Epoch(3, 0.5, 0.25, 0.125, 0.75, 0.375, None, 1.0, 2.0)
    assert str(row) == "epoch 3: train loss 0.1250, test loss 0.3750, train accuracy 75.00%"
    row = Epoch(1, 0.5, 0.25, None, None, None, None, 1.0, 2.0)
    assert str(row) == "epoch 1: running loss 0.5000, running accuracy 25.00%"


def test_history_is_a_table_in_a_notebook():
    rows = [Epoch(n, 0.5, None, 0.125, None, None, None, 1.0, 2.0) for n in (1, 2)]
    html = History(rows)._repr_html_()
    assert re.findall("<th>(.*?)</th>", html) == ["epoch", "running loss", "train loss", "seconds"]
    assert re.findall("<td>(.*?)</td>", html) == [
        *("1", "0.5000", "0.1250", "2.0000"),
        *("2", "0.5000", "0.1250", "2.0000"),
    ]
    assert History()._repr_html_().startswith("<table>")


def test_an_interrupted_cell_leaves_its_history(digits):
    """As in a notebook, where the name on the left of `= fit(...)` is never bound."""
    network, rows = mlp.init([64, 10], rng=1), []

    def stop_after_two(row):
        rows.append(row)
        if len(rows) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        fit(network, digits[0], optimizer=SGD(0.1), epochs=9, on_epoch=stop_after_two)
    assert stopped.value.history.epochs == rows
    (note,) = stopped.value.__notes__
    assert note.startswith("<History of 2 epochs, train loss ")
    assert note.endswith("sys.last_value.history these epochs")


# data as people have them at hand


def test_fit_and_evaluate_take_arrays_and_both_parts_as_one():
    train, test = data.digits()
    pixels = train.X / np.float32(16)
    results = []
    for given in ((pixels, train.target), ((pixels, train.target),), ((train, test),)):
        network = mlp.init([64, 10], rng=0)
        fit(network, *given, optimizer=SGD(0.1), epochs=1, rng=0)
        results.append(network.theta)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_allclose(results[0], results[2], atol=1e-6)  # ToTensor divides by 16, too
    score = evaluate(network, (pixels.reshape(-1, 8, 8), train.target))
    assert score.accuracy == evaluate(network, train).accuracy


def test_fit_names_a_column_of_class_indices():
    X, y = np.ones((6, 3)), np.arange(6)[:, None] % 2
    with pytest.raises(ValueError, match=r"y must have shape \(6,\), got \(6, 1\): pass y\[:, 0\]"):
        fit(mlp.init([3, 2]), X, y, optimizer=SGD(0.1))


def test_fit_warns_of_pixels_that_are_not_scaled():
    X, y = np.full((4, 3), 200, np.uint8), np.arange(4) % 2
    for given in ((X, y), ((X, y), (X, y))):
        with pytest.warns(
            UserWarning, match=r"X holds whole numbers up to 200.*pass X / 255"
        ) as said:
            fit(mlp.init([3, 2]), *given, optimizer=SGD(1e-5), epochs=1)
        assert (len(said), said[0].filename) == (1, __file__)
    fit(mlp.init([3, 2]), X // 200, y, optimizer=SGD(0.1), epochs=1)
    fit(mlp.init([3, 2]), X / 255, y, optimizer=SGD(0.1), epochs=1)


def test_fit_takes_arrays_of_real_numbers():
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    network = mlp.init([3, 1], rng=0)
    fit(network, X, X.sum(axis=1), optimizer=SGD(0.1), objective="mse_loss", epochs=200, rng=0)
    assert evaluate(network, (X, X.sum(axis=1)), "mse_loss").loss < 1e-3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.ones((4, 2)), np.ones(4)), "y must be class indices, which are integers, got float64"),
        ((np.ones((4, 2)), [0, 1, 0, 1]), r"y must be a NumPy array, got list: pass np\.asarray"),
        ((np.ones((4, 2)).astype(str), np.ones(4, int)), "X must be an array of real numbers"),
        ((np.ones((4, 2)), np.ones(3, int)), "target must have one entry per example"),
        (5, r"data must be a data set, or arrays \(X, y\), got int"),
    ],
)
def test_arrays_that_are_no_data_are_named(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(mlp.init([2, 2], rng=0), given, optimizer=SGD(0.1))
    with pytest.raises((TypeError, ValueError), match=message):
        evaluate(mlp.init([2, 2], rng=0), given)


def test_evaluate_names_arguments_of_fit():
    """It takes one data set, and arrays as a pair."""
    train, test = data.digits()
    network = mlp.init([64, 10], rng=0)
    with pytest.raises(TypeError, match="got several: give the test part alone"):
        evaluate(network, (train, test))
    with pytest.raises(TypeError, match=r"got an array: arrays go together, as \(X, y\)"):
        evaluate(network, test.X, test.target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": SGD}, r"optimizer must be an object such as SGD\(0\.1\), got <class"),
        ({"optimizer": 0.1}, r"optimizer must be an object such as SGD\(0\.1\), got 0\.1"),
        ({"checkpoint": "runs/mine"}, r"checkpoint must be RunFolder\(folder\) or resume"),
        ({"checkpoint": ""}, r"checkpoint must be RunFolder\(folder\) or resume\(folder\), got"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": -1}, "epochs must be at least 1, got -1"),
        ({"batch_size": None}, "batch_size must be a whole number, got None"),
    ],
)
def test_options_that_make_no_training_are_named(options, message):
    train, _ = data.digits()
    with pytest.raises((TypeError, ValueError), match=message):
        fit(mlp.init([64, 10], rng=0), train, **{"optimizer": SGD(0.1)} | options)


def test_history_shows_what_was_not_measured_as_nothing():
    first = Epoch(1, 2.0, None, None, None, 1.5, 0.25, 0.1, 0.2)
    second = replace(first, epoch=2, test_loss=None, test_accuracy=None)
    html = History([first, second])._repr_html_()
    assert "<td>25.00%</td>" in html
    assert "<td></td>" in html
    with pytest.raises(NotImplementedError):
        Shown().as_dicts()
