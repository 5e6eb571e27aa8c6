"""Answers that differ between calls, and numbers of an example as (N, 1) and (1, H)."""

from __future__ import annotations

import numpy as np
import pytest

import parity
import scratchnn.functional as F

# ---- what is kept between calls -----------------------------------------------------------------

rng = np.random.default_rng(0)
cache: dict[tuple[int, ...], np.ndarray] = {}
counted = [0]


def cached(z):
    if z.shape not in cache:
        cache[z.shape] = F.softmax(z)
    return cache[z.shape]


def counting(z):
    counted[0] += 1
    return F.softmax(z) + 1e-3 * counted[0]


def dropping(z):
    return F.softmax(z) * (rng.random(z.shape) > 0.5)


@pytest.mark.parametrize("function", [cached, counting, dropping])
def test_check_says_that_answers_differ_between_calls(function):
    report = parity.check(function, "softmax")
    (finding,) = report.findings
    assert (finding.check, finding.grade) == ("between calls", "wrong"), str(report)
    assert report.causes == ("it keeps something from the last call, or is random",)


def overflowing_at_random(z):
    e = np.exp(z) * rng.uniform(1, 1 + 1e-9)
    return e / np.exp(z).sum(axis=1, keepdims=True)


def test_check_says_what_is_larger_than_the_differences_between_calls():
    report = parity.check(overflowing_at_random, "softmax")
    assert [(f.check, f.grade) for f in report.findings] == [
        ("extreme numbers", "unstable"),
        ("between calls", "differs"),
    ], str(report)


class Kept:
    y = None

    def forward(self, z):
        if self.y is None:
            self.y = np.tanh(z)
        return self.y


class InPlace:
    scale = 1.0

    def forward(self, z):
        y = np.tanh(z) * self.scale
        self.scale *= 0.5
        return y


class Running:
    total = 0.0

    def forward(self, prediction, target):
        self.total += ((prediction - target) ** 2).mean()
        return self.total


@pytest.mark.parametrize(
    ("thing", "op"), [(Kept, "tanh"), (InPlace, "tanh"), (Running, "mse_loss")]
)
def test_check_says_that_answers_of_one_object_differ(thing, op):
    report = parity.check(thing, op)
    (finding,) = (f for f in report.findings if f.grade != "right")
    assert (finding.check, finding.grade) == ("between calls", "wrong"), str(report)
    assert "answers differ between calls of one object" in str(report)


class Adding:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.zeros((n_in, n_out)), np.zeros(n_out)
        self.dW, self.db = 0, 0

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW += self.x.T @ dy
        self.db += dy.sum(axis=0)
        return dy @ self.W.T


def test_check_remarks_that_gradients_add_up():
    report = parity.check(Adding, "linear")
    (remark,) = report.findings
    assert (report.grade, remark.what.partition(":")[0]) == ("right", "dW, db"), str(report)


# ---- columns of numbers: (N, 1), labels (N, 1), a bias (1, H) -----------------------------------


def bce(p, t):
    assert p.shape == t.shape == (len(p), 1)
    return F.binary_cross_entropy_with_logits(np.log(p) - np.log1p(-p), t)


def bce_gradient(p, t):
    return (p - t) / (p * (1 - p)) / len(p)


def bce_gradient_of_the_sum(p, t):
    return (p - t) / (p * (1 - p))


def bce_of_logits(z, t):
    assert z.shape == t.shape == (len(z), 1)
    return F.binary_cross_entropy_with_logits(z, t, reduction="sum")


def bce_of_logits_gradient(dloss, z, t):
    return dloss * (F.sigmoid(z) - t)


def of_column(z, labels):
    assert labels.shape == (len(z), 1)
    return F.cross_entropy(z, labels[:, 0])


def of_column_gradient(z, labels):
    return F.cross_entropy_backward(1.0, z, labels[:, 0])


def of_column_gradient_of_the_sum(z, labels):
    return F.cross_entropy_backward(1.0, z, labels[:, 0], reduction="sum")


def affine(X, W, b):
    assert b.shape == (1, W.shape[1])
    return X @ W + b


def affine_gradients(dY, X, W, b):
    return dY @ W.T, X.T @ dY, dY.sum(axis=0, keepdims=True)


def affine_gradients_of_the_mean(dY, X, W, b):
    return dY @ W.T, X.T @ dY, dY.mean(axis=0, keepdims=True)


IN_COLUMNS = {
    (bce, bce_gradient): ("binary_cross_entropy", "right", "a number per example, (N, 1)"),
    (bce, bce_gradient_of_the_sum): ("binary_cross_entropy", "wrong", "(N, 1)"),
    (bce_of_logits, bce_of_logits_gradient): (
        "binary_cross_entropy_with_logits",
        "right",
        "sum of binary cross-entropy of logits, a number per example, (N, 1)",
    ),
    (of_column, of_column_gradient): ("cross_entropy", "right", "class indices in a column (N, 1)"),
    (of_column, of_column_gradient_of_the_sum): ("cross_entropy", "wrong", "a column (N, 1)"),
    (affine, affine_gradients): ("linear", "right", "X W + b, weight (D, H)"),
    (affine, affine_gradients_of_the_mean): ("linear", "wrong", "X W + b, weight (D, H)"),
}


@pytest.mark.parametrize(("function", "backward"), IN_COLUMNS)
def test_check_takes_columns_of_numbers(function, backward):
    op, gradient, words = IN_COLUMNS[function, backward]
    report = parity.check(function, op, backward)
    assert words in report.taken_for
    assert report.of("value") in ("right", "unstable"), str(report)
    assert report.of("gradient") == gradient, str(report)


def bce_of_pairs(p, t):
    assert p.shape == (len(p), 1)
    t = t.reshape(-1)  # (N, 1) and (N,) make (N, N)
    return -(t * np.log(p) + (1 - t) * np.log1p(-p)).mean()


def of_pairs(z, labels):
    assert labels.shape == (len(z), 1)
    return -F.log_softmax(z)[np.arange(len(z)), labels].mean()


@pytest.mark.parametrize(
    ("function", "op"), [(bce_of_pairs, "binary_cross_entropy"), (of_pairs, "cross_entropy")]
)
def test_check_sees_that_a_column_and_a_row_make_a_matrix(function, op):
    report = parity.check(function, op)
    assert report.of("value") == "wrong", str(report)


def test_a_function_that_takes_few_rows_is_right():
    def softmax(z):
        assert len(z) <= 40
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    assert parity.check(softmax, "softmax").grade in ("right", "differs from torch")
