"""Median, quartiles, ratios round by round, and the exponent of a power law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Summary(NamedTuple):
    """The median of some figures, and the quartiles below and above it."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Return the median and the quartiles.

    Raises   ValueError for no values
    """
    if not len(values):
        raise ValueError("values must hold at least one figure, got none")
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Summary(float(median), float(low), float(high))


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> list[float]:
    """Divide the figures of each round. What slows down the whole machine cancels.

    Raises   ValueError for two different numbers of rounds
    """
    return [a / b for a, b in zip(numerator, denominator, strict=True)]


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Fit p of  time = c size^p  to the upper half of the sizes, by least squares on logarithms.

    At small sizes the time is that of the calls, whatever the size.

    Raises   ValueError for fewer than two sizes
    """
    if len(sizes) != len(times) or len(sizes) < 2:
        raise ValueError(
            f"sizes and times must be two or more pairs, got {len(sizes)} and {len(times)}"
        )
    order = np.argsort(sizes)[-max(2, (len(sizes) + 1) // 2) :]
    x, y = np.log(np.asarray(sizes, float)[order]), np.log(np.asarray(times, float)[order])
    x -= x.mean()
    return float((x * y).sum() / (x * x).sum())
