"""Metrics: right answers are counted, ties go to the first class, bad labels are refused."""

import numpy as np
import pytest

from scratchnn.metrics import accuracy, count_correct
from tests.helpers import DTYPES, C, N


@pytest.mark.parametrize(
    ("z", "target", "correct"),
    [
        ([[0.2, 0.1, -0.1]], [0], 1),
        ([[0.2, 0.1, -0.1]], [1], 0),
        ([[1, 5, 2], [7, 1, 1], [0, 0, 3]], [1, 0, 2], 3),
        ([[1, 5, 2], [7, 1, 1], [0, 0, 3]], [1, 1, 2], 2),
        ([[2, 2, 1]], [0], 1),  # the first of a tie
        ([[2, 2, 1]], [1], 0),
        ([[-np.inf, 0, -np.inf]], [1], 1),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_hand_counted(z, target, correct, dtype):
    z, target = np.array(z, dtype), np.array(target)
    assert count_correct(z, target) == correct
    assert accuracy(z, target) == correct / len(target)


def test_accuracy_is_the_share_of_a_loop():
    rng = np.random.default_rng(1)
    z, target = rng.normal(size=(100, C)), rng.integers(C, size=100)
    right = [max(range(C), key=lambda c: z[n, c]) == target[n] for n in range(100)]
    assert 0 < sum(right) < 100
    assert accuracy(z, target) == sum(right) / 100


@pytest.mark.parametrize(
    ("z", "target", "error", "message"),
    [
        (np.zeros((N, C)), np.array([0, 1, 2, 3, 4]), ValueError, r"\[0, 4\), got .* \[0, 4\]"),
        (np.zeros((N, C)), np.array([0, 1, 2, 3, -1]), ValueError, r"got values in \[-1, 3\]"),
        (np.zeros((N, C)), np.zeros(N), TypeError, "integer class indices, got float64"),
        (np.zeros((N, C)), [0] * N, TypeError, "got list"),
        (np.zeros((N, C)), np.zeros((N, 1), int), ValueError, r"shape \(5,\).*\(5, 1\)"),
        (np.zeros((N, C)), np.zeros(N - 1, int), ValueError, r"shape \(5,\).*\(4,\)"),
        (np.zeros(N), np.zeros(N, int), ValueError, r"z must be a matrix.*\(5,\)"),
        (np.zeros((0, C)), np.zeros(0, int), ValueError, "at least one row"),
    ],
)
@pytest.mark.parametrize("metric", [count_correct, accuracy])
def test_accuracy_refuses_bad_arguments(metric, z, target, error, message):
    with pytest.raises(error, match=message):
        metric(z, target)
