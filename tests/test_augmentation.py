"""Random crops and flips: every image comes out one of the possible ones, and all of them do."""

from functools import partial

import numpy as np
import pytest

from scratchnn.data import crop, hflip, pad, random_crop, random_hflip, random_vflip, vflip

IMAGES = np.tile(np.arange(1, 13, dtype=np.uint8).reshape(3, 4), (200, 1, 1))


def kinds(images):
    return {image.tobytes() for image in images}


def test_random_crop_meets_every_window_and_no_other():
    padded = pad(IMAGES[0], (1, 0))
    windows = [crop(padded, top, left, 2, 3) for top in range(2) for left in range(4)]
    cut = random_crop(IMAGES, (2, 3), padding=(1, 0), rng=1)
    assert cut.shape == (200, 2, 3)
    assert cut.dtype == np.uint8
    assert kinds(cut) == kinds(windows)


def test_random_crop_of_the_whole_image_is_the_image():
    np.testing.assert_array_equal(random_crop(IMAGES, (3, 4), rng=1), IMAGES)


@pytest.mark.parametrize("size", [4, (3, 5), 0, (-1, 2)])
def test_random_crop_refuses_windows_that_do_not_fit(size):
    with pytest.raises(ValueError, match=r"up to the padded image's \(3, 4\), got"):
        random_crop(IMAGES, size)


@pytest.mark.parametrize(("random_flip", "flip"), [(random_hflip, hflip), (random_vflip, vflip)])
def test_random_flips_are_drawn_for_each_image(random_flip, flip):
    flipped = random_flip(IMAGES, rng=1)
    assert kinds(flipped) == kinds([IMAGES[0], flip(IMAGES[0])])
    np.testing.assert_array_equal(random_flip(IMAGES, p=0, rng=1), IMAGES, strict=True)
    np.testing.assert_array_equal(random_flip(IMAGES, p=1, rng=1), flip(IMAGES), strict=True)
    rarely = (random_flip(IMAGES, p=0.1, rng=1) != IMAGES).any(axis=(1, 2)).sum()
    often = (random_flip(IMAGES, p=0.9, rng=1) != IMAGES).any(axis=(1, 2)).sum()
    assert 0 < rarely < 100 < often < 200


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_random_flips_refuse_what_is_no_probability(p):
    with pytest.raises(ValueError, match=r"p must be a probability in \[0, 1\], got"):
        random_hflip(IMAGES, p)


@pytest.mark.parametrize("change", [partial(random_crop, size=2), random_hflip, random_vflip])
def test_augmentation_is_decided_by_the_rng(change):
    rng = np.random.default_rng(1)
    first, second = change(IMAGES, rng=rng), change(IMAGES, rng=rng)
    np.testing.assert_array_equal(first, change(IMAGES, rng=1))
    assert (first != second).any()
