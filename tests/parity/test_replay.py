"""Recordings of torch, checked with NumPy alone; nothing here imports torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from parity.__main__ import main
from parity.training import golden
from parity.training.golden import replay
from scratchnn.data import DataError
from scratchnn.layers import ReLU
from scratchnn.optim import SGD
from scratchnn.run.recipes import RECIPES

FILES = sorted(golden.FOLDER.glob("*.npz"))
KINDS = ("float32", "float64", "tf32")
ROOT = Path(__file__).parents[2]


def recording(name):
    return golden.load(golden.FOLDER / f"{name}.npz")


def test_every_recipe_is_recorded_in_every_precision():
    names = {file.stem for file in FILES}
    assert {f"{recipe}-cpu-{kind}" for recipe in RECIPES for kind in KINDS} <= names


def test_recordings_are_small_and_say_where_they_come_from():
    assert sum(file.stat().st_size for file in FILES) < 3_000_000
    for file in FILES:
        facts = golden.load(file).facts
        assert facts["environment"]["torch"]
        assert facts["environment"]["device"] == facts["device"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_recording_holds(file):
    result = replay(golden.load(file))
    assert result.holds, str(result)


@pytest.mark.parametrize("recipe", RECIPES)
def test_tf32_judged_as_float32_fails(recipe):
    result = replay(recording(f"{recipe}-cpu-tf32"), "ieee")
    assert not result.holds
    assert "FAILS, judged as ieee: layer 1 z[" in str(result)


def test_replay_needs_numpy_alone():
    code = (
        "import sys\n"
        "for name in ('torch', 'mpmath', 'gmpy2', 'scipy', 'matplotlib', 'hypothesis'):\n"
        "    sys.modules[name] = None\n"
        "from parity.__main__ import main\n"
        "sys.exit(main(['replay']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(FILES)} of {len(FILES)} recordings hold" in done.stdout
    assert f"numpy {np.__version__}" in done.stdout.splitlines()[0]


def plant_momentum(monkeypatch):
    def velocity(self, g):
        self.state["velocity"] = 0.9 * self.state.get("velocity", 0) + g
        return self.state["velocity"]

    monkeypatch.setattr(SGD, "_velocity", velocity)


def plant_layout(monkeypatch):
    """Weights read as torch keeps them, (H, D)."""
    wrong = lambda X, W, b: X @ W.reshape(W.shape[::-1]).T + b  # noqa: E731
    monkeypatch.setattr("scratchnn.layers.affine", wrong)


def plant_relu(monkeypatch):
    monkeypatch.setattr(ReLU, "backward", lambda self, dy, z, y: dy)


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (plant_momentum, "float64"),
        (plant_layout, "float64"),
        (plant_layout, "float32"),
        (plant_relu, "float64"),
        (plant_relu, "float32"),
    ],
)
def test_replay_fails_on_a_planted_bug(monkeypatch, plant, kind):
    plant(monkeypatch)
    assert not replay(recording(f"mlp-cpu-{kind}")).holds


def test_main_fails_where_a_recording_does(monkeypatch, capsys):
    plant_layout(monkeypatch)
    assert main(["replay", str(golden.FOLDER / "softmax-regression-cpu-float64.npz")]) == 1
    assert "0 of 1 recordings hold" in capsys.readouterr().out


def test_replay_fails_where_a_bound_says_nothing(monkeypatch):
    """A recording ends before training diverges: so the bounds must say something."""
    monkeypatch.setattr("parity.bounds.linear", lambda X, W, b, **_: np.full((len(X), 1), np.inf))
    result = replay(recording("mlp-cpu-float32"))
    assert not result.holds
    assert str(result).endswith(
        "FAILS, judged as ieee: the bound of layer 1 z is infinite or NaN, and says nothing"
    )


def damaged(path, tmp_path, **changes):
    with np.load(path) as content:
        arrays = {name: content[name] for name in content.files} | changes
    np.savez(tmp_path / "damaged.npz", **arrays)
    return tmp_path / "damaged.npz"


def test_replay_refuses_a_damaged_recording(tmp_path, capsys):
    path = golden.FOLDER / "linear-regression-cpu-float64.npz"
    losses = recording(path.stem).arrays["losses"].copy()
    losses[3] = np.nextafter(losses[3], 1)
    assert main(["replay", str(damaged(path, tmp_path, losses=losses))]) == 3
    assert "does not match its SHA-256" in capsys.readouterr().err


def test_replay_refuses_what_is_no_recording(tmp_path, capsys):
    (tmp_path / "other.npz").write_bytes(b"nothing")
    assert main(["replay", str(tmp_path / "other.npz")]) == 3
    assert "expected a recording of `parity record`" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none.npz")]) == 3
    assert "none.npz is missing" in capsys.readouterr().err


def test_replay_refuses_another_start(monkeypatch):
    monkeypatch.setattr(golden, "start_digest", lambda parameters: "another")
    with pytest.raises(DataError, match="seed 1 leads to another start"):
        replay(recording("linear-regression-cpu-float64"))
