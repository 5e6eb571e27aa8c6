"""One quantity of a training step as both sides have it, and how wrong each may be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity import bounds
from parity.steps.elements import Element, Index
from parity.verdict import Difference, compare, incomparable
from scratchnn.arrays import Array


@dataclass(frozen=True)
class Check:
    """Ours, torch's, and the bounds of their rounding errors: ours is never that of TF32.

    `kind` groups quantities in a report; `element` tells what one number is made of, and is None
    where that is the whole network; `known` marks the entries that a recording kept.
    """

    kind: str  # outputs, loss, gradient or parameters
    quantity: str
    ours: Array
    torch: Array
    bound: Any  # of torch's: an array, or 0
    ours_bound: Any
    element: Callable[[Index], Element] | None = None
    known: NDArray[Any] | None = None

    def difference(self) -> Difference:
        """Compare entry by entry within the bounds of both sides.

        What has another dtype or shape than torch's never holds, and the reason says so.
        """
        torch: Any = self.torch
        for what in ("dtype", "shape"):
            ours, theirs = getattr(self.ours, what), getattr(torch, what)
            if ours != theirs:
                reason = f"{self.quantity}: {what} must be torch's {theirs}, NumPy has {ours}"
                return incomparable(self.quantity, reason)
        tolerance = bounds.tolerance((self.ours_bound + self.bound) / 2, torch.dtype)
        if self.known is not None:
            torch = np.where(self.known, torch, self.ours)
        return compare(self.quantity, self.ours, torch, tolerance)
