"""What many tests share: comparison within a computed bound, and derivatives without formulas."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from parity import bounds
from parity.judge import compare
from scratchnn.ops.shared import Array

N, D, H, C = 5, 3, 7, 4  # distinct, so that a transpose cannot hide
DTYPES = (np.float32, np.float64)


def assert_within(actual: Array, expected: Array, bound: Array) -> None:
    """Assert that two results with rounding errors up to `bound` each agree."""
    actual = np.asarray(actual)
    expected = np.asarray(expected, actual.dtype)
    difference = compare("result", actual, expected, bounds.tolerance(bound, actual.dtype))
    assert difference.holds, str(difference)


def complex_step_vjp(f: Callable[[Array], Array], x: Array, dy: Array) -> Array:
    """Return Σ dy · ∂f/∂x_k for every k, from Im f(x + ih e_k) / h, exact to rounding.

    Source   Squire & Trapp 1998, doi:10.1137/S003614459631241X
    """
    h = 1e-100
    dx = np.empty_like(x)
    for k in np.ndindex(x.shape):
        z = x.astype(complex)
        z[k] += 1j * h
        dx[k] = np.sum(dy * f(z).imag / h)
    return dx


def torchvision() -> ModuleType:
    """Return torchvision, or skip the test with the reason why it cannot be imported."""
    try:
        import torchvision
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        pytest.skip(f"torchvision cannot be imported: {error}")
    return torchvision


def unpacked(folder: Path, name: str, into: Path) -> Path:
    """Unpack a data set in torchvision's layout, as torchvision wants it; return the new root."""
    raw = into / name / "raw"
    raw.mkdir(parents=True)
    for packed in (folder / name / "raw").glob("*.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    return into
