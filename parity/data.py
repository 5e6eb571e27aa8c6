"""The data side: torch's way to minibatches, and how far resized floats may be off."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from parity.bounds import gamma
from scratchnn.arrays import Array
from scratchnn.data.resampling import interpolation_matrix, output_size


def loaded_batches(
    dataset: Any,
    order: Sequence[int],
    batch_size: int,
    *,
    drop_last: bool = False,
    workers: int = 0,
) -> list[tuple[Array, Array]]:
    """Return the minibatches that torch's DataLoader makes of a data set in this order.

    Shapes   X (batch, D), its images flattened; target (batch,)
    """
    loader = DataLoader(
        dataset,
        batch_size,
        sampler=list(order),
        drop_last=drop_last,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,  # a fork would copy held locks
    )
    return [(torch.flatten(X, 1).numpy(), target.numpy()) for X, target in loader]


def resize(images: Array, size: int | tuple[int, int], u: float) -> Array:
    """Bound Y = A X Bᵀ, with the weights A and B computed in this precision, too.

    ΔA |X| Bᵀ + A |X| ΔBᵀ,   ΔA that of `interpolation_weights`
    """
    H, W = images.shape[-2:]
    height, width = output_size(H, W, size)
    A, B = interpolation_matrix(H, height), interpolation_matrix(W, width)
    dA, dB = interpolation_weights(H, height, u), interpolation_weights(W, width, u)
    X = abs(images).astype(np.float64)
    bound: Array = dA @ X @ B.T + A @ X @ dB.T
    return bound


def interpolation_weights(length: int, new_length: int, u: float) -> Array:
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
    bound: Array = (delta * reached + w * m * delta) / total + 2 * growth * w
    return bound
