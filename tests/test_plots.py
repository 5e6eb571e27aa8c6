"""Plots: every curve of a history is in the picture, labelled, in both formats."""

import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from scratchnn import examine, mlp, plots
from scratchnn.calibration import reliability_bins
from scratchnn.data import Dataset, synthetic_line
from scratchnn.data.transforms import as_float
from scratchnn.extras import MissingExtraError
from scratchnn.history import Epoch, History

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


def test_epochs_are_whole_numbers():
    for axis in plots.curves(History(CLASSIFIER.epochs[:1])).axes:
        low, high = axis.get_xlim()
        assert [tick for tick in axis.get_xticks() if low <= tick <= high] == [1]
    for axis in plots.curves(History(CLASSIFIER.epochs[:2])).axes:
        assert axis.get_xlim()[0] > 0.9  # no room where no epoch is


def test_curves_differ_without_colour():
    (axis, _) = plots.curves(CLASSIFIER).axes
    assert len({line.get_linestyle() for line in axis.get_lines()}) == 3


def test_confusion_draws_counts_shaded_by_row():
    matrix = np.array([[8, 2], [0, 0]])
    axis, bar = plots.confusion(matrix, ["cat", "dog"], "pets").axes
    cells = {text.get_position(): text.get_text() for text in axis.texts}
    assert cells == {(0, 0): "8", (1, 0): "2"}  # x is the predicted class
    np.testing.assert_array_equal(axis.images[0].get_array(), [[0.8, 0.2], [0, 0]])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "dog"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "true class")
    assert axis.get_title() == "pets"
    assert bar.get_ylabel() == "share of the true class"


def test_confusion_text_can_be_read_on_its_shade():
    axis, _ = plots.confusion(np.array([[9, 1], [1, 9]])).axes
    assert {text.get_text(): text.get_color() for text in axis.texts} == {
        "9": "white",
        "1": "black",
    }


def test_confusion_refuses_other_names_and_shapes():
    with pytest.raises(ValueError, match="classes must be 2 names, one per row, got 3"):
        plots.confusion(np.eye(2, dtype=int), "abc")
    with pytest.raises(ValueError, match="confusion must be square"):
        plots.confusion(np.zeros((2, 3), int))


def test_reliability_draws_the_full_bins():
    p = np.array([[0.75, 0.25], [0.25, 0.75], [1, 0]])
    bins = reliability_bins(p, np.array([0, 0, 0]), bins=4)
    figure = plots.reliability(bins, "digits")
    left, right = figure.axes
    assert figure.get_suptitle() == "digits"
    assert drawn(left) == {"calibrated": [0, 1], "accuracy of a bin": [0.5, 1]}
    assert list(left.get_lines()[1].get_xdata()) == [0.75, 1]
    gaps = [segment.tolist() for segment in left.collections[0].get_segments()]
    assert gaps == [[[0.75, 0.5], [0.75, 0.75]], [[1, 1], [1, 1]]]
    assert [bar.get_height() for bar in right.patches] == [0, 0, 2, 1]
    assert [bar.get_x() for bar in right.patches] == [0, 0.25, 0.5, 0.75]


def test_show_images_draws_a_grid_without_axes():
    images = np.arange(5 * 6).reshape(5, 2, 3)
    figure = plots.show_images(images, 2, 3, titles=list("abcde"), scale=2)
    assert figure.get_size_inches().tolist() == [6, 4]
    assert len(figure.axes) == 6
    assert not any(axis.axison for axis in figure.axes)
    assert [axis.get_title() for axis in figure.axes] == [*"abcde", ""]
    for axis, image in zip(figure.axes, images, strict=False):
        (drawn_image,) = axis.images
        np.testing.assert_array_equal(drawn_image.get_array(), image)
        assert drawn_image.get_clim() == (0, 29)  # one scale for all
    assert not figure.axes[5].images


def test_show_images_refuses_what_it_would_leave_out():
    images = np.zeros((5, 2, 3))
    with pytest.raises(ValueError, match=r"at most 2 x 2, .* got 5 images and 0 titles"):
        plots.show_images(images, 2, 2)
    with pytest.raises(ValueError, match="got 5 images and 4 titles"):
        plots.show_images(images, 2, 3, titles=list("abcd"))


def test_scatter_draws_the_target_over_each_feature():
    line = synthetic_line(examples=7)
    figure = plots.scatter(line, "line")
    assert figure.get_suptitle() == "line"
    for k, axis in enumerate(figure.axes):
        points = axis.collections[0].get_offsets()
        np.testing.assert_array_equal(points, np.column_stack([line.X[:, k], line.target[:, 0]]))
    assert [axis.get_xlabel() for axis in figure.axes] == ["x_1", "x_2"]


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


def test_png_is_the_content_of_a_file():
    assert plots.png(plots.curves(CLASSIFIER)).startswith(b"\x89PNG\r\n")


def test_curves_need_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"needs matplotlib.*'\.\[plots\]'"):
        plots.curves(CLASSIFIER)
    with pytest.raises(MissingExtraError):
        plots.confusion(np.eye(2, dtype=int))


@pytest.mark.parametrize("name", [r"$\frac$", "$", "a$b$c"])
def test_names_are_no_mathematics(name):
    """Of classes and of files: matplotlib would take them for formulas, and fail."""
    for figure in (
        plots.confusion(np.eye(2, dtype=int), [name, "dog"]),
        plots.show_images(np.zeros((1, 3, 3)), 1, 1, [name]),
        plots.curves(CLASSIFIER, name),
    ):
        assert plots.png(figure)


# figures show themselves


def test_figures_show_themselves_in_notebooks():
    figure = plots.curves(CLASSIFIER)
    assert figure._repr_png_().startswith(b"\x89PNG\r\n")
    with pytest.raises(RuntimeError, match=r"show\(\) needs a notebook.*plots.save"):
        figure.show()


def test_show_displays_the_figure_where_there_is_a_notebook(monkeypatch):
    shown = []
    display = SimpleNamespace(display=shown.append)
    notebook = SimpleNamespace(get_ipython=lambda: "a shell", display=display)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    figure = plots.losses()
    figure.show()
    assert shown == [figure]


def test_dollars_are_no_mathematics(tmp_path):
    """Names that matplotlib cannot read as mathematics are drawn as they are."""
    plots.png(plots.curves(CLASSIFIER, "$x_{$"))
    plots.png(plots.compare({"$x_{$": CLASSIFIER}, "a$^$"))
    plots.png(plots.confusion(np.eye(2, dtype=int), ["$a_{$", "$^$"], "$_$"))
    plots.png(plots.show_images(np.ones((1, 2, 2)), 1, 1, ["$_$"]))


# several trainings, gradients


def test_compare_draws_a_line_for_each_training():
    figure = plots.compare({"a": CLASSIFIER, "b": LINE}, "two")
    left, right = figure.axes
    assert drawn(left) == {
        "a": CLASSIFIER.column("test_loss"),
        "b, train": LINE.column("train_loss"),  # it has no test data
    }
    assert drawn(right) == {"a": CLASSIFIER.column("test_accuracy")}
    assert left.get_ylabel() == "loss"  # of different kinds
    assert len({line.get_linestyle() for line in left.get_lines()}) == 2
    assert figure.get_suptitle() == "two"


def test_compare_draws_nothing_of_a_run_without_epochs():
    (axis,) = plots.compare({"a": History()}).axes
    assert not drawn(axis)


def test_compare_refuses_nothing():
    with pytest.raises(ValueError, match="name one training or more, got none"):
        plots.compare({})


def test_gradients_draw_the_norms_on_a_logarithmic_axis():
    (axis,) = plots.gradients({"layer 1": [1.0, 0.1], "layer 2": [2.0, 0.3]}).axes
    assert drawn(axis) == {"layer 1": [1.0, 0.1], "layer 2": [2.0, 0.3]}
    assert axis.get_yscale() == "log"


# images


def answered():
    """Return the answers to three images of 2 x 2 pixels: right, nearly right, quite wrong."""
    X = np.arange(12, dtype=float).reshape(3, 4)
    data = Dataset("three", X, np.array([0, 0, 1]), ("a", "b"), as_float, (2, 2))
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.99, 0.01]])
    return examine.Answers(data, np.log(p), p)


@pytest.mark.parametrize(
    ("uncertain", "titles", "rows", "kind"),
    [
        (False, ["b, taken for a\np = 1.0% and 99.0%"], [2], "the worst ones"),
        (True, ["a, taken for b\np = 40.0% and 60.0%"], [1], "the most uncertain ones"),
    ],
)
def test_mistakes_draw_images_with_both_classes(uncertain, titles, rows, kind):
    answers = answered()
    figure = plots.mistakes(answers, 1, uncertain=uncertain)
    assert [axis.get_title() for axis in figure.axes] == titles
    for axis, row in zip(figure.axes, rows, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), answers.data.images[row])
    assert figure.get_suptitle() == f"mistakes, {kind}"


def test_mistakes_of_a_perfect_classifier_are_none():
    answers = answered()
    perfect = examine.Answers(answers.data, np.eye(2)[answers.data.target], answers.p)
    assert plots.mistakes(perfect).get_suptitle() == "no mistakes"


def test_weights_are_images_of_one_scale():
    network = mlp.init([4, 3, 2], rng=1)
    network.views[0][0][:, 1] = 0  # the shortest
    figure = plots.weights(network, count=2)
    assert [axis.get_title() for axis in figure.axes] == ["0", "2"]
    W = network.views[0][0]
    limit = abs(W).max()
    for axis, unit in zip(figure.axes, (0, 2), strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), W[:, unit].reshape(2, 2))
        np.testing.assert_allclose(axis.images[0].get_clim(), (-limit, limit), rtol=1e-6)
    assert figure.get_suptitle() == "weights of 2 of the 3 units of the first layer"


def test_weights_refuse_what_is_no_image():
    network = mlp.init([6, 2], rng=1)
    with pytest.raises(
        ValueError, match=r"6 features, which are no \(2, 2\) image: give image_size"
    ):
        plots.weights(network)
    assert len(plots.weights(network, (2, 3)).axes) == 2


# lessons


def test_losses_draw_signed_derivatives():
    """A line, a jump from -1 to 1, and a clipped line: no absolute values, as R4 has it."""
    left, right = plots.losses(3.0).axes
    r = left.get_lines()[0].get_xdata()
    squared, absolute, huber = (np.array(values) for values in list(drawn(left).values())[:3])
    near = abs(r) <= 1
    np.testing.assert_allclose(squared, r**2 / 2)
    np.testing.assert_allclose(absolute, abs(r))
    np.testing.assert_allclose(huber, np.where(near, r**2 / 2, abs(r) - 0.5))
    d_squared, d_absolute, d_huber = (np.array(v) for v in list(drawn(right).values())[:3])
    np.testing.assert_allclose(d_squared, r)
    np.testing.assert_array_equal(d_absolute, np.sign(r))
    np.testing.assert_allclose(d_huber, r.clip(-1, 1))


def test_temperature_draws_softmax_of_z_over_t():
    (axis,) = plots.temperature((1.0, 0.0), (0.5, 2.0)).axes
    heights = [bar.get_height() for bar in axis.patches]
    sigmoid = [1 / (1 + np.exp(-1 / T)) for T in (0.5, 2.0)]
    expected = [sigmoid[0], 1 - sigmoid[0], sigmoid[1], 1 - sigmoid[1]]
    np.testing.assert_allclose(heights, expected)
    with pytest.raises(ValueError, match=r"temperatures must be above 0, got \[1.0, 0.0\]"):
        plots.temperature(temperatures=(1.0, 0.0))


def test_scatter_draws_the_fitted_line():
    line = synthetic_line(examples=50)
    network = mlp.Parameters.from_arrays([(np.array([[2.0], [-3.0]]), np.array([4.0]))])
    for k, axis in enumerate(plots.scatter(line, network=network).axes):
        (fitted,) = axis.get_lines()
        x, y = np.array(fitted.get_xdata()), np.array(fitted.get_ydata())
        others = 4 + (2, -3)[1 - k] * line.X[:, 1 - k].mean()
        np.testing.assert_allclose(y, (2, -3)[k] * x + others)
        assert (x.min(), x.max()) == (line.X[:, k].min(), line.X[:, k].max())


def test_gradients_without_numbers_are_an_empty_figure():
    (axis,) = plots.gradients({}).axes
    assert axis.get_legend() is None
    (axis,) = plots.gradients({"layer 1": [0.0, 0.0]}).axes
    assert axis.get_yscale() == "linear"  # a logarithm has no place for them


def test_remove_takes_both_files_away(tmp_path):
    for path in plots.save(plots.new_figure(1)[0], tmp_path, "drawn"):
        assert path.exists()
    for _ in range(2):  # also where there are none
        plots.remove(tmp_path, "drawn")
        assert not list(tmp_path.iterdir())
