"""A part of the training data that is split off, and the best epoch that it chooses."""

import json

import numpy as np
import pytest

from scratchnn import SGD, data, evaluate, fit, mlp, recipes
from scratchnn.run import checkpoint, record, watch
from scratchnn.run.cli import main
from scratchnn.run.history import deciding_loss
from scratchnn.train import Epoch
from tests.helpers import DTYPES

TRAIN = ["train", "softmax-regression", "--validation", "0.1"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_fit_measures_the_validation_part(dtype):
    train, part = data.digits()[0].split(0.1, rng=1)
    networks = [mlp.init([64, 10], std=0.01, rng=1, dtype=dtype) for _ in range(2)]
    options = {"optimizer": SGD(0.5), "epochs": 2, "batch_size": 64, "rng": 1}
    history = fit(networks[0], train, validation=part, **options)
    row = history.epochs[-1]
    assert (row.validation_loss, row.validation_accuracy) == evaluate(networks[0], part)
    options["optimizer"] = SGD(0.5)
    alone = fit(networks[1], train, **options).epochs[-1]
    assert (alone.validation_loss, alone.validation_accuracy) == (None, None)
    np.testing.assert_array_equal(networks[0].theta, networks[1].theta)  # nothing is learned of it


def test_fit_checks_that_the_validation_part_fits():
    train, _ = data.digits()
    with pytest.raises(ValueError, match="line has 2 features"):
        fit(mlp.init([64, 10]), train, validation=data.synthetic_line(), optimizer=SGD(0.5))


def test_deciding_loss_prefers_what_is_less_biased():
    losses = {"running_loss": 4.0, "train_loss": 3.0, "test_loss": 2.0, "validation_loss": 1.0}
    names = ("running_accuracy", "train_accuracy", "test_accuracy")
    rest = dict.fromkeys(names, None) | {"epoch": 1, "training_seconds": 0.0, "seconds": 0.0}
    for name in reversed(losses):
        assert deciding_loss(Epoch(**losses, **rest)) == losses[name]
        losses[name] = None


def test_prepare_splits_by_the_seed():
    recipe = recipes.get("mlp").on("digits")
    first, same, other = (recipes.prepare(recipe, seed=s, validation=0.1) for s in (1, 1, 2))
    assert (len(first.train), len(first.validation)) == (1295, 142)
    np.testing.assert_array_equal(first.validation.X, same.validation.X)
    assert not np.array_equal(first.validation.X, other.validation.X)
    whole = recipes.prepare(recipe, seed=1)
    assert whole.validation is None
    np.testing.assert_array_equal(first.parameters.theta, whole.parameters.theta)


def test_train_says_which_epoch_is_best_and_keeps_it(capsys, tmp_path):
    assert main([*TRAIN, "--epochs", "4", "--learning-rate", "3", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    rows = record.read(tmp_path)["history"]
    best = min(rows, key=lambda row: row["validation_loss"])
    assert watch.VALIDATION_HEADER in out
    assert f"best epoch by validation: {best['epoch']}, validation loss" in out
    assert f"test loss {best['test_loss']:.4f}, accuracy {best['test_accuracy']:.2%}" in out
    assert f"its parameters: {tmp_path / 'best.npz'}" in out
    assert checkpoint.load(tmp_path / "best.npz")[1]["epoch"] == best["epoch"]
    assert main(["evaluate", str(tmp_path / "best.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == best["test_loss"]


def test_train_goes_on_with_the_same_split(capsys, tmp_path):
    once, twice = str(tmp_path / "once"), str(tmp_path / "twice")
    assert main([*TRAIN, "--epochs", "3", "--out", once]) == 0
    assert main([*TRAIN, "--epochs", "2", "--out", twice]) == 0
    assert main(["train", "--resume", twice, "--epochs", "3"]) == 0
    thetas = [checkpoint.load(folder)[0].theta for folder in (once, twice)]
    np.testing.assert_array_equal(*thetas)
    assert main(["train", "--resume", twice, "--epochs", "4", "--validation", "0.2"]) == 2
    assert "--validation cannot be given" in capsys.readouterr().err


def test_train_of_real_targets_has_no_accuracy(capsys):
    assert main(["train", "linear-regression", "--validation", "0.1", "--epochs", "1"]) == 0
    last = capsys.readouterr().out.splitlines()[-4]
    assert last.startswith("best epoch by validation: 1, validation loss 0.0")
    assert "accuracy" not in last


@pytest.mark.parametrize("share", ["0", "1", "nan"])
def test_train_refuses_shares(capsys, share):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "mlp", "--validation", share])
    assert f"share must be between 0 and 1, got {float(share)}" in capsys.readouterr().err


def test_curves_draw_the_validation_part():
    plots = pytest.importorskip("scratchnn.plots")
    pytest.importorskip("matplotlib")
    train, part = data.digits()[0].split(0.1, rng=1)
    network = mlp.init([64, 10], std=0.01, rng=1)
    history = fit(network, train, validation=part, optimizer=SGD(0.5), epochs=2, rng=1)
    for axis in plots.curves(history).axes:
        lines = {line.get_label(): line for line in axis.get_lines()}
        assert list(lines) == ["train, while θ moves", "train", "validation"]
        quantity = axis.get_ylabel().partition(" ")[0]
        assert list(lines["validation"].get_ydata()) == history.column(f"validation_{quantity}")
