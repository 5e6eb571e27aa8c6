"""The data side: the same bytes through torchvision and torch's DataLoader, and through ours."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from parity.bounds import tolerance, unit_roundoff
from parity.judge import compare
from scratchnn import data
from scratchnn.data.datasets import PIXELS
from tests.helpers import DTYPES, resize_bound, torchvision, unpacked

SIDES = st.integers(1, 70)
MNIST = PIXELS["mnist"].mean, PIXELS["mnist"].std


@pytest.fixture(scope="module")
def vision():
    return pytest.importorskip("PIL") and torchvision()


@pytest.fixture(scope="module")
def functional(vision):
    from torchvision.transforms import functional

    return functional


@pytest.fixture(scope="module", params=["MNIST", "FashionMNIST"])
def test_parts(request, vision, tmp_path_factory):
    """The test part of MNIST or Fashion-MNIST: ours, and how to make torchvision's."""
    folder, load = {
        "MNIST": ("mnist_dir", data.mnist),
        "FashionMNIST": ("fashion_dir", data.fashion_mnist),
    }[request.param]
    folder = request.getfixturevalue(folder)
    root = unpacked(folder, request.param, tmp_path_factory.mktemp("data"))

    def theirs(*steps):
        transform = vision.transforms.Compose(steps)
        return getattr(vision.datasets, request.param)(root, train=False, transform=transform)

    return load(folder)[1], theirs


def loaded_batches(dataset, order, batch_size, *, drop_last=False, workers=0):
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


def assert_same_batches(ours, batches, theirs, dtype=np.float32):
    """Assert that these rows of ours are, bit for bit, the minibatches of the other side."""
    assert len(batches) == len(theirs)
    for rows, (X, target) in zip(batches, theirs, strict=True):
        our_X, our_target = ours.batch(rows, dtype)
        np.testing.assert_array_equal(our_X, X, strict=True)
        np.testing.assert_array_equal(our_target, target)


def pipelines(vision):
    """Return pairs of what is done to images before training: ours at once, torchvision's each."""
    v, F = vision.transforms, vision.transforms.functional
    return {
        "ToTensor": (lambda images: images, []),
        "Resize up": (lambda images: data.resize(images, 64), [v.Resize(64)]),
        "Resize down": (lambda images: data.resize(images, 20), [v.Resize(20)]),
        "Resize wide": (lambda images: data.resize(images, (30, 41)), [v.Resize((30, 41))]),
        "CenterCrop": (lambda images: data.center_crop(images, 21), [v.CenterCrop(21)]),
        "CenterCrop of more": (lambda images: data.center_crop(images, 33), [v.CenterCrop(33)]),
        "crop": (
            lambda images: data.crop(images, 3, 1, 20, 24),
            [v.Lambda(lambda image: F.crop(image, 3, 1, 20, 24))],
        ),
        "padded crop": (
            lambda images: data.crop(data.pad(images, 2), 4, 0, 28, 28),
            [v.Lambda(lambda image: F.crop(F.pad(image, 2), 4, 0, 28, 28))],
        ),
        "flips": (
            lambda images: data.vflip(data.hflip(images)),
            [v.RandomHorizontalFlip(1.0), v.RandomVerticalFlip(1.0)],
        ),
        "Resize and CenterCrop": (
            lambda images: data.center_crop(data.resize(images, 32), 28),
            [v.Resize(32), v.CenterCrop(28)],
        ),
    }


PIPELINES = [
    *["ToTensor", "Resize up", "Resize down", "Resize wide", "CenterCrop", "CenterCrop of more"],
    *["crop", "padded crop", "flips", "Resize and CenterCrop"],
]


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("normalize", [False, True])
def test_pipeline_equals_torchvisions(vision, test_parts, name, normalize):
    ours, theirs = test_parts
    change, steps = pipelines(vision)[name]
    steps = [*steps, vision.transforms.ToTensor()]
    transform = data.ToTensor()
    if normalize:
        steps.append(vision.transforms.Normalize(*zip(MNIST)))
        transform = data.Normalize(*MNIST)
    rows = np.random.default_rng(1).permutation(len(ours))[:100]
    changed = replace(ours.with_images(change(ours.images)), transform=transform)
    loaded = loaded_batches(theirs(*steps), rows.tolist(), 64)
    assert_same_batches(changed, [rows[:64], rows[64:]], loaded)


@pytest.mark.parametrize("drop_last", [False, True])
def test_minibatches_equal_the_loaders(vision, test_parts, drop_last):
    ours, theirs = test_parts
    dataset = theirs(vision.transforms.ToTensor())
    N = len(ours)
    assert N % 64
    batches = data.minibatches(N, 64, drop_last=drop_last)
    loaded = loaded_batches(dataset, range(N), 64, drop_last=drop_last)
    assert [len(rows) for rows in batches] == [64] * (N // 64) + [N % 64] * (not drop_last)
    assert_same_batches(ours, batches, loaded)


@pytest.mark.long  # each worker imports torch
def test_minibatches_equal_the_loaders_with_workers(vision, test_parts):
    ours, theirs = test_parts
    dataset = theirs(vision.transforms.ToTensor())
    batches = data.minibatches(len(ours), 7, np.random.default_rng(1))[:9]
    order = np.concatenate(batches).tolist()
    for workers in (0, 2):
        loaded = loaded_batches(dataset, order, 7, workers=workers)
        assert_same_batches(ours, batches, loaded)


@given(st.data())
def test_crop_equals_torchvisions(functional, draw):
    """Of images of Pillow: of a tensor, a window wholly outside comes back with a wrong shape."""
    H, W, height, width = (draw.draw(st.integers(1, 9)) for _ in range(4))
    top, left = (draw.draw(st.integers(-12, 12)) for _ in range(2))
    pixels = np.arange(H * W, dtype=np.uint8).reshape(H, W)
    image = functional.to_pil_image(pixels)
    theirs = np.asarray(functional.crop(image, top, left, height, width))
    np.testing.assert_array_equal(data.crop(pixels, top, left, height, width), theirs, strict=True)
    theirs = np.asarray(functional.center_crop(image, (height, width)))
    np.testing.assert_array_equal(data.center_crop(pixels, (height, width)), theirs, strict=True)


@given(st.data(), st.sampled_from(["constant", "edge", "reflect", "symmetric"]))
def test_pad_equals_torchvisions(functional, draw, mode):
    H, W = (draw.draw(st.integers(2, 9)) for _ in range(2))
    most = min(H, W) - 1  # reflecting more needs more pixels
    sides = draw.draw(
        st.integers(0, most)
        | st.lists(st.integers(0, most), min_size=2, max_size=2)
        | st.lists(st.integers(0, most), min_size=4, max_size=4)
    )
    image = np.random.default_rng(1).normal(size=(2, H, W))
    theirs = functional.pad(torch.from_numpy(image), sides, 3, mode).numpy()
    np.testing.assert_array_equal(data.pad(image, sides, 3, mode), theirs, strict=True)


def resized(functional, images, size, **options):
    return functional.resize(torch.from_numpy(images), list(size), **options).numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@given(st.integers(0, 999), SIDES, st.integers(2, 70), SIDES, st.integers(2, 70))
def test_resize_of_floats_equals_torchs_within_its_bound(functional, dtype, seed, H, W, h, w):
    """One column alone is left out: torch enlarges [0, 10, 20], upright, to zeros."""
    images = np.random.default_rng(seed).normal(size=(2, H, W)).astype(dtype)
    bound = resize_bound(images, (h, w), unit_roundoff(dtype))
    ours, theirs = data.resize(images, (h, w)), resized(functional, images, (h, w))
    difference = compare("resize", ours, theirs, tolerance(bound, dtype))
    assert difference.holds, str(difference)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(20, 20), (20, 28), (28, 27)])
def test_bound_of_resize_sees_missing_antialiasing(functional, dtype, size):
    images = np.random.default_rng(1).normal(size=(2, 28, 28)).astype(dtype)
    bound = tolerance(resize_bound(images, size, unit_roundoff(dtype)), dtype)
    wrong = resized(functional, images, size, antialias=False)
    assert not compare("resize", data.resize(images, size), wrong, bound).holds


def test_bound_of_resize_sees_float32_in_float64(functional):
    images = np.random.default_rng(1).normal(size=(2, 28, 28))
    bound = tolerance(resize_bound(images, (20, 20), unit_roundoff(np.float64)), np.float64)
    rounded = resized(functional, images.astype(np.float32), (20, 20)).astype(np.float64)
    assert not compare("resize", data.resize(images, (20, 20)), rounded, bound).holds


@given(st.integers(0, 999), SIDES, st.integers(2, 70), SIDES, st.integers(2, 70))
def test_resize_of_bytes_is_at_most_one_from_that_of_tensors(functional, seed, H, W, h, w):
    """Torchvision rounds a uint8 tensor once, at the end, and an image of Pillow's twice.

    From the exact value that is at most 1/2 and 1: less than 2 from each other, so at most 1.
    """
    images = np.random.default_rng(seed).integers(256, size=(2, H, W), dtype=np.uint8)
    ours = data.resize(images, (h, w)).astype(int)
    assert abs(ours - resized(functional, images, (h, w))).max() <= 1


@pytest.mark.parametrize("size", [None, (5, 6)])
def test_image_folder_equals_torchvisions(vision, tmp_path, size):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    for name, shape in [("dog/2", (7, 9)), ("dog/1/1", (7, 9, 3)), ("cat/10", (7, 9))]:
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(rng.integers(256, size=shape, dtype=np.uint8)).save(path)
    ours = data.image_folder(tmp_path, size=size)
    v = vision.transforms
    steps = [v.Grayscale(), *([v.Resize(size)] if size else []), v.ToTensor()]
    theirs = vision.datasets.ImageFolder(tmp_path, v.Compose(steps))
    assert ours.classes == tuple(theirs.classes) == ("cat", "dog")
    assert_same_batches(ours, [np.arange(3)], loaded_batches(theirs, range(3), 3))
