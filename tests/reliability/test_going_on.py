"""What a run needs to go on: the same data and batches, and a folder that is whole."""

import json
import os

import numpy as np
import pytest

from scratchnn import SGD, Adam, RunFolder, distributed, mlp, resume
from scratchnn.data import DataError
from scratchnn.run import record
from scratchnn.run.history import cut_to
from tests.helpers import C, D
from tests.reliability.training import dataset, stop, train


def content(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.parametrize("part", ["train", "test", "validation"])
def test_other_data_are_refused_and_the_run_stays(tmp_path, part):
    train(RunFolder(tmp_path), epochs=2, validation=dataset(6, seed=3))
    before = content(tmp_path)
    others = {"validation": dataset(6, seed=3), part: dataset(12, seed=9)}
    sizes = {"train": 20, "test": 10, "validation": 6}
    words = rf"on other data: {part} {sizes[part]} x {D} numbers \(SHA-256 \w{{12}}\), now 12 x"
    with pytest.raises(DataError, match=words):
        train(resume(tmp_path), **others)
    assert content(tmp_path) == before


def test_data_that_are_no_longer_given_are_missed(tmp_path):
    train(RunFolder(tmp_path), epochs=2)
    with pytest.raises(DataError, match=r"other data: test 10 x .*, now none. Give it the same"):
        train(resume(tmp_path), test=None)


def test_same_data_may_have_another_name(tmp_path):
    """As data of one's own have that were moved."""
    stop(tmp_path)
    moved = dataset()
    object.__setattr__(moved, "name", "elsewhere")
    assert train(resume(tmp_path), train=moved) == train()


@pytest.mark.parametrize("epoch", [2, 4])
def test_batches_of_another_size_are_refused(tmp_path, epoch):
    """Also between two epochs."""
    if epoch == 4:
        train(RunFolder(tmp_path))
    else:
        stop(tmp_path)
    before = content(tmp_path)
    with pytest.raises(ValueError, match="was trained with batch_size=8, got 4: give it the same"):
        train(resume(tmp_path), epochs=6, batch_size=4)
    assert content(tmp_path) == before


def test_another_rng_costs_a_warning_and_changes_nothing(tmp_path, capsys):
    stop(tmp_path)
    assert train(resume(tmp_path), rng=2) == train()
    (line,) = capsys.readouterr().err.splitlines()
    assert "the rng given is another, and is not used" in line
    assert train(resume(tmp_path)) == train()  # run.json still knows the first one
    assert capsys.readouterr().err == ""


def test_run_json_says_how_the_run_went_on(tmp_path, capsys):
    """What differed is said once; what is compared the next time is what was true then."""
    train(RunFolder(tmp_path), epochs=1, threads=1)
    moved = dataset()
    object.__setattr__(moved, "name", "elsewhere")
    train(resume(tmp_path), epochs=2, threads=2, optimizer=SGD(0.2, 0.5), train=moved)
    (line,) = capsys.readouterr().err.splitlines()
    assert "threads 1, now 2; optimizer SGD(learning_rate=0.1" in line
    train(resume(tmp_path), epochs=3, threads=2, optimizer=SGD(0.2, 0.5), train=moved)
    assert capsys.readouterr().err == ""
    found = record.read(tmp_path)
    assert found["environment"]["optimizer"] == repr(SGD(0.2, 0.5))
    assert found["environment"]["threads"] == "2"
    assert found["data"]["train"]["name"] == "elsewhere"
    first, second = found["resumed"]
    assert [words.split()[0] for words in first["differs"]] == ["threads", "optimizer"]
    assert second["differs"] == []


def test_rng_that_nobody_gave_is_not_compared(tmp_path, capsys):
    train(RunFolder(tmp_path), rng=None, epochs=1)
    train(resume(tmp_path), rng=None, epochs=2)
    train(resume(tmp_path), rng=1, epochs=3)
    assert capsys.readouterr().err == ""


def test_rng_that_nobody_gave_to_several_processes_is_not_compared(tmp_path, capsys):
    def on_one(keep, epochs):
        network = mlp.init([D, C], rng=3)
        options = {"optimizer": SGD(0.1), "batch_size": 8, "epochs": epochs}
        distributed.fit(network, dataset(), ranks=distributed.ALONE, checkpoint=keep, **options)

    on_one(RunFolder(tmp_path), 1)
    on_one(resume(tmp_path), 2)
    assert capsys.readouterr().err == ""


def test_batch_size_may_be_a_number_of_numpy(tmp_path):
    train(RunFolder(tmp_path), batch_size=np.int64(8), epochs=1)
    assert train(resume(tmp_path)) == train()


def test_another_objective_is_said(tmp_path, capsys):
    from scratchnn.objectives import CrossEntropy

    stop(tmp_path)
    train(resume(tmp_path), objective=CrossEntropy(label_smoothing=0.1))
    assert "objective CrossEntropy(" in capsys.readouterr().err


def test_how_often_to_save_is_kept(tmp_path):
    train(RunFolder(tmp_path, every=2, log_every=3), epochs=1)
    again = resume(tmp_path)
    assert (again.every, again.log_every) == (2, 3)
    train(resume(tmp_path, every="epoch"), epochs=2)
    assert resume(tmp_path).every == "epoch"
    found = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(found | {"every": "often"}))
    with pytest.raises(DataError, match=r"run.json: every must be a number of steps.*'often'"):
        resume(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("every", True), ("log_every", 0), ("log_every", "x"), ("log_every", 1.5)]
)
def test_numbers_of_a_wrong_kind(tmp_path, name, value):
    with pytest.raises(
        ValueError, match=f"{name} must be a number of .* from 1 up.*, got {value!r}"
    ):
        RunFolder(tmp_path, **{name: value})


@pytest.mark.parametrize("folder", [5, None, ["runs"]])
def test_folder_must_be_a_path(folder):
    with pytest.raises(TypeError, match="the folder of a run must be a path, got "):
        RunFolder(folder)


def test_history_that_is_missing(tmp_path):
    train(RunFolder(tmp_path))
    (tmp_path / "history.jsonl").unlink()
    for ask in (resume, record.read):
        with pytest.raises(FileNotFoundError, match=r"history.jsonl is missing, and a run cannot"):
            ask(tmp_path)
    assert not (tmp_path / "history.jsonl").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("name", ["history.jsonl", "checkpoint.npz", "run.json"])
def test_pipe_in_the_place_of_a_file_is_refused(tmp_path, name):
    """To open it would take for ever."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(OSError, match=f"Is a pipe or a device, where the run needs.*{name}"):
        RunFolder(tmp_path, overwrite=True)


def test_folder_where_another_trains_is_in_use_and_holds_no_run(tmp_path):
    def second(batch):
        with pytest.raises(BlockingIOError, match="is in use: another process trains there"):
            RunFolder(tmp_path)

    train(RunFolder(tmp_path), epochs=1, on_batch=second)


def test_gradients_are_cut_back_to_the_checkpoint(tmp_path):
    def rows(*epochs):
        return "".join(json.dumps({"epoch": e, "norms": {"layer 1": 0.5}}) + "\n" for e in epochs)

    train(RunFolder(tmp_path), epochs=2)
    (tmp_path / "gradients.jsonl").write_text(rows(1, 2, 3) + rows(4)[:9])
    train(resume(tmp_path), epochs=2)
    assert (tmp_path / "gradients.jsonl").read_text() == rows(1, 2)


@pytest.mark.parametrize(
    "torn", [b'{"epoch": 2}', b"[]\n", b"{}\n", b"\xff\n", b'{"epoch": [1]}\n']
)
def test_what_is_no_row_is_cut_off(tmp_path, torn):
    (tmp_path / "g").write_bytes(b'{"epoch": 1}\n' + torn + b'{"epoch": 2}\n')
    cut_to(tmp_path / "g", 2)
    assert (tmp_path / "g").read_bytes() == b'{"epoch": 1}\n'
    cut_to(tmp_path / "missing", 2)


def test_another_network_is_refused(tmp_path):
    stop(tmp_path)
    with pytest.raises(ValueError, match=r"holds a run of Parameters\(.*got Parameters\("):
        train(resume(tmp_path), network=mlp.init([D, C], rng=1))


@pytest.mark.parametrize("every", ["epoch", 1])
def test_another_optimizer_is_refused_and_no_checkpoint_is_blamed(tmp_path, every, capsys):
    """There is a previous one, which would be taken where the last is damaged."""
    train(RunFolder(tmp_path, every=every))
    words = "checkpoint.npz was saved with the optimizer SGD, whose state fits no other, got Adam"
    with pytest.raises(ValueError, match=words):
        train(resume(tmp_path), optimizer=Adam())
    assert capsys.readouterr().err == ""


def test_run_of_version_0_1_cannot_go_on(tmp_path):
    (tmp_path / "parameters.npz").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"a run of scratchnn 0\.1 has none, and cannot go"):
        resume(tmp_path)


def test_network_without_a_run_cannot_go_on(tmp_path):
    """As `scratchnn import` leaves it."""
    (tmp_path / "checkpoint.npz").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"holds a run \(checkpoint.npz\): replace it"):
        RunFolder(tmp_path)


def test_fingerprint_that_somebody_edited_is_other_data(tmp_path):
    train(RunFolder(tmp_path))
    found = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(found | {"data": {"train": 5, "test": None}}))
    with pytest.raises(DataError, match=r"other data: train none, now 20 x"):
        train(resume(tmp_path))
