"""Metrics: right answers are counted, ties go to the first class, bad labels are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnn.metrics import (
    accuracy,
    confusion_matrix,
    count_correct,
    precision,
    recall,
    top_k_accuracy,
)
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
        (np.zeros((N, C)), np.zeros(N), TypeError, "class indices must be integers.*got float64"),
        (np.zeros((N, C)), [0] * N, TypeError, "got list"),
        (np.zeros((N, C)), np.zeros((N, 1), int), ValueError, r"shape \(5,\).*\(5, 1\)"),
        (np.zeros((N, C)), np.zeros(N - 1, int), ValueError, r"shape \(5,\).*\(4,\)"),
        (np.zeros(N), np.zeros(N, int), ValueError, r"z must be a matrix.*\(5,\)"),
        (np.zeros((0, C)), np.zeros(0, int), ValueError, "at least one row"),
    ],
)
@pytest.mark.parametrize("metric", [count_correct, accuracy])
def test_accuracy_raises_for_bad_arguments(metric, z, target, error, message):
    with pytest.raises(error, match=message):
        metric(z, target)


Z = np.array([[3, 2, 1, 0], [0, 1, 2, 3], [5, 5, 1, 0], [0, 2, 9, 1], [4, 0, 0, 0]], float)
TARGET = np.array([0, 2, 1, 2, 1])  # predicted: 0, 3, 0 (the first of a tie), 2, 0


@pytest.mark.parametrize(("k", "correct"), [(1, 2), (2, 5), (3, 5), (4, 5)])
def test_top_k_accuracy_hand_counted(k, correct):
    assert top_k_accuracy(Z, TARGET, k) == correct / N


def test_top_k_accuracy_of_ties_goes_to_the_first():
    z = np.zeros((C, C))  # all tied: class c is the (c + 1)-th
    for k in range(1, C + 1):
        assert top_k_accuracy(z, np.arange(C), k) == k / C
    assert top_k_accuracy(z, np.arange(C), 1) == accuracy(z, np.arange(C))


@pytest.mark.parametrize("dtype", DTYPES)
def test_top_1_is_accuracy_and_top_all_is_certain(dtype):
    rng = np.random.default_rng(0)
    z, target = rng.integers(0, 3, (200, C)).astype(dtype), rng.integers(C, size=200)
    assert top_k_accuracy(z, target, 1) == accuracy(z, target)
    assert top_k_accuracy(z, target, C) == 1


def test_confusion_matrix_hand_counted():
    M = [[1, 0, 0, 0], [2, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]  # rows: true classes
    np.testing.assert_array_equal(confusion_matrix(Z, TARGET), M)


def test_precision_and_recall_hand_counted():
    M = confusion_matrix(Z, TARGET)
    np.testing.assert_array_equal(precision(M), [1 / 3, 0, 1, 0])  # class 1 is never predicted
    np.testing.assert_array_equal(recall(M), [1, 0, 1 / 2, 0])  # class 3 never occurs
    np.testing.assert_array_equal(precision(M, undefined=np.nan), [1 / 3, np.nan, 1, 0])
    np.testing.assert_array_equal(recall(M, undefined=np.nan), [1, 0, 1 / 2, np.nan])


@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_metrics_are_those_of_scikit_learn(rows, classes, seed):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    z, target = rng.normal(size=(rows, classes)), rng.integers(classes, size=rows)
    labels, predicted = np.arange(classes), z.argmax(axis=1)
    M = confusion_matrix(z, target)
    np.testing.assert_array_equal(M, sklearn.confusion_matrix(target, predicted, labels=labels))
    assert M.trace() / rows == accuracy(z, target) == sklearn.accuracy_score(target, predicted)
    theirs = sklearn.precision_recall_fscore_support(
        target, predicted, labels=labels, zero_division=0
    )
    np.testing.assert_array_equal(precision(M), theirs[0])
    np.testing.assert_array_equal(recall(M), theirs[1])
    np.testing.assert_array_equal(M.sum(axis=1), theirs[3])
    if classes > 2:  # two classes would want one column of scores
        for k in range(1, classes):
            score = sklearn.top_k_accuracy_score(target, z, k=k, labels=labels)
            assert top_k_accuracy(z, target, k) == score


def test_scikit_learn_breaks_ties_of_top_k_against_its_own_accuracy():
    sklearn = pytest.importorskip("sklearn.metrics")
    z, target, labels = np.zeros((1, 3)), np.array([0]), np.arange(3)
    assert top_k_accuracy(z, target, 1) == sklearn.accuracy_score(target, z.argmax(axis=1)) == 1
    assert sklearn.top_k_accuracy_score(target, z, k=1, labels=labels) == 0


@pytest.mark.parametrize("metric", [lambda z, t: top_k_accuracy(z, t, 1), confusion_matrix])
def test_metrics_refuse_bad_arguments(metric):
    z = np.zeros((N, C))
    with pytest.raises(ValueError, match=r"class indices in \[0, 4\)"):
        metric(z, np.full(N, -1))
    with pytest.raises(TypeError, match="z must be floating point, got int64"):
        metric(z.astype(int), TARGET)
    z[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"z must not hold NaN.*in row 3"):
        metric(z, TARGET)


def test_top_k_accuracy_refuses_other_k():
    for k in (0, C + 1):
        with pytest.raises(ValueError, match=f"k must be from 1 to .* 4, got {k}"):
            top_k_accuracy(Z, TARGET, k)


@pytest.mark.parametrize("share", [precision, recall])
def test_precision_and_recall_want_a_square(share):
    with pytest.raises(ValueError, match=r"confusion must be square \(C, C\), got shape \(2, 3\)"):
        share(np.zeros((2, 3), int))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_confusion_matrix_takes_labels_of_any_integer_type(dtype):
    z = np.zeros((3, 30))
    z[:, 20] = 1
    matrix = confusion_matrix(z, np.array([20, 20, 5]).astype(dtype))
    assert matrix[20, 20] == 2
    assert matrix[5, 20] == 1


def test_accuracy_refuses_nan():
    with pytest.raises(ValueError, match="z must not hold NaN"):
        accuracy(np.full((2, 3), np.nan), np.array([0, 0]))
