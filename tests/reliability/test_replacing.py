"""--overwrite: at every moment the folder holds one whole run, the old one or the new one."""

import json
import os
import shutil
import signal

import pytest

from scratchnn import RunFolder, checkpoint, resume
from scratchnn.data import files
from scratchnn.run import record
from scratchnn.run.replacing import REPLACED, current, replacing
from tests.reliability.training import FILES, FullDisk, train

if not hasattr(os, "fork"):
    pytest.skip("the faults happen to forks", allow_module_level=True)

from tests.reliability.harness import Found, Tripwire, check_whole, folder, result, run

ONE = ["train", "softmax-regression", "--epochs", "1"]
OLD = [*ONE, "--seed", "7"]


def content(path):
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


@pytest.fixture
def old():
    """A run with pictures and a file of somebody's own."""
    with folder() as path:
        assert run([*OLD, "--gradients", "--out", str(path)]).status == 0
        for name in ("curves.svg", "report.html", "mine"):
            (path / name).write_text("old")
        yield path


OF_OLD = {"curves.svg", "report.html", "gradients.jsonl"}


class Telling(Tripwire):
    """Tells what is called: the first letter of each call's name goes into a pipe."""

    def __init__(self):
        super().__init__()
        self.read, self.end = os.pipe()

    def trip(self, name):
        os.write(self.end, name[:1].encode())
        return super().trip(name)


def calls_to_try(path):
    """Yield the numbers of the calls of a run with --overwrite: of many writes in a row the first.

    NumPy writes an array in dozens of pieces.
    """
    wire = Telling()
    assert run([*ONE, "--overwrite", "--out", str(path)], wire.install).status == 0
    names = os.read(wire.read, 10_000).decode()
    return (n for n in range(1, len(names)) if names[n - 1 : n + 1] != "ww")


def test_old_run_or_new_one_is_whole_after_a_kill_in_each_call(old):
    """Readers find it at once, and `--resume` goes on with it."""
    seeds, found = [], Found()
    shutil.copytree(old, old.with_name("counted"))
    for at in calls_to_try(old.with_name("counted")):
        path = old.with_name(str(at))
        shutil.copytree(old, path)
        ended = run([*ONE, "--overwrite", "--out", str(path)], Tripwire(at).install)
        assert ended.status == -signal.SIGKILL
        check_whole(current(path), found, f"call {at}")
        seeds.append(record.read(path)["settings"]["seed"])
        assert checkpoint.load(path)[1]["run"] == record.read(path)["run"]
        assert run(["train", "--resume", str(path)]).status == 0
        check_whole(path, found, f"call {at}, and gone on")
        left = {file.name for file in path.iterdir()} - set(FILES)
        assert left == {"mine"} | (OF_OLD if seeds[-1] == 7 else set())
        assert (result(path) == result(old)) == (seeds[-1] == 7)
        if seeds.count(1) == 2:  # the new one
            break
    assert not found.wrong
    assert seeds == sorted(seeds, reverse=True)
    assert len(seeds) > 30


def test_folder_whose_replacement_was_killed_still_holds_a_run(old, monkeypatch):
    class Killed(BaseException):
        pass

    def place(*_, **__):
        raise Killed

    monkeypatch.setattr(files, "place", place)
    with pytest.raises(Killed):
        train(RunFolder(old, overwrite=True))
    monkeypatch.undo()
    assert (old / REPLACED).is_dir()
    assert not (old / "run.json").exists()
    assert record.read(old)["settings"]["seed"] == 7
    with pytest.raises(FileExistsError, match=r"holds a run \(run.json, checkpoint.npz"):
        RunFolder(old)
    train(RunFolder(old, overwrite=True))
    assert sorted(content(old)) == sorted([*FILES, "mine"])


def test_full_disk_leaves_the_old_run(old, monkeypatch):
    before, disk = content(old), FullDisk(monkeypatch)
    disk.full = True
    with pytest.raises(OSError, match="No space left"):
        train(RunFolder(old, overwrite=True))
    assert content(old) == before
    assert sorted(path.name for path in old.iterdir()) == sorted(before)


def test_run_is_replaced_where_the_file_system_has_no_links(old, monkeypatch):
    def link(*_):
        raise OSError(1, "no links here")

    monkeypatch.setattr(os, "link", link)
    before, place = content(old), files.place

    def full_later(path, write, **options):
        if path.name == "checkpoint.npz":
            raise OSError(28, "No space left on device", str(path))
        place(path, write, **options)

    monkeypatch.setattr(files, "place", full_later)
    with pytest.raises(OSError, match="No space left"):
        train(RunFolder(old, overwrite=True))
    assert content(old) == before
    monkeypatch.setattr(files, "place", place)
    assert train(RunFolder(old, overwrite=True)) == train()


def test_run_of_version_0_1_stays_until_the_new_one_is_saved(tmp_path, monkeypatch):
    (tmp_path / "parameters.npz").write_bytes(b"old")
    (tmp_path / "history.json").write_text(json.dumps({}))
    before, disk = content(tmp_path), FullDisk(monkeypatch)
    disk.full = True
    with pytest.raises(OSError, match="No space left"):
        train(RunFolder(tmp_path, overwrite=True))
    assert {**content(tmp_path), "history.jsonl": b""} == {**before, "history.jsonl": b""}
    disk.full = False
    train(RunFolder(tmp_path, overwrite=True))
    assert sorted(content(tmp_path)) == FILES
    assert train(resume(tmp_path)) == train()


def test_network_without_a_history_is_replaced_and_brought_back(tmp_path):
    """As `scratchnn import` leaves it; a folder without a run stays as it is."""

    def replaced_by(name, text, error=None):
        with replacing(tmp_path, ("checkpoint.npz", "history.jsonl")):
            (tmp_path / name).write_text(text)
            if error:
                raise error

    replaced_by("checkpoint.npz", "old")
    assert content(tmp_path) == {"checkpoint.npz": b"old"}
    for name in ("checkpoint.npz", "history.jsonl"):
        with pytest.raises(ValueError, match="planted"):
            replaced_by(name, "half", ValueError("planted"))
        assert content(tmp_path) == {"checkpoint.npz": b"old", "history.jsonl": b""}
