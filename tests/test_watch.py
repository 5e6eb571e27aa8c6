"""Watching: lines of epochs and batches, the progress bar, live curves, TensorBoard's scalars."""

import io
import struct
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from scratchnn import SGD, fit, mlp, plots
from scratchnn.extras import MissingExtraError
from scratchnn.history import Batch, Epoch
from scratchnn.objectives import CrossEntropy
from scratchnn.run import train_command, watch
from scratchnn.train import backpropagate

ROW = Epoch(3, 0.25, 0.5, 0.125, 0.987654, 1.5, 1.0, 0.5, 2.0)
LINE = Epoch(12, 0.25, None, 0.125, None, None, None, 0.5, 2.0)


def test_epoch_line_hand_written():
    assert watch.epoch_line(ROW).split() == [
        "3", "0.2500", "0.1250", "1.5000", "98.77%", "100.00%", "2.000"
    ]  # fmt: skip
    assert watch.epoch_line(LINE).split() == [
        "12", "0.2500", "0.1250", "-", "-", "-", "2.000"
    ]  # fmt: skip


@pytest.mark.parametrize("row", [ROW, LINE])
def test_epoch_line_stands_under_its_header(row):
    line = watch.epoch_line(row)
    assert len(line) == len(watch.HEADER)
    for name in ("epoch", "running loss", "train loss", "test loss", "train acc", "test acc"):
        end = watch.HEADER.index(name) + len(name)
        assert line[end - 1] != " ", name
        assert line[end] == " ", name


def log(every, losses, of, batch_size=4, last=2):
    """Return the lines of a BatchLog that sees these losses, `of` batches per epoch."""
    file = io.StringIO()
    batch_log = watch.BatchLog(every, file)
    for i, loss in enumerate(losses):
        number = i % of + 1
        batch_log(Batch(i // of + 1, number, of, loss, last if number == of else batch_size))
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("every", "losses", "of", "lines"),
    [
        (2, [1, 3, 5, 7], 4, ["1 to 2 of 4: 2.000", "3 to 4 of 4: 5.667"]),
        (2, [1, 3, 8], 3, ["1 to 2 of 3: 2.000", "3 to 3 of 3: 8.000"]),  # the short last stretch
        (3, [1, 3, 5, 9, 6], 5, ["1 to 3 of 5: 3.000", "4 to 5 of 5: 8.000"]),
        (1, [1, 3], 2, ["1 to 1 of 2: 1.000", "2 to 2 of 2: 3.000"]),
        (9, [1, 4], 2, ["1 to 2 of 2: 2.000"]),
        (2, [1, 3, 5, 7], 5, ["1 to 2 of 5: 2.000", "3 to 4 of 5: 6.000"]),
        (3, [1], 1, ["1 to 1 of 1: 1.000"]),
    ],
)
def test_batch_log_means_over_examples(every, losses, of, lines):
    shown = [
        " ".join(line.split()).replace("epoch 1, batches ", "").replace("mean loss ", "")
        for line in log(every, losses, of)
    ]
    assert shown == lines


def test_batch_log_starts_anew_each_epoch():
    shown = [line.split(":")[0].split() for line in log(2, [1, 2, 3, 4, 5, 6], 3)]
    assert [(line[1], line[3], line[5]) for line in shown] == [
        ("1,", "1", "2"),
        ("1,", "3", "3"),
        ("2,", "1", "2"),
        ("2,", "3", "3"),
    ]


@pytest.mark.parametrize("every", [0, -1])
def test_batch_log_refuses_no_batches(every):
    with pytest.raises(ValueError, match=f"every 1 or more batches, got {every}"):
        watch.BatchLog(every, io.StringIO())


def test_watchers_call_all_but_none():
    seen = []
    batch = Batch(1, 1, 1, 0.5, 4)
    watch.watchers(seen.append, None, seen.append)(batch)
    watch.watchers(None)(batch)
    assert seen == [batch, batch]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Make standard error a terminal; not a fixture, as pytest sets sys.stderr after those."""
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def test_progress_bar_counts_the_batches_of_an_epoch(monkeypatch):
    stderr = terminal(monkeypatch)
    bar = watch.progress_bar()
    for epoch in (1, 2):
        for number in range(1, 6):
            bar(Batch(epoch, number, 5, 0.5, 4))
    bar.close()
    shown = stderr.getvalue()
    assert "epoch 1" in shown
    assert "epoch 2" in shown
    assert "/5" in shown


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_progress_bar_leaves_no_trace(monkeypatch, number):
    stderr = terminal(monkeypatch)
    bar = watch.progress_bar()
    for i in range(number):
        bar(Batch(1, i + 1, 5, 0.5, 4))
    bar.close()
    bar.close()
    assert "\n" not in stderr.getvalue()
    assert stderr.getvalue().rpartition("\r")[0].rpartition("\r")[2].strip() == ""


def test_progress_bar_needs_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert watch.progress_bar() is None


def test_progress_bar_does_without_tqdm(monkeypatch):
    stderr = terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert watch.progress_bar() is None
    assert stderr.getvalue() == ""


def test_live_plot_redraws_the_files_after_each_epoch(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    drawn = []
    curves = plots.curves

    def spy(history, title):
        drawn.append((history.column("epoch"), title))
        return curves(history, title)

    monkeypatch.setattr(plots, "curves", spy)
    live = watch.LivePlot(tmp_path / "new", "mlp on digits")
    pictures = []
    for row in (ROW, replace(ROW, epoch=4)):
        live(row)
        pictures.append((tmp_path / "new" / "curves.png").read_bytes())
    assert drawn == [([3], "mlp on digits"), ([3, 4], "mlp on digits")]
    assert pictures[0] != pictures[1]
    assert (tmp_path / "new" / "curves.svg").exists()


class Notebook(SimpleNamespace):
    """What LivePlot uses of IPython.display: pictures, and a place where they can be replaced."""

    def __init__(self):
        super().__init__(pictures=[], places=0)

    def Image(self, data):
        return data

    def display(self, picture, display_id):
        assert display_id is True
        self.places += 1
        self.pictures.append(picture)
        return SimpleNamespace(update=self.pictures.append)


def test_live_plot_replaces_its_picture_in_a_notebook(monkeypatch):
    pytest.importorskip("matplotlib")
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=notebook))
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    live = watch.LivePlot()
    for epoch in (1, 2, 3):
        live(replace(ROW, epoch=epoch))
    assert notebook.places == 1
    assert len(set(notebook.pictures)) == 3
    assert all(picture.startswith(b"\x89PNG") for picture in notebook.pictures)


def test_live_plot_names_what_is_missing(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(MissingExtraError, match=r"needs IPython.*'\.\[notebook\]'"):
        watch.LivePlot()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"needs matplotlib.*'\.\[plots\]'"):
        watch.LivePlot("anywhere")


def scalars(folder):
    """Read back TensorBoard's only event file: records of length, sum, event, sum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    (path,) = folder.glob("events.*")
    content, read = path.read_bytes(), {}
    while content:
        (length,) = struct.unpack_from("<Q", content)
        event = event_pb2.Event.FromString(content[12 : 12 + length])
        read |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        content = content[12 + length + 4 :]
    return read


def test_tensorboard_writes_what_an_epoch_has(tmp_path):
    pytest.importorskip("tensorboardX")
    board = watch.TensorBoard(tmp_path)
    board(ROW)
    board(replace(LINE, train_loss=0.0))
    board.close()
    assert scalars(tmp_path) == {
        ("loss/running", 3): 0.25,
        ("loss/train", 3): 0.125,
        ("loss/test", 3): 1.5,
        ("accuracy/running", 3): 0.5,
        ("accuracy/train", 3): np.float32(0.987654),
        ("accuracy/test", 3): 1.0,
        ("metrics/train_loss", 3): 0.25,  # the reference texts' tags
        ("metrics/train_acc", 3): 0.5,
        ("metrics/test_acc", 3): 1.0,
        ("loss/running", 12): 0.25,
        ("loss/train", 12): 0.0,
        ("metrics/train_loss", 12): 0.25,
    }


def test_tensorboard_names_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r"needs tensorboardX.*'\.\[tensorboard\]'"):
        watch.TensorBoard(tmp_path)


def test_gradient_norms_are_those_of_the_gradient(digits):
    train, _ = digits
    network = mlp.init([64, 7, 10], rng=1)
    norms = watch.GradientNorms(network, train)
    fit(network, train, optimizer=SGD(0.1), epochs=2, rng=1, evaluation=False, on_epoch=norms)
    assert {name: len(values) for name, values in norms.by_layer.items()} == {
        "layer 1": 2,
        "layer 2": 2,
    }
    X, target = train.batch(slice(1024), np.float32)
    grad = network.copy()
    backpropagate(network, X, target, CrossEntropy(), out=grad)
    for values, views in zip(norms.by_layer.values(), filter(None, grad.views), strict=True):
        flat = np.concatenate([view.ravel() for view in views])
        np.testing.assert_allclose(values[-1], np.linalg.norm(flat), rtol=1e-6)


def test_gradient_norms_in_a_file_are_read_back(digits, tmp_path):
    train, _ = digits
    network = mlp.init([64, 10], rng=1)
    path = tmp_path / watch.GRADIENTS
    for epochs in ([1, 2, 3], [1, 2], [2, 3]):  # a run, another one in its place, which goes on
        norms = watch.GradientNorms(network, train, folder=tmp_path)
        for epoch in epochs:
            network.theta += 0.01
            norms(replace(ROW, epoch=epoch))
    assert len(path.read_text().splitlines()) == 4
    found = watch.read_gradients(path, 3)["layer 1"]
    assert found[1:] == norms.by_layer["layer 1"]  # what was written last counts
    assert len(found) == 3


@pytest.mark.parametrize(
    "content", [None, "", "{", '{"epoch": 2, "norms": {}}', "[]", '{"epoch": 1}']
)
def test_gradient_norms_that_are_incomplete_are_none(tmp_path, content):
    path = tmp_path / watch.GRADIENTS
    if content is not None:
        path.write_text(content)
    assert watch.read_gradients(path, 1) == {}


def test_a_rank_that_writes_no_folder_keeps_no_norms():
    assert train_command._norms(None, None) is None
