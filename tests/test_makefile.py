"""What `make demo` would run, with torch for CUDA and without. Nothing is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
    pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="a checkout alone has a Makefile"),
]


def commands(*arguments):
    """Return the lines that make would run, as if .venv were still to be set up."""
    made = ["make", "-n", "-W", "pyproject.toml", "demo", *arguments]
    env = {n: v for n, v in os.environ.items() if n not in ("MAKEFLAGS", "MFLAGS", "CPU")}
    ran = subprocess.run(made, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return ran.stdout.replace("\\\n", "").splitlines()


def test_demo_says_first_how_much_it_fetches():
    said, *ran = [line for line in commands() if line.startswith(("echo", ".venv"))]
    assert "6 GB" in said
    assert "make demo CPU=1" in said
    assert "--index-url" not in "".join(ran)
    assert "-m parity train softmax-regression" in ran[-1]


def test_demo_without_cuda_installs_torch_for_the_cpu_before_all_else():
    said, torch, rest, *_ = [
        line for line in commands("CPU=1") if line.startswith(("echo", ".venv"))
    ]
    assert "torch for the CPU" in said
    assert torch.endswith("--index-url https://download.pytorch.org/whl/cpu torch torchvision")
    assert rest.endswith("--editable '.[tests]'")
