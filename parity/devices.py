"""CPU or CUDA; precision, determinism and threads, set in one place and recorded in every result.

torch 2.9 renamed its precision switches, and raises where both names were used. At the end stands
TF32 for any machine: products whose factors keep 10 bits. Their errors must exceed the float32
bounds.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

import scratchnn
from parity.digits import Precision
from scratchnn.extras import need


def prepare(name: str | None = None, *, deterministic: bool = True) -> torch.device:
    """Make torch's results precise and repeatable, and return a device.

    float32 then means IEEE float32, and not TF32, which keeps 10 bits of the 23.

    Options  name            "cpu" or "cuda"; default: CUDA where there is a GPU
             deterministic   torch gives the same bits each time, and raises where it cannot
    Raises   ValueError for CUDA where there is none
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be one that torch can use here, got cuda: there is no GPU")
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    _set_precision("ieee")
    torch.use_deterministic_algorithms(deterministic)
    return device


@contextmanager
def prepared(name: str) -> Iterator[torch.device]:
    """Prepare a device for a block; then torch is as deterministic as it was.

    Options  name   "cpu" or "cuda"
    Raises   ValueError for CUDA where there is none
    """
    before = torch.are_deterministic_algorithms_enabled()
    try:
        yield prepare(name)
    finally:
        torch.use_deterministic_algorithms(before)


def available() -> list[str]:
    """Return the names of the devices that torch can use here."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Limit NumPy's and torch's threads in a block.

    Options  number   how many; None: no limit
    Raises   MissingExtraError
    """
    if number is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with need("threadpoolctl", "cli").threadpool_limits(number):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def products(device: torch.device | str, precision: Precision) -> Iterator[None]:
    """Have torch multiply float32 matrices in this precision, in a block.

    On a CPU, TF32 is simulated, for torch.nn.Linear and torch.nn.functional.linear.

    Options  device      of the products
             precision   "ieee" or "tf32"
    """
    if precision == "ieee":
        yield
    elif torch.device(device).type == "cuda":
        _set_precision("tf32")
        try:
            yield
        finally:
            _set_precision("ieee")
    else:
        with patch("torch.nn.functional.linear", tf32_linear):
            yield


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work, so that the time can be measured."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def environment(device: torch.device) -> dict[str, object]:
    """Return what a result depends on: versions, processors, precision, threads, commit.

    Options  device   the one that torch computed on
    """
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    facts: dict[str, object] = {
        "scratchnn": scratchnn.__version__,
        "commit": _output("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas.get('version', '')}".strip(),
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


def _cuda(device: torch.device) -> dict[str, object]:
    properties = torch.cuda.get_device_properties(device)
    packages = {str(found.metadata["Name"]): found.version for found in metadata.distributions()}
    cublas = sorted(name for name in packages if "nvidia-cublas" in name)  # of torch's wheels
    return {
        "gpu": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        "cuda": torch.version.cuda,
        "cublas": packages[cublas[0]] if cublas else None,
        "cudnn": torch.backends.cudnn.version(),
        "cublas workspace": os.environ["CUBLAS_WORKSPACE_CONFIG"],
    }


def _set_precision(precision: Precision) -> None:
    """Set the switches that this torch has: those of 2.9 and later, or the older ones."""
    matmul, cudnn = torch.backends.cuda.matmul, cast(Any, torch.backends.cudnn)
    if hasattr(matmul, "fp32_precision"):
        for part in (matmul, cudnn.conv, cudnn.rnn):
            part.fp32_precision = precision
    else:
        matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"


def _matmul_precision() -> str:
    matmul = torch.backends.cuda.matmul
    older = {True: "tf32", False: "ieee"}
    return getattr(matmul, "fp32_precision", None) or older[matmul.allow_tf32]


def _blas_threads() -> int | None:
    """Return how many threads NumPy's BLAS may use, where threadpoolctl is there to tell."""
    try:
        from threadpoolctl import threadpool_info
    except ModuleNotFoundError:
        return None
    numbers = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(numbers, default=None)


def _cpu() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _output(*command: str) -> str | None:
    """Return what a command prints, None where it fails or is not there."""
    here, quiet = Path(__file__).parent, subprocess.DEVNULL
    try:
        output = subprocess.check_output(command, cwd=here, stderr=quiet, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return output.strip()


def shorten(x: Tensor) -> Tensor:
    """Round float32 to the 10 bits of mantissa that TF32 keeps; halves go up."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


class TF32Product(torch.autograd.Function):
    """X Wᵀ as the tensor cores of NVIDIA compute it: of shortened factors, also backwards."""

    @staticmethod
    def forward(ctx: Any, X: Tensor, W: Tensor) -> Tensor:
        ctx.save_for_backward(X, W)
        return shorten(X) @ shorten(W).T

    @staticmethod
    def backward(ctx: Any, dY: Tensor) -> tuple[Tensor, Tensor]:
        dY, X, W = (shorten(factor) for factor in (dY, *ctx.saved_tensors))
        return dY @ W, dY.reshape(-1, dY.shape[-1]).T @ X.reshape(-1, X.shape[-1])


def tf32_linear(X: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """Return X Wᵀ + b, with the product of float32 matrices as in TF32.

    Shapes   X (..., D), W (H, D), b (H,) → (..., H)
    """
    Y = TF32Product.apply(X, W) if X.dtype == torch.float32 else X @ W.T
    return Y if b is None else Y + b
