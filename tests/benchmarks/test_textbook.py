"""The speed table compares functions that compute the same, and says by how much they differ."""

import numpy as np
import pytest

from benchmarks import textbook
from parity import bounds, loss_bounds
from tests.helpers import DTYPES, C, N, assert_within


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", textbook.PAIRS)
def test_every_pair_computes_the_same(name, dtype):
    rng = np.random.default_rng(0)
    z, target = rng.normal(size=(N, C)).astype(dtype), rng.integers(C, size=N)
    u, options = bounds.unit_roundoff(dtype), {"reduction": "mean"}
    loss, dz = textbook.PAIRS[name](z, target)
    right = textbook.in_two(z.astype(np.float64), target)
    assert_within(loss, right[0], loss_bounds.cross_entropy(z, target, u=u, **options))
    one = np.ones(())
    assert_within(dz, right[1], loss_bounds.cross_entropy_backward(one, z, target, u=u, **options))
    assert loss.dtype == dz.dtype == dtype


def test_measure_has_every_shape_and_precision():
    found = textbook.measure(rounds=1)
    assert [(row["N"], row["C"], row["dtype"]) for row in found] == [
        (*shape, dtype) for shape in textbook.SHAPES for dtype in textbook.DTYPES
    ]
    assert all(set(row["seconds"]) == set(textbook.PAIRS) for row in found)


def test_table_shows_ratios():
    seconds = dict(zip(textbook.PAIRS, (3e-6, 2e-6, 5e-6, 4e-6), strict=True))
    row = {"N": 5, "C": 4, "dtype": "float32", "rounds": 1, "seconds": seconds}
    assert "| (5, 4) | float32 | 3 | 1.50 | 5 | 1.25 |\n" in textbook.table([row])
