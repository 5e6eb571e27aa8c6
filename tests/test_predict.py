"""Predicting on one's own pictures and arrays, and exporting and importing a run."""

import json
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from scratchnn import RunFolder, checkpoint, data, evaluate, mlp
from scratchnn.data import DataError, Dataset, Normalize, ToTensor, as_float, resize
from scratchnn.interchange import save_onnx, save_safetensors
from scratchnn.run.cli import main
from scratchnn.run.look import images, saved

MNIST = images.FRAMINGS["mnist"]
SIZE = (28, 28)
# an array of 466 TiB, by what its file says
HUGE = b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, "
HUGE += b"'shape': (999999999999, 64)}\n"


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("SCRATCHNN_DATA", raising=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a trained softmax regression on the digits."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    arguments = ["train", "softmax-regression", "--epochs", "3", "--out", str(folder)]
    assert main(arguments) == 0
    return folder


@pytest.fixture
def Image():
    return pytest.importorskip("PIL.Image")


def predictions(capsys, run, path, *options):
    """Return what predict prints as JSON."""
    capsys.readouterr()
    assert main(["predict", str(run), str(path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def drawn(H=300, W=200, paper=230, ink=20):
    """A picture on which a thick stroke was drawn, 120 high and 30 wide, off the middle."""
    picture = np.full((H, W), paper, np.uint8)
    picture[20:140, 120:150] = ink
    return picture


def file_of(tmp_path, Image, pixels, name="picture.png", **options):
    path = tmp_path / name
    Image.fromarray(pixels, **options).save(path)
    return path


# arrays


def test_an_array_of_pixels_is_predicted_as_the_data_set_is(run, digits, tmp_path, capsys):
    _, test = digits
    np.save(tmp_path / "X.npy", test.X[:50])
    np.save(tmp_path / "images.npy", test.images[:50])
    found = predictions(capsys, run, tmp_path / "X.npy")
    answers = saved.read(run).answers()
    assert [int(one["answer"]) for one in found] == answers.answer[:50].tolist()
    np.testing.assert_allclose([one["probability"] for one in found], answers.p[:50].max(axis=1))
    assert found[0]["prepared"].startswith("whole numbers, taken as the data set stores them")
    same = predictions(capsys, run, tmp_path / "images.npy")
    assert [one["probability"] for one in same] == [one["probability"] for one in found]
    for one, p in zip(found, answers.p, strict=False):
        np.testing.assert_allclose(one["runner_up_probability"], np.sort(p)[-2])
        assert p[int(one["runner_up"])] == one["runner_up_probability"]


def test_an_array_of_floats_is_taken_as_it_is(run, digits, tmp_path, capsys):
    _, test = digits
    X, _ = test.batch(slice(3), np.float64)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "row.npy", X[0])
    found = predictions(capsys, run, tmp_path / "X.npy")
    answers = saved.read(run).answers()
    np.testing.assert_allclose([o["probability"] for o in found], answers.p[:3].max(axis=1), 1e-6)
    assert found[0]["prepared"].startswith("floats")
    assert len(predictions(capsys, run, tmp_path / "row.npy")) == 1


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 63)), r"expected numbers of shape \(64,\) or \(N, 64\)"),
        (np.zeros((2, 64), complex), "got complex128"),
        (np.full((1, 64), np.nan), "expected finite numbers"),
        (np.array([None]), "expected an array saved by np.save"),
    ],
)
def test_other_arrays_are_refused(run, tmp_path, capsys, array, words):
    np.save(tmp_path / "X.npy", array, allow_pickle=True)
    assert main(["predict", str(run), str(tmp_path / "X.npy")]) == 3
    with pytest.raises(DataError, match=words):
        main(["predict", str(run), str(tmp_path / "X.npy"), "--debug"])


@pytest.mark.parametrize(("value", "got"), [(17, "17 to 17"), (-1, "-1 to -1")])
def test_pixels_of_another_range_are_refused(run, tmp_path, capsys, value, got):
    np.save(tmp_path / "own.npy", np.full((2, 64), value))
    assert main(["predict", str(run), str(tmp_path / "own.npy")]) == 3
    words = f"own.npy: the pixels of digits are whole numbers from 0 to 16, got {got}: scale them"
    assert words in capsys.readouterr().err


def test_a_regression_predicts_numbers(tmp_path, capsys):
    network = mlp.Parameters.from_arrays([(np.array([[2.0], [-3.0]]), np.array([4.0]))])
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, network, recipe="linear-regression", data="line")
    np.save(tmp_path / "X.npy", np.array([[1.0, 1.0], [0.0, 2.0]]))
    found = predictions(capsys, path, tmp_path / "X.npy")
    assert [one["output"] for one in found] == [[3.0], [-2.0]]
    assert main(["predict", str(path), str(tmp_path / "X.npy")]) == 0
    assert "-2.0000" in capsys.readouterr().out


def test_two_classes_have_their_own_names(tmp_path, capsys):
    network = mlp.Parameters.from_arrays([(np.ones((64, 1)), np.zeros(1))])
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, network, recipe="logistic-regression", data="digits")
    np.save(tmp_path / "X.npy", np.full((1, 64), 16, np.uint8))
    (found,) = predictions(capsys, path, tmp_path / "X.npy")
    assert (found["answer"], found["runner_up"]) == ("8", "3")
    assert found["probability"] == 1.0


# pictures


def test_a_picture_of_the_networks_size_is_taken_pixel_by_pixel(Image, digits, tmp_path):
    _, test = digits
    pixels = np.rint(test.images[0] / 16 * 255).astype(np.uint8)
    path = file_of(tmp_path, Image, pixels)
    for invert, expected in ((None, pixels), (False, pixels), (True, 255 - pixels)):
        found = images.read(path, (8, 8), images.FRAMINGS["digits"], invert=invert)
        np.testing.assert_allclose(255 * found.pixels, expected)
        assert found.inverted is bool(invert)


def test_dark_on_light_is_inverted_and_light_on_dark_is_not(Image, tmp_path):
    dark = images.read(file_of(tmp_path, Image, drawn()), SIZE, MNIST)
    light = images.read(file_of(tmp_path, Image, 255 - drawn()), SIZE, MNIST)
    assert "inverted (its border is light)" in dark.how
    assert "not inverted (its border is dark)" in light.how
    np.testing.assert_array_equal(dark.pixels, light.pixels)
    forced = images.read(tmp_path / "picture.png", SIZE, MNIST, invert=True)
    assert "inverted (its border is dark, as asked)" in forced.how


def test_a_drawing_is_framed_as_mnist_is(Image, tmp_path):
    """The 30 x 120 stroke becomes 5 x 20 of 28 x 28, with its centre of mass in the middle."""
    found = images.read(file_of(tmp_path, Image, drawn()), SIZE, MNIST)
    assert found.pixels.shape == SIZE
    rows, columns = np.nonzero(found.pixels)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 12, 16)
    np.testing.assert_allclose(found.pixels[4:24, 12:17], 1)
    assert "the drawing (30 x 120) scaled to 5 x 20 of 28 x 28" in found.how


@pytest.mark.parametrize(("side", "width"), [(280, 1), (280, 3), (1200, 1), (1200, 10)])
def test_a_thin_stroke_is_as_white_as_a_thick_one(Image, tmp_path, side, width):
    """Shrinking pales a ring of one pixel to less than what counts as background."""
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    ring = abs(np.hypot(x, y) - 0.4 * side) <= width / 2
    path = file_of(tmp_path, Image, np.where(ring, 0, 255).astype(np.uint8))
    found = images.read(path, SIZE, MNIST)
    assert not found.is_empty
    assert found.pixels[4].max() > 0.5  # its top and left
    assert found.pixels[:, 4].max() > 0.5
    assert (found.pixels == 1).sum() >= 20
    assert not found.pixels[12:16, 12:16].any()  # its middle


def test_clothes_are_centred_by_their_box_and_digits_by_their_mass(Image, tmp_path):
    """An L has its mass at the left and below: it moves to the right and up."""
    picture = np.full((300, 300), 255, np.uint8)
    picture[50:250, 50:90] = picture[210:250, 50:250] = 0
    path = file_of(tmp_path, Image, picture)
    box = images.Framing(20 / 28)
    rows, columns = np.nonzero(images.read(path, SIZE, box).pixels)
    assert (rows.min(), columns.min()) == (4, 4)
    pixels = images.read(path, SIZE, MNIST).pixels
    rows, columns = np.nonzero(pixels)
    assert rows.min() < 4 < columns.min()
    for at, by in enumerate((pixels.sum(axis=1), pixels.sum(axis=0))):
        assert abs(by @ np.arange(28) / by.sum() - 13.5) <= 0.5, at


def test_a_picture_without_framing_is_resized_as_a_folders_are(Image, tmp_path):
    found = images.read(file_of(tmp_path, Image, drawn()), (8, 8), None)
    expected = resize((255 - drawn()) / 255, (8, 8))
    np.testing.assert_allclose(found.pixels, expected)
    assert "all of it resized to 8 x 8" in found.how


def test_a_network_that_learned_from_light_paper_is_shown_light_paper(Image, tmp_path):
    """Then the dark picture is inverted, and the drawing is framed in dark on light."""
    for picture, inverted in ((drawn(), False), (255 - drawn(), True)):
        path = file_of(tmp_path, Image, picture)
        light = images.read(path, SIZE, MNIST, light=True)
        assert light.inverted is inverted
        np.testing.assert_allclose(light.pixels, 1 - images.read(path, SIZE, MNIST).pixels)


def test_data_of_ones_own_say_what_they_are_like():
    paper = np.full((3, 4, 6), 200, np.uint8)
    paper[:, 1:3, 1:3] = 10
    own = Dataset.of_images("own", paper, np.array([0, 1, 1]), ("a", "b"), ToTensor())
    found = saved.Expected.of(own)
    assert (found.classes, found.image_size, found.light) == (("a", "b"), (4, 6), True)
    np.testing.assert_array_equal(found.stored(np.array([0, 0.5, 1])), [0, 128, 255])
    floats = Dataset.of_images("own", paper / 100, np.array([0, 1, 1]), ("a", "b"), as_float)
    np.testing.assert_array_equal(saved.Expected.of(floats).stored(np.array([0, 0.5])), [0, 1])
    table = Dataset("own", np.ones((2, 3)), np.ones((2, 1)))
    assert saved.Expected.of(table).image_size is None


def test_greys_of_clothes_stay(Image, tmp_path):
    """Where no strokes were drawn, half as dark stays half as dark."""
    picture = np.full((60, 60), 255, np.uint8)
    picture[10:50, 10:30], picture[10:50, 30:50] = 0, 128
    found = images.read(file_of(tmp_path, Image, picture), (8, 8), images.FRAMINGS["fashion-mnist"])
    np.testing.assert_allclose(found.pixels[:, 0], 1)
    np.testing.assert_allclose(found.pixels[:, 7], 127 / 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1", "I;16", "CMYK"])
def test_a_picture_of_any_mode_is_read(Image, tmp_path, mode):
    picture = Image.fromarray(drawn(paper=255, ink=0))
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    if mode == "I;16":
        picture = Image.fromarray(drawn(paper=255, ink=0).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    picture.save(path)
    found = images.read(path, SIZE, MNIST)
    assert found.inverted
    np.testing.assert_allclose(found.pixels[4:24, 12:17], 1)


@pytest.mark.parametrize("ink", [0, 255])
def test_a_transparent_picture_is_put_on_paper_of_the_other_kind(Image, tmp_path, ink):
    alpha = np.where(drawn() == 20, 255, 0).astype(np.uint8)
    pixels = np.stack([np.full_like(alpha, ink)] * 3 + [alpha], axis=2)
    found = images.read(file_of(tmp_path, Image, pixels), SIZE, MNIST)
    assert found.inverted is (ink == 0)
    assert "made opaque" in found.how
    np.testing.assert_allclose(found.pixels[4:24, 12:17], 1)


def test_a_photo_is_turned_as_the_phone_was_held(Image, tmp_path):
    upright = images.read(file_of(tmp_path, Image, drawn()), SIZE, MNIST)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    path = tmp_path / "turned.jpg"
    Image.fromarray(np.rot90(drawn()).copy()).save(path, exif=exif, quality=95)
    turned = images.read(path, SIZE, MNIST)
    assert "200 x 300" in turned.how
    assert abs(turned.pixels - upright.pixels).max() < 0.1


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_picture_is_taken_too(Image, tmp_path, value):
    found = images.read(file_of(tmp_path, Image, np.full((50, 70), value, np.uint8)), SIZE, MNIST)
    assert not found.pixels.any()


def test_predict_says_which_pictures_are_empty(Image, run, tmp_path, capsys):
    file_of(tmp_path, Image, drawn(), "drawn.png")
    empty = file_of(tmp_path, Image, np.full((50, 70), 255, np.uint8), "empty.png")
    capsys.readouterr()
    assert main(["predict", str(run), str(tmp_path)]) == 0
    err = capsys.readouterr().err
    assert err.count("nothing is drawn on it") == 1
    assert f"{empty}: nothing is drawn on it: the answer is that to an empty page" in err


def test_damaged_pictures_of_a_folder_are_passed_over(Image, run, tmp_path, capsys):
    file_of(tmp_path, Image, drawn(), "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "c.txt").write_text("not looked at")
    assert main(["predict", str(run), str(tmp_path)]) == 3
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert "b.png cannot be read as an image" in err
    assert "a.png" in out
    assert "inverted (its border is light)" in out


def test_a_folder_without_a_whole_picture_is_an_error(Image, run, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert main(["predict", str(run), str(tmp_path)]) == 3
    assert f"{tmp_path}: none of its 1 pictures can be read" in capsys.readouterr().err


def test_how_many_pictures_were_inverted_is_said(Image, run, tmp_path, capsys):
    """Of more pictures than one would read about."""
    for name in "abcd":
        file_of(tmp_path, Image, drawn(), f"{name}.png")
    for name in "ef":
        file_of(tmp_path, Image, drawn(paper=20, ink=230), f"{name}.png")
    assert main(["predict", str(run), str(tmp_path)]) == 0
    assert "4 of 6 inverted; --json says what was done to each" in capsys.readouterr().out


def test_a_picture_of_too_many_pixels_is_refused(Image, run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 59_999)
    path = file_of(tmp_path, Image, drawn())
    assert main(["predict", str(run), str(path)]) == 3
    words = f"scratchnn: {path}: more than 59,999 pixels: make it smaller first"
    assert capsys.readouterr().err.startswith(words)


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("a.png", None, 3, "a.png is missing"),
        ("a.png", b"", 3, "a.png cannot be read as an image"),
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 3, "cannot be read"),
        ("empty", "folder", 3, "empty must have a picture, one of .jpg"),
        ("a.npy", b"\x93NUMPY", 3, "expected an array saved by np.save"),
        ("a.npy", HUGE, 3, "expected an array saved by np.save, got mmap length"),
        ("a.npy", b"text", 3, "got Python objects, or another kind of file"),
        ("a.txt", b"text", 3, "file: give a picture, a folder of pictures, or an array (.npy)"),
    ],
)
def test_what_is_no_picture_is_one_line(Image, run, tmp_path, capsys, name, content, status, words):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    assert main(["predict", str(run), str(path)]) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_a_device_or_a_pipe_is_refused_before_it_is_opened(run, tmp_path, capsys, name):
    (tmp_path / name).symlink_to(os.devnull)
    assert main(["predict", str(run), str(tmp_path / name)]) == 3
    assert "expected a file, got a pipe or a device" in capsys.readouterr().err


def test_a_run_on_no_images_takes_arrays(tmp_path, capsys):
    checkpoint.save(
        tmp_path / "c.npz", mlp.init([2, 1], rng=1), recipe="linear-regression", data="line"
    )
    (tmp_path / "a.png").write_bytes(b"")
    assert main(["predict", str(tmp_path / "c.npz"), str(tmp_path / "a.png")]) == 2
    words = "was trained on no images: predict takes an array (.npy) with 2 numbers a row"
    assert words in capsys.readouterr().err


def test_predict_names_the_extra_for_pictures(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    (tmp_path / "a.png").write_bytes(b"")
    assert main(["predict", str(run), str(tmp_path / "a.png")]) == 2
    assert "'.[data]'" in capsys.readouterr().err


def test_predictions_on_photographed_digits_are_those_on_the_data(Image, digits, tmp_path, run):
    """Enlarged, put on paper off the middle and photographed: as many are right, but for a few."""
    _, test = digits
    answers, rng = saved.read(run).answers(), np.random.default_rng(1)
    rows = np.flatnonzero(answers.p.max(axis=1) > 0.9)[:20]
    right = 0
    for row in rows.tolist():
        big = np.kron(test.images[row] / 16, np.ones((30, 30)))
        paper = np.full((400, 500), 220.0)
        top, left = rng.integers(20, 130, 2)
        paper[top : top + 240, left : left + 240] -= 180 * big
        path = file_of(tmp_path, Image, paper.astype(np.uint8))
        pixels = images.read(path, (8, 8), images.FRAMINGS["digits"]).pixels
        X = pixels.reshape(1, -1).astype(np.float32)
        right += int(mlp.predict(saved.read(run).network, X)[0] == answers.answer[row])
    assert right >= 16


# export and import


def test_a_run_goes_to_safetensors_and_back(run, tmp_path, capsys):
    pytest.importorskip("safetensors")
    path, back = tmp_path / "new" / "model.safetensors", tmp_path / "back"
    assert main(["export", str(run), str(path)]) == 0
    assert main(["import", str(path), str(back)]) == 0
    assert "does not say" not in capsys.readouterr().out
    np.testing.assert_array_equal(saved.read(back).network.theta, saved.read(run).network.theta)
    for folder in (run, back):
        assert main(["evaluate", str(folder)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_a_network_that_does_not_say_all_is_exported_and_imported(tmp_path, capsys):
    """Kronecker layers, no transform; and a recipe whose data are no images."""
    pytest.importorskip("safetensors")
    network, path = mlp.init([2, 4, 1], kronecker=2, rng=1), str(tmp_path / "model.safetensors")
    checkpoint.save(tmp_path / "c.npz", network)
    assert main(["export", str(tmp_path / "c.npz"), path]) == 0
    words = "its Kronecker layers are written as the dense layers that they equal"
    assert words in capsys.readouterr().out
    options = ["--recipe", "linear-regression", "--data", "line"]
    assert main(["import", path, str(tmp_path / "back"), *options]) == 0
    back, said = checkpoint.load(tmp_path / "back")
    assert back.sizes == (2, 4, 1)
    assert "transform" not in said


def test_import_replaces_a_run_only_when_asked(run, tmp_path, capsys):
    pytest.importorskip("safetensors")
    path, back = tmp_path / "model.safetensors", tmp_path / "back"
    assert main(["export", str(run), str(path)]) == 0
    assert main(["train", "mlp", "--epochs", "1", "--out", str(back)]) == 0
    assert main(["import", str(path), str(back)]) == 3
    assert capsys.readouterr().err == (
        f"scratchnn: {back} holds a run: replace it by --overwrite, or name another folder\n"
    )
    assert saved.read(back).network.sizes == (64, 512, 256, 128, 64, 10)
    assert main(["import", str(path), str(back), "--overwrite"]) == 0
    names = ["checkpoint.npz", "history.jsonl"]  # the second stays for its lock, and is empty
    assert sorted(file.name for file in back.iterdir()) == names
    assert (back / "history.jsonl").read_bytes() == b""
    assert saved.read(back).network.sizes == (64, 10)


def test_import_holds_the_folder_and_sweeps_it(run, tmp_path, capsys, monkeypatch):
    pytest.importorskip("safetensors")
    path, back = tmp_path / "model.safetensors", tmp_path / "back"
    assert main(["export", str(run), str(path)]) == 0
    back.mkdir()
    (back / ".run.json.1-ab.partial").write_text("half")
    save, refused = checkpoint.save, []

    def save_while_another_comes(*arguments, **description):
        with pytest.raises(BlockingIOError, match="is in use") as error:
            RunFolder(back, overwrite=True)
        refused.append(error)
        save(*arguments, **description)

    monkeypatch.setattr(checkpoint, "save", save_while_another_comes)
    assert main(["import", str(path), str(back)]) == 0
    assert len(refused) == 1
    assert sorted(file.name for file in back.iterdir()) == ["checkpoint.npz", "history.jsonl"]


def test_import_of_an_unknown_network_says_what_is_missing(tmp_path, capsys):
    package = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    package.save_file({"0.weight": np.ones((10, 64), np.float32)}, path)
    assert main(["import", str(path), str(tmp_path / "run")]) == 0
    assert "With --recipe and --data" in capsys.readouterr().out
    named = ["--recipe", "softmax-regression", "--data", "digits"]
    assert main(["import", str(path), str(tmp_path / "named"), *named]) == 0
    assert main(["evaluate", str(tmp_path / "named")]) == 0
    wrong = ["--recipe", "linear-regression", "--data", "digits"]
    assert main(["import", str(path), str(tmp_path / "wrong"), *wrong]) == 2
    assert not (tmp_path / "wrong").exists()


def test_import_names_what_is_no_file(tmp_path, capsys):
    pytest.importorskip("safetensors")
    assert main(["import", str(tmp_path), str(tmp_path / "run")]) == 3
    assert f"{tmp_path} is no file: it must be a .safetensors file" in capsys.readouterr().err


def test_a_network_that_takes_no_images_is_named(tmp_path, capsys):
    said = {"recipe": "mlp", "data": "digits"}
    checkpoint.save(tmp_path / "checkpoint.npz", mlp.init([63, 10], rng=1), **said)
    assert main(["predict", str(tmp_path), str(tmp_path)]) == 2
    assert "predict takes an array (.npy) with 63 numbers a row" in capsys.readouterr().err


def test_an_imported_network_of_other_sizes_is_looked_at(tmp_path, capsys):
    pytest.importorskip("safetensors")
    network, back = mlp.init([64, 30, 10], rng=1), str(tmp_path / "back")
    save_safetensors(tmp_path / "mine.safetensors", network)
    named = ["--recipe", "mlp", "--data", "digits"]
    assert main(["import", str(tmp_path / "mine.safetensors"), back, *named]) == 0
    assert main(["evaluate", back, "--json"]) == 0
    score = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert score["loss"] == evaluate(network, data.digits(normalize=True)[1]).loss
    assert main(["show", back]) == 0


def test_a_transform_goes_along(tmp_path):
    """To safetensors, to a run, to what evaluates and predicts: all see the same inputs."""
    pytest.importorskip("safetensors")
    kept = Normalize(0.5, 0.25, 16)
    network, said = mlp.init([64, 10], rng=1), {"recipe": "softmax-regression", "data": "digits"}
    checkpoint.save(tmp_path / "run" / "checkpoint.npz", network, **said, transform=kept)
    path, back = str(tmp_path / "m.safetensors"), tmp_path / "back"
    assert main(["export", str(tmp_path / "run"), path]) == 0
    assert main(["import", path, str(back)]) == 0
    assert checkpoint.load(back)[1]["transform"] == "Normalize(mean=0.5, std=0.25, max_value=16)"
    run = saved.read(back)
    assert run.data().transform == run.expected().transform == kept
    assert main(["import", path, str(tmp_path / "named"), "--recipe", "mlp"]) == 0
    assert saved.read(tmp_path / "named").data().transform == Normalize(0.3054, 0.3755, 16)


def test_a_transform_of_ones_own_is_named(tmp_path, capsys):
    def halved(values, dtype):
        return values.astype(dtype) / 2

    said = {"recipe": "mlp", "data": "digits", "transform": halved}
    checkpoint.save(tmp_path / "checkpoint.npz", mlp.init([64, 10], rng=1), **said)
    assert main(["evaluate", str(tmp_path)]) == 3
    words = "<locals>.halved': only the program that trained it can make its inputs"
    assert words in capsys.readouterr().err


def test_a_network_that_does_not_fit_its_own_data_is_named(tmp_path, capsys):
    said = {"recipe": "mlp", "data": "digits"}
    checkpoint.save(tmp_path / "checkpoint.npz", mlp.init([64, 9], rng=1), **said)
    assert main(["evaluate", str(tmp_path)]) == 3
    words = "takes 64 features to 10 outputs, and the network has the sizes (64, 9)"
    assert f"{tmp_path}: mlp on digits {words}" in capsys.readouterr().err


def test_onnx_names_the_transform(tmp_path):
    onnx = pytest.importorskip("onnx")
    save_onnx(tmp_path / "m.onnx", mlp.init([4, 2], rng=1), transform=as_float, recipe="mlp")
    found = {one.key: one.value for one in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert found == {"transform": "as_float", "recipe": "mlp"}


def test_evaluate_gives_other_data_the_transform_of_the_training(tmp_path, capsys):
    network, own = mlp.init([64, 10], rng=1), tmp_path / "own"
    test, pixels = data.digits()[1], np.arange(360 * 64).reshape(360, 64) % 256
    own.mkdir()
    np.save(own / "X.npy", pixels.astype(np.uint8))
    np.save(own / "y.npy", test.target)
    said = {"recipe": "mlp", "data": "digits", "transform": Normalize(0.5, 0.25, 16)}
    checkpoint.save(tmp_path / "checkpoint.npz", network, **said)
    assert main(["evaluate", str(tmp_path), "--data", str(own), "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    mine = replace(test, X=pixels.astype(np.uint8), transform=Normalize(0.5, 0.25, 255))
    expected = evaluate(network, mine)
    assert score["loss"] == expected.loss


def test_export_takes_two_kinds_of_file(run, tmp_path, capsys):
    assert main(["export", str(run), str(tmp_path / "model.pt")]) == 2
    assert "FILE must end in .safetensors or .onnx, got 'model.pt'" in capsys.readouterr().err
