"""Pictures, by matplotlib: colour-blind-safe, labelled, as SVG and PNG."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from scratchnn.ops.shared import IntArray
from scratchnn.calibration import Reliability
from scratchnn.data import Dataset
from scratchnn.extras import need
from scratchnn.metrics import recall
from scratchnn.train import History

# Okabe & Ito 2008
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"


def new_figure(panels: int) -> tuple[Any, list[Any]]:
    """Return an empty figure with some panels side by side.

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


def curves(history: History, title: str = "") -> Any:
    """Draw loss, and accuracy where there is one, over the epochs; return the figure.

    Raises   MissingExtraError
    """
    quantities = (
        ["loss", "accuracy"] if history.column("train_accuracy")[:1] != [None] else ["loss"]
    )
    figure, axes = new_figure(len(quantities))
    epochs = history.column("epoch")
    lines = (("running", GREY, ":"), ("train", BLUE, "-"), ("test", ORANGE, "--"))
    for axis, quantity in zip(axes, quantities, strict=True):
        for part, colour, style in lines:
            values = history.column(f"{part}_{quantity}")
            if None not in values:
                label = "train, while θ moves" if part == "running" else part
                axis.plot(epochs, values, style, color=colour, label=label, marker=".")
        axis.set(
            xlabel="epoch", ylabel=f"{quantity} (nats)" if _is_nats(quantity, axes) else quantity
        )
        whole_numbers(axis)
        axis.legend(frameon=False)
    figure.suptitle(title)
    return figure


def show_images(
    images: NDArray[Any],
    rows: int,
    columns: int,
    titles: Sequence[str] = (),
    scale: float = 1.5,
) -> Any:
    """Draw images in a grid, without axes, all on one scale of greys; return the figure.

    plots.show_images(train.images[:18], 2, 9, titles=train.labels(slice(18)))

    Shapes   images (N, height, width), N ≤ rows · columns
    Units    `scale` in inches an image
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


def scatter(data: Dataset, title: str = "") -> Any:
    """Draw a regression's target over each of its features; return the figure.

    Raises   MissingExtraError
    """
    figure, axes = new_figure(data.features)
    for k, axis in enumerate(axes):
        axis.scatter(data.X[:, k], data.target[:, 0], s=2, color=BLUE, linewidths=0)
        axis.set(xlabel=f"x_{k + 1}", ylabel="y")
    figure.suptitle(title)
    return figure


def confusion(matrix: IntArray, classes: Sequence[str] = (), title: str = "") -> Any:
    """Draw a confusion matrix; return the figure.

    The shade is the share of the row, so that every true class counts alike;
    the numbers are counts. Empty cells stay blank.

    Shapes   matrix (C, C), true classes in rows, as from `metrics.confusion_matrix`
    Raises   MissingExtraError; ValueError for another number of class names
    """
    recall(matrix)  # refuses what is not square
    names = list(classes) or [str(c) for c in range(len(matrix))]
    if len(names) != len(matrix):
        raise ValueError(f"classes must be {len(matrix)} names, one a row, got {len(names)}")
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


def reliability(bins: Reliability, title: str = "") -> Any:
    """Draw accuracy over confidence, and the predictions in each bin; return the figure.

    On the dashed diagonal the classifier is honest; below it, overconfident.
    The bars between the points and the diagonal are the gaps that the ECE averages.

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


def whole_numbers(axis: Any) -> None:
    """Let the x axis count epochs, also where there is only one."""
    low, high = axis.get_xlim()
    axis.set_xlim(min(low, 0.5), max(high, 1.5))
    axis.xaxis.get_major_locator().set_params(integer=True)


def save(figure: Any, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as name.svg and name.png, and return their paths."""
    paths = _files(folder, name)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return paths


def remove(folder: str | Path, name: str) -> None:
    """Remove what `save` wrote under this name, and nothing else."""
    for path in _files(folder, name):
        path.unlink(missing_ok=True)


def _files(folder: str | Path, name: str) -> list[Path]:
    return [Path(folder) / f"{name}.{kind}" for kind in ("svg", "png")]


def png(figure: Any) -> bytes:
    """Return a figure as the content of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=100, format="png")
    return buffer.getvalue()


def _is_nats(quantity: str, axes: list[Any]) -> bool:
    return quantity == "loss" and len(axes) > 1  # a loss beside an accuracy is a classifier's
