"""The options of a training: what they make of a recipe, and on the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest

from scratchnn import checkpoint, fit, recipes
from scratchnn.objectives import CrossEntropy
from scratchnn.optim import SGD, Adam, AdamW, Cosine, Scheduled, StepDecay
from scratchnn.run import record, train_command
from scratchnn.run.arguments import as_options
from scratchnn.run.cli import main
from scratchnn.run.settings import hyper_parameters
from tests.test_cli import assert_one_line, usage_error

BATCHES = 23  # of 64, in the 1,437 digits
QUICK = ["train", "softmax-regression", "--epochs", "2"]


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    """They would take most of the time."""
    monkeypatch.setattr(train_command, "_has_plots", lambda: False)


# What they make of a recipe


@pytest.mark.parametrize(
    ("changes", "optimizer"),
    [
        ({}, SGD(0.5)),
        (
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
            SGD(0.5, momentum=0.9, nesterov=True, weight_decay=0.1),
        ),
        ({"momentum": 0.9, "dampening": 0.5}, SGD(0.5, momentum=0.9, dampening=0.5)),
        ({"optimizer": "adam"}, Adam(0.001)),
        ({"optimizer": "adam", "learning_rate": 0.01}, Adam(0.01)),
        ({"optimizer": "adamw"}, AdamW(0.001, weight_decay=0.01)),
        ({"optimizer": "adamw", "weight_decay": 0.0}, AdamW(0.001, weight_decay=0.0)),
        ({"schedule": "cosine", "epochs": 3}, Scheduled(SGD(0.5), Cosine(3 * BATCHES))),
        ({"schedule": "step:2"}, Scheduled(SGD(0.5), StepDecay(2 * BATCHES, 0.1))),
        ({"schedule": "step:2,0.5"}, Scheduled(SGD(0.5), StepDecay(2 * BATCHES, 0.5))),
        ({"warm_up": 2}, Scheduled(SGD(0.5), None, 2 * BATCHES)),
        ({"warm_up": 0.5}, Scheduled(SGD(0.5), None, 12)),
        (
            {"optimizer": "adam", "schedule": "cosine", "warm_up": 1.0, "batch_size": 719},
            Scheduled(Adam(0.001), Cosine(20 * 2), 2),
        ),
    ],
)
def test_optimizer_of_a_recipe(changes, optimizer):
    recipe = recipes.get("softmax-regression").on("digits", **changes)
    assert recipes.prepare(recipe).optimizer == optimizer


def test_another_optimizer_leaves_the_recipes_momentum_and_rate_aside():
    mlp = recipes.get("mlp")
    assert recipes.prepare(mlp.on("digits")).optimizer == SGD(0.1, momentum=0.5)
    assert recipes.prepare(mlp.on("digits", optimizer="adam")).optimizer == Adam(0.001)


def test_hidden_layers_replace_those_of_the_recipe():
    recipe = recipes.get("mlp").on("digits", hidden=(30, 20))
    assert recipes.prepare(recipe).parameters.sizes == (64, 30, 20, 10)
    assert recipes.prepare(recipe.on("digits", hidden=())).parameters.sizes == (64, 10)


def test_hidden_layers_of_a_regression_have_weights_that_learn():
    recipe = recipes.get("softmax-regression").on("digits", hidden=(100, 50), epochs=3)
    run = recipes.prepare(recipe)
    history = fit(run.parameters, run.train, optimizer=run.optimizer, epochs=3, rng=run.rng)
    assert history.epochs[-1].train_accuracy > 0.5  # 12 % from weights of 0.01


def test_label_smoothing_is_an_option_of_the_objective():
    recipe = recipes.get("mlp").on("digits", label_smoothing=0.1)
    assert isinstance(recipe.objective, CrossEntropy)
    assert recipe.objective.label_smoothing == 0.1
    assert recipe.label_smoothing == 0.1
    assert recipe.on("digits").objective is recipe.objective
    assert recipe.on("digits", label_smoothing=0.0).objective.label_smoothing == 0
    assert recipes.get("mlp").on("digits", label_smoothing=0.0).objective == "cross_entropy"
    line = recipes.get("linear-regression")
    assert line.on("line", label_smoothing=0.0) == line


def test_label_smoothing_leaves_the_class_weights():
    weight = np.linspace(0.5, 2, 10)
    recipe = replace(recipes.get("mlp"), objective=CrossEntropy(weight, ignore_index=3))
    objective = recipe.on("digits", label_smoothing=0.1).objective
    assert objective.weight is weight
    assert (objective.ignore_index, objective.label_smoothing) == (3, 0.1)


def test_a_recipe_has_one_label_smoothing():
    recipe = replace(recipes.get("mlp"), objective=CrossEntropy(label_smoothing=0.2))
    assert recipe.on("digits").label_smoothing == 0.2
    assert "label smoothing 0.2" in hyper_parameters(recipe.on("digits"))
    digits = replace(recipes.get("mlp"), digits={"label_smoothing": 0.3}).on("digits")
    assert digits.label_smoothing == digits.objective.label_smoothing == 0.3
    with pytest.raises(TypeError, match="label_smoothing"):
        replace(recipe, label_smoothing=0.1)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "linear-regression",
            {"label_smoothing": 0.1},
            "goes with the loss cross_entropy, and linear-regression has squared_loss",
        ),
        ("logistic-regression", {"label_smoothing": 0.1}, "and logistic-regression has binary"),
        ("mlp", {"label_smoothing": 1.5}, r"label_smoothing must be in \[0, 1\], got 1\.5"),
        ("mlp", {"optimizer": "adam", "momentum": 0.9}, "momentum goes with the optimizer sgd"),
        (
            "mlp",
            {"optimizer": "adamw", "nesterov": True, "dampening": 0.1},
            "nesterov or dampening goes with the optimizer sgd, got adamw",
        ),
        ("mlp", {"optimizer": "rmsprop"}, "must be sgd, adam or adamw, got 'rmsprop'"),
        ("softmax-regression", {"nesterov": True}, "nesterov needs a momentum above 0"),
        ("mlp", {"schedule": "linear"}, r"must be constant, cosine, step:EPOCHS .* got 'linear'"),
        ("mlp", {"schedule": "step"}, "got 'step'"),
        ("mlp", {"schedule": "step:0"}, "got 'step:0'"),
        ("mlp", {"schedule": "step:1.5"}, "got 'step:1.5'"),
        ("mlp", {"schedule": "step:2,-1"}, "got 'step:2,-1'"),
        ("mlp", {"schedule": "cosine:3"}, "got 'cosine:3'"),
    ],
)
def test_options_that_a_recipe_does_not_take(name, changes, message):
    recipe = recipes.get(name)
    with pytest.raises(ValueError, match=message):
        recipe.on(recipe.default_data, **changes)


@pytest.mark.parametrize("warm_up", [-1.0, 21.0, np.nan])
def test_a_warm_up_ends_with_the_training_at_the_latest(warm_up):
    recipe = recipes.get("mlp").on("digits", warm_up=warm_up)
    with pytest.raises(ValueError, match="must take from 0 to 20 epochs"):
        recipes.prepare(recipe)


# On the command line


def result(capsys, *arguments):
    assert main([*QUICK, "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["--hidden", "30,20"], {"hidden": [30, 20], "sizes": [64, 30, 20, 10]}),
        (["--hidden", "none"], {"hidden": [], "sizes": [64, 10]}),
        (["--optimizer", "adamw"], {"optimizer": "adamw", "learning_rate": 0.001}),
        (["--momentum", "0.9", "--nesterov"], {"momentum": 0.9, "nesterov": True}),
        (["--momentum", "0.9", "--dampening", "0.5"], {"dampening": 0.5}),
        (["--weight-decay", "0.1"], {"weight_decay": 0.1}),
        (["--label-smoothing", "0.1"], {"label_smoothing": 0.1}),
        (["--schedule", "cosine"], {"schedule": "cosine", "warm_up": 0}),
        (["--schedule", "step:1,0.5", "--warm-up", "0.5"], {"schedule": "step:1,0.5"}),
        (["--warm-up", "1"], {"schedule": "constant", "warm_up": 1.0}),
    ],
)
def test_option_is_in_the_result_and_changes_it(capsys, arguments, settings):
    plain, found = result(capsys), result(capsys, *arguments)
    assert {name: found[name] for name in settings} == settings
    same = "none" in arguments  # softmax regression has no hidden layers
    assert (found["history"][-1]["test_loss"] == plain["history"][-1]["test_loss"]) == same


def test_header_says_what_was_given(capsys):
    options = ["--hidden", "20", "--optimizer", "adamw", "--weight-decay", "0.1", "--warm-up", "1"]
    assert main([*QUICK, *options, "--schedule", "cosine", "--label-smoothing", "0.1"]) == 0
    assert capsys.readouterr().out.startswith(
        "softmax-regression on digits: Parameters(64-20-10, 1,510 float32); adamw, "
        "learning rate 0.001, cosine schedule, warm-up 1, weight decay 0.1, label smoothing 0.1, "
    )


def test_evaluate_measures_with_the_loss_and_the_layers_of_the_training(capsys, tmp_path):
    options = ["--hidden", "30", "--label-smoothing", "0.2", "--out", str(tmp_path)]
    assert main([*QUICK, *options]) == 0
    last = record.read(tmp_path)["history"][-1]
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == last["test_loss"]


def test_a_line_with_hidden_layers_has_no_slope_to_show(capsys):
    assert main(["train", "linear-regression", "--epochs", "1", "--hidden", "5"]) == 0
    assert "w_1" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["mlp", "--hidden", "30,x"], ["--hidden", "from 1 up, got 'x'"]),
        (["mlp", "--hidden", "30,"], ["--hidden", "got ''"]),
        (["mlp", "--schedule", "step"], ["--schedule", "as step:10,0.1", "got 'step'"]),
        (["mlp", "--optimizer", "lbfgs"], ["--optimizer", "'sgd', 'adam', 'adamw'"]),
        (["mlp", "--weight-decay", "big"], ["--weight-decay", "'big'"]),
        (["mlp", "--hiden", "30"], ["unrecognized option: --hiden, did you mean --hidden?"]),
        (["mlp", "--nosuch=3"], ["unrecognized option: --nosuch ("]),
        (["mlp", "-q"], ["unrecognized option: -q ("]),
        (["mlp", "twice"], ["unrecognized arguments: twice"]),
    ],
)
def test_usage_errors_point_to_the_commands_own_help(capsys, arguments, parts):
    assert usage_error(["train", *arguments]) == 2
    assert_one_line(capsys, "scratchnn train: ", "(see scratchnn train --help)", *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["linear-regression", "--label-smoothing", "0.1"], ["has squared_loss"]),
        (["mlp", "--optimizer", "adam", "--momentum", "0.5"], ["momentum goes with", "adam"]),
        (["mlp", "--weight-decay", "-1"], ["weight_decay must be finite and not negative"]),
        (["mlp", "--warm-up", "30"], ["warm-up must take from 0 to 20 epochs", "got 30"]),
        (["mlp-kronecker", "--hidden", "301"], ["n must divide D = 64 and H = 301"]),
    ],
)
def test_options_are_refused_before_the_training(capsys, tmp_path, arguments, parts):
    assert main(["train", *arguments, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert all(part in said for part in parts), said
    assert not (tmp_path / "run").exists()


def test_help_has_groups_and_examples(capsys):
    assert usage_error(["train", "--help"]) == 0
    out = capsys.readouterr().out
    titles = ["data:", "network:", "optimizer and schedule:", "run folder:", "output:", "examples:"]
    places = [out.index(f"\n{title}\n") for title in titles]
    assert places == sorted(places)
    assert out.partition("examples:")[2].count("scratchnn train") == 3
    assert usage_error(["--help"]) == 0
    out = capsys.readouterr().out
    assert "\n  look at what was learned:\n    show" in out
    assert out.partition("examples:")[2].count("  scratchnn ") == 3


@pytest.mark.parametrize("number", range(3))
def test_examples_of_the_help_are_understood(number, monkeypatch, tmp_path):
    """But for the one that goes on with a run, which is not there."""
    monkeypatch.chdir(tmp_path)
    lines = [line.split()[1:] for line in train_command.EXAMPLES.splitlines()[1:]]
    status = main([*lines[number], "--json"] + (["--epochs", "1"] if number < 2 else []))
    assert status == (0 if number < 2 else 3)


# A run that is repeated, or goes on


def reached(path):
    found = record.read(path)
    return found["theta"], [row["test_loss"] for row in found["history"]]


ALL = [
    *("--hidden", "20", "--optimizer", "adamw", "--weight-decay", "0.1", "--learning-rate", "0.01"),
    *("--label-smoothing", "0.1", "--schedule", "cosine", "--warm-up", "0.5"),
]
HEAVY = ["--momentum", "0.9", "--nesterov", "--schedule", "step:1,0.5"]


@pytest.mark.parametrize("options", [ALL, HEAVY])
def test_config_repeats_all_options(tmp_path, options):
    first, second = tmp_path / "1", tmp_path / "2"
    assert main([*QUICK, *options, "--out", str(first)]) == 0
    assert main(["train", "--config", str(first), "--out", str(second)]) == 0
    assert record.read(second)["settings"] == record.read(first)["settings"]
    assert reached(second) == reached(first)


def test_config_with_another_optimizer_takes_its_own_rate(tmp_path, capsys):
    assert main([*QUICK, "--momentum", "0.9", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["train", "--config", str(tmp_path), "--optimizer", "adam", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["learning_rate"], found["momentum"], found["epochs"]) == (0.001, 0.0, 2)


def test_config_with_another_recipe_takes_its_own_layers(tmp_path, capsys):
    assert main(["train", "mlp", "--epochs", "1", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["train", "softmax-regression", "--config", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sizes"] == [64, 10]


def test_resume_for_more_epochs_of_a_cosine_wants_the_schedule_anew(tmp_path, capsys):
    options = ["--schedule", "cosine", "--out", str(tmp_path)]
    assert main([*QUICK, *options]) == 0
    again, before = ["train", "--resume", str(tmp_path), "--epochs", "4"], reached(tmp_path)
    capsys.readouterr()
    assert main(again) == 2
    assert_one_line(capsys, "falls by the cosine schedule until epoch 2", "for --epochs 4")
    assert reached(tmp_path) == before
    assert main([*again, "--schedule", "cosine"]) == 0
    scheduled = Scheduled(SGD(0.5), Cosine(1))
    checkpoint.load(tmp_path, optimizer=scheduled)
    assert scheduled.steps == 4 * BATCHES
    assert record.read(tmp_path)["settings"]["epochs"] == 4


def test_resume_for_more_epochs_of_steps_goes_on_as_if_it_had_never_stopped(tmp_path):
    part, whole = tmp_path / "part", tmp_path / "whole"
    assert main([*QUICK, *HEAVY, "--out", str(part)]) == 0
    assert main(["train", "--resume", str(part), "--epochs", "3"]) == 0
    assert main([*QUICK, *HEAVY, "--epochs", "3", "--out", str(whole)]) == 0
    assert reached(part) == reached(whole)


def test_resume_gives_no_schedule_to_a_run_without_one(tmp_path, capsys):
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path), "--schedule", "cosine"]) == 2
    assert_one_line(capsys, "has no schedule", f"--config {tmp_path} --schedule cosine --out DIR")


def test_settings_of_a_run_from_before_these_options(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    assert main([*QUICK, "--out", str(first)]) == 0
    found = json.loads((first / "run.json").read_text())
    new = ("hidden", "optimizer", "nesterov", "dampening", "weight_decay", "label_smoothing")
    for name in (*new, "schedule", "warm_up"):
        del found["settings"][name]
    (first / "run.json").write_text(json.dumps(found))
    assert main(["train", "--config", str(first), "--out", str(second)]) == 0
    assert reached(second) == reached(first)
    assert main(["train", "--resume", str(first), "--epochs", "3"]) == 0


def test_as_options_writes_what_the_command_reads():
    values = {"hidden": (30, 20), "nesterov": True, "weight_decay": 0.1, "momentum": None}
    assert as_options(values) == "--hidden 30,20 --nesterov --weight-decay 0.1"
    assert as_options({"hidden": (), "nesterov": False}) == "--hidden none --no-nesterov"
    assert as_options({"data": "my data"}) == "--data 'my data'"
