"""Pictures made of images: examples, what the first layer looks for, and mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scratchnn.examine import Answers, first_weights, image_size_of
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import AnyArray
from scratchnn.plots.figures import blank, title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_UNITS = 40  # of a layer that are drawn


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
    limits = (images.min(), images.max()) if len(images) else (0, 1)
    return _grid(images, rows, columns, titles, scale, "gray", limits)


def mistakes(answers: Answers, count: int = 10, *, uncertain: bool = False) -> Figure:
    """Draw the mistakes of a classifier: the image, the right class, and what it took it for.

        plots.mistakes(answers(network, test))

    Options  answers     as from `examine.answers`, of a data set of images
             count       how many at most
             uncertain   those that were nearly right; default: the worst, which gave the right
                         class the least probability
    Raises   MissingExtraError; ValueError for examples that are not images
    """
    chosen = answers.nearly_right(count) if uncertain else answers.worst(count)
    rows = [mistake.row for mistake in chosen]
    images = answers.data.images[rows] if rows else np.zeros((0, 1, 1))
    titles = [
        f"{one.target}, taken for {one.answer}\np = {one.p_target:.1%} and {one.p_answer:.1%}"
        for one in chosen
    ]
    columns = max(min(5, len(rows)), 1)
    lines = max(math.ceil(len(rows) / columns), 1)
    limits = (images.min(), images.max()) if rows else (0, 1)
    kind = "the most uncertain ones" if uncertain else "the worst ones"
    title = f"mistakes, {kind}" if rows else "no mistakes"
    return _grid(images, lines, columns, titles, 1.9, "gray", limits, title)


def weights(
    network: Parameters, image_size: tuple[int, int] | None = None, count: int = MOST_UNITS
) -> Figure:
    """Draw the weights of the first layer as images, one per unit: what each of them looks for.

    Blue pixels speak for the unit, red ones against it. All images have one scale. Of a wide layer
    the units with the longest weights are drawn.

    Options  network      its inputs are images
             image_size   (height, width) of the images; default: squares
             count        how many units at most
    Raises   MissingExtraError; ValueError for inputs that are no images of this size
    """
    size = image_size_of(network, image_size)
    units, images = first_weights(network, size, count)
    columns = min(10, len(images))
    lines = math.ceil(len(images) / columns)
    largest = float(np.abs(images).max()) or 1.0
    titles = [str(unit) for unit in units]
    H = network.sizes[1]
    shown = f"{len(units)} of the {H}" if len(units) < H else f"the {H}"
    title = f"weights of {shown} units of the first layer"
    return _grid(images, lines, columns, titles, 1.0, "RdBu", (-largest, largest), title)


def _grid(
    images: AnyArray,
    rows: int,
    columns: int,
    titles: Sequence[str],
    scale: float,
    colours: str,
    limits: tuple[float, float],
    above: str = "",
) -> Figure:
    figure = blank(columns * scale, rows * scale + (0.4 if above else 0))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, image in zip(axes, images, strict=False):
        axis.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1])
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(title, fontsize=9, parse_math=False)  # a class may be called $x$
    if above:
        title_of(figure, above)
    return figure
