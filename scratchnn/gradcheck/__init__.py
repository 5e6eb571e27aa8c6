"""Check anyone's hand-written gradient against the function itself; docs/gradcheck.md says how.

    print(gradcheck.check(f, backward, X, W, b))

f(*arguments) returns an array, backward(dy, *arguments) the gradient of ⟨dy, f⟩ for each argument
that is a floating-point array.
"""

from __future__ import annotations  # numpy.random need not be imported for a type

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchnn.gradcheck.compare import along_all_arguments, each_slope
from scratchnn.gradcheck.pairs import Pair, PairError, draw
from scratchnn.gradcheck.report import Finding, Report

__all__ = ["Finding", "Report", "check"]


def check(
    f: Callable[..., Any],
    backward: Callable[..., Any],
    *arguments: Any,
    wrt: Sequence[str | int] | None = None,
    rng: np.random.Generator | int = 0,
    limit: int = 1000,
) -> Report:
    """Compare backward(dy, *arguments) with what f does when its arguments move.

        each ∂⟨dy, f⟩/∂x_k      ⟨v, J u⟩ = ⟨Jᵀ v, u⟩      f(x + h u) - f(x) - h ⟨grad, u⟩ = O(h²)

    `wrt` chooses arguments by name or position: by default, all floating-point arrays. One of more
    than `limit` elements is moved along random directions. dy is random, never ones.

    Raises   TypeError where no argument is a floating-point array; ValueError for a `wrt` that f
             does not have; whatever f and backward raise
    """
    name = getattr(f, "__name__", type(f).__name__)
    rng = np.random.default_rng(rng)
    try:
        pair = Pair(f, backward, arguments, wrt)
        dy = draw(rng, pair.y.shape).astype(pair.y.dtype)
        pair.check_habits(dy)
        gradients = pair.gradients(dy)
    except PairError as error:
        return Report(name, (Finding("before comparing", error.argument, cause=str(error)),))
    findings = [
        each_slope(pair, i, dy, gradient, rng, limit)
        for i, gradient in zip(pair.wrt, gradients, strict=True)
        if gradient.size and dy.size
    ]
    if findings:
        findings += along_all_arguments(pair, rng)
    return Report(name, tuple(findings))
