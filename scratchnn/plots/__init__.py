"""Pictures of data, training and predictions, by matplotlib; saved as SVG and PNG.

Every function returns a matplotlib Figure, which shows itself as the last line of a notebook's
cell. docs/looking.md shows all of them.

training      curves, compare, gradients: losses and accuracies over the epochs
classifiers   confusion, reliability
images        show_images, weights, mistakes
lessons       losses, temperature, scatter: what the texts explain
figures       the style; save, png
"""

from scratchnn.plots.classifiers import confusion, reliability
from scratchnn.plots.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    new_figure,
    png,
    remove,
    save,
    whole_numbers,
)
from scratchnn.plots.images import mistakes, show_images, weights
from scratchnn.plots.lessons import losses, scatter, temperature
from scratchnn.plots.training import compare, curves, gradients

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "compare",
    "confusion",
    "curves",
    "gradients",
    "losses",
    "mistakes",
    "new_figure",
    "png",
    "reliability",
    "remove",
    "save",
    "scatter",
    "show_images",
    "temperature",
    "weights",
    "whole_numbers",
]
