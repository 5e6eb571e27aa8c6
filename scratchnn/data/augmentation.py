"""Changing the images of a batch at random, each on its own: crops and flips.

`Dataset.augment` takes such functions, or one made of several:

    def augment(images, rng):
        return random_hflip(random_crop(images, 28, padding=2, rng=rng), rng=rng)
"""

from __future__ import annotations  # numpy.random need not be imported for a type

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scratchnn.data.geometry import hflip, pad, square, vflip


def random_crop(
    images: NDArray[Any],
    size: int | tuple[int, int],
    *,
    padding: int | Sequence[int] = 0,
    rng: np.random.Generator | int | None = None,
) -> NDArray[Any]:
    """Cut a window out of each image, all places inside the padded image being equally likely.

    Shapes   images (N, H, W) → (N, height, width)
    Raises   ValueError for a window larger than the padded image
    Torch    torchvision.transforms.RandomCrop, of each image
    """
    rng = np.random.default_rng(rng)
    padded = pad(images, padding)
    (N, H, W), (height, width) = padded.shape, square(size)
    if not (0 < height <= H and 0 < width <= W):
        raise ValueError(
            f"size must be from 1 up to the padded image's {(H, W)}, got {(height, width)}"
        )
    top, left = rng.integers(H - height + 1, size=N), rng.integers(W - width + 1, size=N)
    windows = sliding_window_view(padded, (height, width), axis=(1, 2))  # (N, tops, lefts, ...)
    cut: NDArray[Any] = windows[np.arange(N), top, left]
    return cut


def random_hflip(
    images: NDArray[Any], p: float = 0.5, *, rng: np.random.Generator | int | None = None
) -> NDArray[Any]:
    """Mirror left and right of each image with probability p.

    Raises   ValueError for a p outside [0, 1]
    Torch    torchvision.transforms.RandomHorizontalFlip, of each image
    """
    return _flip(hflip, images, p, rng)


def random_vflip(
    images: NDArray[Any], p: float = 0.5, *, rng: np.random.Generator | int | None = None
) -> NDArray[Any]:
    """Turn each image upside down with probability p.

    Raises   ValueError for a p outside [0, 1]
    Torch    torchvision.transforms.RandomVerticalFlip, of each image
    """
    return _flip(vflip, images, p, rng)


def _flip(
    flip: Callable[[NDArray[Any]], NDArray[Any]],
    images: NDArray[Any],
    p: float,
    rng: np.random.Generator | int | None,
) -> NDArray[Any]:
    if not 0 <= p <= 1:
        raise ValueError(f"p must be a probability in [0, 1], got {p}")
    chosen = np.random.default_rng(rng).random(len(images)) < p
    return np.where(chosen[:, None, None], flip(images), images)
