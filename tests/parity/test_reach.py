"""No bound is much too wide: generated cases come near it, or at least reach a share of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from parity.judge import judge
from parity.ops import OPS
from parity.search import smallest

EXAMPLES = 40, 400  # the first are enough for most rows and versions of Hypothesis
REACHED = 0.035  # of a bound, or more: half of what is reached today. No 50th of a bound is as much
EXACT = {"relu", "relu, dz"}  # no error at all


def reached(op, dtype, examples):
    """Return the largest share of each bound: of the value, and of each gradient."""
    shares = {}

    def judged(drawn):
        for verdict in judge(op, *drawn):
            ratios = [error.ratio for error in verdict.errors]
            shares[verdict.quantity] = max(shares.get(verdict.quantity, 0.0), *ratios)
        return False  # no case is what it looks for: so it tries all

    smallest(st.tuples(op.cases(dtype), st.integers(0, 2**32 - 1)), judged, examples)
    return shares


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPS)
def test_errors_reach_a_share_of_every_bound(name, dtype):
    op = OPS[name]
    for examples in EXAMPLES:
        shares = reached(op, dtype, examples)
        assert list(shares) == [name, *(f"{name}, d{argument}" for argument in op.inputs)]
        wide = {
            quantity: share
            for quantity, share in shares.items()
            if quantity not in EXACT and share < REACHED
        }
        if not wide:
            break
    assert not wide, f"these bounds are too wide: {wide}"
