"""kl_div with the conventions of torch, and its gradients for both arguments."""

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn import information
from tests.helpers import DTYPES, C, N, assert_within, complex_step_vjp

U = bounds.unit_roundoff(np.float64)
REDUCTIONS = ["none", "mean", "sum", "batchmean"]
COUNTS = {"none": 1, "mean": N * C, "sum": 1, "batchmean": N}


@pytest.fixture
def log_q():
    return F.log_softmax(np.random.default_rng(0).normal(size=(N, C)))


@pytest.fixture
def p():
    return F.softmax(np.random.default_rng(1).normal(size=(N, C)))


def upstream(reduction):
    return np.random.default_rng(2).normal(size=(N, C) if reduction == "none" else ())


def test_kl_div_hand_values():
    log_q, p = np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(F.kl_div(log_q, p, reduction="none"), [[1, 0], [0, 4]])
    assert F.kl_div(log_q, p, reduction="sum") == 5
    assert F.kl_div(log_q, p, reduction="batchmean") == 2.5
    assert F.kl_div(log_q, p) == 1.25


def test_kl_div_of_log_targets_hand_values():
    log_q = np.array([-1.0, -2.0])
    log_p = np.array([0.0, -np.inf])  # certain and impossible
    assert F.kl_div(log_q[:1], log_p[:1], log_target=True) == 1


def test_kl_div_backward_hand_values():
    log_q, p = np.array([[-1.0, -2.0], [-3.0, -4.0]]), np.array([[1.0, 0.5], [0.25, 1.0]])
    dlog_q, _ = F.kl_div_backward(3.0, log_q, p, reduction="sum")
    np.testing.assert_array_equal(dlog_q, [[-3, -1.5], [-0.75, -3]])
    for reduction, count in (("batchmean", 2), ("mean", 4)):
        shared, _ = F.kl_div_backward(3.0, log_q, p, reduction=reduction)
        np.testing.assert_array_equal(shared, dlog_q / count)


def test_kl_div_gradient_of_the_target_hand_values():
    log_q, p = np.array([-1.0, -2.0]), np.array([1.0, 1.0])  # log p - log q + 1
    _, dtarget = F.kl_div_backward(3.0, log_q, p, reduction="sum")
    np.testing.assert_array_equal(dtarget, [6, 9])
    _, dtarget = F.kl_div_backward(3.0, log_q, np.zeros(2), reduction="sum", log_target=True)
    np.testing.assert_array_equal(dtarget, [6, 9])


def test_kl_div_summed_over_classes_is_the_divergence(log_q, p):
    rows = F.kl_div(log_q, p, reduction="none").sum(axis=1)
    bound = loss_bounds.kl_div(log_q, p, reduction="none", u=U).sum(axis=1)
    bound += U * abs(log_q).sum(axis=1)  # exp(log q) is rounded
    bound += bounds.gamma(C, U) * (p * (abs(np.log(p)) + abs(log_q))).sum(axis=1)
    assert_within(rows, information.kl_divergence(p, F.softmax(log_q)), bound)


def test_kl_div_mean_is_the_batchmean_over_the_classes(log_q, p):
    """torch's "mean" divides by N C, so it is no divergence; "batchmean" divides by N."""
    bound = loss_bounds.kl_div(log_q, p, u=U)
    assert_within(F.kl_div(log_q, p), F.kl_div(log_q, p, reduction="batchmean") / C, bound)


def test_kl_div_is_zero_at_itself(p):
    np.testing.assert_array_equal(F.kl_div(np.log(p), np.log(p), log_target=True), 0)
    bound = loss_bounds.kl_div(np.log(p), p, reduction="none", u=U)
    assert_within(F.kl_div(np.log(p), p, reduction="none"), np.zeros((N, C)), bound)


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_kl_div_backwards_equal_complex_step(log_q, p, reduction, log_target):
    target = np.log(p) if log_target else p
    dy = upstream(reduction)

    def loss(log_q, target):
        q = np.exp(target) if log_target else target
        losses = q * ((target if log_target else np.log(target)) - log_q)
        return losses if reduction == "none" else losses.sum() / COUNTS[reduction]

    options = {"reduction": reduction, "log_target": log_target}
    gradients = F.kl_div_backward(dy, log_q, target, **options)
    allowed = loss_bounds.kl_div_backward(dy, log_q, target, **options, u=U)
    step = complex_step_vjp(lambda log_q: loss(log_q, target), log_q, dy)
    assert_within(gradients[0], step, allowed[0])
    step = complex_step_vjp(lambda target: loss(log_q, target), target, dy)
    assert_within(gradients[1], step, allowed[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_kl_div_keeps_the_dtype_and_its_inputs(log_q, p, reduction, log_target, dtype):
    log_q, target = log_q.astype(dtype), (np.log(p) if log_target else p).astype(dtype)
    for array in (log_q, target):
        array.flags.writeable = False
    options = {"reduction": reduction, "log_target": log_target}
    gradients = F.kl_div_backward(0.7, log_q, target, **options)
    results = F.kl_div(log_q, target, **options), *gradients
    assert {result.dtype for result in results} == {np.dtype(dtype)}


def test_kl_div_gradients_have_the_dtype_of_their_variable(log_q, p):
    dlog_q, dtarget = F.kl_div_backward(0.7, log_q, p.astype(np.float32))
    assert (dlog_q.dtype, dtarget.dtype) == (np.float64, np.float32)


@pytest.mark.parametrize(
    "call", [F.kl_div, lambda log_q, p, **options: F.kl_div_backward(1.0, log_q, p, **options)]
)
def test_kl_div_refuses_what_it_cannot_mean(call, log_q, p):
    with pytest.raises(ValueError, match=r"target must have the shape of log_q \(5, 4\)"):
        call(log_q, p[0])
    with pytest.raises(TypeError, match="target must be floating point, got int64"):
        call(log_q, np.ones((N, C), int))
    with pytest.raises(ValueError, match=r"reduction must be .* got 'avg'"):
        call(log_q, p, reduction="avg")


def test_kl_div_refuses_an_upstream_gradient_that_would_broadcast(log_q, p):
    with pytest.raises(ValueError, match=r'dloss must have shape \(\) for "mean", got \(5,\)'):
        F.kl_div_backward(np.ones(N), log_q, p, reduction="batchmean")


def test_kl_div_extremes():
    log_q = np.array([-np.inf, -1.0, -1.0])
    losses = F.kl_div(log_q, np.array([0.5, 0.0, -0.5]), reduction="none")
    assert losses[0] == np.inf  # mass where the model has none
    assert losses[1] == 0  # 0 log 0 = 0
    assert np.isnan(losses[2])  # no probability
    _, dtarget = F.kl_div_backward(1.0, log_q, np.array([0.5, 0.0, 0.5]), reduction="sum")
    assert dtarget[0] == np.inf
    assert np.isnan(dtarget[1])  # the slope of p log p at 0 is -inf: torch has NaN


def test_kl_div_of_nothing_is_nan_and_its_sum_zero():
    empty = np.zeros((0, C))
    assert np.isnan(F.kl_div(empty, empty))
    assert np.isnan(F.kl_div(empty, empty, reduction="batchmean"))
    assert F.kl_div(empty, empty, reduction="sum") == 0
