"""Random crops and flips: each image of a batch is changed separately.

`Dataset.augment` takes such functions, or one made of several:

    def augment(images, rng):
        return random_hflip(random_crop(images, 28, padding=2, rng=rng), rng=rng)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from scratchnn.data.geometry import check_images_in_rows, hflip, pad, square, vflip
from scratchnn.ops.shared import AnyArray, check_number, generator


def random_crop(
    images: AnyArray,
    size: int | tuple[int, int],
    *,
    padding: int | Sequence[int] = 0,
    rng: np.random.Generator | int | None = None,
) -> AnyArray:
    """Cut a window out of each image. All places inside the padded image are equally likely.

    Shapes   images (N, H, W) → (N, height, width)
    Options  size      (height, width) of the window, or one number for a square
             padding   pixels of 0 that are added first, as in `pad`
             rng       a random generator, or the seed of one
    Raises   ValueError for a window larger than the padded image
    Torch    torchvision.transforms.RandomCrop, of each image
    """
    rng = generator(rng)
    check_images_in_rows(images)
    padded = pad(images, padding)
    (N, H, W), (height, width) = padded.shape, square(size)
    if not (0 < height <= H and 0 < width <= W):
        raise ValueError(
            f"size must be from 1 up to the padded image's {(H, W)}, got {(height, width)}"
        )
    top, left = rng.integers(H - height + 1, size=N), rng.integers(W - width + 1, size=N)
    windows = sliding_window_view(padded, (height, width), axis=(1, 2))  # (N, tops, lefts, ...)
    return windows[np.arange(N), top, left]


def random_hflip(
    images: AnyArray, p: float = 0.5, *, rng: np.random.Generator | int | None = None
) -> AnyArray:
    """Swap left and right of each image with probability p.

    Shapes   images (N, H, W) → the same
    Options  p     the probability of a flip
             rng   a random generator, or the seed of one
    Raises   ValueError for p outside [0, 1]
    Torch    torchvision.transforms.RandomHorizontalFlip, of each image
    """
    return _flip(hflip, images, p, rng)


def random_vflip(
    images: AnyArray, p: float = 0.5, *, rng: np.random.Generator | int | None = None
) -> AnyArray:
    """Swap top and bottom of each image with probability p.

    Shapes   images (N, H, W) → the same
    Options  p     the probability of a flip
             rng   a random generator, or the seed of one
    Raises   ValueError for p outside [0, 1]
    Torch    torchvision.transforms.RandomVerticalFlip, of each image
    """
    return _flip(vflip, images, p, rng)


def _flip(
    flip: Callable[[AnyArray], AnyArray],
    images: AnyArray,
    p: float,
    rng: np.random.Generator | int | None,
) -> AnyArray:
    check_images_in_rows(images)
    check_number(p=p)
    if not 0 <= p <= 1:
        raise ValueError(f"p must be a probability in [0, 1], got {p}")
    chosen = generator(rng).random(len(images)) < p
    return np.where(chosen[:, None, None], flip(images), images)
