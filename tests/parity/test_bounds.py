"""The tolerances: wide enough for right answers (test_ops.py), too narrow for wrong ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

import scratchnn.functional as F
from parity import bounds, loss_bounds
from parity.ops import OPS
from parity.oracle import digits


def test_bounds_see_a_zero_gradient_where_fixed_tolerances_do_not():
    """At N = 4096, assert_close's 1e-5 lets a quarter of an all-zero gradient pass."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4096, 10)).astype(np.float32)
    target = rng.integers(10, size=4096)
    dz = F.cross_entropy_backward(1.0, z, target)
    u = bounds.unit_roundoff(np.float32)
    bound = loss_bounds.cross_entropy_backward(1.0, z, target, "mean", u)
    assert (abs(dz) > bounds.tolerance(bound, np.float32)).all()
    assert (abs(dz) < 1e-5).mean() > 0.25


def test_gamma_is_the_worst_case_and_for_products_less():
    u = bounds.unit_roundoff(np.float32)
    assert u == 2.0**-24
    assert bounds.unit_roundoff(np.float64) == 2.0**-53
    assert bounds.gamma(4, u) == bounds.gamma_product(4, u) == 4 * u / (1 - 4 * u)
    assert bounds.gamma(10_000, u) == 10_000 * u / (1 - 10_000 * u)
    assert bounds.gamma_product(10_000, u) == 400 * u


FUNCTIONS = {  # what is allowed in u, and the right answer
    "exp": (bounds.EXP_ULPS, digits.exp),
    "expm1": (bounds.EXP_ULPS, lambda x: digits.exp(x) - 1),
    "log": (bounds.LOG_ULPS, digits.log),
    "log1p": (bounds.LOG_ULPS, digits.log1p),
}


@pytest.mark.parametrize("library", [np, torch], ids=["numpy", "torch"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_keep_to_their_count_of_u(name, dtype, library):
    """Sampled, also near 0 and near 1, where the result is small."""
    rng = np.random.default_rng(0)
    small = 2.0 ** rng.uniform(-20, 0, 4_000)
    x = np.concatenate([small, -small, rng.uniform(-80, 0, 4_000)]).astype(dtype)
    x = {"log": abs(x) + (x < -1), "log1p": np.maximum(x, dtype(-0.99))}.get(name, x)
    found = np.asarray(getattr(library, name)(x if library is np else torch.from_numpy(x)))
    with digits.precise():
        allowed, right = FUNCTIONS[name][0], FUNCTIONS[name][1](digits.lift(x, np.float64))
        errors = abs(digits.lift(found, np.float64) - right) / abs(right)
    assert found.dtype == dtype
    assert 0 < errors.astype(float).max() <= allowed * bounds.unit_roundoff(dtype)


def test_smallest_normal_is_that_of_the_precision():
    for dtype in (np.float32, np.float64):
        assert bounds.smallest_normal(bounds.unit_roundoff(dtype)) == np.finfo(dtype).tiny
    with pytest.raises(KeyError):
        bounds.smallest_normal(2.0**-11)


def test_bounds_hold_for_long_sums_of_equal_signs():
    dY = np.broadcast_to(np.float32(0.7), (60_000, 3))
    X = np.ones((60_000, 2), np.float32)
    _, _, db = F.linear_backward(dY, X, np.ones((2, 3), np.float32))
    _, db_bound = bounds.linear_backward_parameters(dY, X, bounds.unit_roundoff(np.float32))
    assert (abs(db - 60_000 * np.float64(np.float32(0.7))) <= db_bound).all()


def test_every_operation_has_its_derivation():
    page = (Path(__file__).parents[2] / "docs/bounds.md").read_text()
    headings = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}
    assert {name.partition(",")[0] for name in OPS} <= headings
