"""What a run writes into its folder, and when; and a disk that fails."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from scratchnn import SGD, RunFolder, checkpoint, resume
from scratchnn.data import Dataset
from scratchnn.run import history, keeping, record
from tests.helpers import D
from tests.reliability.training import CLASSES, FullDisk, stop, train

# What is written when


def lines(path):
    return [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]


def test_history_has_a_line_per_epoch_and_per_so_many_batches(tmp_path):
    stop(tmp_path, epoch=1, number=1, test=None)  # of 3 batches an epoch
    (tmp_path / "whole").mkdir()
    train(RunFolder(tmp_path / "whole", log_every=2), test=None, epochs=2)
    written = lines(tmp_path / "whole")
    assert [(row["epoch"], row.get("batch")) for row in written] == [
        (1, 2), (1, None), (2, 2), (2, None),
    ]  # fmt: skip
    assert history.read(tmp_path / "whole" / "history.jsonl").column("test_loss") == [None, None]


def test_running_loss_that_has_no_value_is_null(tmp_path):
    from scratchnn.objectives import CrossEntropy

    none = Dataset("none", np.ones((4, D)), np.zeros(4, int), CLASSES)
    objective = {"objective": CrossEntropy(ignore_index=0), "test": None, "evaluation": False}
    train(RunFolder(tmp_path, log_every=1), train=none, epochs=2, **objective)
    assert [row["running_loss"] for row in lines(tmp_path)] == [None] * 4
    train(resume(tmp_path), train=none, epochs=3, **objective)
    assert np.isnan(history.read(tmp_path / "history.jsonl").column("running_loss")).all()


def test_best_is_the_epoch_with_the_lowest_loss_on_the_test_data(tmp_path):
    _, rows = train(RunFolder(tmp_path), epochs=6, optimizer=SGD(2.0, 0.9))
    losses = [row["test_loss"] for row in rows]
    _, said = checkpoint.load(tmp_path / "best.npz")
    assert losses.index(min(losses)) < 5
    assert (said["epoch"], said["loss"]) == (1 + losses.index(min(losses)), min(losses))


@pytest.mark.parametrize(
    ("every", "saves"), [(1, 14), (2, 8), (5, 4), (100, 2), ("epoch", 5), (None, 2)]
)
def test_checkpoints_come_as_often_as_asked(tmp_path, monkeypatch, every, saves):
    """Four epochs of three batches; the first is of the initial θ, and the last of the end."""
    saved = []
    save = checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda path, *a, **o: (saved.append(path.name), save(path, *a, **o))
    )
    train(RunFolder(tmp_path, every=every))
    assert saved.count("checkpoint.npz") == saves


def test_checkpoint_after_a_second_where_nothing_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "PATIENCE", 0.0)
    train(RunFolder(tmp_path))
    _, said = checkpoint.load(tmp_path / "previous.npz")
    assert said["epoch"] == 3


def test_an_error_of_a_callback_saves_what_was_reached(tmp_path):
    def fail(batch):
        if (batch.epoch, batch.number) == (2, 2):
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        train(RunFolder(tmp_path), on_batch=fail)
    found = record.read(tmp_path)
    assert (found["status"], found["error"]) == ("failed", "RuntimeError: planted")
    assert train(resume(tmp_path)) == train()


@pytest.mark.parametrize("error", [MemoryError, FloatingPointError])
def test_half_a_step_is_not_saved(tmp_path, error):
    class Half(SGD):
        def step(self, theta, grad):
            if len(steps) == 5:
                theta[: len(theta) // 2] = 0
                raise error
            steps.append(1)
            super().step(theta, grad)

    steps = []
    Half.__name__ = Half.__qualname__ = "SGD"
    with pytest.raises(error):
        train(RunFolder(tmp_path, every=1), optimizer=Half(0.1, 0.5))
    assert train(resume(tmp_path)) == train()


def test_diverged_run_keeps_the_last_checkpoint(tmp_path):
    with pytest.raises(FloatingPointError):
        train(RunFolder(tmp_path), optimizer=SGD(1e200), epochs=50)
    assert record.read(tmp_path)["status"] == "diverged"
    assert np.isfinite(checkpoint.load(tmp_path)[0].theta).all()


# A disk that fails


def test_full_disk_costs_one_warning_and_no_training(tmp_path, monkeypatch, capsys):
    disk = FullDisk(monkeypatch)

    def on_batch(batch):
        disk.full = batch.epoch < 4

    assert train(RunFolder(tmp_path, every=1), on_batch=on_batch) == train()
    (line,) = capsys.readouterr().err.splitlines()
    assert "no checkpoint could be saved, the training goes on: [Errno 28] No space" in line
    assert record.read(tmp_path)["status"] == "done"


def test_disk_that_is_full_at_the_end_is_an_error(tmp_path, monkeypatch, capsys):
    disk = FullDisk(monkeypatch)

    def on_batch(batch):
        disk.full = True

    with pytest.raises(OSError, match=r"No space left on device: .*\.npz"):
        train(RunFolder(tmp_path), on_batch=on_batch)
    disk.full = False
    assert train(resume(tmp_path)) == train()


def test_error_on_a_full_disk_stays_that_error(tmp_path, monkeypatch, capsys):
    disk = FullDisk(monkeypatch)

    def on_batch(batch):
        disk.full = True
        if batch.epoch == 2:
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        train(RunFolder(tmp_path), on_batch=on_batch)
    assert "since the last checkpoint could not be saved" in capsys.readouterr().err


def test_folder_that_was_moved_is_not_made_again(tmp_path, capsys):
    """Another run may have its place by then: the files of both would be mixed."""

    def on_batch(batch):
        if (batch.epoch, batch.number) == (2, 1):
            (tmp_path / "run").rename(tmp_path / "moved")
            train(RunFolder(tmp_path / "run"), rng=2)

    with pytest.raises(OSError, match="the folder was moved or removed"):
        train(RunFolder(tmp_path / "run", every=1), on_batch=on_batch)
    (line,) = capsys.readouterr().err.splitlines()
    assert "no checkpoint could be saved, the training goes on" in line
    assert train(resume(tmp_path / "run")) == train(rng=2)
    assert train(resume(tmp_path / "moved")) == train()


@pytest.mark.parametrize("back", [False, True])
def test_folder_that_is_moved_back_is_saved_into(tmp_path, capsys, back):
    run, moved = tmp_path / "run", tmp_path / "moved"

    def on_batch(batch):
        if batch.number == 1 and batch.epoch == 2:
            run.rename(moved)
        if batch.number == 1 and batch.epoch == 3 and back:
            moved.rename(run)

    keep = RunFolder(run, every=1)
    if back:
        assert train(keep, on_batch=on_batch) == train()
        assert record.read(run)["status"] == "done"
    else:
        with pytest.raises(OSError, match="Move it back"):
            train(keep, on_batch=on_batch)
        assert os.listdir(tmp_path) == ["moved"]
    assert keep.begun == back
    assert "the training goes on" in capsys.readouterr().err


def test_row_that_cannot_be_written_waits(tmp_path):
    """Half of it is cut off before the next."""

    class Disk:
        full = True

        def write(self, content):
            if not self.full:
                return file.write(content[:3])
            file.write(content[:5])
            raise OSError(28, "No space left on device")

        def fileno(self):
            return file.fileno()

    with (tmp_path / "h").open("ab", buffering=0) as file:
        disk = Disk()
        rows = history.HistoryFile(disk, tmp_path / "h")
        with pytest.raises(OSError, match=r"No space left on device: .*h'"):
            rows.add({"epoch": 1})
        disk.full = False
        rows.add({"epoch": 2})
    assert (tmp_path / "h").read_text() == '{"epoch": 1}\n{"epoch": 2}\n'
    assert rows.length == 26


def test_row_that_waits_is_written_with_the_next_checkpoint(tmp_path, monkeypatch, capsys):
    write = history.HistoryFile.write

    def fail_once(rows):
        if b'"epoch": 4' in rows.waiting and not failed:
            failed.append(1)
            raise OSError(28, "No space left on device")
        write(rows)

    failed = []
    monkeypatch.setattr(history.HistoryFile, "write", fail_once)
    train(RunFolder(tmp_path))
    assert "a row of the history waits, the training goes on" in capsys.readouterr().err
    assert [row["epoch"] for row in record.read(tmp_path)["history"]] == [1, 2, 3, 4]
    assert train(resume(tmp_path)) == train()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the names of open files")
def test_what_is_renamed_is_on_the_disk_before_and_its_name_after(tmp_path, monkeypatch):
    """A power cut then leaves the old file or the new one, and the history that belongs to it."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        fsync(descriptor)
        calls.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))

    def renamed(old, new):
        replace(old, new)
        calls.append(("rename", old.name, new.name))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    train(RunFolder(tmp_path, every="epoch"))
    last = 0
    for at, call in enumerate(calls):
        if call[0] == "rename" and call[2] != "previous.npz":
            assert ("sync", call[1]) in calls[last:at], call
            assert ("sync", tmp_path.name) in calls[at:], call
            if call[2] == "checkpoint.npz":
                assert ("sync", "history.jsonl") in calls[last:at], call
                last = at
    assert last > 0
