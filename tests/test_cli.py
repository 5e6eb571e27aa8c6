"""The command line: what it prints and saves, its exit statuses, and one line for what is wrong."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from scratchnn import __version__, checkpoint, mlp, plots, recipes, train
from scratchnn.data import Dataset, write_idx
from scratchnn.data.datasets import DIGIT_CLASSES
from scratchnn.layers import Sigmoid
from scratchnn.run import record, watch
from scratchnn.run.cli import main
from scratchnn.run.recipes import RECIPES

FILES = [
    *("best.npz", "checkpoint.npz", "curves.png", "curves.svg"),
    *("history.jsonl", "previous.npz", "run.json"),
]
QUICK = ["train", "softmax-regression", "--epochs", "2"]  # 20 ms


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("SCRATCHNN_DATA", raising=False)


@pytest.fixture
def saved(tmp_path):
    """A file as `train --out` writes it, without training."""
    path = tmp_path / "saved" / "parameters.npz"
    parameters = mlp.init([64, 10], std=0.01, rng=1)
    checkpoint.save(path, parameters, recipe="softmax-regression", data="digits")
    return path


def mnist_folder(root, value=None):
    """Make a tiny MNIST in torchvision's layout; `value` replaces the first label."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for part, n in (("train", 12), ("t10k", 10)):
        target = (np.arange(n) % 10).astype(np.uint8)
        target[0] = target[0] if value is None else value
        write_idx(
            raw / f"{part}-images-idx3-ubyte", rng.integers(256, size=(n, 28, 28)).astype("u1")
        )
        write_idx(raw / f"{part}-labels-idx1-ubyte", target)
    return root


def usage_error(arguments):
    """Run what argparse refuses, and return the exit status."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def assert_one_line(capsys, *parts, stdout=""):
    out, err = capsys.readouterr()
    if stdout is not None:
        assert out == stdout
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    assert "Traceback" not in err
    for part in parts:
        assert part in err


# train


def test_train_prints_a_line_an_epoch(capsys):
    assert main(QUICK) == 0
    out, err = capsys.readouterr()
    what, header, *rows = out.splitlines()
    assert what.startswith("softmax-regression on digits: Parameters(64-10, 650 float32)")
    assert what.endswith("learning rate 0.5, batch 64, 2 epochs, 1 thread")
    assert header == watch.HEADER
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert err == ""


@pytest.mark.parametrize("name", RECIPES)
def test_train_runs_every_recipe(capsys, name):
    assert main(["train", name, "--epochs", "1", "--batch-size", "500"]) == 0
    assert f"{name} on {RECIPES[name].default_data}" in capsys.readouterr().out


def test_train_tells_how_close_the_line_came(capsys):
    assert main(["train", "linear-regression", "--epochs", "1"]) == 0
    rows = capsys.readouterr().out.splitlines()[-3:]
    assert [row.split(" (")[1].split(",")[0] for row in rows] == [
        "true 2.0",
        "true -3.4",
        "true 4.2",
    ]
    for row in rows:
        estimate, true, error = (
            float(row.replace(",", " ").split(word)[1].split()[0].rstrip(")"))
            for word in ("=", "true", "error")
        )
        assert round(estimate - true, 3) == round(error, 3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"epochs": 2, "batch_size": 64, "learning_rate": 0.5, "momentum": 0.0, "seed": 1}),
        (["--batch-size", "100"], {"batch_size": 100}),
        (["--learning-rate", "0.25"], {"learning_rate": 0.25}),
        (["--momentum", "0.5"], {"momentum": 0.5}),
        (["--seed", "7"], {"seed": 7}),
        (["--dtype", "float64"], {"dtype": "float64"}),
        (["--data", "digits"], {"data": "digits", "sizes": [64, 10]}),
        (["--hidden", "20", "--activation", "sigmoid"], {"activation": "sigmoid"}),
    ],
)
def test_train_json_is_one_document(capsys, arguments, expected):
    assert main([*QUICK, "--json", *arguments]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert out.count("\n") == 1
    assert {name: result[name] for name in expected} == expected
    assert [row["epoch"] for row in result["history"]] == [1, 2]
    assert result["interrupted"] is False
    assert watch.HEADER in err


def test_train_hyper_parameters_change_the_result(capsys):
    def loss(*arguments):
        assert main([*QUICK, "--json", *arguments]) == 0
        return json.loads(capsys.readouterr().out)["history"][-1]["test_loss"]

    losses = [
        loss(*change)
        for change in (
            (), ("--seed", "2"), ("--momentum", "0.5"), ("--learning-rate", "0.25"),
            ("--batch-size", "100"), ("--dtype", "float64"), ("--epochs", "3"),
        )
    ]  # fmt: skip
    assert len(set(losses)) == len(losses)
    assert loss() == losses[0]


def test_train_with_another_activation(capsys, tmp_path):
    """evaluate reads it from the file, and has the figures of training."""
    arguments = ["mlp", "--epochs", "1", "--batch-size", "100", "--activation", "sigmoid"]
    assert main(["train", *arguments, "--out", str(tmp_path)]) == 0
    assert "sigmoid" in capsys.readouterr().out.splitlines()[0]
    assert Sigmoid() in checkpoint.load(tmp_path)[0].layers
    last = record.read(tmp_path)["history"][-1]
    assert main(["evaluate", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == last["test_loss"]


def test_train_log_every_shows_the_short_last_stretch(capsys):
    assert main([*QUICK, "--log-every", "10"]) == 0  # 1,437 in batches of 64: 23
    shown = [
        line.split(":")[0].split()
        for line in capsys.readouterr().out.splitlines()
        if "mean loss" in line
    ]
    stretches = [("1", "10"), ("11", "20"), ("21", "23")]
    assert [(line[1], line[3], line[5]) for line in shown] == [
        (f"{epoch},", *stretch) for epoch in (1, 2) for stretch in stretches
    ]


def test_train_json_sends_the_log_to_standard_error(capsys):
    assert main([*QUICK, "--json", "--log-every", "10"]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert err.count("mean loss") == 6


def test_train_threads_limits_the_matrix_products(capsys, monkeypatch):
    seen, fit = [], train.fit

    def noting(*arguments, threads, **options):
        seen.append(threads)
        return fit(*arguments, threads=threads, **options)

    monkeypatch.setattr(train, "fit", noting)
    for number in (2, 1):
        assert main([*QUICK, "--threads", str(number)]) == 0
    assert seen == [2, 1]
    assert "2 epochs, 2 threads" in capsys.readouterr().out


def test_train_on_a_folder_given_or_from_the_variable(capsys, monkeypatch, tmp_path):
    folder = str(mnist_folder(tmp_path))
    assert main([*QUICK, "--data", "mnist", "--data-dir", folder]) == 0
    given = capsys.readouterr().out
    monkeypatch.setenv("SCRATCHNN_DATA", folder)
    assert main([*QUICK, "--data", "mnist"]) == 0
    assert "on mnist: Parameters(784-10" in given
    assert capsys.readouterr().out.splitlines()[0] == given.splitlines()[0]


# --out


def test_train_out_saves_parameters_history_and_curves(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "new" / "folder"
    assert main([*QUICK, "--json", "--out", str(out)]) == 0
    printed, err = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == FILES
    result, kept = json.loads(printed), record.read(out)
    assert kept["status"] == "done"
    assert kept["history"] == result["history"]
    assert kept["settings"].items() <= result.items()
    _, description = checkpoint.load(out / "checkpoint.npz")
    assert (description["recipe"], description["data"]) == ("softmax-regression", "digits")
    assert description["transform"] == "ToTensor(max_value=16)"
    assert all(name in err.splitlines()[-1] for name in FILES)


def test_train_out_removes_old_curves_and_no_other_file(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("curves.svg", "curves.csv", "curves.old.png"):
        (tmp_path / name).write_text("old")
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    kept = {path.name for path in tmp_path.iterdir() if path.read_bytes() == b"old"}
    assert kept == {"curves.csv", "curves.old.png"}


def test_train_live_draws_the_curves_after_each_epoch(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    saved_in = []
    monkeypatch.setattr(plots, "save", lambda figure, folder, name: saved_in.append(folder) or [])
    assert main([*QUICK, "--out", str(tmp_path), "--live"]) == 0
    assert saved_in == [tmp_path] * 3  # twice while training, and at the end


def test_train_live_needs_a_folder(capsys):
    assert main([*QUICK, "--live"]) == 2
    assert_one_line(capsys, "--live goes with --out DIR")


def test_train_tensorboard_writes_events(tmp_path):
    pytest.importorskip("tensorboardX")
    assert main([*QUICK, "--tensorboard", str(tmp_path / "board")]) == 0
    (events,) = (tmp_path / "board").iterdir()
    assert b"accuracy/test" in events.read_bytes()


def test_train_out_replaces_a_run_only_when_told(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    first = record.read(tmp_path)
    capsys.readouterr()
    assert main([*QUICK, "--seed", "2", "--out", str(tmp_path)]) == 3
    assert_one_line(capsys, "holds a run", "--resume", "--overwrite")
    assert record.read(tmp_path) == first
    assert main([*QUICK, "--seed", "2", "--out", str(tmp_path), "--overwrite"]) == 0
    assert record.read(tmp_path)["settings"]["seed"] == 2
    assert record.read(tmp_path)["theta"] != first["theta"]
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert capsys.readouterr().err == ""


def test_train_keeps_gradients_when_asked(capsys, tmp_path):
    assert main([*QUICK, "--gradients", "--out", str(tmp_path)]) == 0
    rows = [json.loads(line) for line in (tmp_path / watch.GRADIENTS).read_text().splitlines()]
    assert [(row["epoch"], list(row["norms"])) for row in rows] == [
        (1, ["layer 1"]),
        (2, ["layer 1"]),
    ]
    assert main([*QUICK, "--overwrite", "--out", str(tmp_path)]) == 0
    assert not (tmp_path / watch.GRADIENTS).exists()  # of the run before
    capsys.readouterr()
    assert main([*QUICK, "--gradients"]) == 2
    assert_one_line(capsys, "--gradients goes with --out DIR")


def test_train_out_without_matplotlib_says_so_and_saves_the_rest(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    assert_one_line(capsys, "no curves", "pip install -e '.[plots]'", stdout=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        name for name in FILES if "curves" not in name
    ]


def test_train_out_that_cannot_be_a_folder(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main([*QUICK, "--out", str(tmp_path / "file")]) == 3
    assert_one_line(capsys, str(tmp_path / "file"), stdout=None)


def test_train_out_that_cannot_be_a_folder_is_noticed_before_training(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    main([*QUICK, "--out", str(tmp_path / "file")])
    assert capsys.readouterr().out == ""


# evaluate


def test_evaluate_repeats_the_last_figures_of_training(capsys, tmp_path):
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    last = record.read(tmp_path)["history"][-1]
    capsys.readouterr()
    for path in (tmp_path, tmp_path / "checkpoint.npz"):
        assert main(["evaluate", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {
            "data": "digits test", "examples": 360,
            "loss": last["test_loss"], "accuracy": last["test_accuracy"],
        }  # fmt: skip
    assert main(["evaluate", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        f"softmax-regression on digits test (360): loss {last['test_loss']:.4f}, "
        f"accuracy {last['test_accuracy']:.2%}\n"
    )


def test_evaluate_a_line_has_no_accuracy(capsys, tmp_path):
    assert main(["train", "linear-regression", "--epochs", "1", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "linear-regression on line, training data: there is no test part (10,000): loss 0.0"
    )
    assert "accuracy" not in out


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (["--data", "line"], 2, ["softmax-regression trains on digits, mnist", "'line'"]),
        (["--data", "mnist"], 3, ["--data-dir", "SCRATCHNN_DATA"]),
        (
            ["--data", "mnist", "--data-dir", "nowhere"],
            3,
            ["nowhere", "scratchnn data fetch mnist"],
        ),
    ],
)
def test_evaluate_on_other_data_says_what_is_wrong(capsys, saved, arguments, status, parts):
    assert main(["evaluate", str(saved), *arguments]) == status
    assert_one_line(capsys, *parts)


def test_evaluate_on_data_of_another_size(capsys, saved, tmp_path):
    folder = str(mnist_folder(tmp_path))
    assert main(["evaluate", str(saved), "--data", "mnist", "--data-dir", folder]) == 2
    assert_one_line(capsys, "784 features", "the network takes 64")


def damage(path, how):
    parameters = mlp.init([64, 10], rng=1)
    match how:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[:-100])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("θ")
        case "npy":
            with path.open("wb") as file:
                np.save(file, parameters.theta)
        case "of something else":
            checkpoint.save(path, parameters)
        case "of an unknown recipe":
            checkpoint.save(path, parameters, recipe="perceptron", data="digits")
        case "of unknown data":
            checkpoint.save(path, parameters, recipe="mlp", data="cifar")
        case "without data":
            checkpoint.save(path, parameters, recipe="mlp")


@pytest.mark.parametrize(
    "how",
    [
        "missing", "truncated", "empty", "text", "npy",
        "of something else", "of an unknown recipe", "of unknown data", "without data",
    ],
)  # fmt: skip
def test_evaluate_says_which_file_is_wrong(capsys, saved, how):
    damage(saved, how)
    assert main(["evaluate", str(saved)]) == 3
    assert_one_line(capsys, str(saved))


# recipes, and the command itself


def test_recipes_lists_names_and_hyper_parameters(capsys):
    assert main(["recipes"]) == 0
    out = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        assert f"{name}\n    {recipe.summary}\n" in out
    assert "learning rate 0.01, momentum 0.5, batch 64, 10 epochs" in out


def test_version(capsys):
    assert usage_error(["--version"]) == 0
    assert capsys.readouterr().out == f"scratchnn {__version__}\n"


@pytest.mark.parametrize("command", ["", "train", "evaluate", "recipes", "data"])
def test_help_names_the_options(capsys, command):
    assert usage_error([*command.split(), "--help"]) == 0
    assert "--help" in capsys.readouterr().out


def run(*arguments, **settings):
    return subprocess.run(
        [sys.executable, "-m", "scratchnn", *arguments],
        capture_output=True, text=True, timeout=120, **settings,
    )  # fmt: skip


def test_python_m_scratchnn_is_the_command(tmp_path):
    """It prints, and returns the exit status."""
    done = run("evaluate", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("scratchnn: ")
    assert done.stderr.count("\n") == 1


# Bad input: one line on standard error


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["COMMAND"]),
        (["fit"], ["'fit'", "train"]),
        (["train"], ["RECIPE"]),
        (["train", "perceptron"], ["'perceptron'", "mlp", "softmax-regression"]),
        (["train", "mlp", "--data", "cifar"], ["'cifar'", "fashion-mnist"]),
        (["train", "mlp", "--epochs", "0"], ["--epochs", "from 1 up, got '0'"]),
        (["train", "mlp", "--epochs", "many"], ["--epochs", "'many'"]),
        (["train", "mlp", "--batch-size", "-3"], ["--batch-size", "from 1 up, got '-3'"]),
        (["train", "mlp", "--threads", "0"], ["--threads", "from 1 up, got '0'"]),
        (["train", "mlp", "--log-every", "0"], ["--log-every", "from 1 up, got '0'"]),
        (["train", "mlp", "--learning-rate", "fast"], ["--learning-rate", "'fast'"]),
        (["train", "mlp", "--activation", "step"], ["'step'", "relu", "sigmoid"]),
        (["train", "mlp", "--dtype", "float16"], ["float16", "float32", "float64"]),
        (["train", "mlp", "--seed", "-1"], ["--seed", "from 0 up, got '-1'"]),
        (["train", "mlp", "--seed", "1.5"], ["--seed", "'1.5'"]),
        (["train", "mlp", "--nosuch"], ["--nosuch"]),
        (["evaluate"], ["PATH"]),
        (["data", "fetch", "digits"], ["'digits'", "mnist"]),
    ],
)
def test_usage_errors_are_one_line(capsys, arguments, parts):
    assert usage_error(arguments) == 2
    assert_one_line(capsys, "scratchnn", "--help", *parts)


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (["mlp", "--data", "line"], 2, ["mlp trains on digits, mnist or fashion-mnist", "'line'"]),
        (["linear-regression", "--data", "digits"], 2, ["trains on line", "'digits'"]),
        (["mlp", "--learning-rate", "-1"], 2, ["learning_rate must be finite", "got -1"]),
        (["mlp", "--learning-rate", "nan"], 2, ["learning_rate", "got nan"]),
        (["mlp", "--momentum", "-0.5"], 2, ["momentum must be finite", "got -0.5"]),
        (["mlp", "--data", "mnist"], 3, ["--data-dir", "SCRATCHNN_DATA"]),
        (["mlp", "--data", "fashion-mnist", "--data-dir", "x"], 3, ["x/FashionMNIST/raw"]),
    ],
)
def test_train_errors_are_one_line(capsys, arguments, status, parts):
    assert main(["train", *arguments]) == status
    assert_one_line(capsys, "scratchnn: ", *parts)


def test_train_on_labels_out_of_range(capsys, tmp_path):
    folder = str(mnist_folder(tmp_path, value=10))
    assert main(["train", "mlp", "--data", "mnist", "--data-dir", folder]) == 3
    assert_one_line(
        capsys, "mnist train: target must hold class indices in [0, 10)", "got values in [0, 10]"
    )


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("train-images-idx3-ubyte", b"", ["4 bytes of magic", "0 bytes"]),
        ("train-labels-idx1-ubyte", b"<html>", ["magic number", "3c 68"]),
        (
            "t10k-images-idx3-ubyte",
            b"\0\0\x08\x03\0\0\0\1\0\0\0\2\0\0\0\2abc",
            ["4 bytes", "got 3"],
        ),
        ("t10k-labels-idx1-ubyte", b"\x1f\x8b\x08\0", ["cut short"]),
        ("t10k-labels-idx1-ubyte", None, ["is missing", "scratchnn data fetch mnist"]),
    ],
)
def test_train_on_damaged_files(capsys, tmp_path, name, content, parts):
    path = mnist_folder(tmp_path) / "MNIST" / "raw" / name
    path.write_bytes(content) if content is not None else path.unlink()
    assert main(["train", "mlp", "--data", "mnist", "--data-dir", str(tmp_path)]) == 3
    assert_one_line(capsys, str(path), *parts)


def test_train_on_nan(capsys, monkeypatch):
    def load(*_, **__):
        X = np.random.default_rng(1).normal(size=(30, 64))
        X[17, 5] = np.nan
        return Dataset("digits train", X, np.arange(30) % 10, DIGIT_CLASSES), None

    monkeypatch.setattr(recipes, "load", load)
    assert main(["train", "mlp"]) == 3
    assert_one_line(capsys, "digits train: X must be finite, got nan in row 17")


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_train_that_diverges(capsys, extra):
    assert main(["train", "linear-regression", "--learning-rate", "1e10", *extra]) == 1
    out, err = capsys.readouterr()
    assert "the loss is" in err.splitlines()[-1]
    assert "try a learning rate below" in err
    assert "Traceback" not in err
    assert not (extra and out)


def test_train_that_diverges_saves_what_was_reached(capsys, tmp_path):
    arguments = ["train", "linear-regression", "--learning-rate", "2.5", "--out", str(tmp_path)]
    assert main(arguments) == 1
    assert "try a learning rate below" in capsys.readouterr().err
    kept = record.read(tmp_path)
    assert kept["status"] == "diverged"
    assert "try a learning rate below 2.5" in kept["error"]
    assert len(kept["history"]) < kept["settings"]["epochs"]
    assert np.isfinite(checkpoint.load(tmp_path)[0].theta).all()


def test_train_that_ends_far_above_its_start_has_diverged(capsys, tmp_path):
    """Its loss is finite."""
    arguments = [*QUICK, "--learning-rate", "1e10", "--out", str(tmp_path)]
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert "after the last epoch, and was 2.3" in err
    assert "try a learning rate below 1e+10" in err
    assert record.read(tmp_path)["status"] == "diverged"


def test_train_that_diverges_in_the_last_step_of_an_epoch(capsys):
    one_step = ["--epochs", "1", "--batch-size", "10000", "--learning-rate", "1e30"]
    assert main(["train", "linear-regression", "--json", *one_step]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "module", "parts"),
    [
        (
            [*QUICK, "--tensorboard", "x"],
            "tensorboardX",
            ["needs tensorboardX", "[tensorboard]"],
        ),
    ],
)
def test_missing_extra_is_named(capsys, monkeypatch, arguments, module, parts):
    monkeypatch.setitem(sys.modules, module, None)
    assert main(arguments) == 2
    assert_one_line(capsys, "pip install", *parts)


def test_missing_extras_are_named_together(capsys, monkeypatch, tmp_path):
    for package in ("tensorboardX", "matplotlib"):
        monkeypatch.setitem(sys.modules, package, None)
    options = ["--tensorboard", "x", "--live", "--out", str(tmp_path / "run")]
    assert main([*QUICK, *options]) == 2
    needed = "needs tensorboardX and matplotlib, which are not installed"
    assert_one_line(capsys, needed, "pip install -e '.[tensorboard,plots]'")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("module", ["tqdm", "matplotlib", "threadpoolctl", "PIL", "torch"])
def test_train_needs_numpy_alone(capsys, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert main([*QUICK, "--threads", "1"]) == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["train", "mlp", "--data", "line"], ValueError),
        (["train", "mlp", "--data", "mnist"], FileNotFoundError),
        (["train", "linear-regression", "--learning-rate", "1e10"], FloatingPointError),
        (["evaluate", "nowhere"], FileNotFoundError),
    ],
)
def test_debug_lets_the_error_through(arguments, error):
    with pytest.raises(error):
        main([*arguments, "--debug"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["softmax-regression", "--activation", "tanh"], "--activation goes with hidden layers"),
        (["mlp", "--hidden", "none", "--activation", "tanh"], "--activation goes with hidden"),
        (["mlp", "--checkpoint-every", "10"], "--checkpoint-every goes with --out DIR"),
    ],
)
def test_train_refuses_options_that_would_do_nothing(capsys, arguments, words):
    assert main(["train", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["mpl"], ", did you mean mlp?"),
        (["mlp", "--lr", "0.1"], "--lr, did you mean --learning-rate?"),
        (["mlp", "--hidden", "30", "20"], ": --hidden takes 30,20"),
    ],
)
def test_train_says_what_is_meant(capsys, arguments, hint):
    with pytest.raises(SystemExit):
        main(["train", *arguments])
    assert f"{hint} (see scratchnn train --help)" in capsys.readouterr().err


def test_resume_of_a_finished_run_says_that_it_is_done(capsys, tmp_path):
    out = str(tmp_path)
    assert main(["train", "softmax-regression", "--epochs", "2", "--out", out]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", out]) == 0
    said = capsys.readouterr().out
    assert "already done, 2 epochs: raise --epochs to train it for longer" in said
    assert "running loss" not in said


def test_resume_for_fewer_epochs_does_not_advise_a_schedule(capsys, tmp_path):
    out = str(tmp_path)
    options = ["--epochs", "2", "--schedule", "cosine", "--out", out]
    assert main(["train", "softmax-regression", *options]) == 0
    assert main(["train", "--resume", out, "--epochs", "1"]) == 2
    assert "--epochs must be at least 2" in capsys.readouterr().err


# Ctrl-C


def stop_in_epoch(monkeypatch, epoch, number=signal.SIGINT):
    """Let a signal come at the second batch of an epoch."""

    def press(log, batch):
        if (batch.epoch, batch.number) == (epoch, 2):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(watch.BatchLog, "__call__", press)
    return ["train", "softmax-regression", "--epochs", "9", "--log-every", "10"]


@pytest.mark.parametrize("epoch", [1, 3])
def test_interrupted_training_saves_what_was_reached(capsys, monkeypatch, tmp_path, epoch):
    path = tmp_path / "a run"
    arguments = stop_in_epoch(monkeypatch, epoch)
    assert main([*arguments, "--json", "--out", str(path)]) == 130
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["interrupted"] is True
    assert len(result["history"]) == epoch - 1
    assert f"stopped by SIGINT after {epoch - 1} whole epoch" in err
    assert f"go on: scratchnn train --resume '{path}'" in err  # as a shell takes it
    kept = record.read(path)
    assert kept["status"] == "interrupted"
    assert main(["show", str(path)]) == 0
    words = f"interrupted after {epoch - 1} epochs, stopped by SIGINT"
    assert words in capsys.readouterr().out
    assert kept["history"] == result["history"]
    loaded, place = checkpoint.load(path / "checkpoint.npz")
    assert loaded.sizes == (64, 10)
    assert (place["epoch"], place["begun"]["batches"]) == (epoch - 1, 3)
    assert epoch > 1 or not list(path.glob("curves.*"))  # nothing to draw


def test_interrupted_training_without_a_folder(capsys, monkeypatch):
    assert main(stop_in_epoch(monkeypatch, 2)) == 130
    assert "stopped by SIGINT after 1 whole epoch; nothing is kept" in capsys.readouterr().err


def test_interrupted_elsewhere_is_one_line(capsys, monkeypatch, saved):
    def load(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes, "load_data", load)
    assert main(["evaluate", str(saved)]) == 130
    assert_one_line(capsys, "scratchnn: interrupted")


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT between processes")
def test_interrupted_by_a_real_signal(tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits "ignore"
    try:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "scratchnn", "train", "softmax-regression",
                "--epochs", "1000000", "--json", "--out", str(tmp_path),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        for line in process.stderr:
            if line.split()[0] == "2":  # the second epoch is over
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "whole epochs" in err
    result = json.loads(out)
    assert result["interrupted"] is True
    assert len(result["history"]) >= 2
    assert record.read(tmp_path)["history"] == result["history"]
