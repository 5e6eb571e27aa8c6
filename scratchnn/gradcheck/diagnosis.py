"""Why a gradient is wrong: each of the usual mistakes is tried on the numbers at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from scratchnn.gradcheck.derivatives import Curve, bend
from scratchnn.ops.shared import Array


@dataclass(frozen=True)
class Evidence:
    """The gradient of one argument, and the slopes of f measured along K directions.

    A slope is the derivative of ⟨dy, f⟩ = Σ dy f along a direction.

    Parts    gradient    by backward, in the argument's shape
             dy          the upstream gradient
             project     takes a gradient and returns its slope along each direction, (K,)
             measured    the slopes, (K,)
             of_ones     the slopes for dy = 1, (K,)
             diagonal    the slope of dy_k f_k along direction k, by the Jacobian's diagonal, (K,)
             tolerance   how far formula and measurement may be apart, (K,)
             lengths     lengths that a mean could be taken over: {"the length of axis 0 of X": 5}
             u           the unit roundoff
    """

    gradient: Array
    dy: Array
    project: Callable[[Array], Array]
    measured: Array
    of_ones: Array
    diagonal: Array
    tolerance: Array
    lengths: dict[str, int]
    u: float

    @property
    def formula(self) -> Array:
        """The slope along each direction by the gradient, (K,)."""
        return self.project(self.gradient)

    @property
    def worst(self) -> int:
        """The direction whose error is largest, relative to its tolerance."""
        share = abs(self.formula - self.measured) / np.maximum(self.tolerance, self.u**2)
        return int(np.argmax(share))

    @property
    def holds(self) -> bool:
        """Whether formula and measurement agree, and the measurement has a finite tolerance."""
        return self.matches(self.gradient) and bool(np.isfinite(self.tolerance).all())

    def matches(self, gradient: Array) -> bool:
        """Whether this gradient would be right."""
        return self.agree(self.project(gradient), self.measured)

    def agree(self, a: Array, b: Array) -> bool:
        """Whether two sets of slopes agree within the tolerance."""
        return bool((abs(a - b) <= self.tolerance).all())


def cause_of(evidence: Evidence, worst: Curve, noise: float) -> str:
    """Return the likeliest reason why a gradient differs from what was measured.

    `worst` is the curve along the worst direction; its first value is ⟨dy, f⟩, whose rounding
    is `noise`.
    """
    return next(_causes(evidence, worst, noise))


def _causes(e: Evidence, worst: Curve, noise: float) -> Iterator[str]:
    """Yield the reasons that fit the numbers, the likeliest first."""
    yield from _of_f(e, worst, noise)
    formula = e.formula
    if not e.gradient.any():
        yield "the gradient is zero everywhere: is the argument forgotten in backward?"
    if e.agree(formula, e.of_ones):
        yield "it is the gradient for dy = 1: backward ignores its upstream gradient dy"
    yield from _factor(e, formula)
    if e.agree(formula, e.diagonal):
        yield "only the Jacobian's diagonal is there: each y depends on the other x, too"
    if e.gradient.ndim >= 2:
        yield from _transposed(e)
    for axis in range(e.dy.ndim):
        if e.dy.sum(axis=axis).shape == e.gradient.shape and e.matches(e.dy.sum(axis=axis)):
            yield f"it should be dy summed over axis {axis}: is another axis summed?"
    wrong = int((abs(formula - e.measured) > e.tolerance).sum())
    yield f"{wrong} of {len(formula)} slopes differ, in no known pattern: is a term missing?"


def _of_f(e: Evidence, worst: Curve, noise: float) -> Iterator[str]:
    """Yield where f itself has no derivative."""
    if not np.isfinite(e.tolerance).all():
        yield "f is not finite nearby: its slope cannot be measured here"
    p, left, right = bend(worst, e.u, noise)
    if p < 3 / 2:  # 1 at a kink, 2 where f is smooth
        yield (
            f"f has a kink here: its slope is {left:.4g} on the left and {right:.4g} on the right, "
            "and between them there is no derivative to compare with: move the argument away"
        )


def _factor(e: Evidence, formula: Array) -> Iterator[str]:
    """Yield what a constant factor may be: -1, or the length of some axis or its inverse."""
    if not e.measured.any():
        return
    ratio = float(formula @ e.measured / (e.measured @ e.measured))  # by least squares
    if ratio == 0 or not e.agree(formula / ratio, e.measured):
        return
    for name, length in e.lengths.items():
        if length > 2 and np.isclose(abs(ratio), length):
            yield f"{ratio:.6g} times too large, {name}: is 1/{length} missing, a sum for a mean?"
        if length > 2 and np.isclose(abs(ratio), 1 / length):
            yield f"too small by {1 / ratio:.6g}, {name}: is there a mean where f has a sum?"
    if np.isclose(ratio, -1):
        yield "the sign is wrong: the gradient is -1 times what was measured"
    yield f"off by a constant factor: the gradient is {ratio:.6g} times what was measured"


def _transposed(e: Evidence) -> Iterator[str]:
    """Yield whether the gradient is right once its last two axes are swapped."""
    swapped = e.gradient.swapaxes(-1, -2)
    for candidate in (swapped, swapped.reshape(e.gradient.shape)):
        if candidate.shape == e.gradient.shape and e.matches(candidate):
            yield "the gradient is transposed"
    shape = (*e.gradient.shape[:-2], *swapped.shape[-2:])
    if e.matches(e.gradient.reshape(shape).swapaxes(-1, -2)):
        yield "the gradient is transposed, and reshaped to the right shape"
