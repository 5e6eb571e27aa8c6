"""What a report says fits the example that it shows, the layout of the arrays, and the code."""

from __future__ import annotations

import numpy as np
import pytest

import parity

pytest.importorskip("torch")


def said(function, op, backward=None):
    """Return the text of a report, on one line."""
    return " ".join(str(parity.check(function, op, backward)).split())


# ---- the cause acts in the example ---------------------------------------------------------------


def log_of_a_naive_softmax(logits, y):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(y)), y]))


def test_a_probability_that_underflows_is_no_overflow():
    (finding,) = parity.check(log_of_a_naive_softmax, "cross_entropy").findings[:1]
    assert finding.grade == "unstable"
    assert finding.case["z"].min() == -1000
    assert "where p underflows to 0, log p is -inf" in finding.cause


def binary_of_clipped_shares(y, p):
    p = np.clip(p, 1e-15, 1 - 1e-15)  # in float32, 1 - 1e-15 is 1
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def test_the_example_of_a_clipped_probability_lies_in_the_range_that_is_told():
    (finding,) = parity.check(binary_of_clipped_shares, "binary_cross_entropy").findings[:1]
    assert "no loss exceeds -log 1e-15" in finding.cause
    below = float(finding.since.removeprefix("for p below "))
    assert 1e-16 < below < 1e-15
    assert finding.case["p"].min() < below
    assert np.isfinite(finding.problem.got)


def log_softmax_of_logsumexp(z):
    m = z.max(axis=1, keepdims=True)
    return z - (m + np.log(np.exp(z - m).sum(axis=1, keepdims=True)))


def test_digits_that_cancel_in_log_softmax_have_a_cause_and_a_range():
    (finding,) = parity.check(log_softmax_of_logsumexp, "log_softmax").findings[:1]
    assert "The maximum is added back" in finding.cause
    assert finding.since.startswith("for logits beyond ")


class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.y[np.arange(len(t)), t]).sum() / len(t)

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx  # neither dout nor 1 / N


def test_the_example_shows_the_factor_that_is_told():
    report = parity.check(SoftmaxWithLoss, "cross_entropy")
    (finding,) = [f for f in report.findings if f.grade == "wrong"]
    N = len(finding.case["z"])
    assert N >= 2
    assert f"it is {N} times too large: N, the length of axis 0" in finding.cause


# ---- words follow the layout ---------------------------------------------------------------------


def columns_softmax_of_row_maxima(Z):
    """An example is a column."""
    e = np.exp(Z - np.max(Z, axis=1, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)


def test_a_cause_speaks_of_columns_where_an_example_is_one():
    (finding,) = parity.check(columns_softmax_of_row_maxima, "softmax").findings[:1]
    assert finding.cause == (
        "Each row's maximum is subtracted, which does not cancel in a column: take each column's "
        "own, z.max(axis=0, keepdims=True)."
    )


# ---- what is not seen is not claimed -------------------------------------------------------------


def linear(A, W, b):
    return W @ A + b


def linear_backward(dZ, A, W, b):
    m = A.shape[1]
    return W.T @ dZ, 1 / m * dZ @ A.T, 1 / m * dZ.sum(axis=1, keepdims=True)


def test_nothing_is_claimed_of_a_loss_that_was_not_given():
    report = parity.check(linear, "linear", linear_backward)
    assert report.of("gradient") == "differs"  # so does a well-known course
    (finding,) = [f for f in report.findings if f.grade == "differs"]
    assert "unless your loss's gradient has no 1/N, they are N times too small" in finding.cause


def rows(X, W, b):
    return X @ W + b


def rows_backward(dY, X, W, b):
    return dY @ W.T, X.T @ dY / len(X), dY.mean(axis=0)


def test_with_examples_in_rows_a_second_division_by_n_is_wrong():
    report = parity.check(rows, "linear", rows_backward)
    assert report.of("gradient") == "wrong"
    assert "unless your loss's gradient has no 1/N" in report.causes[0]


def of_a_list(z):
    return [max(0.0, float(x)) for x in z]


def with_eye(z, y):
    onehot = np.eye(z.shape[1])[y]
    s = z - z.max(axis=1, keepdims=True)
    return -(onehot * (s - np.log(np.exp(s).sum(axis=1, keepdims=True)))).sum() / len(z)


def with_a_scalar(y, p):
    eps = np.finfo(float).eps
    return np.mean(-(y * np.log(p + eps) + (1 - y) * np.log(1 - p + eps)))


def in_double(z):
    return np.tanh(z.astype("d"))


@pytest.mark.parametrize(
    ("function", "op", "words"),
    [
        (of_a_list, "relu", "float64 came in on the way: by Python numbers or a list"),
        (with_eye, "cross_entropy", "float64 came in on the way: by np.eye without dtype"),
        (
            with_a_scalar,
            "binary_cross_entropy",
            "float64 came in on the way: by np.finfo(float).eps, a NumPy scalar",
        ),
        (in_double, "tanh", "float64 came in on the way"),
    ],
)
def test_float64_comes_from_what_the_code_has(function, op, words):
    assert f"({words})" in said(function, op)


# ---- whose convention it is ----------------------------------------------------------------------


def relu(z):
    return np.maximum(z, 0)


def relu_backward(dy, z):
    return dy * (z >= 0)


def test_the_slope_at_0_is_told_once():
    text = said(relu, "relu", relu_backward)
    assert "relu'(0) is taken for 1; torch" in text
    assert "convention: the slope at 0" not in text


def mse_per_row(prediction, target):
    return ((prediction - target) ** 2).sum(axis=1).mean()


def summed_cross_entropy(z, y):
    s = z - z.max(axis=1, keepdims=True)
    return -(s - np.log(np.exp(s).sum(axis=1, keepdims=True)))[np.arange(len(y)), y].sum()


@pytest.mark.parametrize(
    ("function", "op", "words"),
    [
        (mse_per_row, "mse_loss", "as the mean over rows; torch's default is the mean over all"),
        (
            summed_cross_entropy,
            "cross_entropy",
            "as the sum; torch's default is the mean over rows",
        ),
    ],
)
def test_the_default_is_told_in_full(function, op, words):
    assert words in said(function, op)


# ---- causes that were unknown --------------------------------------------------------------------


def log_to_base_10(y, p):
    return -np.sum(y * np.log10(p)) / len(y)


def absolute_error(prediction, target):
    return np.mean(np.abs(prediction - target))


def log_p_twice(y_true, y_pred):
    return -np.mean(y_true * np.log(y_pred) + (1 - y_true) * np.log(y_pred))


def softplus_of_size(z):
    return np.log1p(np.exp(-np.abs(z))) + np.abs(z)


def tanh_of_half(z):
    return 2 / (1 + np.exp(-z)) - 1


def maximum_after_exp(z):
    e = np.exp(z) - z.max(axis=1, keepdims=True)
    return e / e.sum(axis=1, keepdims=True)


def over_the_maximum(z):
    e = np.exp(z / z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def maximum_forgotten(z):
    m = z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z - m).sum(axis=1, keepdims=True))


def sigmoid_of_tanh(z):
    return 0.5 * (1 + np.tanh(z / 2))


@pytest.mark.parametrize(
    ("function", "op", "words"),
    [
        (log_to_base_10, "cross_entropy", "the logarithm has base 10"),
        (absolute_error, "mse_loss", "that is the mean absolute error, l1_loss"),
        (log_p_twice, "binary_cross_entropy", "Both terms have log p"),
        (softplus_of_size, "softplus", "softplus adds max(z, 0)"),
        (tanh_of_half, "tanh", "It is 2 σ(z) - 1 = tanh(z / 2)"),
        (maximum_after_exp, "softmax", "The maximum is subtracted from exp(z), not from z"),
        (over_the_maximum, "softmax", "z is divided by its maximum"),
        (maximum_forgotten, "log_softmax", "subtracted inside of the exponential alone"),
        (sigmoid_of_tanh, "sigmoid", "loses the digits of a small σ(z)"),
    ],
)
def test_the_cause_is_known(function, op, words):
    assert words in " ".join(parity.check(function, op).causes)
