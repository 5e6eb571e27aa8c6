"""Data of your own: what is read from folders, arrays and tables, and what is refused."""

from functools import partial
from io import BytesIO

import numpy as np
import pytest

from scratchnn import recipes
from scratchnn.data import DataError, Normalize, ToTensor, as_float, digits, load, load_own
from scratchnn.run.cli import main

N, D = 20, 4
FLOWERS = """\
sepal,petal,species
5.1,1.4,setosa
7.0,4.7,versicolor
6.3,6.0,virginica
4.9,1.4,setosa
"""


def save(folder, **arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def numbers(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


def pixels(*shape, seed=1):
    values = np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)
    values.flat[0] = 255
    return values


def labels(n, classes=3):
    return np.arange(n) % classes


# Arrays


def test_arrays_are_read_with_their_test_part(tmp_path):
    X, X_test = numbers(N, D), numbers(5, D, seed=2)
    save(tmp_path / "mine", X=X, y=labels(N), X_test=X_test, y_test=labels(5)[:, None])
    train, test = load(str(tmp_path / "mine"))
    np.testing.assert_array_equal(train.X, X, strict=True)
    np.testing.assert_array_equal(test.X, X_test)
    assert train.target.tolist() == labels(N).tolist()
    assert test.target.tolist() == labels(5).tolist()
    assert (train.name, test.name) == ("mine train", "mine test")
    assert (train.classes, train.transform, train.image_size) == (("0", "1", "2"), as_float, None)
    assert load_own(save(tmp_path / "alone", X=X, y=labels(N)))[1] is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("shape", [(N, 4, 3), (N, 4, 3, 1), (N, 12), (N, 9)])
def test_arrays_of_pixels_are_images(tmp_path, shape, dtype):
    X = pixels(*shape)
    train, _ = load_own(save(tmp_path, X=X.astype(dtype), y=labels(N)))
    np.testing.assert_array_equal(train.X, X.reshape(N, -1), strict=True)
    assert train.transform == ToTensor()
    assert train.image_size == {(N, 12): None, (N, 9): (3, 3)}.get(shape, (4, 3))


@pytest.mark.parametrize(
    "X",
    [
        pixels(N, 9).astype(float) / 255,
        pixels(N, 9).astype(float) + 1,
        pixels(N, 9).astype(float) - 1,
        np.minimum(pixels(N, 9), 254).astype(int),
    ],
)
def test_arrays_of_other_numbers_are_none(tmp_path, X):
    train, _ = load_own(save(tmp_path, X=X, y=labels(N)))
    np.testing.assert_array_equal(train.X, X.astype(float), strict=True)
    assert (train.transform, train.image_size) == (as_float, None)


@pytest.mark.parametrize(
    ("y", "classes", "target"),
    [
        ([10, 9, 10, -1], ("-1", "9", "10"), [2, 1, 2, 0]),
        ([1.0, 0.0, 2.0, 1.0], ("0", "1", "2"), [1, 0, 2, 1]),
        ([True, False, True, True], ("False", "True"), [1, 0, 1, 1]),
        (["dog", "cat ", "dog", " cat"], ("cat", "dog"), [1, 0, 1, 0]),
        (["10", "9", "10.0", "9"], ("9", "10"), [1, 0, 1, 0]),
    ],
)
def test_classes_are_sorted_labels(tmp_path, y, classes, target):
    train, _ = load_own(save(tmp_path, X=numbers(4, D), y=np.array(y)))
    assert train.classes == classes
    assert train.target.tolist() == target


def test_real_targets(tmp_path):
    y = numbers(N)
    plane, _ = load_own(save(tmp_path, X=numbers(N, D), y=y), real=True)
    np.testing.assert_array_equal(plane.target, y[:, None], strict=True)
    assert (plane.classes, plane.outputs) == ((), 1)
    assert load_own(save(tmp_path, y=numbers(N, 2)), real=True)[0].outputs == 2
    assert load_own(save(tmp_path, y=labels(N)), real=True)[0].target.dtype == float


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (numbers(N), labels(N), r"X must be real numbers of shape .* got float64 of shape \(20,\)"),
        (numbers(N, 2, 2, 3), labels(N), r"X must be real .* got float64 of shape \(20, 2, 2, 3\)"),
        (numbers(0, D), labels(0), r"X must be real .* got float64 of shape \(0, 4\)"),
        (np.full((N, D), "a"), labels(N), "X must be real numbers .* got <U1"),
        (numbers(N, D) * 1j, labels(N), "X must be real numbers .* got complex128"),
        (numbers(N, D), labels(N - 1), r"one entry per example, 20, got shape \(19,\)"),
        (numbers(N, D), numbers(N), "classes must be whole .* real targets are for linear-regr"),
        (numbers(N, D), np.full(N, np.nan), "classes must be whole numbers or names"),
        (numbers(N, D), np.full(N, np.inf), "classes must be whole numbers or names"),
        (numbers(N, D), np.full(N, "0.5"), "classes must be whole numbers or names"),
        (numbers(N, D), np.full(N, 1j), "classes must be whole numbers or names"),
        (numbers(N, D), np.zeros((N, 2), int), r"one per example, .* of shape \(20, 2\)"),
        (np.full((N, D), np.nan), labels(N), "X must be finite, got nan in row 0"),
    ],
)
def test_arrays_are_refused(tmp_path, X, y, message):
    with pytest.raises(DataError, match=f"^mine train: .*{message}"):
        load_own(save(tmp_path / "mine", X=X, y=y))


@pytest.mark.parametrize("y", [np.full(N, 1j), np.full(N, "a"), np.full(N, "2020-01-01", "M8[D]")])
def test_real_targets_are_refused(tmp_path, y):
    with pytest.raises(DataError, match="mine train: targets must be real numbers, got"):
        load_own(save(tmp_path / "mine", X=numbers(N, D), y=y), real=True)


def test_test_part_must_fit(tmp_path):
    folder = save(tmp_path / "mine", X=numbers(N, D), y=labels(N), X_test=numbers(5, 3))
    with pytest.raises(FileNotFoundError, match=r"y_test\.npy"):
        load_own(folder)
    save(folder, y_test=labels(5))
    with pytest.raises(DataError, match=r"mine test: X must have .*, \(N, 4\), got \(5, 3\)"):
        load_own(folder)
    save(folder, X_test=numbers(5, D), y_test=np.full(5, 3))
    with pytest.raises(DataError, match=r"mine test: the class '3' is not .* which has 0, 1, 2"):
        load_own(folder)


def lying():
    """Return the file of an array that says 80 GB, and has 8 bytes."""
    file = BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**10,)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an array",
        lying(),
        b"\x93NUMPY\x01\x00\xff\xff{",
    ],
)
def test_damaged_arrays_are_named(tmp_path, content):
    folder = save(tmp_path, X=numbers(N, D), y=labels(N))
    (folder / "X.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"X\.npy: expected an array saved by np\.save"):
        load_own(folder)


def test_arrays_of_objects_run_no_code(tmp_path):
    folder = save(tmp_path, y=labels(N))
    np.save(folder / "X.npy", np.array([partial(print, "run")], object))
    with pytest.raises(DataError, match=r"expected an array .* (pickle|objects)"):
        load_own(folder)


# Tables


def table(tmp_path, text, name="mine.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_table_is_read(tmp_path):
    train, test = load(str(table(tmp_path, FLOWERS)))
    assert train.X.tolist() == [[5.1, 1.4], [7.0, 4.7], [6.3, 6.0], [4.9, 1.4]]
    assert train.labels() == ["setosa", "versicolor", "virginica", "setosa"]
    assert (train.name, test) == ("mine.csv", None)


@pytest.mark.parametrize(
    "text",
    [
        "5.1,1.4,0\n7,4.7,1\n",  # no header
        "label,sepal,petal\n0,5.1,1.4\n1,7,4.7\n",  # by its name, as Kaggle's digits have it
        "\ufeffsepal, Class ,petal\r\n5.1,0,1.4\r\n7,1,4.7\r\n",  # as Excel writes it
        "5.1,1.4,0\n\n7,4.7,1\n\n",  # with empty lines
        '"sepal","petal","of, it"\n"5.1","1.4","0"\n"7","4.7","1"',
    ],
)
def test_table_finds_header_and_target(tmp_path, text):
    train, _ = load_own(table(tmp_path, text))
    assert train.X.tolist() == [[5.1, 1.4], [7.0, 4.7]]
    assert train.labels() == ["0", "1"]


def test_tables_in_two_parts(tmp_path):
    table(tmp_path, FLOWERS, "train.csv")
    assert load_own(tmp_path)[1] is None
    table(tmp_path, "sepal,petal,species\n1,2,virginica\n", "test.csv")
    train, test = load_own(tmp_path)
    assert (len(train), test.X.tolist(), test.labels()) == (4, [[1, 2]], ["virginica"])


def test_table_of_pixels_is_images(tmp_path):
    rows = np.column_stack([labels(N), pixels(N, 9)])
    text = "label," + ",".join(f"pixel{k}" for k in range(9)) + "\n"
    path = table(tmp_path, text + "\n".join(",".join(map(str, row)) for row in rows))
    train, _ = load_own(path)
    np.testing.assert_array_equal(train.images, pixels(N, 9).reshape(N, 3, 3), strict=True)


def test_table_of_real_targets(tmp_path):
    plane, _ = load_own(table(tmp_path, "a,b,y\n1,2,0.5\n3,4,-1e3\n"), real=True)
    assert plane.target.tolist() == [[0.5], [-1000]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"must have a row and two columns, with commas between, got \[\]"),
        ("a,b\n", r"must have a row and two columns, with commas between, got \['a', 'b'\]"),
        ("1\n2\n", r"must have a row and two columns, with commas between, got \['1'\]"),
        ("1,2,0\n3,,1\n", "cannot be read as a table of numbers: could not convert string ''"),
        ("1,2,0\n3,x,1\n", "cannot be read as a table of numbers: could not convert string 'x'"),
        ("1,2,0\n3,1\n", "cannot be read as a table of numbers"),
        ("1,2,0\nnan,1,1\n", "X must be finite, got nan in row 1"),
        ("a" * 200_000, "cannot be read as a table of numbers: field larger than"),
    ],
)
def test_tables_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        load_own(table(tmp_path, text))
    assert "mine.csv" in str(caught.value)


def test_table_that_is_no_text(tmp_path):
    (tmp_path / "mine.csv").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match=r"mine\.csv cannot be read as a table"):
        load_own(tmp_path / "mine.csv")


# Images


@pytest.fixture
def pictures(tmp_path):
    """A folder of images in two parts: cats and dogs to train on, dogs to test."""
    image = pytest.importorskip("PIL.Image")
    for name, shape in (("train/cat/1", (4, 3)), ("train/dog/2", (4, 3)), ("test/dog/3", (8, 6))):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels(*shape)).save(path)
    return tmp_path


def test_images_in_two_parts(pictures):
    train, test = load_own(pictures)
    assert (train.labels(), test.labels()) == (["cat", "dog"], ["dog"])
    assert train.image_size == test.image_size == (4, 3)
    assert test.classes == ("cat", "dog")
    (pictures / "test").rename(pictures / "other")
    assert load_own(pictures)[1] is None


def test_images_in_one_part_become_one_size(pictures):
    train, test = load_own(pictures)  # a class "cat" of folder "train", ...
    (pictures / "train").rename(pictures / "seen")
    train, test = load_own(pictures)
    assert (train.classes, test, train.image_size) == (("seen", "test"), None, (28, 28))


def test_images_of_unknown_classes_are_refused(pictures):
    (pictures / "test/dog").rename(pictures / "test/horse")
    with pytest.raises(DataError, match=r"test: the class 'horse' is not .* which has cat, dog"):
        load_own(pictures)


def test_images_have_no_real_targets(pictures):
    with pytest.raises(DataError, match=r"images are of classes, .* linear regression .*: try mlp"):
        load_own(pictures, real=True)


# Scaling


def test_normalize_is_by_column_of_the_training_part(tmp_path):
    X = numbers(N, D) * [1, 10, 100, 0] + 5
    save(tmp_path, X=X, y=labels(N), X_test=X[:5], y_test=labels(5))
    train, test = load_own(tmp_path, normalize=True)
    scaled, _ = train.batch(slice(None), np.float64)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 1, 0], atol=1e-14)
    np.testing.assert_array_equal(test.batch(slice(None), np.float64)[0], scaled[:5])
    assert train.transform == test.transform


def test_normalize_of_images_is_by_all_pixels(tmp_path):
    X = pixels(N, 4, 3)
    train, _ = load_own(save(tmp_path, X=X, y=labels(N)), normalize=True)
    assert train.transform == Normalize((X / 255).mean(), (X / 255).std())
    white, _ = load_own(save(tmp_path, X=np.full_like(X, 255)), normalize=True)
    assert white.transform == Normalize(1.0, 1.0)


# What is no data


def test_other_paths_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_own(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("1,2")
    with pytest.raises(DataError, match=r"notes\.txt: data must be a folder of .* or a \.csv file"):
        load_own(tmp_path / "notes.txt")
    with pytest.raises(DataError, match=r"X\.npy: give the folder, which must hold X\.npy and y"):
        load_own(save(tmp_path, X=numbers(N, D)) / "X.npy")
    with pytest.raises(FileNotFoundError, match=r"y\.npy"):
        load_own(tmp_path)


@pytest.mark.parametrize("place", [".", "MNIST", "MNIST/raw"])
def test_folder_of_mnist_is_recognised(tmp_path, place):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-labels.idx1-ubyte").write_bytes(b"")
    with pytest.raises(DataError, match="has the files of mnist: give --data mnist --data-dir"):
        load_own(tmp_path / place)


# Recipes and commands


@pytest.fixture
def saved_digits(tmp_path):
    """The bundled digits as arrays."""
    train, test = digits()
    return save(
        tmp_path / "mine",
        X=train.images * 15, y=train.target, X_test=test.images * 15, y_test=test.target,
    )  # fmt: skip


def test_train_show_and_evaluate_on_data_of_ones_own(saved_digits, tmp_path, capsys, monkeypatch):
    mine, out = str(saved_digits), str(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    arguments = ["--learning-rate", "0.5", "--batch-size", "64", "--epochs", "3", "--out", out]
    assert main(["train", "softmax-regression", "--data", "mine", *arguments]) == 0
    monkeypatch.chdir(saved_digits)
    assert main(["evaluate", out]) == 0
    assert "softmax-regression on mine test (360): loss" in capsys.readouterr().out
    assert main(["data", "show", mine]) == 0
    assert "mine test: 360 examples of 8 x 8 pixels, uint8" in capsys.readouterr().out
    saved_digits.rename(tmp_path / "moved")
    assert main(["evaluate", out]) == 3
    assert (
        "which is not here: bring it back, or name other data by --data" in capsys.readouterr().err
    )
    assert main(["evaluate", out, "--data", str(tmp_path / "moved")]) == 0


def test_linear_regression_on_a_table_of_ones_own(tmp_path, capsys):
    X = numbers(200, 2)
    rows = np.column_stack([X, X @ [2, -1] + 3])
    path = table(tmp_path, "\n".join(",".join(map(str, row)) for row in rows))
    assert main(["train", "linear-regression", "--data", str(path), "--epochs", "20"]) == 0
    assert "w_1" not in capsys.readouterr().out  # whose truth nobody knows


def test_logistic_regression_wants_two_classes(saved_digits, tmp_path):
    recipe = recipes.get("logistic-regression")
    with pytest.raises(DataError, match=r"mine train: logistic-regression tells two .* got 10"):
        recipes.load_data(recipe.on(str(saved_digits)))
    two = save(tmp_path / "two", X=numbers(N, D), y=labels(N, 2))
    run = recipes.prepare(recipe.on(str(two)))
    assert (run.train.classes, run.parameters.sizes) == (("0", "1"), (D, 1))


def test_data_of_ones_own_do_not_stream(saved_digits):
    recipe = recipes.get("mlp").on(str(saved_digits))
    with pytest.raises(ValueError, match="data to stream must be mnist or fashion-mnist"):
        recipes.load_data(recipe, streamed=True)


def test_a_file_of_arrays_says_how_to_save_them(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez(path, X=np.ones((2, 3)))
    with pytest.raises(DataError, match=r"save the arrays as X.npy and y.npy in a folder"):
        recipes.load_data(recipes.get("mlp").on(str(path)))


def test_recipe_on_data_that_are_not_there():
    with pytest.raises(ValueError, match="there is no 'cifar'"):
        recipes.load_data(recipes.get("mlp").on("cifar"))
