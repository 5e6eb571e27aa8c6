"""Pictures that explain: losses and their derivatives, softmax under temperature, a fitted line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import scratchnn.functional as F
from scratchnn.data import Dataset
from scratchnn.mlp import Parameters, forward
from scratchnn.plots.figures import (
    BLUE,
    CYCLE,
    DASHES,
    GREY,
    ORANGE,
    new_figure,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES = {
    "squared, r²/2": "squared_loss",
    "absolute, |r|": "l1_loss",
    "Huber, δ = 1": "huber_loss",
}


def losses(reach: float = 3.0) -> Figure:
    """Draw the squared, the absolute and Huber's loss, and their derivatives with their signs.

    The derivative of the squared loss is a line, so an outlier pulls as hard as it is far away.
    That of the absolute loss is ±1, and jumps at 0. Huber's is the line, clipped at ±δ.

    Options  reach   from -reach to reach on the axis of r = prediction - target
    Raises   MissingExtraError
    """
    figure, (left, right) = new_figure(2)
    r = np.linspace(-reach, reach, 601)
    zero = np.zeros_like(r)
    for i, (label, op) in enumerate(LOSSES.items()):
        loss = getattr(F, op)(r, zero, reduction="none")
        backward = getattr(F, f"{op}_backward")
        derivative, _ = backward(np.ones_like(r), r, zero, reduction="none")
        for axis, values in ((left, loss), (right, derivative)):
            axis.plot(r, values, DASHES[i], color=CYCLE[i], linewidth=4 - 1.2 * i, label=label)
    left.set(ylabel="loss", ylim=(-0.1, max(reach, 2.0)))
    right.set(ylabel="∂loss/∂prediction", ylim=(-reach, reach))
    for axis in (left, right):
        axis.axhline(0, color=GREY, linewidth=0.6)
        axis.set(xlabel="r = prediction - target")
    left.legend(frameon=False, loc="upper center")
    return figure


def temperature(
    z: Sequence[float] = (2.0, 1.0, 0.0, -1.0), temperatures: Sequence[float] = (0.5, 1.0, 2.0, 5.0)
) -> Figure:
    """Draw softmax(z / T) of some logits: the lower the temperature, the surer the answer.

        T → 0: all on the largest z        T = 1: softmax        T → ∞: all classes alike

    Options  z              the logits
             temperatures   each T > 0 is a group of bars
    Raises   MissingExtraError; ValueError for a T that is not above 0
    """
    if not all(T > 0 for T in temperatures):
        raise ValueError(f"temperatures must be above 0, got {list(temperatures)}")
    logits = np.asarray(z, dtype=float)
    figure, (axis,) = new_figure(1)
    width = 0.8 / len(temperatures)
    for i, T in enumerate(temperatures):
        places = np.arange(len(logits)) + (i - (len(temperatures) - 1) / 2) * width
        colour = _paler(0.8 * i / len(temperatures))
        axis.bar(places, F.softmax(logits / T), width * 0.92, color=colour, label=f"T = {T:g}")
    axis.set_xticks(range(len(logits)), [f"z = {value:g}" for value in logits])
    axis.set(ylabel="softmax(z / T)", ylim=(0, 1))
    axis.grid(visible=False, axis="x")
    axis.legend(frameon=False)
    return figure


def scatter(data: Dataset, title: str = "", *, network: Parameters | None = None) -> Figure:
    """Draw the target of a regression over each of its features, and the line that was fitted.

    Along the line, the other features stay at their means. Points lie off it because they do
    not, and because of noise.

    Options  data      a data set with one real target
             title     above the figure
             network   what was fitted; default: no line
    Raises   MissingExtraError
    """
    figure, axes = new_figure(data.features)
    for k, axis in enumerate(axes):
        draw_scatter(axis, data, k, network)
    title_of(figure, title)
    return figure


def draw_scatter(axis: Axes, data: Dataset, k: int, network: Parameters | None) -> None:
    """Draw the target over feature k into a panel, and the line that was fitted."""
    x = data.X[:, k]
    axis.scatter(x, data.target[:, 0], s=3, color=BLUE, alpha=0.35, linewidths=0, rasterized=True)
    axis.set(xlabel=f"x_{k + 1}", ylabel="y")
    if network is None:
        return
    X = np.tile(data.X.mean(axis=0), (100, 1))
    X[:, k] = np.linspace(x.min(), x.max(), len(X))
    y = forward(network, data.transform(X, network.theta.dtype))[-1][:, 0]
    axis.plot(X[:, k], y, color=ORANGE, linewidth=2, label="fitted")
    axis.legend(frameon=False)


def _paler(share: float) -> tuple[float, float, float]:
    """Return the blue of all pictures, mixed with white: 0 is blue, 1 is white."""
    red, green, blue = (int(BLUE[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red + share * (1 - red), green + share * (1 - green), blue + share * (1 - blue)
