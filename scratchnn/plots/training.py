"""Pictures of training: loss and accuracy over the epochs, of one run or several; gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scratchnn.plots.figures import (
    BLUE,
    CYCLE,
    DASHES,
    GREY,
    ORANGE,
    new_figure,
    title_of,
    whole_numbers,
)
from scratchnn.train import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(history: History, title: str = "") -> Figure:
    """Draw the loss over the epochs, and the accuracy where there is one.

    Options  history   as from `fit`
             title     above the figure
    Raises   MissingExtraError
    """
    quantities = quantities_of(history)
    figure, axes = new_figure(len(quantities))
    lines = (("running", GREY, ":"), ("train", BLUE, "-"), ("test", ORANGE, "--"))
    for axis, quantity in zip(axes, quantities, strict=True):
        for part, colour, style in lines:
            values = history.column(f"{part}_{quantity}")
            if None not in values:
                label = "train, while θ moves" if part == "running" else part
                epochs = history.column("epoch")
                axis.plot(epochs, values, style, color=colour, label=label, marker=".")
        _name_axes(axis, quantity, quantities)
    title_of(figure, title)
    return figure


def compare(histories: Mapping[str, History], title: str = "") -> Figure:
    """Draw the losses of several trainings in one panel, and the accuracies in another.

        plots.compare({"SGD": first, "Adam": second})

    A line is what was measured on test data, and without any, on training data.

    Options  histories   the trainings by name
             title       above the figure
    Raises   MissingExtraError; ValueError for no training
    """
    if not histories:
        raise ValueError("histories must name one training or more, got none")
    found = [quantity for history in histories.values() for quantity in quantities_of(history)]
    quantities = [quantity for quantity in ("loss", "accuracy") if quantity in found]
    figure, axes = new_figure(len(quantities))
    for axis, quantity in zip(axes, quantities, strict=True):
        for i, (name, history) in enumerate(histories.items()):
            part, values = measured(history, quantity)
            if values:
                style, colour = DASHES[i % len(DASHES)], CYCLE[i % len(CYCLE)]
                label = name.replace("$", r"\$") + ("" if part == "test" else f", {part}")
                epochs = history.column("epoch")
                axis.plot(epochs, values, style, color=colour, label=label, marker=".")
        _name_axes(axis, quantity, quantities)
    title_of(figure, title)
    return figure


def gradients(norms: Mapping[str, Sequence[float]], title: str = "") -> Figure:
    """Draw the norm of each layer's gradient over the epochs.

    Options  norms   the norms by layer, an entry per epoch, as `watch.GradientNorms` records them
             title   above the figure
    Raises   MissingExtraError
    """
    figure, (axis,) = new_figure(1)
    for i, (name, values) in enumerate(norms.items()):
        style, colour = DASHES[i % len(DASHES)], CYCLE[i % len(CYCLE)]
        epochs = range(1, len(values) + 1)
        axis.plot(epochs, values, style, color=colour, label=name, marker=".")
    if any(value > 0 for values in norms.values() for value in values):
        axis.set_yscale("log")
    axis.set(xlabel="epoch", ylabel="‖gradient‖ (log scale)")
    whole_numbers(axis)
    axis.legend(frameon=False)
    title_of(figure, title)
    return figure


def quantities_of(history: History) -> list[str]:
    """Return what a history has: loss, and accuracy where there are classes."""
    has_accuracy = history.column("running_accuracy")[:1] not in ([], [None])
    return ["loss", "accuracy"] if has_accuracy else ["loss"]


def measured(history: History, quantity: str) -> tuple[str, list[float]]:
    """Return the best measurement of "loss" or "accuracy" that there is: its part, its values.

    That is the one on test data, else on training data, else the running mean.
    """
    for part in ("test", "train", "running"):
        values = history.column(f"{part}_{quantity}")
        if values and None not in values:
            return part, [math.nan if value is None else value for value in values]
    return "", []


def _name_axes(axis: Axes, quantity: str, quantities: Sequence[str]) -> None:
    nats = quantity == "loss" and len(quantities) > 1  # a loss with an accuracy is a classifier's
    axis.set(xlabel="epoch", ylabel=f"{quantity} (nats)" if nats else quantity)
    whole_numbers(axis)
    axis.legend(frameon=False)
