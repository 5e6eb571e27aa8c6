"""Plots: every curve of a history is in the picture, labelled, in both formats."""

import sys
from xml.etree import ElementTree

import pytest

from scratchnn import plots
from scratchnn.extras import MissingExtraError
from scratchnn.train import Epoch, History

CLASSIFIER = History(
    [
        Epoch(n, 1 / n, 0.5 + n / 20, 0.9 / n, 0.55 + n / 20, 1.1 / n, 0.4 + n / 20, 1, 2)
        for n in (1, 2, 3)
    ]
)
LINE = History([Epoch(n, 1 / n, None, 0.9 / n, None, None, None, 1, 2) for n in (1, 2, 3)])


@pytest.fixture(autouse=True)
def matplotlib():
    return pytest.importorskip("matplotlib")


def drawn(axis):
    return {line.get_label(): list(line.get_ydata()) for line in axis.get_lines()}


def test_curves_draw_loss_and_accuracy():
    figure = plots.curves(CLASSIFIER, "mlp on digits")
    assert figure.get_suptitle() == "mlp on digits"
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss (nats)", "accuracy"]
    for axis, quantity in zip(figure.axes, ("loss", "accuracy"), strict=True):
        assert drawn(axis) == {
            "train, while θ moves": CLASSIFIER.column(f"running_{quantity}"),
            "train": CLASSIFIER.column(f"train_{quantity}"),
            "test": CLASSIFIER.column(f"test_{quantity}"),
        }
        assert all(list(line.get_xdata()) == [1, 2, 3] for line in axis.get_lines())
        assert [text.get_text() for text in axis.get_legend().get_texts()] == list(drawn(axis))
        assert axis.get_xlabel() == "epoch"


def test_curves_of_regression_have_neither_accuracy_nor_test():
    (axis,) = plots.curves(LINE).axes
    assert axis.get_ylabel() == "loss"  # not in nats
    assert drawn(axis) == {
        "train, while θ moves": LINE.column("running_loss"),
        "train": LINE.column("train_loss"),
    }


def test_curves_of_one_epoch_can_be_seen():
    figure = plots.curves(History(CLASSIFIER.epochs[:1]))
    assert all(line.get_marker() == "." for axis in figure.axes for line in axis.get_lines())


def test_curves_differ_without_colour():
    (axis, _) = plots.curves(CLASSIFIER).axes
    assert len({line.get_linestyle() for line in axis.get_lines()}) == 3


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_new_figure_has_panels_side_by_side(panels):
    figure, axes = plots.new_figure(panels)
    assert figure.axes == axes
    assert len(axes) == panels


def test_save_writes_both_formats(tmp_path):
    figure = plots.curves(CLASSIFIER)
    paths = plots.save(figure, tmp_path / "new" / "folder", "curves")
    assert [path.name for path in paths] == ["curves.svg", "curves.png"]
    assert ElementTree.parse(paths[0]).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert paths[1].read_bytes().startswith(b"\x89PNG\r\n")


def test_curves_need_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"needs matplotlib.*'scratchnn\[plots\]'"):
        plots.curves(CLASSIFIER)
