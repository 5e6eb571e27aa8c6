"""CPU or CUDA; precision and determinism, set in one place and recorded in every result."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch

import scratchnn
from parity import tf32

Precision: TypeAlias = Literal["ieee", "tf32"]  # of products of float32 matrices


def choose(name: str | None = None) -> torch.device:
    """Return the device of this name, or CUDA where there is one and the CPU elsewhere.

    float32 is made to mean IEEE float32: no TF32, which keeps 10 bits of the 23.

    Raises   ValueError for CUDA where there is none
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be one that torch can use here, got cuda: there is no GPU")
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    _set_precision("ieee")
    torch.use_deterministic_algorithms(True)
    return device


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a result depends on: versions, processor, precision, threads, commit."""
    facts: dict[str, Any] = {
        "scratchnn": scratchnn.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "torch": torch.__version__,
        "torch threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "device": device.type,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {
            "gpu": properties.name,
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "float32 products": _matmul_precision(),
            "cublas workspace": os.environ["CUBLAS_WORKSPACE_CONFIG"],
        }
    return facts


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def products(device: torch.device | str, precision: Precision) -> Iterator[None]:
    """Multiply float32 matrices in this precision; TF32 is simulated where there is no CUDA."""
    if precision == "ieee":
        yield
    elif torch.device(device).type == "cuda":
        _set_precision("tf32")
        try:
            yield
        finally:
            _set_precision("ieee")
    else:
        with tf32.simulated():
            yield


def _set_precision(precision: Precision) -> None:
    matmul, cudnn = torch.backends.cuda.matmul, cast(Any, torch.backends.cudnn)
    if hasattr(matmul, "fp32_precision"):  # torch >= 2.9; setting both APIs raises
        matmul.fp32_precision = precision
        cudnn.conv.fp32_precision = precision
    else:
        matmul.allow_tf32 = precision == "tf32"
        cudnn.allow_tf32 = precision == "tf32"


def _matmul_precision() -> str:
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, "fp32_precision"):
        return str(matmul.fp32_precision)
    return "tf32" if matmul.allow_tf32 else "ieee"


def _blas() -> str:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas.get('version', '')}".strip()


def _commit() -> str | None:
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None  # not a checkout
