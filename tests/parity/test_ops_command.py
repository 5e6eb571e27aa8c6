"""python -m parity ops: what it prints, saves and returns."""

import json
import re
import subprocess
import sys

import pytest
import torch

from parity.cli import main

WITHOUT_A_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
QUICK = ["--examples", "3", "--op", "sigmoid", "linear"]  # with both variants of linear


def run(capsys, *arguments):
    status = main(["ops", *arguments])
    return status, *capsys.readouterr()


def test_ops_prints_the_matrix_and_saves_it(capsys, tmp_path):
    files = [str(tmp_path / name) for name in ("ops.json", "ops.html")]
    status, output, _ = run(
        capsys, *QUICK, "--device", "cpu", "--json", files[0], "--html", files[1]
    )
    assert status == 0
    cells = [tuple(line[:42].rsplit(maxsplit=1)) for line in output.splitlines()[2:10]]
    assert [(name.strip(), dtype) for name, dtype in cells] == [
        ("linear", "float32"),
        ("linear, without a bias", "float32"),
        ("sigmoid", "float32"),
        ("linear", "float64"),
        ("linear, without a bias", "float64"),
        ("sigmoid", "float64"),
        ("linear", "tf32"),
        ("linear, without a bias", "tf32"),
    ]
    assert "linear in TF32, judged as float32: refused in 3 of 3 cases, as it must be" in output
    assert "8 of 8 cells (operation × precision) hold" in output
    assert f"saved {files[0]}, {files[1]}" in output
    found = json.loads((tmp_path / "ops.json").read_text())
    assert found["settings"] == {
        "devices": ["cpu"],
        "dtype": "all",
        "examples": 3,
        "bounds": "mixed",
        "seed": 0,
    }
    assert found["environment"]["torch threads"] == 1
    assert "<svg" in (tmp_path / "ops.html").read_text(encoding="utf-8")


def test_ops_fails_and_prints_the_smallest_case(capsys, monkeypatch):
    monkeypatch.setattr(torch.nn.functional, "sigmoid", torch.tanh)
    status, output, _ = run(capsys, *QUICK, "--dtype", "float64", "--bounds", "worst-case")
    assert status == 1
    assert "2 of 3 cells" in output
    assert "sigmoid in float64: torch cpu left its bound. The smallest case:" in output
    assert "judge(OPS['sigmoid'], case, dy_seed=0, on=['cpu'" in output
    assert "with bounds.analysis('worst-case'):" in output


def columns_of(line):
    """Return the cells of a line that are numbers: two of each side, NumPy and torch."""
    return [line[at : at + 8].strip() for at in (51, 60, 70, 79)]


def test_ops_says_that_torch_has_no_such_operation(capsys, monkeypatch, tmp_path):
    monkeypatch.delattr("torch.nn.functional.sigmoid")
    monkeypatch.delattr("parity.theirs.linear")
    monkeypatch.delattr("torch.nn.functional.linear")
    files = [str(tmp_path / name) for name in ("ops.json", "ops.html")]
    saved = "--json", files[0], "--html", files[1]
    status, output, _ = run(capsys, *QUICK, "--device", "cpu", *saved)
    assert status == 0
    for line in output.splitlines()[2:10]:
        ours, _, *torchs = columns_of(line)
        assert ours.endswith("%")
        assert torchs == ["-", "-"]
        assert line.endswith(", missing: torch's side")
    assert "8 of 8 cells" in output
    names = ("linear", "linear, without a bias", "sigmoid")
    words = "".join(f"; missing in {name}: torch's side" for name in names)
    assert words in output
    assert "judged as float32" not in output
    found = json.loads((tmp_path / "ops.json").read_text())
    assert [cell["missing"] for cell in found["results"]] == [["theirs"]] * 8
    assert found["verdict"].endswith(words)
    assert "missing in sigmoid: torch" in (tmp_path / "ops.html").read_text(encoding="utf-8")


def test_ops_fails_where_a_bound_or_a_right_answer_is_missing(capsys, monkeypatch):
    monkeypatch.delattr("parity.oracle.sigmoid_backward")
    monkeypatch.delattr("parity.bounds.sigmoid_backward")
    status, output, _ = run(capsys, *QUICK, "--dtype", "float32", "--device", "cpu")
    assert status == 1
    linear, _, sigmoid = output.splitlines()[2:5]
    assert all(columns_of(linear))
    assert columns_of(sigmoid) == ["-"] * 4
    words = "the right gradient, the gradient's bound"
    assert sigmoid.endswith(f"  FAILS, missing: {words}")
    assert "2 of 3 cells (operation × precision) hold, value and gradients, over" in output
    assert f"; missing in sigmoid: {words}" in output
    assert "has no sigmoid_backward yet: it must be written there" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--op", "sofmax"], "--op must be of linear; .*; got sofmax"),
        (["--examples", "0"], "must be a whole number from 1 up"),
        (["--bounds", "none"], "invalid choice"),
        (["--dtype", "tf32", "--op", "relu"], "tf32 is for operations that multiply matrices"),
        pytest.param(["--device", "cuda"], "got cuda: there is no GPU", marks=WITHOUT_A_GPU),
    ],
)
def test_ops_refuses_wrong_usage_with_status_2(capsys, arguments, message):
    try:
        status, output, error = run(capsys, *arguments)
    except SystemExit as end:
        status, (output, error) = end.code, capsys.readouterr()
    assert (status, output) == (2, "")
    assert re.search(message, error)


@pytest.mark.parametrize(
    "missing", [["hypothesis"], ["mpmath"], ["matplotlib"], ["mpmath", "matplotlib"]]
)
def test_ops_names_all_that_is_missing_and_one_extra(capsys, monkeypatch, tmp_path, missing):
    for package in missing:
        monkeypatch.setitem(sys.modules, package, None)
    status, _, error = run(capsys, *QUICK, "--html", str(tmp_path / "ops.html"))
    assert status == 2
    assert f"needs {' and '.join(missing)}, " in error
    assert "pip install -e '.[parity]'" in error


def test_ops_leaves_nothing_in_the_working_folder(tmp_path):
    command = [sys.executable, "-m", "parity", "ops", "--op", "relu", "--dtype", "float32"]
    subprocess.run([*command, "--examples", "3", "--device", "cpu"], cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())
