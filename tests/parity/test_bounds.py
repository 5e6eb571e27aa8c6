"""The tolerances: wide enough for right answers (test_ops.py), too narrow for wrong ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

import scratchnn.functional as F
from parity import bounds, digits, judge, loss_bounds, oracle
from parity.ops import OPS


def test_bounds_see_a_zero_gradient_where_fixed_tolerances_do_not():
    """At N = 4096, assert_close's 1e-5 lets a quarter of an all-zero gradient pass."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4096, 10)).astype(np.float32)
    target = rng.integers(10, size=4096)
    dz = F.cross_entropy_backward(1.0, z, target)
    u = bounds.unit_roundoff(np.float32)
    bound = loss_bounds.cross_entropy_backward(1.0, z, target, u=u)
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
    "tanh": (bounds.EXP_ULPS, oracle.tanh),
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
    W, b = np.ones((2, 3), np.float32), np.ones(3, np.float32)
    _, _, db = F.linear_backward(dY, X, W, b)
    *_, db_bound = bounds.linear_backward(dY, X, W, b, u=bounds.unit_roundoff(np.float32))
    assert (abs(db - 60_000 * np.float64(np.float32(0.7))) <= db_bound).all()


def test_every_operation_has_its_derivation():
    page = (Path(__file__).parents[2] / "docs/bounds.md").read_text()
    headings = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}
    without = {op.function for op in OPS.values()} - headings
    assert not without, f"docs/bounds.md has no heading ## for: {without}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "cross_entropy"])
def test_bounds_of_masked_logits_are_numbers_where_the_answer_is(name, dtype):
    """A class without probability adds nothing: 0 · inf would be NaN, and judge nobody."""
    op = OPS[name]
    case = op.extreme("-inf masks", dtype)
    value = op.ours(**case)
    bound = judge.value_bound(op, case)
    assert np.isfinite(bound[np.isfinite(value)]).all()
    (gradient,) = judge.gradient_bounds(op, case, np.ones_like(value))
    assert np.isfinite(gradient).all()


def test_cast_to_another_precision_is_judged_in_it():
    """float64 logits in float32, and the other way: dz is rounded once more to float32."""
    for dtype, other in ((np.float32, "float64"), (np.float64, "float32")):
        case = OPS["softmax"].typical(dtype) | {"dtype": other}
        value, gradient = judge.judge(OPS["softmax"], case)
        assert value.holds, value
        assert gradient.holds, gradient
        coarse = judge.value_bound(OPS["softmax"], case | {"dtype": "float32"})
        assert (judge.value_bound(OPS["softmax"], case) < coarse).all() == (other == "float64")
