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
from parity.bounds import gamma
from parity.judge import compare
from scratchnn.data.resampling import interpolation_matrix, output_size
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


def resize_bound(images: Array, size: int | tuple[int, int], u: float) -> Array:
    """Bound Y = A X Bᵀ, with the weights A and B computed in this precision, too.

    ΔA |X| Bᵀ + A |X| ΔBᵀ,   ΔA that of `weights_bound`
    """
    H, W = images.shape[-2:]
    height, width = output_size(H, W, size)
    A, B = interpolation_matrix(H, height), interpolation_matrix(W, width)
    dA, dB = weights_bound(H, height, u), weights_bound(W, width, u)
    X = abs(images).astype(np.float64)
    return dA @ X @ B.T + A @ X @ dB.T


def weights_bound(length: int, new_length: int, u: float) -> Array:
    """Bound the error of a weight w_ij = v_ij / Σ_k v_ik, and of the inner product that it is in.

        δ = (2 min(length, new_length) + 8) u
        Δw_ij = (δ [v_ij > -δ] + w_ij m δ) / Σ_k v_ik + 2 γ(m + 1) w_ij

    δ is the error of v = 1 - |j + 1/2 - c| / f, with f = max(s, 1): s and c = (i + 1/2) s are off
    by 2 u c ≤ 2 u length, the difference by 2 u (f + 1) more, and length / f is that minimum. m is
    the number of weights that are not 0; summing m of them, dividing, and the inner product round.
    """
    s = length / new_length
    centre = (np.arange(new_length)[:, None] + 0.5) * s
    v = 1 - abs(np.arange(length) + 0.5 - centre) / max(s, 1.0)
    delta = (2 * min(length, new_length) + 8) * u
    reached = v > -delta
    m = reached.sum(axis=1, keepdims=True)
    total = np.maximum(v, 0).sum(axis=1, keepdims=True)
    w = np.maximum(v, 0) / total
    growth = np.vectorize(gamma)(m + 1, u)
    return (delta * reached + w * m * delta) / total + 2 * growth * w
