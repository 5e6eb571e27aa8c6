"""Two arrays, a tolerance, and the element that is worst off."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Difference:
    """How far two results of one quantity are apart, at the element closest to its tolerance.

    Units    that of the quantity; `ratio` is the difference over the tolerance, at most 1
             where parity holds. `largest` is the largest difference of all elements, beside the
             tolerance of that element.
    """

    quantity: str
    index: tuple[int, ...]
    ours: float
    torch: float
    tolerance: float
    ratio: float
    largest: float
    largest_tolerance: float

    @property
    def difference(self) -> float:
        """The absolute difference at this element."""
        return abs(self.ours - self.torch)

    @property
    def holds(self) -> bool:
        """Whether every element is within its tolerance."""
        return self.ratio <= 1

    def __str__(self) -> str:
        at = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return (
            f"{self.quantity}{at}: NumPy {self.ours!r}, torch {self.torch!r}, apart by "
            f"{self.difference:.2e}, tolerance {self.tolerance:.2e}"
        )


def compare(quantity: str, ours: Any, torch: Any, tolerance: Any) -> Difference:
    """Compare two results entry by entry; return the entry with the largest share of its tolerance.

    Equal infinities and two NaNs agree; a NaN or an infinity on one side alone never does.

    Raises   ValueError for shapes, TypeError for dtypes that differ
    """
    ours, torch = np.asarray(ours), np.asarray(torch)
    if ours.shape != torch.shape:
        raise ValueError(f"{quantity}: NumPy has shape {ours.shape}, torch {torch.shape}")
    if ours.dtype != torch.dtype:
        raise TypeError(f"{quantity}: NumPy has dtype {ours.dtype}, torch {torch.dtype}")
    tolerance = np.broadcast_to(tolerance, ours.shape)
    agree = (ours == torch) | (np.isnan(ours) & np.isnan(torch))
    with np.errstate(all="ignore"):
        difference = np.where(agree, 0.0, abs(ours.astype(np.float64) - torch))
        difference = np.where(np.isnan(difference), np.inf, difference)
        ratio = np.where(np.isfinite(tolerance), difference / tolerance, np.inf)
        ratio = np.where(agree, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
    if ratio.size == 0:
        return Difference(quantity, (), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    index = np.unravel_index(ratio.argmax(), ratio.shape)
    at_worst = (float(array[index]) for array in (ours, torch, tolerance, ratio))
    largest = np.unravel_index(difference.argmax(), ratio.shape)
    at_largest = (float(array[largest]) for array in (difference, tolerance))
    return Difference(quantity, tuple(map(int, index)), *at_worst, *at_largest)


def worst(differences: list[Difference]) -> Difference:
    """Return the one with the largest share of its tolerance, and the largest difference of all."""
    largest = max(differences, key=lambda difference: difference.largest)
    return replace(
        max(differences, key=lambda difference: difference.ratio),
        largest=largest.largest,
        largest_tolerance=largest.largest_tolerance,
    )
