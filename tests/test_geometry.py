"""Pads, crops and flips: hand-written images; torchvision's are in tests/parity/test_data.py."""

import numpy as np
import pytest

from scratchnn.data import center_crop, crop, hflip, pad, random_crop, resize, vflip

IMAGE = np.arange(1, 7, dtype=np.uint8).reshape(2, 3)  # [[1, 2, 3], [4, 5, 6]]


def assert_equal(actual, expected):
    np.testing.assert_array_equal(actual, np.array(expected, np.uint8), strict=True)


def test_pad_hand_written():
    assert_equal(pad(IMAGE, 1, fill=9)[:, :3], [[9, 9, 9], [9, 1, 2], [9, 4, 5], [9, 9, 9]])
    assert_equal(pad(IMAGE, (1, 0)), [[0, 1, 2, 3, 0], [0, 4, 5, 6, 0]])  # left and right
    assert_equal(pad(IMAGE, (0, 0, 1, 1)), [[1, 2, 3, 0], [4, 5, 6, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("edge", [1, 1, 1, 2, 3, 3, 3]),
        ("reflect", [3, 2, 1, 2, 3, 2, 1]),
        ("symmetric", [2, 1, 1, 2, 3, 3, 2]),
    ],
)
def test_pad_modes_hand_written(mode, row):
    assert_equal(pad(IMAGE[:1], (2, 0), padding_mode=mode), [row])


@pytest.mark.parametrize(
    ("padding", "error", "message"),
    [
        (-1, ValueError, "numbers from 0 up, got -1"),
        ((1, -1), ValueError, r"numbers from 0 up, got \(1, -1\)"),
        ((1, 2, 3), ValueError, r"1 or 2 or 4 numbers, got \(1, 2, 3\)"),
        ((), ValueError, r"1 or 2 or 4 numbers, got \(\)"),
        (1.5, TypeError, "whole numbers, got 1.5"),
        ("1", TypeError, "whole numbers, got '1'"),
        (None, TypeError, "whole numbers, got None"),
    ],
)
def test_pad_refuses(padding, error, message):
    with pytest.raises(error, match=f"^padding must be {message}"):
        pad(IMAGE, padding)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: pad(x, 1),
        lambda x: crop(x, 0, 0, 1, 1),
        lambda x: center_crop(x, 1),
        lambda x: random_crop(x, 1),
        lambda x: resize(x, 2),
        hflip,
        vflip,
    ],
)
def test_what_is_no_image_is_refused(change):
    with pytest.raises(TypeError, match="images must be a NumPy array, got list"):
        change([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match=r"images must have shape \(\.\.\., H, W\), got \(3,\)"):
        change(np.ones(3))


@pytest.mark.parametrize("change", [center_crop, resize])
@pytest.mark.parametrize("size", [2.0, "2", (2, 2.5), None])
def test_sizes_are_whole_numbers(change, size):
    with pytest.raises(TypeError, match="size must be whole numbers, got"):
        change(IMAGE, size)
    with pytest.raises(ValueError, match="size must be 1 or 2 numbers, got"):
        change(IMAGE, (1, 2, 3))


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ((0, 1, 2, 2), [[2, 3], [5, 6]]),
        ((1, 0, 1, 3), [[4, 5, 6]]),
        ((-1, -1, 2, 2), [[0, 0], [0, 1]]),
        ((1, 2, 2, 2), [[6, 0], [0, 0]]),
        ((-1, 1, 4, 1), [[0], [2], [5], [0]]),
        ((5, 7, 1, 2), [[0, 0]]),  # far outside
        ((-5, -7, 1, 2), [[0, 0]]),
    ],
)
def test_crop_hand_written(window, expected):
    assert_equal(crop(IMAGE, *window), expected)


@pytest.mark.parametrize(("height", "width"), [(0, 2), (2, -1)])
def test_crop_refuses_windows_without_pixels(height, width):
    with pytest.raises(ValueError, match=f"at least 1, got {height} and {width}"):
        crop(IMAGE, 0, 0, height, width)


def test_center_crop_hand_written():
    row = np.arange(5, dtype=np.uint8)[None]
    assert_equal(center_crop(row, (1, 3)), [[1, 2, 3]])
    assert_equal(center_crop(row, (1, 4)), [[0, 1, 2, 3]])  # half a pixel is rounded to 0
    assert_equal(center_crop(row, (1, 2)), [[2, 3]])  # and one and a half to 2
    assert_equal(center_crop(row[:, :2], (1, 5)), [[0, 0, 1, 0, 0]])
    assert_equal(center_crop(IMAGE, 1), [[2]])


def test_sizes_may_be_numpys_whole_numbers():
    """As they come from a shape or an array."""
    one = np.int64(1)
    assert_equal(pad(IMAGE, one), pad(IMAGE, 1))
    assert_equal(pad(IMAGE, np.array([1, 0])), pad(IMAGE, (1, 0)))
    assert_equal(crop(IMAGE, one, -one, one, one + one), crop(IMAGE, 1, -1, 1, 2))
    assert_equal(center_crop(IMAGE, one), [[2]])
    assert random_crop(IMAGE[None], one, padding=one, rng=1).shape == (1, 1, 1)
    assert_equal(resize(IMAGE, np.int64(4)), resize(IMAGE, 4))


def test_flips_hand_written():
    assert_equal(hflip(IMAGE), [[3, 2, 1], [6, 5, 4]])
    assert_equal(vflip(IMAGE), [[4, 5, 6], [1, 2, 3]])


@pytest.mark.parametrize(
    "change",
    [
        lambda x: pad(x, (1, 2, 3, 4)),
        lambda x: pad(x, 1, padding_mode="reflect"),
        lambda x: crop(x, -1, 1, 2, 4),
        lambda x: center_crop(x, (1, 5)),
        hflip,
        vflip,
    ],
)
def test_geometry_takes_images_one_by_one_or_together(change):
    images = np.random.default_rng(1).normal(size=(2, 5, 3, 4))
    together = change(images)
    for index in np.ndindex(2, 5):
        np.testing.assert_array_equal(together[index], change(images[index]), strict=True)
