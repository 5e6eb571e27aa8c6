"""Pictures of a classifier: its confusion matrix, and whether its confidence can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scratchnn.calibration import Reliability
from scratchnn.metrics import recall
from scratchnn.ops.shared import IntArray
from scratchnn.plots.figures import BLUE, GREY, ORANGE, blank, new_figure, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    figure = blank(2 + 0.42 * len(matrix), 1.2 + 0.42 * len(matrix))
    axis = figure.subplots()
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in zip(*matrix.nonzero(), strict=True):
        shade = "white" if shares[i, j] > 0.5 else "black"
        axis.text(j, i, f"{matrix[i, j]:,}", ha="center", va="center", color=shade, fontsize=8)
    ticks = range(len(names))
    rotation = 0 if max(map(len, names)) < 3 else 90
    axis.set_xticks(ticks, names, rotation=rotation, parse_math=False)
    axis.set_yticks(ticks, names, parse_math=False)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_title(title, parse_math=False)
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
    draw_gaps(left, bins)
    draw_counts(right, bins)
    title_of(figure, title)
    return figure


def draw_gaps(axis: Axes, bins: Reliability) -> None:
    """Draw accuracy over confidence into a panel."""
    full = bins.count > 0
    confidence, accuracy = bins.confidence[full], bins.accuracy[full]
    axis.plot([0, 1], [0, 1], "--", color=GREY, label="calibrated")
    axis.vlines(confidence, accuracy, confidence, color=ORANGE, linewidth=3, label="gap")
    axis.plot(confidence, accuracy, "o", color=BLUE, markersize=4, label="accuracy of a bin")
    axis.set(xlabel="mean confidence", ylabel="accuracy", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.legend(frameon=False, loc="lower right")


def draw_counts(axis: Axes, bins: Reliability) -> None:
    """Draw the number of predictions in each bin into a panel."""
    widths = bins.edges[1:] - bins.edges[:-1]
    axis.bar(bins.edges[:-1], bins.count, 0.96 * widths, align="edge", color=BLUE)
    axis.set(xlabel="confidence", ylabel="predictions", xlim=(0, 1))
