"""Check anyone's hand-written gradient against the function itself; docs/gradcheck.md says how.

    print(gradcheck.check(f, backward, X, W, b))

f(*arguments) returns an array. backward(dy, *arguments) returns the gradient of ⟨dy, f⟩ = Σ dy f
for each argument that is a floating-point array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scratchnn.gradcheck.compare import compare
from scratchnn.gradcheck.pairs import Pair, PairError
from scratchnn.gradcheck.report import Finding, Report

__all__ = ["Finding", "Report", "check"]


def check(
    f: Callable[..., object],
    backward: Callable[..., object],
    *arguments: object,
    wrt: Sequence[str | int] | None = None,
    options: Mapping[str, object] | None = None,
    rng: np.random.Generator | int = 0,
    limit: int = 1000,
) -> Report:
    """Compare the gradients that backward returns with the slopes of f, which are measured.

        each ∂⟨dy, f⟩/∂x_k      ⟨v, J u⟩ = ⟨Jᵀ v, u⟩      f(x + h u) - f(x) - h ⟨Jᵀ v, u⟩ = O(h²)

    f(*arguments, **options) is the function. backward(dy, *arguments, **options) returns the
    gradient of each floating-point array among the arguments, in their order: one array, or a
    tuple of them. dy has the shape of f's result. It is random and never ones, because a wrong
    backward is often right for dy = 1.

    Options  wrt       the names or positions of the arguments to check; default: all
                       floating-point arrays
             options   what f and backward get by keyword, as {"axis": 0}; it has no gradient
             rng       a random generator, or the seed of one, for dy and the directions
             limit     an argument with more elements is moved along 10 random directions, not
                       along each element
    Raises   TypeError where no argument is a floating-point array, or f does not take the
             arguments; ValueError for a `wrt` that f does not have; whatever f itself raises.
             Whatever backward raises is a finding of the report.
    """
    try:
        pair = Pair(f, backward, arguments, options or {}, wrt)
        findings = compare(pair, np.random.default_rng(rng), limit)
    except PairError as error:
        findings = [Finding("before comparing", error.argument, cause=str(error))]
    return Report(getattr(f, "__name__", type(f).__name__), tuple(findings))
