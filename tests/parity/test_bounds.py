"""The tolerances: wide enough for right answers (test_ops.py), too narrow for wrong ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from parity.judge import judge
from parity.ops import OPS


def log_of_clipped(z, target, reduction):
    return F.nll_loss(np.log(F.softmax(z) + z.dtype.type(1e-7)), target, reduction=reduction)


def softmax_by_global_maximum(z, axis):
    e = np.exp(z - z.max() - 600)
    return e / e.sum(axis, keepdims=True)


def linear_in_float16(X, W, b):
    return (X.astype(np.float16) @ W.astype(np.float16) + b).astype(X.dtype)


PLANTED = {  # what is wrong: the op, the side of it, the wrong function
    "softmax without the maximum": (
        "softmax", "ours", lambda z, axis: np.exp(z) / np.exp(z).sum(axis, keepdims=True),
    ),
    "softmax with the maximum of all rows": ("softmax", "ours", softmax_by_global_maximum),
    "softmax along the other axis": ("softmax", "ours", lambda z, axis: F.softmax(z, 1 - axis)),
    "softmax's diagonal alone": (
        "softmax", "backward",
        lambda dy, z, axis: (dy * F.softmax(z, axis) * (1 - F.softmax(z, axis)),),
    ),
    "no gradient at all": (
        "cross_entropy", "backward", lambda dy, z, target, reduction: (np.zeros_like(z),),
    ),
    "no 1/N": (
        "cross_entropy", "backward",
        lambda dy, z, target, reduction: (
            F.cross_entropy_backward(dy, z, target, reduction="sum"),
        ),
    ),
    "sum for mean": (
        "cross_entropy", "ours",
        lambda z, target, reduction: F.cross_entropy(z, target, reduction="sum"),
    ),
    "log of a clipped probability": ("cross_entropy", "ours", log_of_clipped),
    "transposed weights": (
        "linear", "ours", lambda X, W, b: F.linear(X, W.T.copy().reshape(W.shape), b),
    ),
    "bias gradient of one row": (
        "linear", "backward", lambda dy, X, W, b: (*F.linear_backward(dy, X, W)[:2], dy[0]),
    ),
    "half the precision": ("linear", "ours", linear_in_float16),
    "relu'(0) = 1": ("relu", "backward", lambda dy, z: (dy * (z >= 0),)),
    "the squared loss for MSE": (
        "mse_loss", "ours",
        lambda prediction, **options: F.squared_loss(prediction, **options),
    ),
    "MSE's gradient without its 2": (
        "mse_loss", "backward",
        lambda dy, prediction, **options: (
            F.squared_loss_backward(dy, prediction, **options),
            F.squared_loss_backward_target(dy, prediction, **options),
        ),
    ),
}  # fmt: skip


def typical_case(name, dtype, rows=64, classes=10):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(rows, classes)).astype(dtype)
    z[0, 0] = 0
    match name:
        case "linear":
            W = rng.normal(size=(classes, 7)).astype(dtype)
            return {"X": z, "W": W, "b": np.ones(7, dtype)}
        case "relu":
            return {"z": z}
        case "softmax":
            return {"z": z, "axis": 1}
        case "cross_entropy":
            return {"z": z, "target": rng.integers(classes, size=rows), "reduction": "mean"}
        case "mse_loss":
            return {"prediction": z, "target": z[::-1].copy(), "reduction": "mean"}


def holds(op, case):
    with np.errstate(all="ignore"):
        return all(difference.holds for difference in judge(op, case))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bug", PLANTED)
def test_bounds_catch_a_planted_bug(bug, dtype):
    name, part, wrong = PLANTED[bug]
    case = typical_case(name, dtype)
    scale = {"softmax without the maximum": 800, "log of a clipped probability": 30}.get(bug, 1)
    case = {name: value * scale if name == "z" else value for name, value in case.items()}
    assert holds(OPS[name], case)
    assert not holds(replace(OPS[name], **{part: wrong}), case)


def test_bounds_see_a_zero_gradient_where_fixed_tolerances_do_not():
    """At N = 4096, assert_close's 1e-5 lets a quarter of an all-zero gradient pass."""
    case = typical_case("cross_entropy", np.float32, rows=4096)
    log_p = F.log_softmax(case["z"])
    dz = F.cross_entropy_backward(1.0, log_p, case["target"])
    u = bounds.unit_roundoff(np.float32)
    bound = loss_bounds.cross_entropy_backward(1.0, case["z"], case["target"], "mean", u)
    assert (abs(dz) > bounds.tolerance(bound, np.float32)).all()
    assert (abs(dz) < 1e-5).mean() > 0.25


def test_gamma_is_the_worst_case_and_for_products_less():
    u = bounds.unit_roundoff(np.float32)
    assert u == 2.0**-24
    assert bounds.unit_roundoff(np.float64) == 2.0**-53
    assert bounds.gamma(4, u) == bounds.gamma_product(4, u) == 4 * u / (1 - 4 * u)
    assert bounds.gamma(10_000, u) == 10_000 * u / (1 - 10_000 * u)
    assert bounds.gamma_product(10_000, u) == 400 * u


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
