"""Image folders: what is read, in which order, and what is refused."""

import sys

import numpy as np
import pytest

from scratchnn.data import DataError, image_folder, resize
from scratchnn.extras import MissingExtraError

Image = pytest.importorskip("PIL.Image")


def write(path, *shape, seed=1):
    """Write a random image, grey or in colour, and return its pixels."""
    pixels = np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def folder(tmp_path):
    """Three images of 4 x 3 pixels: two dogs, one of them in a folder of its own, and a cat."""
    write(tmp_path / "dog" / "b.png", 4, 3, seed=2)
    write(tmp_path / "dog" / "a" / "puppy.PNG", 4, 3, seed=3)
    write(tmp_path / "cat" / "c.png", 4, 3, seed=1)
    (tmp_path / "dog" / "notes.txt").write_text("not an image")
    (tmp_path / "README").write_text("not a class")
    return tmp_path


def test_image_folder_reads_classes_and_files_in_order(folder):
    dataset = image_folder(folder)
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels() == ["cat", "dog", "dog"]
    assert dataset.images.dtype == np.uint8
    for image, seed in zip(dataset.images, (1, 2, 3), strict=True):
        expected = np.random.default_rng(seed).integers(256, size=(4, 3), dtype=np.uint8)
        np.testing.assert_array_equal(image, expected)
    X, target = dataset.batch(slice(None), np.float32)
    np.testing.assert_array_equal(X, dataset.X / np.float32(255), strict=True)
    assert target.tolist() == [0, 1, 1]


def test_image_folder_turns_colours_to_grey(tmp_path):
    colours = write(tmp_path / "cat" / "a.png", 4, 3, 3)
    grey = image_folder(tmp_path).images[0]
    luma = colours @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert abs(grey - luma).max() <= 0.5 + 255 * 3 / 2**17  # its rounding, and the weights'


def test_image_folder_resizes_images_of_different_sizes(folder):
    large = write(folder / "cat" / "z.png", 9, 9)
    with pytest.raises(DataError, match=r"the same size, or be given one by size=, got 3 x 4, 9 x"):
        image_folder(folder)
    dataset = image_folder(folder, size=(5, 6))
    assert dataset.image_size == (5, 6)
    np.testing.assert_array_equal(dataset.images[1], resize(large, (5, 6)))


def test_image_folder_refuses_folders_without_images(tmp_path, folder):
    (folder / "bird").mkdir()
    with pytest.raises(FileNotFoundError, match=r"bird must have an image, one of \.jpg"):
        image_folder(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="must have a folder per class, got none"):
        image_folder(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        image_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", [lambda file: b"not an image", lambda file: file[:-30]])
def test_image_folder_names_a_damaged_file(folder, damage):
    path = folder / "dog" / "b.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"b\.png cannot be read as an image"):
        image_folder(folder)


def test_image_folder_refuses_pixels_of_16_bits(folder):
    Image.fromarray(np.full((4, 3), 300, np.uint16)).save(folder / "dog" / "b.png")
    with pytest.raises(DataError, match=r"b\.png: pixels must have 8 bits, got Pillow's mode I"):
        image_folder(folder)


def test_image_folder_needs_pillow(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"needs PIL.*'scratchnn\[data\]'"):
        image_folder(folder)
