"""CPU or CUDA; precision, determinism and threads, set in one place and recorded in every result.

torch 2.9 renamed its precision switches, and refuses to run where both names were used.

    tf32.py      products of 10 bits on any machine, to be refused
    __init__.py  the rest
"""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch

import scratchnn
from parity.devices import tf32
from scratchnn.extras import need

Precision: TypeAlias = Literal["ieee", "tf32"]  # of products of float32 matrices


def prepare(name: str | None = None, *, deterministic: bool = True) -> torch.device:
    """Make torch exact and repeatable; return the device of this name, or CUDA where there is one.

    float32 is made to mean IEEE float32: no TF32, which keeps 10 bits of the 23. `deterministic`
    algorithms alone give the same bits each time; some operations on CUDA have none, and raise.

    Raises   ValueError for CUDA where there is none
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be one that torch can use here, got cuda: there is no GPU")
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    _set_precision("ieee")
    torch.use_deterministic_algorithms(deterministic)
    return device


def available() -> list[str]:
    """Return the names of the devices that torch can use here."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Limit NumPy's and torch's threads in a block, or leave them as they are.

    Raises   MissingExtraError
    """
    if number is None:
        yield
        return
    limits, before = need("threadpoolctl", "cli").threadpool_limits, torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with limits(number):
            yield
    finally:
        torch.set_num_threads(before)


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


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a result depends on: versions, processors, precision, threads, commit."""
    facts: dict[str, Any] = {
        "scratchnn": scratchnn.__version__,
        "commit": _output("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "blas threads": _blas_threads(),
        "torch": torch.__version__,
        "torch threads": torch.get_num_threads(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "device": device.type,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "float32 products": _matmul_precision(),
    }
    return facts | _cuda(device) if device.type == "cuda" else facts


def _cuda(device: torch.device) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    return {
        "gpu": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "cuda": torch.version.cuda,
        "cublas": _cublas(),
        "cudnn": torch.backends.cudnn.version(),
        "cublas workspace": os.environ["CUBLAS_WORKSPACE_CONFIG"],
    }


def _set_precision(precision: Precision) -> None:
    """Set the switches that this torch has: those of 2.9 and later, or the older ones."""
    matmul, cudnn = torch.backends.cuda.matmul, cast(Any, torch.backends.cudnn)
    if hasattr(matmul, "fp32_precision"):
        matmul.fp32_precision = precision
        cudnn.conv.fp32_precision = precision
        cudnn.rnn.fp32_precision = precision
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


def _blas_threads() -> int | None:
    """Return how many threads NumPy's BLAS may use, where threadpoolctl is there to tell."""
    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:
        return None
    numbers = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(numbers, default=None)


def _cpu() -> str:
    """Return the processor's name, as the kernel has it on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _cublas() -> str | None:
    """Return the version of the package that torch's wheels take cuBLAS from."""
    packages = {str(found.metadata["Name"]): found.version for found in metadata.distributions()}
    return next((packages[name] for name in sorted(packages) if "nvidia-cublas" in name), None)


def _output(*command: str) -> str | None:
    """Return what a command prints, None where it fails or is not there."""
    try:
        return subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
            timeout=10,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
