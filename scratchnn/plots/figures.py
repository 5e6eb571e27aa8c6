"""What all pictures share: the style, and how a figure is shown and saved."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from scratchnn.data import files
from scratchnn.extras import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008: colours that colour-blind readers can tell apart
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
CYCLE = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")  # of many lines
DASHES = ("-", "--", "-.", ":")  # so that they differ without colours, too


def blank(width: float, height: float) -> Figure:
    """Return an empty figure, which shows itself as the last line of a notebook's cell.

    Units    inches
    Raises   MissingExtraError
    """
    need("matplotlib.figure", "plots")
    from scratchnn.plots.picture import Picture  # imports matplotlib

    return Picture(figsize=(width, height), layout="constrained")


def new_figure(panels: int) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with some panels in a row, and the panels.

    Options  panels   how many
    Raises   MissingExtraError
    """
    figure = blank(4.2 * panels, 3.2)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="0.9", linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, list(axes)


def title_of(figure: Figure, title: str) -> None:
    """Write a title above a figure. It may name a file, so "$" is no mathematics."""
    figure.suptitle(title, parse_math=False)


def whole_numbers(axis: Axes) -> None:
    """Put ticks at whole numbers of the x axis, also where there is only one epoch."""
    low, high = axis.get_xlim()
    if high - low < 1:
        axis.set_xlim(low - 0.5, high + 0.5)
    axis.locator_params(axis="x", integer=True, min_n_ticks=1)


def save(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as name.svg and name.png into a folder, and return their paths.

    Each file takes its place whole. The same figure makes the same files: they hold no date,
    and no random names.

    Options  folder   is made if it is missing
             name     of the files, without .svg and .png
    """
    paths = _files(folder, name)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        with need("matplotlib", "plots").rc_context({"svg.hashsalt": name}):
            metadata = {"Date": None} if path.suffix == ".svg" else None
            kind = path.suffix[1:]
            files.place(path, partial(figure.savefig, format=kind, dpi=150, metadata=metadata))
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
