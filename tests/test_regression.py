"""The squared losses and their gradients; the reductions of all losses."""

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn.ops.shared import reduce, reduce_backward
from tests.helpers import DTYPES, C, N, assert_within, complex_step_vjp

PREDICTION = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 5.0]])
TARGET = np.array([[1.0, 0.0, 4.0], [2.0, -1.0, 1.0]])  # differences 0 2 -1, -2 0 4


def test_squared_loss_hand_values():
    losses = F.squared_loss(PREDICTION, TARGET, reduction="none")
    np.testing.assert_array_equal(losses, [[0, 2, 0.5], [2, 0, 8]])
    assert F.squared_loss(PREDICTION, TARGET, reduction="sum") == 12.5
    assert F.squared_loss(PREDICTION, TARGET) == 12.5 / 6


def test_squared_loss_backward_hand_values():
    dprediction, dtarget = F.squared_loss_backward(3.0, PREDICTION, TARGET, reduction="sum")
    np.testing.assert_array_equal(dprediction, [[0, 6, -3], [-6, 0, 12]])
    np.testing.assert_array_equal(dtarget, -dprediction)


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
            2 * np.array(F.squared_loss_backward(upstream, *arguments, reduction=reduction)),
        )


@pytest.mark.parametrize("f", [F.squared_loss, F.mse_loss])
def test_losses_refuse_what_would_broadcast(f):
    with pytest.raises(
        ValueError, match=r"target must have the shape of prediction \(5, 1\), got \(5,\)"
    ):
        f(np.zeros((5, 1)), np.zeros(5))


def test_mean_of_nothing_is_nan_and_silent_as_in_torch():
    empty = np.zeros(0, np.float32)
    assert np.isnan(F.mse_loss(empty, empty))
    assert F.mse_loss(empty, empty, reduction="sum") == 0
    assert F.mse_loss(empty, empty, reduction="none").shape == (0,)


@pytest.mark.parametrize("count", [None, 4, 4.0, np.float64(4), np.array(4.0)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_reduce_keeps_the_precision(dtype, reduction, count):
    found = reduce(np.array([1, 2, 4, 5], dtype), reduction, count)
    assert (found.dtype, found) == (dtype, 3 if reduction == "mean" else 12)


def test_mean_of_float16_does_not_overflow():
    assert reduce(np.full(4, 40_000, np.float16), "mean") == 40_000  # the sum is above 65,504


def test_reduce_backward_spreads_the_mean():
    assert reduce_backward(3.0, (4,), "mean", dtype=np.float64) == 0.75
    assert reduce_backward(3.0, (4,), "sum", dtype=np.float64) == 3.0


@pytest.mark.parametrize(("reduction", "shape"), [("mean", (4,)), ("sum", (4,)), ("none", (5, 1))])
def test_upstream_gradient_that_would_broadcast_is_named(reduction, shape):
    with pytest.raises(ValueError, match=f'dloss must have shape .* for "{reduction}", got '):
        reduce_backward(np.ones(shape), (4,), reduction, dtype=np.float64)


U = bounds.unit_roundoff(np.float64)
REDUCTIONS = ["none", "mean", "sum"]
LOSSES = {  # the options of a loss, and the loss again as a function of r alone
    "squared_loss": ({}, lambda r: r * r / 2),
    "mse_loss": ({}, lambda r: r * r),
    "l1_loss": ({}, lambda r: np.where(r.real > 0, r, -r)),
    "huber_loss": (
        {"delta": 0.5},
        lambda r: np.where(
            abs(r.real) <= 0.5, r * r / 2, 0.5 * (np.where(r.real > 0, r, -r) - 0.25)
        ),
    ),
    "smooth_l1_loss": (
        {"beta": 0.25},
        lambda r: np.where(abs(r.real) < 0.25, 2 * r * r, np.where(r.real > 0, r, -r) - 0.125),
    ),
}


def both(name):
    """Return a loss and its backward."""
    return getattr(F, name), getattr(F, f"{name}_backward")


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
    dprediction, _ = F.l1_loss_backward(3.0, PREDICTION, TARGET, reduction="sum")
    np.testing.assert_array_equal(dprediction, [[0, 3, -3], [-3, 0, 3]])


def test_huber_loss_hand_values():
    losses = F.huber_loss(PREDICTION, TARGET, reduction="none")
    np.testing.assert_array_equal(losses, [[0, 1.5, 0.5], [1.5, 0, 3.5]])
    losses = F.huber_loss(PREDICTION, TARGET, reduction="none", delta=2)
    np.testing.assert_array_equal(losses, [[0, 2, 0.5], [2, 0, 6]])  # 2 (4 - 1)
    assert F.huber_loss(PREDICTION, TARGET, delta=2) == 10.5 / 6


def test_huber_loss_backward_hand_values():
    dprediction, _ = F.huber_loss_backward(3.0, PREDICTION, TARGET, reduction="sum", delta=2)
    np.testing.assert_array_equal(dprediction, [[0, 6, -3], [-6, 0, 6]])


def test_smooth_l1_loss_hand_values():
    losses = F.smooth_l1_loss(PREDICTION, TARGET, reduction="none", beta=2)
    np.testing.assert_array_equal(losses, [[0, 1, 0.25], [1, 0, 3]])  # |r| - 1 where |r| ≥ 2
    assert F.smooth_l1_loss(PREDICTION, TARGET, reduction="sum", beta=2) == 5.25


def test_smooth_l1_loss_backward_hand_values():
    dprediction, _ = F.smooth_l1_loss_backward(3.0, PREDICTION, TARGET, reduction="sum", beta=2)
    np.testing.assert_array_equal(dprediction, [[0, 3, -1.5], [-3, 0, 3]])


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_the_target_is_the_negative_one(name, pair):
    (_, backward), (options, _) = both(name), LOSSES[name]
    dloss = np.random.default_rng(1).normal(size=(N, C))
    for reduction, dy in (("none", dloss), ("mean", 0.7), ("sum", 0.7)):
        dprediction, dtarget = backward(dy, *pair, reduction=reduction, **options)
        np.testing.assert_array_equal(dtarget, -dprediction)


@pytest.mark.parametrize("beta", [0.25, 1.0, 4.0])
def test_smooth_l1_loss_is_huber_loss_over_beta(pair, beta):
    smooth = F.smooth_l1_loss(*pair, reduction="none", beta=beta)
    np.testing.assert_array_equal(smooth, F.huber_loss(*pair, reduction="none", delta=beta) / beta)


def test_smooth_l1_loss_with_beta_zero_is_l1_loss(pair):
    assert F.smooth_l1_loss(*pair, beta=0) == F.l1_loss(*pair)
    smooth, sharp = F.smooth_l1_loss_backward(0.7, *pair, beta=0), F.l1_loss_backward(0.7, *pair)
    np.testing.assert_array_equal(smooth, sharp)


def test_huber_loss_lies_below_both_that_it_joins(pair):
    huber = F.huber_loss(*pair, reduction="none")
    assert (huber <= F.squared_loss(*pair, reduction="none")).all()
    assert (huber <= F.l1_loss(*pair, reduction="none")).all()


def test_mse_loss_backward_computes_in_float32():
    prediction = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    dx, _ = F.mse_loss_backward(1.0, prediction, np.zeros_like(prediction))
    np.testing.assert_array_equal(dx, 2 * prediction * np.float32(1 / prediction.size))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_equal_complex_step(name, reduction, pair):
    (f, backward), (options, of_r) = both(name), LOSSES[name]
    prediction, target = pair
    dy = np.random.default_rng(1).normal(size=(N, C) if reduction == "none" else ())
    options = options | {"reduction": reduction}

    def loss(prediction, target):
        losses = of_r(prediction - target)
        return {"none": losses, "mean": losses.mean(), "sum": losses.sum()}[reduction]

    bound = getattr(loss_bounds, name)(*pair, **options, u=U)
    assert_within(f(*pair, **options), loss(*pair), bound)
    dprediction, dtarget = backward(dy, *pair, **options)
    dr_bound, _ = getattr(loss_bounds, f"{name}_backward")(dy, *pair, **options, u=U)
    step = complex_step_vjp(lambda x: loss(x, target), prediction, dy)
    assert_within(dprediction, step, dr_bound)
    step = complex_step_vjp(lambda x: loss(prediction, x), target, dy)
    assert_within(dtarget, step, dr_bound)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_keep_the_dtype_and_their_inputs(name, reduction, dtype, pair):
    (f, backward), options = both(name), LOSSES[name][0] | {"reduction": reduction}
    prediction, target = (array.astype(dtype) for array in pair)
    for array in (prediction, target):
        array.flags.writeable = False
    loss, gradients = (
        f(prediction, target, **options),
        backward(0.7, prediction, target, **options),
    )
    assert {array.dtype for array in (loss, *gradients)} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_have_the_dtype_of_their_variable(name, pair):
    (_, backward), (options, _) = both(name), LOSSES[name]
    dprediction, dtarget = backward(1.0, pair[0].astype(np.float32), pair[1], **options)
    assert (dprediction.dtype, dtarget.dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("name", LOSSES)
def test_all_losses_name_what_they_refuse(name, pair):
    (f, backward), (options, _) = both(name), LOSSES[name]
    for call in (f, lambda *pair, **options: backward(1.0, *pair, **options)):
        with pytest.raises(ValueError, match=r"target must have the shape of prediction \(5, 4\)"):
            call(pair[0], pair[1][0], **options)
        with pytest.raises(TypeError, match="target must be floating point, got int64"):
            call(pair[0], np.zeros((N, C), int), **options)


@pytest.mark.parametrize("value", [0, -1.0, np.nan])
def test_huber_loss_refuses_what_is_not_positive(value, pair):
    for call in (
        F.huber_loss,
        lambda *pair, delta: F.huber_loss_backward(1.0, *pair, delta=delta),
    ):
        with pytest.raises(ValueError, match="delta must be positive, got"):
            call(*pair, delta=value)


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_smooth_l1_loss_refuses_what_is_negative(value, pair):
    for call in (
        F.smooth_l1_loss,
        lambda *pair, beta: F.smooth_l1_loss_backward(1.0, *pair, beta=beta),
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
    slopes, _ = F.huber_loss_backward(1.0, r, nothing, reduction="none")
    np.testing.assert_array_equal(slopes, [1, -1])
