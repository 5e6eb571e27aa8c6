"""Pictures, by matplotlib: colour-blind-safe, labelled, as SVG and PNG."""

from pathlib import Path
from typing import Any

from scratchnn.extras import need
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
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(frameon=False)
    figure.suptitle(title)
    return figure


def save(figure: Any, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as name.svg and name.png, and return their paths."""
    paths = [Path(folder) / f"{name}.{kind}" for kind in ("svg", "png")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    return paths


def _is_nats(quantity: str, axes: list[Any]) -> bool:
    return quantity == "loss" and len(axes) > 1  # a loss beside an accuracy is a classifier's
