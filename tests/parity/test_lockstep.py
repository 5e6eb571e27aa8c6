"""Training on both sides: parity holds for every recipe, and breaks when something is wrong."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from parity.__main__ import main
from parity.training import lockstep
from parity.training.trace import FREE_RUN_TOLERANCE
from scratchnn import mlp, objectives, recipes
from scratchnn.history import Score
from scratchnn.layers import ACTIVATIONS, ReLU
from scratchnn.objectives import CrossEntropy, HuberLoss, L1Loss, SmoothL1Loss
from scratchnn.optim import SGD
from scratchnn.run.recipes import RECIPES

CPU = torch.device("cpu")
SMALL = {"hidden": (24, 16)}


def prepared(name, dtype="float32", data=None, data_dir=None, **changes):
    recipe = recipes.get(name)
    changes = (SMALL if recipe.hidden else {}) | changes
    recipe = recipe.on(data or recipe.default_data, **changes)
    return recipes.prepare(recipe, dtype=dtype, data_dir=data_dir)


def lockstep_of(run, steps=12):
    *_, (result, _) = lockstep.train(run, CPU, max_steps=steps)
    return result


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RECIPES)
def test_parity_holds(name, dtype):
    result = lockstep_of(prepared(name, dtype))
    assert result.holds, result.failure()
    assert len(result.steps) == 12
    assert result.unbounded is None
    assert result.diverged is None


@pytest.mark.parametrize("name", ["mlp", "mlp-kronecker"])
def test_parity_holds_in_full_size(name):
    recipe = recipes.get(name).on("digits")
    assert lockstep_of(recipes.prepare(recipe, dtype="float32"), steps=3).holds


@pytest.mark.parametrize("name", ["softmax-regression", "mlp"])
def test_parity_holds_on_mnist(name, mnist_dir):
    for dtype in ("float32", "float64"):
        result = lockstep_of(prepared(name, dtype, "mnist", mnist_dir), steps=5)
        assert result.holds, result.failure()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"relu"}))
@pytest.mark.parametrize("name", ["mlp", "mlp-kronecker"])
def test_parity_holds_of_a_network_without_relus(name, activation, dtype):
    result = lockstep_of(prepared(name, dtype, activation=activation))
    assert result.holds, result.failure()
    assert "ReLU" not in result.verdict()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "objective",
    [
        CrossEntropy(weight=np.linspace(0.2, 3, 10), label_smoothing=0.1),
        CrossEntropy(ignore_index=3, weight=np.linspace(0.2, 3, 10)),
        "one_vs_rest",
    ],
    ids=["smoothed", "ignored", "one_vs_rest"],
)
def test_parity_holds_of_an_objective_with_options(objective, dtype):
    run = prepared("mlp", dtype)
    run.recipe = replace(run.recipe, objective=objective)
    result = lockstep_of(run)
    assert result.holds, result.failure()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("objective", [L1Loss(), HuberLoss(0.3), SmoothL1Loss(0.2)])
def test_parity_holds_of_a_regression(objective, dtype):
    run = prepared("linear-regression", dtype, hidden=(8,))
    run.recipe = replace(run.recipe, objective=objective)
    result = lockstep_of(run)
    assert result.holds, result.failure()
    assert result.unbounded is None


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.5, "nesterov": True, "weight_decay": 1e-2},
        {"momentum": 0.5, "dampening": 0.3},
        {"maximize": True},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parity_holds_with_every_setting_of_the_optimizer(options, dtype):
    run = prepared("mlp", dtype)
    run.optimizer = SGD(0.05, **options)
    result = lockstep_of(run)
    assert result.holds, result.failure()


def test_parity_holds_of_a_run_that_goes_on():
    """torch gets the velocity that the optimizer has."""
    run = prepared("mlp", "float64")
    lockstep_of(run, steps=2)
    assert run.optimizer.state
    assert lockstep_of(run, steps=2).holds


def test_an_objective_that_nobody_knows_is_refused():
    run = prepared("softmax-regression")

    class Likelihood(CrossEntropy):
        op = "nll_loss"
        options = {"reduction": "mean"}  # noqa: RUF012

    run.recipe = replace(run.recipe, objective=Likelihood())
    with pytest.raises(ValueError, match=r"objective must have one of .*: nll_loss"):
        lockstep_of(run, steps=1)


def test_an_optimizer_that_nobody_knows_is_refused():
    run = prepared("softmax-regression")
    run.optimizer = type("Sign", (SGD,), {})(0.1)
    with pytest.raises(ValueError, match=r"optimizer must be one of SGD, .* got Sign"):
        lockstep_of(run, steps=1)


def test_parity_holds_over_a_short_last_batch():
    result = lockstep_of(prepared("softmax-regression", "float64"), 24)  # 22.45 batches per epoch
    assert result.holds
    ours, theirs = result.epochs[0].ours.loss, result.epochs[0].torch.loss
    assert ours == pytest.approx(theirs, abs=FREE_RUN_TOLERANCE)


def plant_relu(monkeypatch):
    monkeypatch.setattr(ReLU, "backward", lambda self, dy, z, y: dy * (y >= 0))


def plant_mean(monkeypatch):
    goal = objectives.OBJECTIVES["cross_entropy"]

    class Nominal(CrossEntropy):
        def loss_and_gradient(self, z, target):
            loss, dz = goal.loss_and_gradient(z, target)
            return loss, dz * z.dtype.type(len(z) / 32)  # divides by the nominal batch size

    monkeypatch.setitem(objectives.OBJECTIVES, "cross_entropy", Nominal())


def plant_momentum(monkeypatch):
    def velocity(self, g):
        self.state["velocity"] = 0.9 * self.state.get("velocity", 0) + g
        return self.state["velocity"]

    monkeypatch.setattr(SGD, "_velocity", velocity)


def plant_layer(monkeypatch):
    def wrong(*arguments, out):
        mlp.chain_rule(*arguments, out=out)
        out.views[2][1][:] *= 1 + 1e-3

    monkeypatch.setattr("scratchnn.train.chain_rule", wrong)


@pytest.mark.parametrize(
    ("plant", "quantity", "step"),
    [
        (plant_relu, "layer 2 dz", 1),
        (plant_mean, "dz of the loss", 45),  # the first short batch, 29 of 32 rows
        (plant_momentum, "θ", 2),
        (plant_layer, "network layer 2 db", 1),
    ],
)
def test_parity_breaks_on_a_planted_bug(monkeypatch, plant, quantity, step):
    plant(monkeypatch)
    result = lockstep_of(prepared("mlp", "float64"), 46)
    assert not result.holds
    assert f"first at step {step}, {quantity}" in result.failure()


def plant_backpropagation(monkeypatch):
    def wrong(*arguments, out):
        mlp.chain_rule(*arguments, out=out)
        out.theta *= -1

    monkeypatch.setattr("scratchnn.train.chain_rule", wrong)


def plant_forward(monkeypatch):
    right = mlp.forward

    def wrong(parameters, X):
        outputs = right(parameters, X)
        outputs[-1] *= 2
        return outputs

    monkeypatch.setattr(mlp, "forward", wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("plant", [plant_backpropagation, plant_forward])
def test_parity_breaks_on_a_bug_of_the_network_in_every_precision(monkeypatch, plant, dtype):
    plant(monkeypatch)
    result = lockstep_of(prepared("mlp", dtype), 2)
    assert not result.holds
    assert "first at step 1, network" in result.failure()


def plant_dtype(monkeypatch):
    monkeypatch.setattr("scratchnn.layers.affine", lambda X, W, b: (X @ W + b).astype(float))


def plant_shape(monkeypatch):
    monkeypatch.setattr("scratchnn.layers.affine", lambda X, W, b: (X @ W + b)[:, :-1])


@pytest.mark.parametrize("plant", [plant_dtype, plant_shape])
@pytest.mark.parametrize("name", ["mlp", "softmax-regression"])
def test_main_names_the_step_and_layer_of_another_dtype_or_shape(monkeypatch, capsys, plant, name):
    plant(monkeypatch)
    assert main(["train", name, "--dtype", "float32", "--steps", "3"]) == 1
    out = capsys.readouterr().out
    word = plant.__name__.removeprefix("plant_")
    assert f"first at step 1, layer 1 z: {word} must be torch's " in out
    assert "wrong is NumPy: layer 1 z" in out
    assert "--steps 1" in out


def test_float32_has_no_criterion_for_free_runs():
    assert lockstep_of(prepared("mlp"), steps=1).free_run_tolerance is None


@pytest.mark.parametrize(("name", "said"), [("mlp", True), ("softmax-regression", False)])
def test_verdict_speaks_of_relus_where_there_are_some(name, said):
    words = lockstep_of(prepared(name), steps=1).verdict()
    assert ("a ReLU that flips moves all that follows" in words) is said


def test_main_prints_a_table_and_saves(tmp_path, capsys):
    arguments = ["train", "softmax-regression", "--epochs", "2", "--out", str(tmp_path)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "parity holds in float32 on" in out
    assert "parity holds in float64 on" in out
    assert {path.name for path in tmp_path.iterdir()} == {
        "parity.json",
        "parity-float32.svg",
        "parity-float32.png",
        "parity-float64.svg",
        "parity-float64.png",
    }
    kept = tmp_path / "parity-float32.csv"
    kept.touch()
    assert main([*arguments, "--dtype", "float64"]) == 0  # a second run in the same folder
    pictures = {path.name for path in tmp_path.glob("parity-float*")}
    assert pictures == {kept.name, "parity-float64.svg", "parity-float64.png"}


@pytest.mark.parametrize(
    ("stop", "status"), [(KeyboardInterrupt(), 130), (FloatingPointError("the loss is nan"), 1)]
)
def test_main_saves_what_was_reached(monkeypatch, tmp_path, stop, status):
    train = lockstep.train

    def stopped(*arguments, **options):
        yield next(train(*arguments, **options))
        raise stop

    monkeypatch.setattr(lockstep, "train", stopped)
    arguments = ["train", "softmax-regression", "--dtype", "float64", "--out", str(tmp_path)]
    assert main(arguments) == status
    (found,) = json.loads((tmp_path / "parity.json").read_text())
    assert found["settings"]["complete"] is False
    assert len(found["epochs"]) == 1


def test_main_fails_when_parity_does(monkeypatch, capsys):
    plant_mean(monkeypatch)
    assert main(["train", "softmax-regression", "--epochs", "1", "--dtype", "float64"]) == 1
    assert "parity FAILS in float64" in capsys.readouterr().out


def exit_status(arguments):
    try:
        return main(arguments)
    except SystemExit as end:  # argparse's own
        return end.code


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "perceptron"], 2, "invalid choice: 'perceptron'"),
        (["train", "mlp", "--steps", "0"], 2, "a whole number from 1 up, got '0'"),
        (["train", "mlp", "--mode", "free-run", "--judged-as", "ieee"], 2, "got --mode free-run"),
        (["train", "mlp", "--mode", "accuracy", "--judged-as", "ieee"], 2, "got --mode accuracy"),
        (["train", "mlp", "--mode", "free-run", "--seeds", "2"], 2, "got --mode free-run"),
        (["train", "mlp", "--seeds", "2"], 2, "--seeds goes with --mode accuracy, got"),
        (
            ["train", "softmax-regression", "--activation", "tanh"],
            2,
            "--activation goes with hidden layers, and softmax-regression has none here: leave it",
        ),
        (["train", "mlp", "--data", "mnist", "--data-dir", "/nowhere"], 3, "is missing"),
    ],
)
def test_main_reports_bad_input_in_one_line(arguments, status, message, capsys):
    assert exit_status(arguments) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_main_says_that_there_is_no_gpu(capsys):
    assert main(["train", "mlp", "--device", "cuda"]) == 2
    assert "got cuda: there is no GPU" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", RECIPES)
def test_parity_holds_on_cuda(name):
    assert main(["train", name, "--device", "cuda", "--steps", "40"]) == 0


def test_main_says_that_the_epochs_have_fewer_steps(capsys):
    sizes = ["--epochs", "1", "--batch-size", "100"]
    arguments = ["train", "linear-regression", "--dtype", "float64", *sizes]
    assert main([*arguments, "--steps", "101"]) == 0
    assert "--steps 101: 1 epochs have 100 steps, and no more" in capsys.readouterr().out
    assert main([*arguments, "--steps", "100"]) == 0
    assert "and no more" not in capsys.readouterr().out


def test_main_wants_matplotlib_for_a_page_before_it_trains(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    arguments = ["train", "linear-regression", "--steps", "3", "--html", str(tmp_path / "a.html")]
    assert main(arguments) == 2
    heard = capsys.readouterr()
    assert "matplotlib" in heard.err
    assert "parity holds" not in heard.out


def test_float64_that_diverges_alike_holds():
    result = lockstep_of(prepared("linear-regression", "float64"), steps=1)
    nan = np.array([np.nan, np.inf, 1.0])
    assert lockstep.distance(nan, nan) == 0
    assert lockstep.distance(nan, np.ones(3)) == np.inf
    row = result.epochs[0]
    row.ours = row.torch = Score(np.nan, np.nan)
    assert result.holds


@pytest.mark.parametrize(
    ("name", "rate"), [("linear-regression", 10.0), ("linear-regression", 1e3), ("mlp", 1e38)]
)
def test_divergence_is_a_verdict_and_no_failure(name, rate):
    """Near the largest numbers one side overflows before the other, and bounds are infinite."""
    result = lockstep_of(prepared(name, learning_rate=rate), steps=40)
    assert result.holds, result.failure()
    assert len(result.steps) == 40
    words = result.verdict()
    assert f"diverged on both sides, at step {result.diverged.step}" in words
    assert f"from step {result.unbounded.step} on some bounds are infinite or NaN" in words
    assert "inf ×" not in words


def test_divergence_on_one_side_is_a_failure(monkeypatch):
    right = SGD.step
    monkeypatch.setattr(SGD, "step", lambda self, theta, grad: right(self, theta, grad * np.inf))
    assert not lockstep_of(prepared("linear-regression"), steps=2).holds


def test_float64_is_compared_with_the_drift_of_torch_itself():
    result = lockstep_of(prepared("linear-regression", "float64"), steps=2)
    steps = result.epochs[0].steps
    steps[1] = replace(steps[1], free_run=3e-11)
    assert result.strayed is steps[1]
    assert "first at step 2, the freely trained θ differ by 3.0e-11" in result.failure()
    result.limits = [1e-12, 1e-10]
    assert result.holds
    result.limits = [1e-10, 1e-12]
    assert not result.holds


def test_failure_names_the_accuracies_that_differ():
    result = lockstep_of(prepared("softmax-regression", "float64"), steps=1)
    result.epochs[0].ours = Score(0.5, 0.25)
    assert not result.holds
    assert result.failure().startswith("first after epoch 1, the accuracies differ: NumPy")


@pytest.mark.parametrize(("factor", "words"), [(1, ", within"), (0, ", not all within")])
def test_verdict_says_which_flips_are_within_rounding(factor, words):
    result = lockstep_of(prepared("softmax-regression"), steps=1)
    step = result.epochs[0].steps[0]
    outputs = replace(step.outputs, ratio=0.5 if factor else 2.0)
    result.epochs[0].steps[0] = replace(step, flips=3, outputs=outputs)
    assert f"3 ReLUs were on in one and off in the other{words} rounding" in result.verdict()


def test_main_records_the_threads_that_it_ran_with(tmp_path):
    arguments = ["train", "linear-regression", "--dtype", "float64", "--steps", "3"]
    before = torch.get_num_threads()
    assert main([*arguments, "--threads", "1", "--out", str(tmp_path)]) == 0
    (found,) = json.loads((tmp_path / "parity.json").read_text())
    assert found["environment"]["torch threads"] == found["environment"]["blas threads"] == 1
    assert torch.get_num_threads() == before


def test_main_saves_json_that_has_no_nan(tmp_path):
    arguments = ["train", "linear-regression", "--dtype", "float32", "--learning-rate", "1000"]
    assert main([*arguments, "--steps", "40", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "parity.json").read_text()
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word))
