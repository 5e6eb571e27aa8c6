"""Data sets: what is stored, what a batch of it is, and what is refused."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scratchnn import data
from scratchnn.data import DataError, Dataset, published, read_idx, write_idx
from scratchnn.data.datasets import DIGIT_CLASSES, FASHION_CLASSES, PIXELS, is_here
from scratchnn.data.idx import digest
from scratchnn.data.layout import STEMS, data_folder, find, raw_folder
from scratchnn.data.published import Published
from tests.helpers import DTYPES, C, D, N, torchvision, unpacked

CLASSES = ("a", "b", "c", "d")


def images(*shape, seed=1):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def labels(n, classes=10):
    return (np.arange(n) % classes).astype(np.uint8)


@pytest.fixture
def layout(tmp_path):
    """A folder with a tiny MNIST in torchvision's layout: 7 and 5 images of 3 x 4 pixels."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, n in (("train", 7), ("t10k", 5)):
        write_idx(raw / f"{part}-images-idx3-ubyte.gz", images(n, 3, 4, seed=n))
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels(n))
    return tmp_path


# The bundled digits.


def test_digits_equal_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_digits()
    train, test = data.digits()
    np.testing.assert_array_equal(np.concatenate([train.X, test.X]), theirs.data)
    np.testing.assert_array_equal(np.concatenate([train.target, test.target]), theirs.target)


def test_digits_are_split_and_stay_bytes():
    train, test = data.digits()
    assert (len(train), len(test), train.features, train.outputs) == (1437, 360, 64, 10)
    assert {train.X.dtype, test.X.dtype} == {np.dtype(np.uint8)}
    assert (train.X.min(), train.X.max()) == (0, 16)
    assert train.classes == test.classes == DIGIT_CLASSES
    assert (train.name, test.name) == ("digits train", "digits test")


def test_digits_normalize_to_mean_0_and_deviation_1():
    X, _ = data.digits(normalize=True)[0].batch(slice(None), np.float64)
    scaled = data.digits()[0].X / 16
    assert (round(scaled.mean(), 4), round(scaled.std(), 4)) == PIXELS["digits"][1:]
    np.testing.assert_array_equal(X, (scaled - 0.3054) / 0.3755)


# Dataset


@pytest.mark.parametrize("dtype", DTYPES)
def test_dataset_batch_makes_floats_of_bytes(dtype):
    X = images(N, D)
    dataset = Dataset("d", X, labels(N, C), CLASSES, data.ToTensor())
    rows = np.array([3, 0, 3])
    x, target = dataset.batch(rows, dtype)
    np.testing.assert_array_equal(x, X[rows].astype(dtype) / dtype(255), strict=True)
    np.testing.assert_array_equal(target, dataset.target[rows], strict=True)
    assert dataset.X is X
    assert X.dtype == np.uint8


@pytest.mark.parametrize("dtype", DTYPES)
def test_dataset_batch_casts_real_targets(dtype):
    line = data.synthetic_line(examples=N)
    x, target = line.batch(slice(1, 3), dtype)
    np.testing.assert_array_equal(x, line.X[1:3].astype(dtype), strict=True)
    np.testing.assert_array_equal(target, line.target[1:3].astype(dtype), strict=True)
    assert (line.features, line.outputs, len(line)) == (2, 1, N)


def test_dataset_only_numbers_classes_anew():
    dataset = Dataset("d", np.arange(8)[:, None], np.array([0, 1, 2, 3, 2, 1, 0, 2]), CLASSES)
    few = dataset.only([2, 0])
    assert few.X.ravel().tolist() == [0, 2, 4, 6, 7]
    assert few.target.tolist() == [1, 0, 0, 1, 0]
    assert few.classes == ("c", "a")
    assert few.name == "d c and a"
    assert dataset.classes == CLASSES


def test_dataset_only_refuses_classes_without_examples():
    dataset = Dataset("d", images(N, D), np.zeros(N, int), CLASSES)
    with pytest.raises(DataError, match=r"d b and c: X must be .* at least one example"):
        dataset.only([1, 2])


def with_value(shape, place, value):
    array = np.random.default_rng(1).normal(size=shape)
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("X", "target", "classes", "message"),
    [
        (images(0, D), labels(0), CLASSES, r"at least one example, got shape \(0, 3\)"),
        (images(N, 0), labels(N, C), CLASSES, r"at least one example, got shape \(5, 0\)"),
        (images(N, 2, D), labels(N, C), CLASSES, r"must be a matrix .* got shape \(5, 2, 3\)"),
        (images(N), labels(N, C), CLASSES, r"must be a matrix .* got shape \(5,\)"),
        (images(N, D), labels(N - 1, C), CLASSES, r"one entry per example, 5, got shape \(4,\)"),
        (images(N, D), np.array([0, 1, 2, 3, 4]), CLASSES, r"in \[0, 4\), got .* \[0, 4\]"),
        (images(N, D), np.array([0, 1, 2, 3, -1]), CLASSES, r"in \[0, 4\), got .* \[-1, 3\]"),
        (images(N, D), np.zeros(N), CLASSES, r"one integer class per example, got float64"),
        (images(N, D), np.zeros((N, 1), int), CLASSES, r"got int64 of shape \(5, 1\)"),
        (images(N, D), np.zeros(N, bool), CLASSES, "got bool"),
        (
            with_value((N, D), (3, 1), np.nan),
            labels(N, C),
            CLASSES,
            "X .* finite, got nan in row 3",
        ),
        (with_value((N, D), (0, 2), -np.inf), labels(N, C), CLASSES, "got -inf in row 0"),
        (images(N, D), with_value((N, 1), (4, 0), np.nan), (), "target .* got nan in row 4"),
        (with_value((N, 784), (2, 9), np.nan), labels(N, C), CLASSES, "got nan in row 2"),
    ],
)
def test_dataset_refuses(X, target, classes, message):
    with pytest.raises(DataError, match=rf"^d: .*{message}") as caught:
        Dataset("d", X, target, classes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "X",
    [
        np.full((N, D), "1.0"),
        np.full((N, D), "2020-01-01", "M8[D]"),
        np.full((N, D), None),
        np.full((N, D), 1j),
        np.zeros((N, D), [("a", float)]),
        np.full((N, D), b"1"),
    ],
)
def test_dataset_refuses_what_is_no_real_number(X):
    with pytest.raises(
        DataError, match=f"^d: X must hold real numbers, got {re.escape(str(X.dtype))}"
    ):
        Dataset("d", X, labels(N, C), CLASSES)
    with pytest.raises(DataError, match=r"^d: target must be "):
        Dataset("d", images(N, D), X[:, 0], CLASSES)
    with pytest.raises(DataError, match=r"^d: target must be real numbers"):
        Dataset("d", images(N, D), X)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0]], r"a NumPy array, got list: pass np\.asarray"),
        (None, "a NumPy array, got NoneType"),
        (np.ma.masked_array([[1.0]], [[True]]), "a plain array, got a masked one"),
        (np.ones((1, 1)).view(np.matrix), r"a plain array, got np\.matrix"),
    ],
)
def test_dataset_refuses_what_is_no_array(values, message):
    with pytest.raises(TypeError, match=f"^X must be {message}"):
        Dataset("d", values, np.array([0]), CLASSES)
    with pytest.raises(TypeError, match=f"^target must be {message}"):
        Dataset("d", images(1, D), values, CLASSES)


def test_dataset_refuses_tensors():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"X must be .* got a torch tensor: pass X\.detach"):
        Dataset("d", torch.zeros(N, D), labels(N, C), CLASSES)


def test_dataset_says_what_it_is_in_a_line():
    assert repr(of_images()) == "<Dataset d: 5 examples of 4 x 3 pixels, uint8, 5 classes>"
    line = data.synthetic_line(examples=N)
    assert repr(line) == "<Dataset line: 5 examples of 2 numbers, float64, real targets>"


# Splitting


def test_split_is_stratified_and_keeps_the_order():
    target = np.repeat([0, 1, 2, 3], [40, 20, 1, 4])
    dataset = Dataset("d", np.arange(65)[:, None], target, CLASSES)
    rest, part = dataset.split(0.1, rng=1)
    assert [np.bincount(of.target, minlength=4).tolist() for of in (rest, part)] == [
        [36, 18, 1, 3],
        [4, 2, 0, 1],
    ]
    assert sorted([*rest.X.ravel(), *part.X.ravel()]) == list(range(65))
    for of in (rest, part):
        assert (np.diff(of.X.ravel()) > 0).all()
        np.testing.assert_array_equal(of.target, target[of.X.ravel()])
    assert (rest.name, part.name) == ("d", "d validation")


def test_split_is_drawn_from_the_rng():
    parts = [data.digits()[0].split(0.1, rng=seed)[1].X for seed in (1, 1, 2)]
    np.testing.assert_array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[0], parts[2])


def test_split_of_real_targets():
    rest, part = data.synthetic_line(examples=10).split(0.25, rng=1)
    assert (len(rest), len(part)) == (8, 2)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, np.nan])
def test_split_refuses_shares(share):
    with pytest.raises(ValueError, match=f"share must be between 0 and 1, got {share}"):
        of_images().split(share)


def test_split_refuses_classes_of_one_example():
    with pytest.raises(ValueError, match="d: no class has two examples, so none can be split off"):
        of_images().split(0.5)


def of_images(n=N, height=4, width=3):
    classes = (*CLASSES, "e")
    return Dataset.of_images(
        "d", images(n, height, width), labels(n, 5).astype(int), classes, data.ToTensor()
    )


def test_dataset_of_images_holds_them_in_rows():
    dataset = of_images()
    assert (dataset.X.shape, dataset.image_size) == ((N, 12), (4, 3))
    np.testing.assert_array_equal(dataset.images, images(N, 4, 3), strict=True)
    assert np.shares_memory(dataset.images, dataset.X)
    assert dataset.labels(slice(1, 3)) == ["b", "c"]


def test_dataset_with_images_keeps_all_else():
    dataset = of_images()
    resized = dataset.with_images(data.resize(dataset.images, (8, 6)))
    assert (resized.image_size, resized.features) == ((8, 6), 48)
    np.testing.assert_array_equal(resized.images, data.resize(images(N, 4, 3), (8, 6)))
    np.testing.assert_array_equal(resized.target, dataset.target)
    assert (resized.classes, resized.transform) == (dataset.classes, dataset.transform)


def test_dataset_augments_training_batches_alone():
    dataset = replace(of_images(), augment=lambda images, rng: images + rng.integers(9, 10))
    rows = np.array([3, 0])
    pixels = dataset.X[rows].astype(np.float32)
    evaluated, _ = dataset.batch(rows, np.float32)
    np.testing.assert_array_equal(evaluated, pixels / np.float32(255))
    trained, target = dataset.batch(rows, np.float32, np.random.default_rng(1))
    shifted = (dataset.X[rows] + np.int64(9)).astype(np.float32)
    np.testing.assert_array_equal(trained, shifted / np.float32(255), strict=True)
    np.testing.assert_array_equal(target, dataset.target[rows])


def test_dataset_without_images_has_none():
    with pytest.raises(ValueError, match="line has no images: give it image_size"):
        data.synthetic_line(examples=N).images  # noqa: B018
    with pytest.raises(DataError, match=r"image_size must be .* of 3 pixels, got \(2, 2\)"):
        Dataset("d", images(N, D), labels(N, C), CLASSES, image_size=(2, 2))
    with pytest.raises(DataError, match=r"augment needs images: give image_size="):
        Dataset("d", images(N, D), labels(N, C), CLASSES, augment=lambda images, rng: images)


# The synthetic line


def test_synthetic_line_without_noise_is_the_line():
    line = data.synthetic_line(noise=0, examples=N)
    np.testing.assert_array_equal(line.target[:, 0], line.X @ [2, -3.4] + 4.2)


def test_synthetic_line_defaults():
    line = data.synthetic_line()
    assert (line.X.shape, line.target.shape, line.classes) == ((10_000, 2), (10_000, 1), ())
    assert line.X.dtype == line.target.dtype == np.float64
    noise = line.target[:, 0] - (line.X @ [2, -3.4] + 4.2)
    assert round(noise.std(), 2) == 0.1
    assert [round(std, 1) for std in line.X.std(axis=0)] == [1, 1]


def test_synthetic_line_takes_any_plane_and_seed():
    first, same, other = (data.synthetic_line([1, 2, 3], -1, examples=N, rng=s) for s in (1, 1, 2))
    assert first.X.shape == (N, 3)
    np.testing.assert_array_equal(first.target, same.target)
    assert (first.target != other.target).all()


# Folders in torchvision's layout


def test_mnist_reads_torchvisions_layout(layout):
    train, test = data.mnist(layout)
    np.testing.assert_array_equal(train.X, images(7, 3, 4, seed=7).reshape(7, 12), strict=True)
    np.testing.assert_array_equal(test.X, images(5, 3, 4, seed=5).reshape(5, 12), strict=True)
    np.testing.assert_array_equal(train.target, np.arange(7))
    assert (train.name, test.name) == ("mnist train", "mnist test")
    assert train.transform == data.ToTensor(255)
    assert data.mnist(layout, normalize=True)[1].transform == data.Normalize(0.1307, 0.3081)


def test_mnist_prefers_the_folder_given_to_the_variable(layout, monkeypatch, tmp_path):
    monkeypatch.setenv("SCRATCHNN_DATA", str(layout))
    assert len(data.mnist()[0]) == 7
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        data.mnist(tmp_path / "elsewhere")


def test_data_folder_needs_a_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("SCRATCHNN_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"--data-dir .* SCRATCHNN_DATA"):
        data_folder()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder("~/data") == tmp_path / "data"


@pytest.mark.parametrize("place", [".", "MNIST", "MNIST/raw"])
def test_mnist_takes_the_folder_of_the_files_itself(layout, place):
    assert len(data.mnist(layout / place)[0]) == 7


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("folder", ["", "train-images-idx3-ubyte/", "train-images.idx3-ubyte/"])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images.idx3-ubyte"])
def test_mnist_finds_what_unpackers_and_kaggle_leave(layout, folder, name, packed):
    raw = layout / "MNIST" / "raw"
    (raw / "train-images-idx3-ubyte.gz").unlink()
    path = raw / f"{folder}{name}{packed}"
    path.parent.mkdir(exist_ok=True)
    write_idx(path, images(7, 3, 4, seed=2))
    np.testing.assert_array_equal(data.mnist(layout)[0].images, images(7, 3, 4, seed=2))
    raw.rename(layout / "archive")
    assert len(data.mnist(layout / "archive")[0]) == 7


def test_mnist_in_the_folder_of_fashion_mnist_is_noticed(layout, monkeypatch):
    """Or digits would be taken for clothes."""
    raw = layout / "MNIST" / "raw"
    known = {stem: Published(0, digest(read_idx(find(raw, stem)))) for stem in STEMS}
    monkeypatch.setitem(published.FILES, "mnist", known)
    assert len(data.mnist(layout)[0]) == 7
    (layout / "MNIST").rename(layout / "FashionMNIST")
    with pytest.raises(DataError, match="the folder of fashion-mnist has the files of mnist"):
        data.fashion_mnist(layout)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_mnist_in_a_pipe_is_refused(layout):
    path = layout / "MNIST/raw/train-labels-idx1-ubyte"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: expected a file, got a pipe"):
        data.mnist(layout)


@pytest.mark.parametrize("place", ["MNIST", "MNIST/raw"])
def test_mnist_is_not_taken_for_fashion_mnist(layout, place):
    with pytest.raises(FileNotFoundError, match=r"FashionMNIST/raw/train-images.* is missing"):
        data.fashion_mnist(layout / place)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("x", "x/MNIST/raw"), ("x/MNIST", "x/MNIST/raw"), ("MNIST/raw", "MNIST/raw")],
)
def test_raw_folder_of_nothing_is_torchvisions(given, expected):
    assert raw_folder("mnist", given) == Path(expected)


def test_raw_folder_refuses_other_names():
    with pytest.raises(ValueError, match="name must be mnist or fashion-mnist, got 'cifar'"):
        raw_folder("cifar", "x")


@pytest.mark.parametrize(
    ("folder", "error", "message"),
    [
        ("~nobody-of-this-name/x", FileNotFoundError, "~nobody-of-this-name/x: "),
        ("a\0b", DataError, r"'a\\x00b': a file name cannot hold a NUL"),
    ],
)
def test_data_folder_refuses(folder, error, message):
    with pytest.raises(error, match=f"^{message}"):
        data.mnist(folder)


def break_layout(raw, how):
    match how:
        case "missing":
            (raw / "t10k-labels-idx1-ubyte").unlink()
        case "no labels for some":
            write_idx(raw / "train-labels-idx1-ubyte", labels(6))
        case "labels as images":
            write_idx(raw / "train-images-idx3-ubyte.gz", labels(7))
        case "floats":
            write_idx(raw / "train-images-idx3-ubyte.gz", np.ones((7, 3, 4), np.float32))
        case "label 10":
            write_idx(raw / "t10k-labels-idx1-ubyte", np.array([0, 1, 2, 3, 10], np.uint8))
        case "empty":
            write_idx(raw / "train-images-idx3-ubyte.gz", images(0, 3, 4))
            write_idx(raw / "train-labels-idx1-ubyte", labels(0))
        case "other size":
            write_idx(raw / "t10k-images-idx3-ubyte.gz", images(5, 4, 3))
        case "truncated":
            path = raw / "train-images-idx3-ubyte.gz"
            path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (
            "missing",
            FileNotFoundError,
            r"t10k-labels-idx1-ubyte\[.gz\] .*`scratchnn data fetch mnist --data-dir",
        ),
        ("no labels for some", DataError, "train-labels.* expected 7 labels, .* got 6"),
        ("labels as images", DataError, r"train-images.* 3 dimension.*, got uint8 of .*\(7,\)"),
        ("floats", DataError, "train-images.* expected uint8 .* got float32"),
        ("label 10", DataError, r"mnist test: .* \[0, 10\), got values in \[0, 10\]"),
        ("empty", DataError, "mnist train: .* at least one example"),
        ("other size", DataError, r"t10k-images.* as large as .* 3 x 4, got 4 x 3"),
        ("truncated", DataError, "train-images.* cut short .*data fetch mnist .* fetches it anew"),
    ],
)
def test_mnist_says_which_file_is_wrong(layout, how, error, message):
    break_layout(layout / "MNIST" / "raw", how)
    with pytest.raises(error, match=message):
        data.mnist(layout)


@pytest.mark.parametrize(
    ("load", "theirs", "folder", "classes"),
    [
        (data.mnist, "MNIST", "mnist_dir", DIGIT_CLASSES),
        (data.fashion_mnist, "FashionMNIST", "fashion_dir", FASHION_CLASSES),
    ],
)
def test_real_data_equal_torchvisions(load, theirs, folder, classes, request, tmp_path):
    folder = request.getfixturevalue(folder)
    datasets = torchvision().datasets
    root = unpacked(folder, theirs, tmp_path)
    for ours, train in zip(load(folder), (True, False), strict=True):
        other = getattr(datasets, theirs)(root, train=train)
        np.testing.assert_array_equal(ours.X, other.data.numpy().reshape(len(ours), 784))
        np.testing.assert_array_equal(ours.target, other.targets.numpy())
        assert ours.classes == classes
        assert len(ours.classes) == len(other.classes)


def test_real_mnist_is_whole(mnist_dir):
    train, test = data.mnist(mnist_dir)
    assert (train.X.shape, test.X.shape) == ((60_000, 784), (10_000, 784))
    assert train.target[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


# load


def test_load_by_name(layout, monkeypatch):
    monkeypatch.setenv("SCRATCHNN_DATA", "unused")
    assert [part.name for part in data.load("digits")] == ["digits train", "digits test"]
    assert [part.name for part in data.load("mnist", layout)] == ["mnist train", "mnist test"]
    line, test = data.load("line")
    assert (line.name, test) == ("line", None)
    assert data.load("digits", normalize=True)[0].transform == data.Normalize(0.3054, 0.3755, 16)
    (layout / "MNIST").rename(layout / "FashionMNIST")
    assert data.load("fashion-mnist", layout)[1].classes[9] == "ankle boot"


def test_is_here_takes_what_a_file_may_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert all(map(is_here, ("mnist", ".", str(tmp_path), "~")))
    assert not any(map(is_here, (None, 5, ["mnist"], "a\0b", "nowhere")))


def test_load_refuses_unknown_names():
    with pytest.raises(ValueError, match=r"one of digits, .*, line, or the path .* no 'cifar'"):
        data.load("cifar")
