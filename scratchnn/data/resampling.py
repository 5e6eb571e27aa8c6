"""Resizing images: two products with small matrices, one for rows and one for columns.

Source   Pillow's Resample.c, and torch's interpolate with antialias: the weights are theirs
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scratchnn.data.geometry import check_images, check_size, whole_numbers
from scratchnn.ops.shared import AnyArray, Array, check_array

BLOCK = 512  # images at a time: 28 x 28 enlarged to 64 x 64 in float64 take 16 MB
FLOATS = 2**21  # pixels as floats at a time: 16 MB
FIXED_POINT = 2.0**22  # Pillow's weights of 8-bit pixels are multiples of 1 / 2²²


def resize(images: AnyArray, size: int | tuple[int, int]) -> AnyArray:
    """Resize images bilinearly.

        Y = A X Bᵀ        A, B = interpolation_matrix of heights, of widths

    Bytes are rounded after X Bᵀ and again after A (X Bᵀ). They then equal
    Pillow's, with one exception: from version 13.0 on, Pillow starts with A X
    where the height shrinks much more than the width.

    Shapes   images (..., H, W), uint8 or floating point → (..., height, width), the same dtype
    Options  size   (height, width), or one number for the shorter side
    Raises   TypeError for another dtype; ValueError for images without pixels, and a size below 1
    Torch    torchvision.transforms.functional.resize, of PIL images (bytes) and tensors (floats)
    """
    check_array(images=images)
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(f"images must be uint8 or floating point, got {images.dtype}")
    check_images(images)
    H, W = images.shape[-2:]
    if H < 1 or W < 1:
        raise ValueError(f"images must have pixels to resize, got shape {images.shape}")
    height, width = output_size(H, W, size)
    A, B = interpolation_matrix(H, height), interpolation_matrix(W, width)
    resample = _resample_bytes if images.dtype == np.uint8 else _resample_floats
    flat = images.reshape(-1, H, W)
    resized = np.empty((len(flat), height, width), images.dtype)
    for start in range(0, len(flat), BLOCK):
        block = slice(start, start + BLOCK)
        resized[block] = resample(flat[block], A, B)
    return resized.reshape(*images.shape[:-2], height, width)


def interpolation_matrix(length: int, new_length: int) -> Array:
    """Return the weight of each old pixel in each new one. The rows sum to 1.

        w_ij ∝ max(0, 1 - |j + 1/2 - c_i| / max(s, 1))
        c_i = (i + 1/2) s,   s = length / new_length

    A pixel's centre is at 1/2. Enlarging (s < 1) interpolates between the two
    nearest pixels. Shrinking widens the triangle to s, so that every pixel counts:
    that is the antialiasing.

    Shapes   (new_length, length), float64
    Options  length, new_length   the number of pixels before and after
    """
    s = length / new_length
    centre = (np.arange(new_length)[:, None] + 0.5) * s
    distance = np.arange(length) - centre + 0.5
    weights = np.maximum(0.0, 1.0 - abs(distance * (1 / max(s, 1.0))))
    return weights / weights.sum(axis=1, keepdims=True)


def output_size(H: int, W: int, size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the resized image.

    Options  H, W   the size of the image
             size   (height, width), or one number for the shorter side
    Raises   ValueError for a size below 1
    """
    height, *rest = whole_numbers("size", size, (1, 2))
    shorter = min(H, W)
    height, width = (height, *rest) if rest else (height * H // shorter, height * W // shorter)
    check_size(height, width)
    return height, width


def _resample_floats(images: Array, A: Array, B: Array) -> Array:
    A, B = A.astype(images.dtype), B.astype(images.dtype)
    return A @ (images @ B.T)


def _resample_bytes(images: NDArray[np.uint8], A: Array, B: Array) -> NDArray[np.uint8]:
    """Multiply whole numbers below 2⁵³ in float64, which is exact in whatever order it sums."""
    A, B = (np.floor(weights * FIXED_POINT + 0.5) for weights in (A, B))
    N, H, W = images.shape
    narrow = np.empty((N, H, len(B)), np.uint8)
    rows = max(1, FLOATS // (N * W))  # at a time: a large photograph has 500 MB of floats
    for start in range(0, H, rows):
        narrow[:, start : start + rows] = _rounded(images[:, start : start + rows] @ B.T)
    return _rounded(A @ narrow)


def _rounded(total: Array) -> NDArray[np.uint8]:
    return ((total + FIXED_POINT / 2) / FIXED_POINT).astype(np.uint8)
