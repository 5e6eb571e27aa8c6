"""The squared losses and their gradients; the reductions of all losses."""

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn.reductions import reduce_backward
from tests.helpers import DTYPES, C, N, assert_within, complex_step_vjp

PREDICTION = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 5.0]])
TARGET = np.array([[1.0, 0.0, 4.0], [2.0, -1.0, 1.0]])  # differences 0 2 -1, -2 0 4


def test_squared_loss_hand_values():
    losses = F.squared_loss(PREDICTION, TARGET, reduction="none")
    np.testing.assert_array_equal(losses, [[0, 2, 0.5], [2, 0, 8]])
    assert F.squared_loss(PREDICTION, TARGET, reduction="sum") == 12.5
    assert F.squared_loss(PREDICTION, TARGET) == 12.5 / 6


def test_squared_loss_backward_hand_values():
    dprediction = F.squared_loss_backward(3.0, PREDICTION, TARGET, reduction="sum")
    np.testing.assert_array_equal(dprediction, [[0, 6, -3], [-6, 0, 12]])


def test_mse_loss_is_twice_the_squared_loss():
    dloss = np.random.default_rng(0).normal(size=PREDICTION.shape)
    for reduction, upstream in (("none", dloss), ("mean", 0.7), ("sum", 0.7)):
        arguments = (PREDICTION, TARGET)
        assert np.all(
            F.mse_loss(*arguments, reduction=reduction)
            == 2 * F.squared_loss(*arguments, reduction=reduction)
        )
        np.testing.assert_array_equal(
            F.mse_loss_backward(upstream, *arguments, reduction=reduction),
            2 * F.squared_loss_backward(upstream, *arguments, reduction=reduction),
        )


@pytest.mark.parametrize("f", [F.squared_loss, F.mse_loss])
def test_losses_refuse_what_would_broadcast(f):
    with pytest.raises(
        ValueError, match=r"target must have the shape of prediction \(5, 1\), got \(5,\)"
    ):
        f(np.zeros((5, 1)), np.zeros(5))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses_keep_the_dtype(dtype, reduction):
    prediction, target = PREDICTION.astype(dtype), TARGET.astype(dtype)
    for f, backward in (
        (F.squared_loss, F.squared_loss_backward),
        (F.mse_loss, F.mse_loss_backward),
    ):
        assert f(prediction, target, reduction=reduction).dtype == dtype
        assert backward(1.0, prediction, target, reduction=reduction).dtype == dtype


def test_mean_of_nothing_is_nan_and_silent_as_in_torch():
    empty = np.zeros(0, np.float32)
    assert np.isnan(F.mse_loss(empty, empty))
    assert F.mse_loss(empty, empty, reduction="sum") == 0
    assert F.mse_loss(empty, empty, reduction="none").shape == (0,)


def test_reduce_backward_spreads_the_mean():
    assert reduce_backward(3.0, (4,), "mean", dtype=np.float64) == 0.75
    assert reduce_backward(3.0, (4,), "sum", dtype=np.float64) == 3.0


@pytest.mark.parametrize(("reduction", "shape"), [("mean", (4,)), ("sum", (4,)), ("none", (5, 1))])
def test_upstream_gradient_that_would_broadcast_is_named(reduction, shape):
    with pytest.raises(ValueError, match=f'dloss must have shape .* for "{reduction}", got '):
        reduce_backward(np.ones(shape), (4,), reduction, dtype=np.float64)


U = bounds.unit_roundoff(np.float64)
REDUCTIONS = ["none", "mean", "sum"]
LOSSES = {  # the loss and its backward, with options; the loss again as a function of r alone
    "squared_loss": (F.squared_loss, F.squared_loss_backward, {}, lambda r: r * r / 2),
    "mse_loss": (F.mse_loss, F.mse_loss_backward, {}, lambda r: r * r),
    "l1_loss": (F.l1_loss, F.l1_loss_backward, {}, lambda r: np.where(r.real > 0, r, -r)),
    "huber_loss": (
        F.huber_loss, F.huber_loss_backward, {"delta": 0.5},
        lambda r: np.where(
            abs(r.real) <= 0.5, r * r / 2, 0.5 * (np.where(r.real > 0, r, -r) - 0.25)
        ),
    ),
    "smooth_l1_loss": (
        F.smooth_l1_loss, F.smooth_l1_loss_backward, {"beta": 0.25},
        lambda r: np.where(
            abs(r.real) < 0.25, 2 * r * r, np.where(r.real > 0, r, -r) - 0.125
        ),
    ),
}  # fmt: skip


def of_target(backward):
    return getattr(F, f"{backward.__name__}_target")


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, C)), rng.normal(size=(N, C))


def test_l1_loss_hand_values():
    losses = F.l1_loss(PREDICTION, TARGET, reduction="none")
    np.testing.assert_array_equal(losses, [[0, 2, 1], [2, 0, 4]])
    assert F.l1_loss(PREDICTION, TARGET, reduction="sum") == 9
    assert F.l1_loss(PREDICTION, TARGET) == 1.5


def test_l1_loss_backward_hand_values():
    """The kink at 0 has slope 0."""
    dprediction = F.l1_loss_backward(3.0, PREDICTION, TARGET, reduction="sum")
    np.testing.assert_array_equal(dprediction, [[0, 3, -3], [-3, 0, 3]])


def test_huber_loss_hand_values():
    losses = F.huber_loss(PREDICTION, TARGET, reduction="none")
    np.testing.assert_array_equal(losses, [[0, 1.5, 0.5], [1.5, 0, 3.5]])
    losses = F.huber_loss(PREDICTION, TARGET, reduction="none", delta=2)
    np.testing.assert_array_equal(losses, [[0, 2, 0.5], [2, 0, 6]])  # 2 (4 - 1)
    assert F.huber_loss(PREDICTION, TARGET, delta=2) == 10.5 / 6


def test_huber_loss_backward_hand_values():
    dprediction = F.huber_loss_backward(3.0, PREDICTION, TARGET, reduction="sum", delta=2)
    np.testing.assert_array_equal(dprediction, [[0, 6, -3], [-6, 0, 6]])


def test_smooth_l1_loss_hand_values():
    losses = F.smooth_l1_loss(PREDICTION, TARGET, reduction="none", beta=2)
    np.testing.assert_array_equal(losses, [[0, 1, 0.25], [1, 0, 3]])  # |r| - 1 where |r| ≥ 2
    assert F.smooth_l1_loss(PREDICTION, TARGET, reduction="sum", beta=2) == 5.25


def test_smooth_l1_loss_backward_hand_values():
    dprediction = F.smooth_l1_loss_backward(3.0, PREDICTION, TARGET, reduction="sum", beta=2)
    np.testing.assert_array_equal(dprediction, [[0, 3, -1.5], [-3, 0, 3]])


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_the_target_are_the_negative_gradient(name, pair):
    _, backward, options, _ = LOSSES[name]
    dloss = np.random.default_rng(1).normal(size=(N, C))
    for reduction, dy in (("none", dloss), ("mean", 0.7), ("sum", 0.7)):
        dprediction, dtarget = (
            gradient(dy, *pair, reduction=reduction, **options)
            for gradient in (backward, of_target(backward))
        )
        np.testing.assert_array_equal(dtarget, -dprediction)


@pytest.mark.parametrize("beta", [0.25, 1.0, 4.0])
def test_smooth_l1_loss_is_huber_loss_over_beta(pair, beta):
    smooth = F.smooth_l1_loss(*pair, reduction="none", beta=beta)
    np.testing.assert_array_equal(smooth, F.huber_loss(*pair, reduction="none", delta=beta) / beta)


def test_smooth_l1_loss_with_beta_zero_is_l1_loss(pair):
    assert F.smooth_l1_loss(*pair, beta=0) == F.l1_loss(*pair)
    for smooth, sharp in (
        (F.smooth_l1_loss_backward, F.l1_loss_backward),
        (F.smooth_l1_loss_backward_target, F.l1_loss_backward_target),
    ):
        np.testing.assert_array_equal(smooth(0.7, *pair, beta=0), sharp(0.7, *pair))


def test_huber_loss_lies_below_both_that_it_joins(pair):
    huber = F.huber_loss(*pair, reduction="none")
    assert (huber <= F.squared_loss(*pair, reduction="none")).all()
    assert (huber <= F.l1_loss(*pair, reduction="none")).all()


def test_mse_loss_backward_computes_in_float32():
    prediction = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    dx = F.mse_loss_backward(1.0, prediction, np.zeros_like(prediction))
    np.testing.assert_array_equal(dx, 2 * prediction * np.float32(1 / prediction.size))


@pytest.mark.parametrize("wrt", ["prediction", "target"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_complex_step(name, reduction, wrt, pair):
    f, backward, options, of_r = LOSSES[name]
    prediction, target = pair
    dy = np.random.default_rng(1).normal(size=(N, C) if reduction == "none" else ())

    def loss(x):
        losses = of_r(x - target if wrt == "prediction" else prediction - x)
        return {"none": losses, "mean": losses.mean(), "sum": losses.sum()}[reduction]

    value = f(*pair, reduction=reduction, **options)
    x = prediction if wrt == "prediction" else target
    each = f(*pair, reduction="none", **options)
    assert_within(value, loss(x), loss_bounds.difference_loss(each, reduction, U))
    slope = backward(np.ones((N, C)), *pair, reduction="none", **options)
    bound, _ = loss_bounds.difference_loss_backward(dy, slope, reduction, U)
    gradient = backward if wrt == "prediction" else of_target(backward)
    gradient = gradient(dy, *pair, reduction=reduction, **options)
    assert_within(gradient, complex_step_vjp(loss, x, dy), bound)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_robust_losses_keep_the_dtype_and_their_inputs(name, reduction, dtype, pair):
    f, backward, options, _ = LOSSES[name]
    prediction, target = (array.astype(dtype) for array in pair)
    for array in (prediction, target):
        array.flags.writeable = False
    assert f(prediction, target, reduction=reduction, **options).dtype == dtype
    for gradient in (backward, of_target(backward)):
        dx = gradient(0.7, prediction, target, reduction=reduction, **options)
        assert dx.dtype == dtype


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_have_the_dtype_of_their_variable(name, pair):
    _, backward, options, _ = LOSSES[name]
    prediction, target = pair[0].astype(np.float32), pair[1]
    assert backward(1.0, prediction, target, **options).dtype == np.float32
    assert of_target(backward)(1.0, prediction, target, **options).dtype == np.float64


@pytest.mark.parametrize("name", LOSSES)
def test_all_losses_name_what_they_refuse(name, pair):
    f, backward, options, _ = LOSSES[name]
    with pytest.raises(ValueError, match=r"target must have the shape of prediction \(5, 4\)"):
        f(pair[0], pair[1][0], **options)
    for gradient in (backward, of_target(backward)):
        with pytest.raises(TypeError, match="target must be floating point, got int64"):
            gradient(1.0, pair[0], np.zeros((N, C), int), **options)


@pytest.mark.parametrize("value", [0, -1.0, np.nan])
def test_huber_loss_refuses_what_is_not_positive(value, pair):
    for call in (
        F.huber_loss,
        lambda *pair, delta: F.huber_loss_backward(1.0, *pair, delta=delta),
        lambda *pair, delta: F.huber_loss_backward_target(1.0, *pair, delta=delta),
    ):
        with pytest.raises(ValueError, match="delta must be positive, got"):
            call(*pair, delta=value)


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_smooth_l1_loss_refuses_what_is_negative(value, pair):
    for call in (
        F.smooth_l1_loss,
        lambda *pair, beta: F.smooth_l1_loss_backward(1.0, *pair, beta=beta),
        lambda *pair, beta: F.smooth_l1_loss_backward_target(1.0, *pair, beta=beta),
    ):
        with pytest.raises(ValueError, match="beta must not be negative, got"):
            call(*pair, beta=value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_robust_losses_do_not_overflow(dtype):
    """A square would: r² of the largest number is infinite."""
    r = np.array([np.finfo(dtype).max, -np.finfo(dtype).max])
    nothing = np.zeros_like(r)
    np.testing.assert_array_equal(F.l1_loss(r, nothing, reduction="none"), abs(r))
    np.testing.assert_array_equal(F.huber_loss(r, nothing, reduction="none"), abs(r))
    np.testing.assert_array_equal(F.smooth_l1_loss(r, nothing, reduction="none"), abs(r))
    slopes = F.huber_loss_backward(1.0, r, nothing, reduction="none")
    np.testing.assert_array_equal(slopes, [1, -1])
