"""The squared losses and their gradients; the reductions of all losses."""

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn.reductions import reduce_backward
from tests.helpers import DTYPES

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
    assert reduce_backward(3.0, (4,), "mean") == 0.75
    assert reduce_backward(3.0, (4,), "sum") == 3.0


@pytest.mark.parametrize(("reduction", "shape"), [("mean", (4,)), ("sum", (4,)), ("none", (5, 1))])
def test_upstream_gradient_that_would_broadcast_is_named(reduction, shape):
    with pytest.raises(ValueError, match=f'dloss must have shape .* for "{reduction}", got '):
        reduce_backward(np.ones(shape), (4,), reduction)
