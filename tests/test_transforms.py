"""Transforms: bit for bit what torchvision makes of the same pixels."""

import numpy as np
import pytest

from scratchnn.data import Normalize, ToTensor, as_float, digits, fashion_mnist, mnist
from scratchnn.data.datasets import PIXELS
from scratchnn.data.transforms import describe, from_description
from tests.helpers import DTYPES, torchvision

ALL_PIXELS = np.arange(256, dtype=np.uint8).reshape(16, 16)
MNIST = (PIXELS["mnist"].mean, PIXELS["mnist"].std)


@pytest.fixture(scope="module")
def transforms():
    return torchvision().transforms


@pytest.fixture(scope="module")
def pairs(transforms):
    """Our transform and torchvision's, by name."""
    return {
        "ToTensor": (ToTensor(), transforms.ToTensor()),
        "Normalize": (
            Normalize(*MNIST),
            transforms.Compose([transforms.ToTensor(), transforms.Normalize(*zip(MNIST))]),
        ),
    }


def assert_same_bits(ours, theirs):
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32), strict=True)


@pytest.mark.parametrize("name", ["ToTensor", "Normalize"])
def test_transforms_equal_torchvision_on_every_pixel_value(pairs, name):
    ours, theirs = pairs[name]
    assert_same_bits(ours(ALL_PIXELS), theirs(ALL_PIXELS[:, :, None]).numpy()[0])


@pytest.mark.parametrize("name", ["ToTensor", "Normalize"])
def test_transforms_equal_torchvision_on_real_images(pairs, name, mnist_dir):
    ours, theirs = pairs[name]
    for row in mnist(mnist_dir)[1].X[:100]:
        assert_same_bits(ours(row), theirs(row.reshape(28, 28, 1)).numpy().ravel())


@pytest.mark.parametrize("dtype", DTYPES)
def test_to_tensor_divides(dtype):
    x = ToTensor(16)(np.array([[0, 4, 16]], np.uint8), dtype)
    np.testing.assert_array_equal(x, np.array([[0, 0.25, 1]], dtype), strict=True)
    np.testing.assert_array_equal(
        ToTensor()(ALL_PIXELS, dtype), ALL_PIXELS.astype(dtype) / dtype(255), strict=True
    )


def test_transforms_take_floats_to_be_scaled(transforms):
    """As torchvision's do."""
    x = ALL_PIXELS / np.float32(255)
    assert_same_bits(ToTensor()(x), transforms.ToTensor()(x[:, :, None]).numpy()[0])
    assert_same_bits(ToTensor()(x), x)
    assert_same_bits(Normalize(*MNIST)(x), Normalize(*MNIST)(ALL_PIXELS))


@pytest.mark.parametrize("dtype", DTYPES)
def test_normalize_is_shift_and_scale_in_its_precision(dtype):
    mean, std = map(dtype, MNIST)
    expected = (ALL_PIXELS.astype(dtype) / dtype(255) - mean) / std
    np.testing.assert_array_equal(Normalize(*MNIST)(ALL_PIXELS, dtype), expected, strict=True)


def test_normalize_range_on_mnist():
    x = Normalize(*MNIST)(ALL_PIXELS, np.float64)
    assert (round(x.min(), 3), round(x.max(), 3)) == (-0.424, 2.821)  # not -1 and 1


def test_normalize_constants_are_those_of_real_data(mnist_dir, fashion_dir):
    train, _ = mnist(mnist_dir)
    scaled = train.X[:20_000] / 255  # a third: enough for two digits
    assert round(scaled.mean(), 2) == round(MNIST[0], 2)
    assert round(scaled.std(), 2) == round(MNIST[1], 2)
    scaled = fashion_mnist(fashion_dir)[0].X / 255
    assert round(scaled.mean(), 1) == round(PIXELS["fashion-mnist"].mean, 1)


@pytest.mark.parametrize("transform", [ToTensor(), Normalize(*MNIST)])
def test_transforms_leave_the_pixels_alone(transform):
    pixels = ALL_PIXELS.copy()
    pixels.flags.writeable = False
    assert transform(pixels).dtype == np.float32
    np.testing.assert_array_equal(pixels, ALL_PIXELS)


@pytest.mark.parametrize(
    "transform",
    [
        ToTensor(16),
        ToTensor(np.uint8(16)),
        Normalize(*MNIST),
        Normalize((0.1, 2.0), (1.0, 3e-7), 16),
        Normalize([0.1, 2.0], [1, 2]),
        Normalize(np.float64(0.5), np.float32(0.2)),
        Normalize(np.linspace(0, 1, 1001), np.linspace(1, 2, 1001, dtype=np.float32)),
        as_float,
    ],
    ids=lambda transform: describe(transform)[:40],
)
def test_transforms_come_back_from_their_words(transform):
    assert from_description(describe(transform)) == transform


@pytest.mark.parametrize(
    "text",
    [
        "", "lower", "ToTensor", "ToTensor(", "ToTensor(255)", "ToTensor(white=1)", "print(end='')",
        "Normalize(mean=print(), std=1)", "data.ToTensor()", "<function as_float at 0x7f047>",
    ],
)  # fmt: skip
def test_other_words_make_no_transform(text, capsys):
    with pytest.raises(ValueError, match="transform must be as_float, or ToTensor or Normalize"):
        from_description(text)
    assert capsys.readouterr().out == ""  # nothing ran


def test_a_function_of_ones_own_is_named():
    def halved(values, dtype):
        return values.astype(dtype) / 2

    assert describe(halved).endswith("test_a_function_of_ones_own_is_named.<locals>.halved")
    for own in (_named("as_float", halved), _looking_like(Normalize(0.5, 0.5))):
        assert describe(own).startswith(f"{__name__}.")
        with pytest.raises(ValueError, match="transform must be as_float"):
            from_description(describe(own))
    with pytest.raises(TypeError, match="transform must be a function"):
        describe(0.5)


def _named(name, function):
    function.__name__ = function.__qualname__ = name
    return function


def _looking_like(other):
    class Own:
        def __call__(self, values, dtype):
            return values.astype(dtype)

        def __repr__(self):
            return repr(other)

    return Own()


@pytest.mark.parametrize("transform", [None, 5])
def test_a_data_set_refuses_what_is_no_transform(transform):
    with pytest.raises(TypeError, match="transform must be a function such as ToTensor"):
        digits()[1].with_transform(transform)


def test_a_data_set_takes_the_transform_of_a_training_and_keeps_its_white():
    test = digits()[1]
    found = test.with_transform("Normalize(mean=0.1307, std=0.3081, max_value=255)")
    assert found.transform == Normalize(*MNIST, max_value=16)
    assert found.X is test.X
    assert test.with_transform(as_float).transform is as_float


def test_as_float_changes_only_the_precision():
    values = np.random.default_rng(1).normal(size=(5, 3))
    assert as_float(values, np.float64) is values
    np.testing.assert_array_equal(as_float(values), values.astype(np.float32), strict=True)
