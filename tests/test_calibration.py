"""Calibration: bins, scores and the best temperature, against hand counts, scikit-learn, slopes."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnn.functional as F
from parity import bounds, loss_bounds
from parity.bounds import EXP_ULPS
from scratchnn.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    temperature_derivatives,
)
from tests.helpers import DTYPES, C, N, assert_within

U = bounds.unit_roundoff(np.float64)
P = np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [1, 0], [0.375, 0.625]])
TARGET = np.array([0, 0, 1, 0, 1])  # right: yes, no, no (the first of a tie), yes, yes


def labelled_logits(seed, rows=200, sharpness=3.0):
    """Draw logits, and targets from softmax(z / sharpness): the true temperature."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, C)) * 3
    return z, (z / sharpness + rng.gumbel(size=z.shape)).argmax(axis=1)


def derivative_bounds(z, beta):
    """Bound the rounding errors of slope and curvature: x = β (z - m), p, and the sums of both."""
    x = beta * (z - z.max(axis=1, keepdims=True))
    p = F.softmax(x)
    error = bounds.softmax(x, 1, u=U) + p * (abs(x) + EXP_ULPS + 3) * U  # p, and 2 u |x| in exp's x
    total = bounds.gamma(len(z) + z.shape[1], U)
    slope = (error * abs(x)).sum() + (total + 3 * U) * (p * abs(x)).sum()
    slope += (total + 3 * U) * abs(x).max(axis=1).sum()
    curvature = (error * x**2).sum() + (2 * total + 8 * U) * (p * x**2).sum()
    return slope / len(z), curvature / len(z)


@pytest.mark.parametrize("dtype", DTYPES)
def test_reliability_hand_counted(dtype):
    bins = reliability_bins(P.astype(dtype), TARGET, bins=4)
    np.testing.assert_array_equal(bins.edges, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(bins.count, [0, 1, 3, 1])  # 0.5 and 0.75 in the bins below them
    np.testing.assert_array_equal(bins.confidence, [math.nan, 0.5, 2.125 / 3, 1])
    np.testing.assert_array_equal(bins.accuracy, [math.nan, 0, 2 / 3, 1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_hand_computed(dtype):
    ece = expected_calibration_error(P.astype(dtype), TARGET, bins=4)
    assert_within(np.float64(ece), (0.5 + 0.125) / 5, bounds.gamma(16, U))  # all numbers below 4
    brier = (2 * 0.25**2 + 2 * 0.75**2 + 2 * 0.5**2 + 0 + 2 * 0.375**2) / 5
    assert brier_score(P.astype(dtype), TARGET) == brier


def test_scores_of_certainty():
    p = np.eye(C)
    assert expected_calibration_error(p, np.arange(C)) == brier_score(p, np.arange(C)) == 0
    wrong = (np.arange(C) + 1) % C
    assert expected_calibration_error(p, wrong) == 1
    assert brier_score(p, wrong) == 2


def test_the_honest_are_calibrated_and_the_overconfident_are_not():
    """Of the samples given 0.5, half are right: ECE falls with 1/√N; sharpened it does not."""
    z, target = labelled_logits(0, rows=20_000)
    chance = 15 / math.sqrt(len(z))  # a standard deviation of 1/2 √n_b in each bin, and then some
    assert expected_calibration_error(F.softmax(z / 3), target) < chance
    assert expected_calibration_error(F.softmax(z), target) > chance


@given(st.integers(1, 80), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_bins_are_those_of_scikit_learn(rows, bins, seed):
    calibration = pytest.importorskip("sklearn.calibration")
    rng = np.random.default_rng(seed)
    p = F.softmax(rng.normal(size=(rows, 3)))
    target = rng.integers(3, size=rows)
    ours = reliability_bins(p, target, bins=bins)
    right = (p.argmax(axis=1) == target).astype(int)
    if 0 < right.sum() < rows:  # otherwise it refuses
        accuracy, confidence = calibration.calibration_curve(right, p.max(axis=1), n_bins=bins)
        np.testing.assert_array_equal(ours.accuracy[ours.count > 0], accuracy)
        np.testing.assert_array_equal(ours.confidence[ours.count > 0], confidence)
    assert ours.count.sum() == rows
    assert np.isnan(ours.accuracy[ours.count == 0]).all()


@given(st.integers(1, 80), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_scores_are_those_of_scikit_learn(rows, classes, seed):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    z, target = rng.normal(size=(rows, classes)) * 3, rng.integers(classes, size=rows)
    p, labels = F.softmax(z), np.arange(classes)
    theirs = sklearn.brier_score_loss(target, p, labels=labels, scale_by_half=False)
    bound = bounds.gamma(2 * rows * classes + 3, U) * theirs
    assert_within(np.float64(brier_score(p, target)), theirs, bound)
    loss = sklearn.log_loss(target, p, labels=labels)
    bound = 2 * loss_bounds.cross_entropy(z, target, u=U) + bounds.softmax(z, 1, u=U).sum() + U
    own = np.float64(F.cross_entropy(z, target))
    relative = (bounds.softmax(z, 1, u=U) / p).max()  # what log p inherits from p
    assert_within(own, loss, bound + relative + bounds.gamma(rows + classes, U) * loss)


def test_temperature_derivatives_equal_complex_step():
    z, target = labelled_logits(0)
    h, T = 1e-100, 1.7
    beta = 1 / T

    def slope_at(beta):  # of L along log β, from the loss alone
        return np.imag(F.cross_entropy(z * (beta * (1 + 1j * h)), target)) / h

    slope, curvature = temperature_derivatives(z, target, T)
    slope_bound, _ = derivative_bounds(z, beta)
    x = beta * (z - z.max(axis=1, keepdims=True))
    bound = slope_bound + bounds.log_softmax(x, 1, u=U).max() * abs(x).max()
    assert_within(np.float64(slope), slope_at(beta), bound)
    # β² L'' = (β ∂/∂β)² L - β L', by central differences of the slope
    e = 2.0**-16
    second = (slope_at(beta * math.exp(e)) - slope_at(beta * math.exp(-e))) / (2 * e)
    third = abs(x).max() ** 4  # bounds the third derivative of the slope, up to its 1/6
    assert_within(np.float64(curvature), second - slope, bound / e + third * e * e)


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_fitted_temperature_has_no_slope(seed, dtype):
    z, target = labelled_logits(seed, rows=40)
    z = z.astype(dtype)
    T = fit_temperature(z, target)
    assert type(T) is float
    slope, curvature = temperature_derivatives(z, target, T)
    slope_bound, _ = derivative_bounds(z.astype(np.float64), 1 / T)
    assert abs(slope) <= 2 * slope_bound + 8 * U * curvature  # 1/β and 1/T are rounded
    assert curvature > 0


def test_the_fitted_temperature_is_the_least_loss():
    z, target = labelled_logits(1)
    T = fit_temperature(z, target)
    least = F.cross_entropy(z / T, target)
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2):
        assert F.cross_entropy(z / (T * factor), target) > least


def test_the_fitted_temperature_recovers_the_true_one():
    """Within four standard deviations 1 / √(N curvature) of log T."""
    z, target = labelled_logits(2, rows=20_000, sharpness=3)
    T = fit_temperature(z, target)
    _, curvature = temperature_derivatives(z, target, T)
    assert abs(math.log(T / 3)) < 4 / math.sqrt(len(z) * curvature)


@pytest.mark.parametrize("exponent", [-300, -40, 0, 40, 300])
def test_temperature_scales_with_the_logits(exponent):
    z, target = labelled_logits(3)
    T = fit_temperature(z, target)
    assert fit_temperature(np.ldexp(z, exponent), target) == math.ldexp(T, exponent)


def test_temperature_of_two_classes_by_hand():
    """Three of four right at a margin of 1: σ(1/T) = 3/4, so T = 1 / ln 3."""
    z, target = np.tile([1.0, 0.0], (4, 1)), np.array([0, 0, 0, 1])
    T = fit_temperature(z, target)
    slope, _ = derivative_bounds(z, 1 / T)
    expected = 1 / math.log(3)
    relative = slope / (3 / 16 * math.log(3) ** 2) + 8 * U
    assert_within(np.float64(T), expected, relative * expected)


def test_temperature_of_nearly_separable_logits_is_found():
    z, target = labelled_logits(4)
    target = z.argmax(axis=1)
    second = z.argsort(axis=1)[:, -2]
    target[0] = second[0]
    z[0, second[0]] = z[0].max() - 1e-12  # the only mistake, and a tiny one
    T = fit_temperature(z, target)
    slope, curvature = temperature_derivatives(z, target, T)
    assert 0 < T < 1
    assert abs(slope) <= 2 * derivative_bounds(z, 1 / T)[0] + 8 * U * curvature


def test_temperature_refuses_what_has_none():
    z = np.random.default_rng(0).normal(size=(N, C))
    with pytest.raises(ValueError, match="no temperature is best: all targets have the largest z"):
        fit_temperature(z, z.argmax(axis=1))
    for useless, target in ((z, z.argmin(axis=1)), (np.zeros((N, C)), np.arange(N) % C)):
        with pytest.raises(ValueError, match="z favours its targets no more than chance"):
            fit_temperature(useless, target)
    z[2, 1] = -np.inf
    with pytest.raises(ValueError, match=r"z must be finite, got .*-inf.* in row 2"):
        fit_temperature(z, np.zeros(N, int))


@pytest.mark.parametrize("score", [reliability_bins, expected_calibration_error, brier_score])
def test_scores_refuse_bad_arguments(score):
    with pytest.raises(ValueError, match=r"p must sum to 1 along axis 1.*got 2.0 at \(1,\)"):
        score(np.array([[1.0, 0], [1, 1]]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"class indices in \[0, 2\)"):
        score(P, TARGET - 1)
    with pytest.raises(ValueError, match="p must be a matrix"):
        score(P[0], TARGET)
    with pytest.raises(TypeError, match="p must be floating point, got int64"):
        score(np.eye(2, dtype=int), np.array([0, 1]))


def test_reliability_refuses_no_bins():
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        reliability_bins(P, TARGET, bins=0)


def test_inputs_are_left_alone():
    p, z = P.copy(), labelled_logits(0)[0]
    before = z.copy()
    brier_score(p, TARGET)
    expected_calibration_error(p, TARGET)
    fit_temperature(z, labelled_logits(0)[1])
    np.testing.assert_array_equal(p, P)
    np.testing.assert_array_equal(z, before)


def test_temperature_of_rows_of_far_apart_scales_is_found():
    """At the first β the small rows are nearly flat: Newton's own step would be e^(10^13)-fold."""
    z = np.array([[1e14, 0], [1, 0], [1, 0], [1, 0], [1, 0]])
    T = fit_temperature(z, np.array([0, 0, 0, 0, 1]))
    slope, curvature = temperature_derivatives(z, np.array([0, 0, 0, 0, 1]), T)
    assert abs(slope) <= 2 * derivative_bounds(z, 1 / T)[0] + 8 * U * curvature


@pytest.mark.parametrize(
    ("z", "target"),
    [
        ([[0, 1e300], [0, 1e-9], [1, 0]], [1, 0, 0]),
        ([[0, 1e-310], [0, 1e-310], [0, 1e-310]], [1, 1, 0]),
    ],
)
def test_fit_temperature_ends_on_logits_of_any_size(z, target):
    with contextlib.suppress(ValueError):  # it may say that it finds none
        assert fit_temperature(np.array(z), np.array(target)) > 0


def test_logits_whose_differences_overflow_are_named():
    z = np.array([[1e308, -1e308], [-1e308, 1e308], [0.0, 1.0]])
    with pytest.raises(ValueError, match="z must have differences within a row that are finite"):
        fit_temperature(z, np.array([0, 0, 1]))


@pytest.mark.parametrize("T", [0, -1.0, np.nan])
def test_temperatures_are_positive(T):
    z, target = labelled_logits(0)
    with pytest.raises(ValueError, match="T must be positive, got"):
        temperature_derivatives(z, target, T)


def test_a_temperature_that_is_not_found_is_an_error(monkeypatch):
    """No logits are known that need as many steps as are allowed."""
    monkeypatch.setattr("scratchnn.calibration.MOST_STEPS", 1)
    with pytest.raises(ValueError, match="no temperature is found"):
        fit_temperature(*labelled_logits(0))
