"""`scratchnn train` with a folder: --resume, --config, and what a failing output costs."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from scratchnn import checkpoint, mlp
from scratchnn.run import record, settings, train_command, watch
from scratchnn.run.cli import main
from tests.test_cli import assert_one_line, mnist_folder, usage_error

ROOT = Path(__file__).parents[2]
QUICK = ["train", "softmax-regression", "--epochs", "2"]


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    """They would take most of the time."""
    monkeypatch.setattr(train_command, "_has_plots", lambda: False)
    monkeypatch.delenv("SCRATCHNN_DATA", raising=False)


def reached(path):
    found = record.read(path)
    rows = [{n: v for n, v in row.items() if "seconds" not in n} for row in found["history"]]
    return found["status"], found["theta"], rows


def stopped(path, monkeypatch, *arguments, number=signal.SIGTERM):
    """Train until a signal comes in the second epoch."""

    def press(log, batch):
        if (batch.epoch, batch.number) == (2, 2):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(watch.BatchLog, "__call__", press)
    status = main([*QUICK, *arguments, "--log-every", "9", "--out", str(path)])
    monkeypatch.undo()
    monkeypatch.setattr(train_command, "_has_plots", lambda: False)
    assert status == 128 + number


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--momentum", "0.5", "--dtype", "float64", "--seed", "7"],
        ["--hidden", "20", "--activation", "tanh", "--batch-size", "50", "--learning-rate", "0.3"],
        ["--data", "mnist", "--stream"],
        ["--optimizer", "adam", "--schedule", "cosine", "--warm-up", "1.5", "--hidden", "20"],
    ],
)
def test_resume_reaches_what_a_whole_run_reaches(tmp_path, monkeypatch, capsys, options):
    if "mnist" in options:
        options = [*options, "--data-dir", str(mnist_folder(tmp_path / "data")), "--batch-size=5"]
    stopped(tmp_path / "run", monkeypatch, *options)
    assert record.read(tmp_path / "run")["status"] == "interrupted"
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.count("\n    2  ") == 1  # its row, after the stop
    assert main([*QUICK, *options, "--log-every", "9", "--out", str(tmp_path / "whole")]) == 0
    assert reached(tmp_path / "run") == reached(tmp_path / "whole")


def test_resume_for_more_epochs_with_other_checkpoints(tmp_path, capsys):
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert main([*QUICK, "--out", str(run)]) == 0
    assert main(["train", "--resume", str(run), "--epochs", "4", "--checkpoint-every", "3"]) == 0
    assert main([*QUICK, "--epochs", "4", "--out", str(whole)]) == 0
    assert reached(run) == reached(whole)
    assert record.read(run)["settings"]["epochs"] == 4


def test_resume_of_a_run_that_is_done_says_what_it_has(tmp_path, capsys):
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    before = reached(tmp_path)
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["history"]) == 2
    assert reached(tmp_path) == before


def test_config_repeats_a_run_but_for_what_is_given(tmp_path, capsys):
    first, second, third = (tmp_path / name for name in ("1", "2", "3"))
    options = ["--momentum", "0.5", "--seed", "3", "--dtype", "float64"]
    options += ["--hidden", "20", "--activation", "tanh"]
    assert main([*QUICK, *options, "--out", str(first)]) == 0
    for source in (first, first / "run.json"):
        assert main(["train", "--config", str(source), "--out", str(second), "--overwrite"]) == 0
        assert reached(second) == reached(first)
    assert main(["train", "--config", str(first), "--seed", "4", "--out", str(third)]) == 0
    settings = record.read(third)["settings"]
    assert settings == {**record.read(first)["settings"], "seed": 4}
    assert reached(third) != reached(first)


def test_config_of_a_run_with_flags_goes_without_them(tmp_path, capsys):
    pytest.importorskip("scipy")
    first, again = tmp_path / "1", tmp_path / "2"
    assert main([*QUICK, "--fast", "--gradients", "--out", str(first)]) == 0
    options = ["--config", str(first), "--no-fast", "--no-gradients", "--out", str(again)]
    assert main(["train", *options]) == 0
    found = record.read(again)["settings"]
    assert (found["fast"], found["gradients"]) == (False, False)
    assert not (again / "gradients.jsonl").exists()


def test_config_on_data_that_have_no_folder(tmp_path, capsys):
    first, again = tmp_path / "1", tmp_path / "2"
    folder = str(mnist_folder(tmp_path / "data"))
    assert main([*QUICK, "--data", "mnist", "--data-dir", folder, "--out", str(first)]) == 0
    assert main(["train", "--config", str(first), "--data", "digits", "--out", str(again)]) == 0
    assert record.read(again)["settings"]["data_dir"] is None
    same = ["--data", "mnist", "--overwrite"]
    assert main(["train", "--config", str(first), *same, "--out", str(again)]) == 0
    assert record.read(again)["settings"]["data_dir"] == folder
    capsys.readouterr()
    assert main(["train", "--resume", str(first), "--data", "digits"]) == 3
    assert "was trained on other data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["mlp"], ["RECIPE cannot be given"]),
        (["--seed", "2", "--learning-rate", "1"], ["--learning-rate, --seed cannot be given"]),
        (["--stream", "--dtype", "float64"], ["--dtype, --stream cannot"]),
        (["--no-stream", "--no-nesterov"], ["--nesterov, --stream cannot"]),
        (["--out", "other", "--overwrite"], ["--out, --overwrite cannot"]),
        (["--config", "run.json"], ["--config cannot be given (but --epochs, --schedule,"]),
        (["--epochs", "1"], ["--epochs must be at least 2, which", "has by now, got 1"]),
    ],
)
def test_resume_refuses_what_would_be_another_run(tmp_path, capsys, arguments, parts):
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    before = reached(tmp_path)
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path), *arguments]) == 2
    assert_one_line(capsys, *parts)
    assert reached(tmp_path) == before


def test_resume_on_other_data(tmp_path, monkeypatch, capsys):
    folder = mnist_folder(tmp_path / "data")
    options = ["--data", "mnist", "--data-dir", str(folder), "--batch-size", "5"]
    stopped(tmp_path / "run", monkeypatch, *options)
    shutil.rmtree(folder)
    mnist_folder(tmp_path / "data", value=3)
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path / "run")]) == 3
    err = capsys.readouterr().err.splitlines()[-1]
    assert "was trained on other data: train 12 x 784 numbers (SHA-256 " in err
    assert ", now 10 x 784 numbers (SHA-256 " in err
    assert record.read(tmp_path / "run")["status"] == "interrupted"


@pytest.mark.parametrize("option", ["--resume", "--config"])
def test_folder_without_a_run(tmp_path, capsys, option):
    assert main(["train", option, str(tmp_path)]) == 3
    assert_one_line(capsys, "run.json is missing", "scratchnn train --out")


def test_run_of_another_program(tmp_path, capsys):
    (tmp_path / "run.json").write_text('{"run": "a", "environment": {}}')
    assert main(["train", "--resume", str(tmp_path)]) == 3
    assert_one_line(capsys, "expected a run of `scratchnn train`", "scratchnn.resume")


@pytest.mark.parametrize("arguments", [["--checkpoint-every", "0"], ["--checkpoint-every", "day"]])
def test_checkpoint_every_is_a_number_or_epoch(capsys, arguments):
    assert usage_error([*QUICK, *arguments]) == 2
    assert_one_line(capsys, "--checkpoint-every", "from 1 up")


def test_recipe_is_required_but_for_a_run(capsys):
    assert usage_error(["train"]) == 2
    assert_one_line(capsys, "required: RECIPE, --resume or --config")


def test_out_without_a_name(capsys):
    assert main([*QUICK, "--out", ""]) == 2
    assert_one_line(capsys, "--out must name a folder, got ''")


def test_folder_of_a_training_that_did_not_begin_is_removed(tmp_path, capsys):
    arguments = [*QUICK, "--data", "mnist", "--data-dir", "nowhere", "--out", str(tmp_path / "new")]
    assert main(arguments) == 3
    assert not (tmp_path / "new").exists()


def test_folder_of_version_0_1_is_evaluated(tmp_path, capsys):
    network = mlp.init([64, 10], std=0.01, rng=1)
    said = {"recipe": "softmax-regression", "data": "digits"}
    (tmp_path / "history.json").write_text(json.dumps(said | {"history": []}))
    checkpoint.save(tmp_path / "parameters.npz", network, **said)
    assert main(["evaluate", str(tmp_path)]) == 0
    assert "softmax-regression on digits test (360): loss 2.3" in capsys.readouterr().out


def test_evaluate_a_network_that_is_not_the_recipes(tmp_path, capsys):
    checkpoint.save(tmp_path / "p.npz", mlp.init([64, 9]), recipe="mlp", data="digits")
    assert main(["evaluate", str(tmp_path / "p.npz")]) == 3
    assert_one_line(capsys, "10 outputs, and the network has the sizes (64, 9): name other data")


def test_theta_of_the_record_is_that_of_the_checkpoint(tmp_path):
    import hashlib

    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    network, said = checkpoint.load(tmp_path)
    assert record.read(tmp_path)["theta"] == hashlib.sha256(network.theta.tobytes()).hexdigest()
    assert said["run"] == record.read(tmp_path)["run"]
    assert np.isfinite(network.theta).all()


# what is named goes on, or is repeated, and nothing else


@pytest.fixture
def finished(tmp_path, capsys):
    assert main([*QUICK, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    return tmp_path / "run"


@pytest.mark.parametrize("option", ["--seed", "--learning-rate", "--momentum"])
def test_resume_refuses_settings_that_are_0(capsys, finished, option):
    assert main(["train", "--resume", str(finished), option, "0"]) == 2
    assert f"{option} cannot be given" in capsys.readouterr().err


def test_config_reads_the_file_that_is_named(capsys, finished, tmp_path):
    alone = tmp_path / "mine.json"
    alone.write_bytes((finished / "run.json").read_bytes())
    assert main([*QUICK, "--epochs", "1", "--out", str(tmp_path / "other")]) == 0
    (tmp_path / "run.json").write_bytes((tmp_path / "other/run.json").read_bytes())
    assert main(["train", "--config", str(alone), "--out", str(tmp_path / "again")]) == 0
    assert reached(tmp_path / "again") == reached(finished)
    capsys.readouterr()
    assert main(["train", "--config", str(finished / "typo.json")]) == 3
    assert_one_line(capsys, "typo.json is missing")


def test_resume_names_what_is_missing_and_takes_the_record(capsys, finished, tmp_path):
    assert main(["train", "--resume", str(tmp_path / "no")]) == 3
    assert_one_line(capsys, f"{tmp_path / 'no'} is missing")
    for option in ("--resume", "--config", "--out"):
        assert main([*QUICK, option, ""]) == 2
        assert_one_line(capsys, f"{option} must name a folder, got ''")
    epochs = str(len(record.read(finished)["history"]) + 1)
    assert main(["train", "--resume", str(finished / "run.json"), "--epochs", epochs]) == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("name", ["run.json", "history.jsonl"])
@pytest.mark.parametrize("status", ["done", "running"])
def test_pipe_in_a_run_is_no_file_of_it(capsys, finished, name, status):
    found = record.read_record(finished)
    (finished / "run.json").write_text(json.dumps({**found, "status": status}))
    (finished / name).unlink()
    os.mkfifo(finished / name)
    assert main(["train", "--resume", str(finished)]) == 3
    assert_one_line(capsys, f"{name}: expected a file, got a pipe")


@pytest.mark.parametrize(
    "garbage", [b"\0\0\0\n", b'{"epoch": 3, "running_loss": \n', b"\xff\n[1]\n"]
)
def test_resume_cuts_off_lines_that_are_damaged_beyond_the_checkpoint(finished, garbage):
    """A power cut may leave such lines: their length is on the disk, and their content is not."""
    path = finished / "history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + garbage)
    assert main(["train", "--resume", str(finished)]) == 0
    assert path.read_bytes() == whole


# what run.json says is kept, and compared with what there is now


def altered(path, **changes):
    """Change settings in a run's run.json, as with an editor."""
    found = json.loads((path / "run.json").read_text())
    found["settings"] |= changes
    (path / "run.json").write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": "many"}, "argument --epochs: must be a whole number from 1 up, got 'many'"),
        ({"epochs": -1}, "argument --epochs: must be a whole number from 1 up, got '-1'"),
        ({"epochs": False}, "--no-epochs"),
        ({"recipe": "resnet"}, "argument RECIPE: invalid choice: 'resnet'"),
        ({"recipe": 5}, "argument RECIPE: invalid choice: '5'"),
        ({"seed": {}}, "argument --seed"),
        ({"dtype": "float16"}, "argument --dtype: invalid choice: 'float16'"),
        ({"learning_rate": "fast"}, "argument --learning-rate: invalid float value: 'fast'"),
        ({"hidden": ["a"]}, "argument --hidden: "),
        ({"stream": "yes"}, "--no-stream: ignored explicit argument 'yes'"),
        ({"threads": "--help"}, "argument --threads: must be a whole number"),
        ({"checkpoint_every": "day"}, "argument --checkpoint-every: must be a whole number"),
    ],
)
def test_settings_that_somebody_edited_are_named_with_their_file(capsys, finished, changes, words):
    altered(finished, **changes)
    for option in ("--resume", "--config"):
        assert main(["train", option, str(finished)]) == 3
        assert_one_line(capsys, f"{finished / 'run.json'} has a setting that `scratchnn", words)


def test_settings_that_are_shown_or_saved_are_kept(tmp_path, capsys):
    first, again = tmp_path / "1", tmp_path / "2"
    options = ["--checkpoint-every", "7", "--log-every", "9", "--gradients"]
    assert main([*QUICK, *options, "--out", str(first)]) == 0
    assert main(["train", "--config", str(first), "--out", str(again)]) == 0
    assert main(["train", "--resume", str(first), "--epochs", "3"]) == 0
    assert "epoch 3, batches    1 to    9 of 23: mean loss" in capsys.readouterr().out
    for path, epochs in ((first, 3), (again, 2)):
        kept = record.read(path)["settings"]
        assert [kept[name] for name in settings.KEPT] == [7, 9, True]
        assert len((path / "gradients.jsonl").read_text().splitlines()) == epochs
        batches = (path / "history.jsonl").read_text().count('"batch"')
        assert batches == 2 * epochs
    assert main(["train", "--resume", str(first), "--checkpoint-every", "epoch"]) == 0
    assert record.read(first)["settings"]["checkpoint_every"] == "epoch"


@pytest.fixture
def own(tmp_path):
    """Data of one's own."""
    rng = np.random.default_rng(0)
    for name, number in (("mine", 30), ("others", 31)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "X.npy", rng.normal(size=(number, 3)))
        np.save(tmp_path / name / "y.npy", np.arange(number) % 2)
    return tmp_path / "mine"


def test_data_that_were_moved_are_named_anew(own, tmp_path, capsys):
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert main([*QUICK, "--data", str(own), "--out", str(run)]) == 0
    assert main([*QUICK, "--data", str(own), "--epochs", "3", "--out", str(whole)]) == 0
    own.rename(tmp_path / "moved")
    capsys.readouterr()
    for option in ("--resume", "--config"):
        assert main(["train", option, str(run)]) == 3
        words = f"run.json: the run was trained on {own}, which is not there now: say with --data"
        assert_one_line(capsys, words)
    again = ["train", "--resume", str(run), "--epochs", "3", "--data"]
    assert main([*again, str(tmp_path / "others")]) == 3
    words = "run was trained on other data: train 30 x 3 numbers (SHA-256"
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert main([*again, str(tmp_path / "moved")]) == 0
    assert reached(run) == reached(whole)
    assert record.read(run)["settings"]["data"] == str(tmp_path / "moved")


def test_config_says_what_differs(own, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    assert main([*QUICK, "--data", str(own), "--out", str(run)]) == 0
    capsys.readouterr()
    again = ["train", "--config", str(run)]
    assert main(again) == 0
    assert capsys.readouterr().err == ""
    np.save(own / "X.npy", np.ones((30, 3)))
    there = record.environment() | {"ranks": "4"}
    monkeypatch.setattr(record, "environment", lambda: there)
    assert main(again) == 0
    words = f"{run} was made with ranks 1, now 4; train 30 x 3 numbers (SHA-256 "
    assert_one_line(capsys, words, "the numbers may differ", stdout=None)
    assert main([*again, "--data", str(tmp_path / "others")]) == 0
    assert_one_line(capsys, "was made with ranks 1, now 4: the numbers may differ", stdout=None)
