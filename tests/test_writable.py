"""What cannot be written is found before the work, and not after it."""

import pytest

from parity.cli import main as parity
from scratchnn import checkpoint, mlp
from scratchnn.data import files
from scratchnn.run import cli
from scratchnn.run.look import compare, report


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("afile/x.json", "afile is a file: name a folder"),
        ("afile/deep/x.json", "afile is a file: name a folder"),
        ("folder", "folder is a folder: name a file"),
    ],
)
def test_a_file_that_could_not_be_written(tmp_path, place, words):
    (tmp_path / "afile").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=words):
        files.check_place(tmp_path / place)
    files.check_place(tmp_path / "new" / "x.json")  # its folder is made later
    files.check_place(tmp_path / "afile")
    files.check_place(tmp_path / "folder" / "x.json")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["afile", "folder"]


def test_a_file_that_is_read_only(tmp_path, monkeypatch):
    (tmp_path / "afile").touch()
    monkeypatch.setattr(files.os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(PermissionError, match="afile"):
        files.check_place(tmp_path / "afile")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "softmax-regression", "--out", "afile"],
        ["train", "softmax-regression", "--json", "afile/x.json"],
        ["check", "x.py:softmax", "--op", "softmax", "--html", "afile/x.html"],
        ["ops", "--json", "afile/x.json"],
        ["accuracy", "--json", "afile/x.json"],
        ["mutants", "--json", "afile/x.json"],
        ["record", "--out", "afile"],
    ],
)
def test_parity_finds_it_before_the_work(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "afile").touch()
    assert parity(arguments) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("afile is a file: name a folder\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "run", "--html", "afile/x.html"],
        ["compare", "run", "--html", "afile/x.html"],
        ["data", "show", "digits", "--out", "afile"],
    ],
)
def test_scratchnn_finds_it_before_the_work(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "afile").touch()
    checkpoint.save("run/checkpoint.npz", mlp.init([2, 1]))
    for module in (report, compare):
        monkeypatch.setattr(module, "make", None)  # nobody comes to make the page
    assert cli.main(arguments) == 3
    assert capsys.readouterr() == ("", "scratchnn: afile is a file: name a folder\n")


def test_an_error_of_the_system_names_the_file_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "afile").touch()
    assert cli.main(["train", "softmax-regression", "--out", "afile/run"]) == 3
    assert capsys.readouterr().err.splitlines()[-1] == "scratchnn: afile/run: Not a directory"
