"""Pictures of data, training and predictions, by matplotlib; saved as SVG and PNG.

Every function returns a matplotlib Figure. The colours can be told apart by colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scratchnn.calibration import Reliability
from scratchnn.data import Dataset
from scratchnn.extras import need
from scratchnn.metrics import recall
from scratchnn.ops.shared import AnyArray, IntArray
from scratchnn.train import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"


def new_figure(panels: int) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with some panels in a row, and the panels.

    Options  panels   how many
    Raises   MissingExtraError
    """
    figure = need("matplotlib.figure", "plots").Figure(
        figsize=(4.2 * panels, 3.2), layout="constrained"
    )
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="0.9", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, list(axes)


def curves(history: History, title: str = "") -> Figure:
    """Draw the loss over the epochs, and the accuracy where there is one.

    Options  history   as from `fit`
             title     above the figure
    Raises   MissingExtraError
    """
    quantities = (
        ["loss", "accuracy"] if history.column("train_accuracy")[:1] != [None] else ["loss"]
    )
    figure, axes = new_figure(len(quantities))
    epochs = np.array(history.column("epoch"))
    lines = (("running", GREY, ":"), ("train", BLUE, "-"), ("test", ORANGE, "--"))
    for axis, quantity in zip(axes, quantities, strict=True):
        for part, colour, style in lines:
            values = history.column(f"{part}_{quantity}")
            if None not in values:
                label = "train, while θ moves" if part == "running" else part
                y = np.array(values)
                axis.plot(epochs, y, style, color=colour, label=label, marker=".")
        axis.set(
            xlabel="epoch", ylabel=f"{quantity} (nats)" if _is_nats(quantity, axes) else quantity
        )
        whole_numbers(axis)
        axis.legend(frameon=False)
    figure.suptitle(title)
    return figure


def show_images(
    images: AnyArray,
    rows: int,
    columns: int,
    titles: Sequence[str] = (),
    scale: float = 1.5,
) -> Figure:
    """Draw images in a grid, without axes, all on the same scale of greys.

        plots.show_images(train.images[:18], 2, 9, titles=train.labels(slice(18)))

    Shapes   images (N, height, width), N ≤ rows · columns
    Options  rows, columns   of the grid
             titles          one above each image; default: none
             scale           inches per image
    Raises   MissingExtraError; ValueError for more images than places, or another count of titles
    """
    if len(images) > rows * columns or len(titles) not in (0, len(images)):
        raise ValueError(
            f"images must be at most {rows} x {columns}, with a title each or none, "
            f"got {len(images)} images and {len(titles)} titles"
        )
    figure = need("matplotlib.figure", "plots").Figure(
        figsize=(columns * scale, rows * scale), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, image in zip(axes, images, strict=False):
        axis.imshow(image, cmap="gray", vmin=images.min(), vmax=images.max())
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(title, fontsize=9)
    return figure


def scatter(data: Dataset, title: str = "") -> Figure:
    """Draw the target of a regression over each of its features.

    Options  data    a data set with one real target
             title   above the figure
    Raises   MissingExtraError
    """
    figure, axes = new_figure(data.features)
    for k, axis in enumerate(axes):
        axis.scatter(data.X[:, k], data.target[:, 0], s=2, color=BLUE, linewidths=0)
        axis.set(xlabel=f"x_{k + 1}", ylabel="y")
    figure.suptitle(title)
    return figure


def confusion(matrix: IntArray, classes: Sequence[str] = (), title: str = "") -> Figure:
    """Draw a confusion matrix.

    The shade is the share of the row: every true class counts the same. The numbers
    are counts. A cell with the count 0 is blank.

    Shapes   matrix (C, C), true classes in rows, as from `metrics.confusion_matrix`
    Options  classes   the names of the classes; default: 0, 1, 2, ...
             title     above the figure
    Raises   MissingExtraError; ValueError for another number of class names
    """
    recall(matrix)  # raises where the matrix is not square
    names = list(classes) or [str(c) for c in range(len(matrix))]
    if len(names) != len(matrix):
        raise ValueError(f"classes must be {len(matrix)} names, one per row, got {len(names)}")
    figure = need("matplotlib.figure", "plots").Figure(
        figsize=(2 + 0.42 * len(matrix), 1.2 + 0.42 * len(matrix)), layout="constrained"
    )
    axis = figure.subplots()
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in zip(*matrix.nonzero(), strict=True):
        shade = "white" if shares[i, j] > 0.5 else "black"
        axis.text(j, i, f"{matrix[i, j]:,}", ha="center", va="center", color=shade, fontsize=8)
    ticks = range(len(names))
    axis.set_xticks(ticks, names, rotation=0 if max(map(len, names)) < 3 else 90)
    axis.set_yticks(ticks, names)
    axis.set(xlabel="predicted class", ylabel="true class", title=title)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return figure


def reliability(bins: Reliability, title: str = "") -> Figure:
    """Draw accuracy over confidence, and the number of predictions in each bin.

    On the dashed diagonal the classifier is calibrated, below it overconfident. The
    bars between points and diagonal are the gaps whose mean is the ECE.

    Options  bins    as from `calibration.reliability_bins`
             title   above the figure
    Raises   MissingExtraError
    """
    figure, (left, right) = new_figure(2)
    full = bins.count > 0
    confidence, accuracy = bins.confidence[full], bins.accuracy[full]
    left.plot([0, 1], [0, 1], "--", color=GREY, label="honest")
    left.vlines(confidence, accuracy, confidence, color=ORANGE, linewidth=3, label="gap")
    left.plot(confidence, accuracy, "o", color=BLUE, markersize=4, label="accuracy of a bin")
    left.set(xlabel="mean confidence", ylabel="accuracy", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    left.legend(frameon=False, loc="upper left")
    widths = bins.edges[1:] - bins.edges[:-1]
    right.bar(bins.edges[:-1], bins.count, widths, align="edge", color=BLUE, edgecolor="white")
    right.set(xlabel="confidence", ylabel="predictions", xlim=(0, 1))
    figure.suptitle(title)
    return figure


def whole_numbers(axis: Axes) -> None:
    """Put ticks at whole numbers of the x axis, also where there is only one epoch."""
    low, high = axis.get_xlim()
    axis.set_xlim(min(low, 0.5), max(high, 1.5))
    axis.locator_params(axis="x", integer=True)


def save(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as name.svg and name.png into a folder, and return their paths.

    The same figure makes the same files: they hold no date, and no random names.

    Options  folder   is made if it is missing
             name     of the files, without .svg and .png
    """
    paths = _files(folder, name)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        with need("matplotlib", "plots").rc_context({"svg.hashsalt": name}):
            metadata = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=150, metadata=metadata)
    return paths


def remove(folder: str | Path, name: str) -> None:
    """Remove the two files that `save` writes under this name.

    Options  folder, name   as of `save`
    """
    for path in _files(folder, name):
        path.unlink(missing_ok=True)


def _files(folder: str | Path, name: str) -> list[Path]:
    return [Path(folder) / f"{name}.{kind}" for kind in ("svg", "png")]


def png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=100, format="png")
    return buffer.getvalue()


def _is_nats(quantity: str, axes: list[Axes]) -> bool:
    return quantity == "loss" and len(axes) > 1  # a loss with an accuracy is a classifier's
