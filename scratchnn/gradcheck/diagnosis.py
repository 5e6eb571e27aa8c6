"""Why a gradient is wrong: the usual mistakes, each tried on the numbers at hand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from scratchnn.arrays import Array
from scratchnn.gradcheck.derivatives import Curve, bend


@dataclass(frozen=True)
class Evidence:
    """A gradient of one argument, beside what was measured along some directions.

    Shapes   measured, of_ones, diagonal, tolerance (K,): ∂⟨dy, f⟩ along each direction; the same
             with dy = 1; the same with the Jacobian's diagonal alone
    """

    gradient: Array
    dy: Array
    project: Callable[[Array], Array]  # a gradient → its slope along each direction, (K,)
    measured: Array
    of_ones: Array
    diagonal: Array
    tolerance: Array
    lengths: dict[str, int]  # "axis 0 of X": 5
    u: float
    argument: str
    at_result: Array | None  # what backward gives for f's result in the argument's place

    @property
    def formula(self) -> Array:
        """The gradient's slope along each direction."""
        return self.project(self.gradient)

    @property
    def worst(self) -> int:
        """The direction whose error is the largest share of its tolerance."""
        share = abs(self.formula - self.measured) / np.maximum(self.tolerance, self.u**2)
        return int(np.argmax(share))

    @property
    def holds(self) -> bool:
        """Whether formula and measurement agree, and the measurement says something."""
        return self.matches(self.gradient) and bool(np.isfinite(self.tolerance).all())

    def matches(self, gradient: Array) -> bool:
        """Whether this gradient would have been right."""
        return self.agree(self.project(gradient), self.measured)

    def agree(self, a: Array, b: Array) -> bool:
        """Whether two sets of slopes agree within the tolerance."""
        return bool((abs(a - b) <= self.tolerance).all())


def cause_of(evidence: Evidence, worst: Curve, noise: float) -> str:
    """Return the likeliest reason why a gradient differs from what was measured.

    `worst` is ⟨dy, f⟩ along the worst direction, and `noise` its rounding.
    """
    return next(_causes(evidence, worst, noise))


def _causes(e: Evidence, worst: Curve, noise: float) -> Iterator[str]:
    yield from _of_f(e, worst, noise)
    formula = e.formula
    if e.at_result is not None and e.matches(e.at_result):
        yield (
            f"backward takes f's result, not {e.argument}: if that is how it is meant, "
            "check lambda dy, x: backward(dy, f(x))"
        )
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
    """Say where f itself has no derivative."""
    if not np.isfinite(e.tolerance).all():
        yield "f is not finite nearby: its slope cannot be measured here"
    p, left, right = bend(worst, e.u, noise)
    if p < 3 / 2:  # 1 at a kink, 2 where f is smooth
        yield (
            f"f has a kink here: its slope is {left:.4g} on the left and {right:.4g} on the right, "
            "and between them there is no derivative to compare with: move the argument away"
        )


def _factor(e: Evidence, formula: Array) -> Iterator[str]:
    """Name a constant ratio: -1, 2, 1/2, or the length of some axis."""
    if not e.measured.any():
        return
    ratio = float(formula @ e.measured / (e.measured @ e.measured))
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
    swapped = e.gradient.swapaxes(-1, -2)
    for candidate in (swapped, swapped.reshape(e.gradient.shape)):
        if candidate.shape == e.gradient.shape and e.matches(candidate):
            yield "the gradient is transposed"
    shape = (*e.gradient.shape[:-2], *swapped.shape[-2:])
    if e.matches(e.gradient.reshape(shape).swapaxes(-1, -2)):
        yield "the gradient is transposed, and reshaped to the right shape"
