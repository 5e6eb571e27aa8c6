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
