"""Pictures of training: loss and accuracy over the epochs, of one run or several; gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scratchnn.history import History
from scratchnn.plots.figures import (
    BLUE,
    CYCLE,
    DASHES,
    GREEN,
    GREY,
    ORANGE,
    new_figure,
    title_of,
    whole_numbers,
)

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
    for axis, quantity in zip(axes, quantities, strict=True):
        draw_curves(axis, history, quantity)
    title_of(figure, title)
    return figure


def draw_curves(axis: Axes, history: History, quantity: str) -> None:
    """Draw the lines of "loss" or "accuracy" into a panel: running, train and test."""
    lines = (
        ("running", GREY, ":"),
        ("train", BLUE, "-"),
        ("test", ORANGE, "--"),
        ("validation", GREEN, "-."),
    )
    for part, colour, style in lines:
        values = values_of(history, f"{part}_{quantity}")
        if values:
            label = "train, while θ moves" if part == "running" else part
            epochs = values_of(history, "epoch")
            axis.plot(epochs, values, style, color=colour, label=label, marker=".")
    _name_axes(axis, quantity, nats=len(quantities_of(history)) > 1)


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
        draw_comparison(axis, histories, quantity)
    title_of(figure, title)
    return figure


def draw_comparison(axis: Axes, histories: Mapping[str, History], quantity: str) -> None:
    """Draw "loss" or "accuracy" of several trainings into a panel, a line each."""
    for i, (name, history) in enumerate(histories.items()):
        part, values = measured(history, quantity)
        if values:
            style, colour = DASHES[i % len(DASHES)], CYCLE[i % len(CYCLE)]
            label = name.replace("$", r"\$")
            label += "" if part == "test" or part in quantity else f", {part}"
            epochs = values_of(history, "epoch")
            axis.plot(epochs, values, style, color=colour, label=label, marker=".")
    _name_axes(axis, quantity, nats=all(len(quantities_of(h)) > 1 for h in histories.values()))


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
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)
    title_of(figure, title)
    return figure


def quantities_of(history: History) -> list[str]:
    """Return what a history has: loss, and accuracy where there are classes."""
    has_accuracy = history.column("running_accuracy")[:1] not in ([], [None])
    return ["loss", "accuracy"] if has_accuracy else ["loss"]


def measured(history: History, quantity: str) -> tuple[str, list[float]]:
    """Return the best measurement of "loss" or "accuracy" that there is: its part, its values.

    That is the one on test data, else on training data, else the running mean. Of "validation
    loss" and "validation accuracy", it is that one alone.
    """
    if quantity.startswith("validation"):
        values = values_of(history, quantity.replace(" ", "_"))
        return ("validation" if values else ""), values
    for part in ("test", "train", "running"):
        if values := values_of(history, f"{part}_{quantity}"):
            return part, values
    return "", []


def values_of(history: History, name: str) -> list[float]:
    """Return a column of a history, or [] where an epoch has no such value."""
    values = [value for value in history.column(name) if value is not None]
    return values if len(values) == len(history.epochs) else []


def _name_axes(axis: Axes, quantity: str, *, nats: bool) -> None:
    is_nats = nats and quantity == "loss"  # a loss with an accuracy is a classifier's
    axis.set(xlabel="epoch", ylabel="loss (nats)" if is_nats else quantity)
    whole_numbers(axis)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)
