"""Pictures in characters, for the terminal: curves, tables, and images in braille."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scratchnn.data import resize
from scratchnn.ops.shared import AnyArray
from scratchnn.run.terminal import escaped

MARKS = "•○+×◆□△"  # of the curves, in order
# How far the bits of a braille character's dots are shifted: four rows of two
DOTS = np.array([[0, 3], [1, 4], [2, 5], [6, 7]])
BRAILLE = 0x2800  # the character without dots
# Bayer's matrix of order 4: neighbouring pixels get different thresholds, which makes greys
THRESHOLDS = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16

PLAIN = str.maketrans("•○+×◆□△┤└─·θ", "*o+x#=^|+-.t")


def say(lines: Sequence[str]) -> None:
    """Print lines and an empty one. Where the output is not Unicode, images are left out."""
    if not lines:
        return
    text = "\n".join(lines).rstrip()
    encoding = (sys.stdout and sys.stdout.encoding) or "utf-8"
    try:
        f"{MARKS}⣿┤".encode(encoding)
    except UnicodeEncodeError:
        kept = [line for line in lines if not any("⠀" <= letter <= "⣿" for letter in line)]
        text = "\n".join(kept).translate(PLAIN).rstrip()
    print(text, end="\n\n", flush=True)


def plot(
    series: Mapping[str, Sequence[float]], title: str, *, width: int = 60, height: int = 10
) -> list[str]:
    """Draw values over the epochs 1, 2, ..., straight from each to the next.

    Where curves meet, the later one is seen.

    Options  series          the values by name; what is not finite is left out
             title           above the plot, before the names
             width, height   of the plot without its axes, in characters
    """
    finite = [value for values in series.values() for value in values if math.isfinite(value)]
    if not finite:
        return []
    low, high = min(finite), max(finite)
    step = (high - low) / (height - 1) or 1.0
    epochs = max(map(len, series.values()))
    grid = [[" "] * width for _ in range(height)]
    for mark, values in zip(MARKS * len(series), series.values(), strict=False):
        at = np.linspace(1, epochs, width if epochs > 1 else 1)
        line = np.interp(at, np.arange(1, len(values) + 1), values, right=math.nan)
        for column, value in enumerate(line):
            if math.isfinite(value):
                grid[round((high - value) / step)][column] = mark
    names = "   ".join(f"{mark} {name}" for mark, name in zip(MARKS, series, strict=False))
    ticks = {0: high}
    if high > low:
        middle = (height - 1) // 2
        ticks |= {height - 1: low, middle: high - middle * step}
    lines = [f"{title:<8} {names}"]
    for row, characters in enumerate(grid):
        tick = f"{ticks[row]:8.4g}" if row in ticks else " " * 8
        lines.append(f"{tick} ┤{''.join(characters)}".rstrip())
    last = f"epoch {epochs:,}"
    axis = "1" if epochs == 1 else f"1{last:>{width - 1}}"
    return [*lines, f"{'':9}└{'─' * width}", f"{'':10}{axis}"]


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """Return a table, its columns as wide as they must be.

    Options  header   the heads of the columns
             rows     the cells
             words    the numbers of the columns that hold words, to the left; numbers are to the
                      right
    """
    cells = [list(map(escaped, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def image(pixels: AnyArray, *, height: int = 24) -> list[str]:
    """Draw an image in braille characters, each of which has 4 x 2 dots.

    Shapes   pixels (H, W), brighter is more
    Options  height   in dots, a multiple of 4
    """
    H, W = pixels.shape
    width = 2 * max(round(height * W / H / 2), 1)
    low, high = float(pixels.min()), float(pixels.max())
    scaled = (pixels.astype(np.float64) - low) / ((high - low) or 1.0)
    greys = resize(scaled, (height, width))
    threshold = np.tile(THRESHOLDS, (height // 4, width // 4 + 1))[:, :width]
    dots = (greys > threshold).reshape(height // 4, 4, width // 2, 2)
    codes = (dots << DOTS[:, None]).sum(axis=(1, 3)) + BRAILLE
    return ["".join(map(chr, row)) for row in codes.tolist()]


def side_by_side(blocks: Sequence[tuple[Sequence[str], Sequence[str]]], width: int) -> list[str]:
    """Put images next to each other, each with lines of words below it.

    Options  blocks   (lines of the image, words below)
             width    of a line, in characters
    """
    lines: list[str] = []
    wide = max((len(line) for block in blocks for part in block for line in part), default=0) + 2
    per_line = max(width // wide, 1)
    for start in range(0, len(blocks), per_line):
        group = blocks[start : start + per_line]
        for part in range(2):
            height = max(len(block[part]) for block in group)
            for row in range(height):
                cells = (block[part][row] if row < len(block[part]) else "" for block in group)
                lines.append("".join(cell.ljust(wide) for cell in cells).rstrip())
        lines.append("")
    return lines[:-1]
