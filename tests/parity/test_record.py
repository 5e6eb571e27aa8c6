"""Recording torch, and replaying what was recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parity.__main__ import main
from parity.training import golden
from parity.training.golden import replay
from scratchnn import recipes
from scratchnn.layers import Sigmoid


def test_record_writes_what_replay_reads(tmp_path, capsys):
    arguments = ["record", "--recipe", "softmax-regression", "--device", "cpu", "--steps", "3"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    names = {"float32", "float64", "tf32"}
    assert {path.name for path in tmp_path.iterdir()} == {
        f"softmax-regression-cpu-{name}.npz" for name in names
    }
    for path in tmp_path.iterdir():
        found = golden.load(path)
        assert found.facts["steps"] == 3
        assert replay(found).holds


def test_record_repeats_itself(tmp_path):
    """The committed recording is what this machine's torch computes, but for rounding."""
    arguments = ["record", "--recipe", "mlp", "--device", "cpu", "--dtype", "float64"]
    assert main([*arguments, "--steps", "2", "--out", str(tmp_path)]) == 0
    now = golden.load(tmp_path / "mlp-cpu-float64.npz")
    then = golden.load(golden.FOLDER / "mlp-cpu-float64.npz")
    assert now.facts["start"] == then.facts["start"]
    assert abs(now.arrays["theta"] - then.arrays["theta"][:2]).max() <= then.facts["allowed"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_record_keeps_what_other_activations_put_out(monkeypatch, tmp_path, dtype):
    recipe = recipes.get("mlp").on("digits", activation="sigmoid", batch_size=8)
    facts, arrays = golden.record(recipe, torch.device("cpu"), dtype, "ieee", 1, 2)
    golden.save(tmp_path / "sigmoid.npz", facts, arrays)
    found = golden.load(tmp_path / "sigmoid.npz")
    assert replay(found).holds
    assert {"a_1", "da_1", "a_4", "da_4"} <= set(arrays) or dtype == "float64"
    monkeypatch.setattr(Sigmoid, "forward", lambda self, z: np.tanh(z))
    assert not replay(found).holds


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_record_on_cuda(tmp_path):
    arguments = ["record", "--recipe", "mlp", "--device", "cuda", "--steps", "3"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    for path in tmp_path.iterdir():
        assert replay(golden.load(path)).holds
