"""What `parity check` takes for one example, one output or a batch, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

import parity

# ---- a mean over all entries, and a gradient divided by the rows alone --------------------------


def mse(p, y):
    return np.mean((p - y) ** 2)


def mse_by_rows(p, y):
    return 2 * (p - y) / len(y)


class MSE:
    def forward(self, pred, target):
        self.d = pred - target
        return np.mean(self.d**2)

    def backward(self):
        return 2 * self.d / len(self.d)


@pytest.mark.parametrize(("loss", "backward"), [(mse, mse_by_rows), (MSE, None)])
def test_check_sees_that_a_gradient_is_of_one_output_where_the_value_takes_several(loss, backward):
    report = parity.check(loss, "mse_loss", backward)
    assert report.taken_for == "mean over all entries of the squared error"
    assert (report.of("value"), report.of("gradient")) == ("right", "wrong"), str(report)
    assert "C, the length of axis 1. Is a division by C missing?" in report.causes[0]


def mse_of_one_output(p, y):
    if p.ndim > 1:
        raise ValueError("one number per example")
    return np.mean((p - y) ** 2)


def mse_by_rows_of_one_output(p, y):
    """p, y: (N,)"""
    return 2 * (p - y) / len(y)


@pytest.mark.parametrize(
    ("loss", "backward"), [(mse_of_one_output, mse_by_rows), (mse, mse_by_rows_of_one_output)]
)
def test_check_takes_a_loss_of_one_output_that_says_so(loss, backward):
    report = parity.check(loss, "mse_loss", backward)
    assert report.grade == "right", str(report)
    assert "a number per example, (N,)" in report.taken_for


# ---- the softmax of one vector, and its Jacobian ------------------------------------------------


def softmax_of_one(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def by_diag(x):
    s = softmax_of_one(x)
    return np.diag(s) - np.outer(s, s)


def by_diagflat(s):
    s = s.reshape(-1, 1)
    return np.diagflat(s) - np.dot(s, s.T)


def by_loops(s):
    J = np.zeros((len(s), len(s)))
    for i in range(len(s)):
        for j in range(len(s)):
            J[i, j] = s[i] * (1 - s[i]) if i == j else -s[i] * s[j]
    return J


def wrong_off_the_diagonal(s):
    return np.diagflat(s) - s.sum() / s.size


@pytest.mark.parametrize("backward", [by_diag, by_diagflat, by_loops])
def test_check_sees_by_its_jacobian_that_a_softmax_is_of_one_vector(backward):
    report = parity.check(softmax_of_one, "softmax", backward)
    assert report.taken_for == "softmax, one example per call"
    assert report.ok, str(report)  # by_loops makes float64 of float32


def test_check_sees_a_wrong_jacobian_of_one_vector():
    report = parity.check(softmax_of_one, "softmax", wrong_off_the_diagonal)
    assert (report.of("value"), report.of("gradient")) == ("right", "wrong"), str(report)
    assert report.backward.endswith("it returns the Jacobian")


def by_rows(dp, s):
    return s * (dp - (dp * s).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("backward", [None, by_rows])
def test_check_takes_a_softmax_without_a_jacobian_for_one_of_a_batch(backward):
    report = parity.check(softmax_of_one, "softmax", backward)
    assert report.of("value") == "wrong", str(report)


def softmax_of_rows(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_check_says_that_a_jacobian_is_of_one_row():
    report = parity.check(softmax_of_rows, "softmax", by_diagflat)
    assert (report.of("value"), report.of("gradient")) == ("right", "wrong")
    assert report.causes == ("It returns the Jacobian of one row, not a gradient of a batch.",)


# ---- two names that both mean the prediction, or the target -------------------------------------


def bce_of_tensorflow(x, z):
    return np.mean(np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x))))


def bce_the_other_way(x, z):
    return bce_of_tensorflow(z, x)


@pytest.mark.parametrize(
    ("loss", "orders"),
    [
        (bce_of_tensorflow, "x = logits, z = target"),
        (bce_the_other_way, "x = target, z = logits"),
    ],
)
def test_check_tries_both_orders_where_both_names_mean_the_same(loss, orders):
    report = parity.check(loss, "binary_cross_entropy_with_logits")
    assert report.grade == "right", str(report)
    assert report.orders == f"{orders} (found by trying both orders)"


# ---- rows or columns, told by the divisor alone -------------------------------------------------


def ce_by_rows(P, Y):
    return -np.sum(Y * np.log(P)) / Y.shape[0]


def ce_by_columns(P, Y):
    return -np.sum(Y * np.log(P)) / Y.shape[1]


def ce_over_an_axis(P, Y):
    return -np.mean(np.sum(Y * np.log(P), axis=1))


@pytest.mark.parametrize(
    ("loss", "taken"), [(ce_by_rows, "rows"), (ce_by_columns, "columns"), (ce_over_an_axis, "")]
)
def test_check_remarks_that_the_layout_was_told_by_the_divisor(loss, taken):
    report = parity.check(loss, "cross_entropy")
    remarks = [f.what for f in report.findings if f.check == "layout"]
    assert [words.partition(" are")[0] for words in remarks] == [f"the {taken}"] * bool(taken)
    assert ("the layout was found by the divisor" in str(report)) == bool(taken)
