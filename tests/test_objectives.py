"""Objectives: the loss and the gradient belong together, and right answers are counted."""

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds
from scratchnn.objectives import OBJECTIVES, one_hot
from tests.helpers import DTYPES, C, N, assert_within

LABELS = np.array([2, 0, 3, 1, 3])
BINARY = np.array([1, 0, 0, 1, 1])


def draw(columns, dtype=np.float64):
    return np.random.default_rng(1).normal(size=(N, columns)).astype(dtype)


def real_target(dtype=np.float64):
    return np.random.default_rng(2).normal(size=(N, C)).astype(dtype)


# name, columns of z, target, the loss and its gradient as functions of (z, target)
CASES = [
    (
        "cross_entropy", C, lambda _: LABELS, F.cross_entropy,
        lambda z, t: F.cross_entropy_backward(1.0, z, t),
    ),
    (
        "two_classes", 1, lambda _: BINARY,
        lambda z, t: F.binary_cross_entropy_with_logits(z, t[:, None].astype(z.dtype)),
        lambda z, t: F.binary_cross_entropy_with_logits_backward(
            1.0, z, t[:, None].astype(z.dtype)
        ),
    ),
    (
        "one_vs_rest", C, lambda _: LABELS,
        lambda z, t: F.binary_cross_entropy_with_logits(z, np.eye(C, dtype=z.dtype)[t]),
        lambda z, t: F.binary_cross_entropy_with_logits_backward(
            1.0, z, np.eye(C, dtype=z.dtype)[t]
        ),
    ),
    (
        "squared_loss", C, real_target, F.squared_loss,
        lambda z, t: F.squared_loss_backward(1.0, z, t),
    ),
    ("mse_loss", C, real_target, F.mse_loss, lambda z, t: F.mse_loss_backward(1.0, z, t)),
]  # fmt: skip


def test_objectives_are_all_tested():
    assert [case[0] for case in CASES] == list(OBJECTIVES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "columns", "target", "loss", "gradient"), CASES)
def test_objective_is_the_functions_of_its_name(name, columns, target, loss, gradient, dtype):
    z, t = draw(columns, dtype), target(dtype)
    value, dz = OBJECTIVES[name].loss_and_gradient(z, t)
    assert value == loss(z, t)
    assert value.dtype == dtype
    np.testing.assert_array_equal(dz, gradient(z, t), strict=True)
    np.testing.assert_array_equal(z, draw(columns, dtype))


def test_objective_cross_entropy_golden_value():
    z = np.array([[0.2, 0.1, -0.1]])
    loss, dz = OBJECTIVES["cross_entropy"].loss_and_gradient(z, np.array([0]))
    u = bounds.unit_roundoff(z.dtype)
    bound = bounds.cross_entropy(z, np.array([0]), "mean", u)
    assert_within(loss, np.array(0.9729189131256584), bound)
    assert_within(dz.sum(), np.array(0.0), bounds.cross_entropy_backward(
        np.ones(()), z, np.array([0]), "mean", u
    ).sum())  # fmt: skip


@pytest.mark.parametrize(("name", "target"), [("two_classes", BINARY), ("one_vs_rest", LABELS % 2)])
def test_objective_at_zero_logits(name, target):
    columns = 1 if name == "two_classes" else 2
    loss, dz = OBJECTIVES[name].loss_and_gradient(np.zeros((N, columns)), target)
    assert loss == np.log(2)
    t = target[:, None] == (np.array([1]) if columns == 1 else np.arange(2))
    np.testing.assert_array_equal(dz, (0.5 - t) * (1 / (N * columns)))


def test_objective_mse_loss_is_twice_the_squared_loss():
    z, target = draw(C), real_target()
    squared, mse = (OBJECTIVES[name].loss_and_gradient for name in ("squared_loss", "mse_loss"))
    assert mse(z, target)[0] == 2 * squared(z, target)[0]
    np.testing.assert_array_equal(mse(z, target)[1], 2 * squared(z, target)[1])


@pytest.mark.parametrize("name", ["squared_loss", "mse_loss"])
def test_objective_of_regression_counts_nothing(name):
    assert OBJECTIVES[name].correct is None


@pytest.mark.parametrize("name", ["cross_entropy", "one_vs_rest"])
def test_objective_counts_the_largest_logit(name):
    z = draw(C)
    best = z.argmax(axis=1)
    assert OBJECTIVES[name].correct(z, best) == N
    assert OBJECTIVES[name].correct(z, np.where(np.arange(N) < 2, (best + 1) % C, best)) == N - 2


def test_objective_two_classes_counts_the_sign():
    z = np.array([[0.5], [-0.5], [0.0], [2.0], [-3.0]])  # classes 1 0 0 1 0
    assert OBJECTIVES["two_classes"].correct(z, np.array([1, 0, 0, 1, 0])) == 5
    assert OBJECTIVES["two_classes"].correct(z, np.array([1, 0, 1, 0, 0])) == 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_hand_written(dtype):
    expected = np.array([[0, 0, 1, 0], [1, 0, 0, 0]], dtype)
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 4, dtype), expected, strict=True)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (np.array([0, C]), ValueError, r"\[0, 4\), got values in \[0, 4\]"),
        (np.array([-1, 0]), ValueError, r"got values in \[-1, 0\]"),
        (np.array([0.0, 1.0]), TypeError, "got float64"),
        (np.zeros((2, 1), int), ValueError, r"shape \(2,\)"),
    ],
)
def test_one_hot_refuses(target, error, message):
    with pytest.raises(error, match=message):
        one_hot(target, C)


@pytest.mark.parametrize(
    ("name", "columns", "target", "error"),
    [
        ("cross_entropy", C, LABELS + 1, ValueError),
        ("cross_entropy", C, LABELS - 1, ValueError),
        ("cross_entropy", C, LABELS.astype(float), TypeError),
        ("one_vs_rest", C, LABELS + 1, ValueError),
        ("one_vs_rest", C, LABELS.astype(float), TypeError),
        ("two_classes", C, BINARY, ValueError),  # (N, 1) would broadcast
        ("squared_loss", C, np.zeros((N, 1)), ValueError),
        ("squared_loss", 1, np.zeros(N), ValueError),
        ("mse_loss", 1, np.zeros(N), ValueError),
        ("mse_loss", 1, np.zeros((N, 1), int), TypeError),
        pytest.param(
            "two_classes", 1, BINARY + 1, ValueError,
        ),
        pytest.param(
            "two_classes", 1, BINARY - 1, ValueError,
        ),
    ],
)  # fmt: skip
def test_objective_refuses(name, columns, target, error):
    with pytest.raises(error, match="target"):
        OBJECTIVES[name].loss_and_gradient(draw(columns), target)
