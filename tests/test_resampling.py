"""Resizing: the weights by hand, Pillow's bytes exactly, and what every interpolation keeps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.bounds import unit_roundoff
from scratchnn.data import resize
from scratchnn.data.resampling import BLOCK, interpolation_matrix
from tests.helpers import DTYPES, assert_within, resize_bound, weights_bound

LENGTHS = st.integers(1, 70)


@pytest.fixture(scope="module")
def pillow():
    return pytest.importorskip("PIL.Image")


def random_bytes(*shape, seed=1):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def test_interpolation_matrix_hand_written():
    np.testing.assert_array_equal(
        interpolation_matrix(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    )
    halved = np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7  # the triangle is 4 pixels wide, cut at 0
    np.testing.assert_array_equal(interpolation_matrix(4, 2), halved)
    np.testing.assert_array_equal(interpolation_matrix(5, 5), np.eye(5))


@given(LENGTHS, LENGTHS)
def test_interpolation_matrix_is_stochastic_and_symmetric(length, new_length):
    weights = interpolation_matrix(length, new_length)
    assert weights.shape == (new_length, length)
    assert (weights >= 0).all()
    bound = weights_bound(length, new_length, unit_roundoff(np.float64))
    assert_within(weights.sum(axis=1), np.ones(new_length), bound.sum(axis=1))
    assert_within(weights, weights[::-1, ::-1], bound)


@given(st.integers(0, 999), LENGTHS, LENGTHS)
def test_resize_equals_pillows_bytes_of_squares(pillow, seed, side, new_side):
    image = random_bytes(side, side, seed=seed)
    theirs = pillow.fromarray(image).resize((new_side, new_side), pillow.BILINEAR)
    np.testing.assert_array_equal(resize(image, new_side), np.asarray(theirs), strict=True)


@given(st.integers(0, 999), LENGTHS, LENGTHS, LENGTHS, LENGTHS)
def test_resize_equals_pillows_bytes_in_one_order_or_the_other(pillow, seed, H, W, height, width):
    """From 13.0, Pillow begins with the rows where the height shrinks much more."""
    image = random_bytes(H, W, seed=seed)
    theirs = np.asarray(pillow.fromarray(image).resize((width, height), pillow.BILINEAR))
    orders = resize(image, (height, width)), resize(image.T, (width, height)).T
    assert any(np.array_equal(ours, theirs) for ours in orders)


@given(st.integers(0, 999), LENGTHS, LENGTHS, LENGTHS, LENGTHS)
def test_resize_bytes_are_the_rounded_floats(seed, H, W, height, width):
    """Two roundings to whole numbers: half of one, averaged, and half of one more."""
    image = random_bytes(H, W, seed=seed)
    exact = resize(image.astype(np.float64), (height, width))
    fixed_point = 255 * (H + W) / 2**22  # weights off by up to 1/2²³ each, and the sum's rounding
    assert abs(resize(image, (height, width)) - exact).max() <= 1 + fixed_point


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("H", "W", "height", "width"), [(9, 4, 20, 1), (28, 28, 64, 64)])
def test_resize_of_floats_equals_pillows(pillow, dtype, H, W, height, width):
    image = np.random.default_rng(1).normal(size=(H, W)).astype(dtype)
    theirs = pillow.fromarray(image.astype(np.float32)).resize((width, height), pillow.BILINEAR)
    bound = resize_bound(image, (height, width), unit_roundoff(np.float32))
    assert_within(resize(image, (height, width)).astype(np.float32), np.asarray(theirs), bound)


@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_resize_keeps_a_constant(value):
    constant = np.full((11, 13), value, np.uint8)
    for size in (7, (40, 3), (1, 100)):
        assert (resize(constant, size) == value).all()


def test_resize_to_the_same_size_changes_nothing():
    image = random_bytes(28, 20)
    np.testing.assert_array_equal(resize(image, (28, 20)), image, strict=True)
    np.testing.assert_array_equal(resize(image / 255, 20), image / 255, strict=True)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((28, 28), 64, (64, 64)),
        ((20, 30), 10, (10, 15)),
        ((31, 20), 10, (15, 10)),  # 15.5
        ((20, 30), (5, 7), (5, 7)),
    ],
)
def test_resize_gives_one_number_to_the_shorter_side(shape, size, expected):
    assert resize(random_bytes(*shape), size).shape == expected


@pytest.mark.parametrize("dtype", [np.uint8, *DTYPES])
def test_resize_takes_any_number_of_images(dtype):
    images = random_bytes(3, BLOCK // 2, 4, 5).astype(dtype)  # more than a block
    resized = resize(images, (6, 2))
    assert resized.shape == (3, BLOCK // 2, 6, 2)
    assert resized.dtype == dtype
    for index in ((0, 0), (1, 7), (2, BLOCK // 2 - 1)):
        alone = resize(images[index], (6, 2))
        if dtype == np.uint8:
            np.testing.assert_array_equal(resized[index], alone, strict=True)
        else:
            bound = resize_bound(images[index], (6, 2), unit_roundoff(dtype))
            assert_within(resized[index], alone, bound)
    assert resize(images[:, :0], (6, 2)).shape == (3, 0, 6, 2)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, bool, complex])
def test_resize_refuses_other_dtypes(dtype):
    with pytest.raises(TypeError, match="images must be uint8 or floating point, got"):
        resize(np.zeros((2, 3), dtype), 4)


@pytest.mark.parametrize("size", [0, (3, 0), (-1, 3)])
def test_resize_refuses_sizes_without_pixels(size):
    with pytest.raises(ValueError, match="height and width must be at least 1"):
        resize(random_bytes(4, 5), size)


@pytest.mark.parametrize("shape", [(0, 5), (3, 4, 0), (0, 0)])
@pytest.mark.parametrize("size", [4, (4, 4)])
def test_resize_refuses_images_without_pixels(shape, size):
    with pytest.raises(ValueError, match="images must have pixels to resize, got shape"):
        resize(np.zeros(shape), size)
