"""Recording torch, and replaying what was recorded."""

import pytest
import torch

from parity import golden
from parity.__main__ import main
from parity.golden.replay import replay


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_record_on_cuda(tmp_path):
    arguments = ["record", "--recipe", "mlp", "--device", "cuda", "--steps", "3"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    for path in tmp_path.iterdir():
        assert replay(golden.load(path)).holds
