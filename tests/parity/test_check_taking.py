"""How `parity check` takes code: options, orders, output, methods, notebooks."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import parity
import scratchnn.functional as F
from parity.checking import loading
from scratchnn.data import DataError

# ---- options ------------------------------------------------------------------------------------


def softmax_of_columns_by_default(z, axis=0):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def test_check_says_that_an_axis_has_another_default():
    report = parity.check(softmax_of_columns_by_default, "softmax")
    assert (report.grade, report.taken_for) == ("right", "softmax of each row")
    assert report.differences == (
        "axis is 0 by default, and -1 in softmax: it was called with axis=-1",
    )


def test_check_calls_the_forward_by_the_same_axis_where_the_backward_takes_none():
    def backward(dp, p):
        return p * (dp - (dp * p).sum(axis=-1, keepdims=True))

    report = parity.check(softmax_of_columns_by_default, "softmax", backward)
    assert report.of("gradient") == "right", str(report)


def renamed(z, target, class_weights=None, ignore_label=-100, smoothing=0.0):
    options = {"weight": class_weights, "ignore_index": ignore_label}
    return F.cross_entropy(z, target, **options, label_smoothing=smoothing)


def by_eps(z, target, weights, eps=0.0):
    """Cross-entropy with label smoothing, and a weight for each class."""
    return F.cross_entropy(z, target, weight=weights, label_smoothing=eps)


@pytest.mark.parametrize("function", [renamed, by_eps])
def test_check_knows_options_by_other_names(function):
    report = parity.check(function, "cross_entropy")
    assert report.ok, str(report)
    untested = ("ignore_index",) if function is by_eps else ()
    assert report.not_tested == untested


def half_of_the_smoothing(z, target, smoothing=0.0):
    return F.cross_entropy(z, target, label_smoothing=smoothing / 2)


def another_label_ignored(z, target, ignore_index=-100):
    return F.cross_entropy(z, target, ignore_index=ignore_index + 1)


def squares_of_weights(z, target, weight=None):
    return F.cross_entropy(z, target, weight=None if weight is None else weight**2)


@pytest.mark.parametrize(
    "function", [half_of_the_smoothing, another_label_ignored, squares_of_weights]
)
def test_check_finds_a_wrong_option_once(function):
    report = parity.check(function, "cross_entropy")
    (finding,) = (f for f in report.findings if f.grade in ("wrong", "unstable"))
    assert (finding.check, finding.grade) == ("options", "wrong"), str(report)


def overflowing_with_a_wrong_option(z, target, smoothing=0.0):
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    hit = log_p[np.arange(len(z)), target]
    return -((1 - smoothing / 2) * hit + smoothing / 2 * log_p.mean(axis=1)).mean()


def test_check_finds_an_overflow_besides_a_wrong_option():
    report = parity.check(overflowing_with_a_wrong_option, "cross_entropy")
    assert [f.grade for f in report.findings if f.grade != "right"] == ["wrong", "unstable"]
    assert "lost for logits beyond 710" in str(report)


# ---- arguments named a and b --------------------------------------------------------------------


def squared(a, b):
    return ((a - b) ** 2).mean()


def squared_gradient_of_b(a, b):
    return 2 * (b - a) / a.size


def bce(a, b):
    return -(a * np.log(b) + (1 - a) * np.log1p(-b)).mean()


def bce_gradient_of_b(a, b):
    return ((1 - a) / (1 - b) - a / b) / a.size


@pytest.mark.parametrize(
    ("loss", "op", "gradient"),
    [
        (squared, "mse_loss", squared_gradient_of_b),
        (bce, "binary_cross_entropy", bce_gradient_of_b),
    ],
)
def test_check_tries_both_orders_of_a_and_b(loss, op, gradient):
    report = parity.check(loss, op, gradient)
    assert report.of("gradient") == "right", str(report)
    assert report.orders == "a = target, b = prediction (found by trying both orders)".replace(
        "prediction", "probabilities" if op != "mse_loss" else "prediction"
    )


# ---- what code prints, warns of and logs --------------------------------------------------------

LOUD = """
import logging, sys, warnings

import sys

import numpy as np

print("loads", file=sys.stderr)

def relu(z):
    print("runs", file=sys.stderr)
    warnings.warn("deprecated")
    logging.getLogger("mine").error("logged")
    return np.maximum(z, 0)
"""


def test_main_check_holds_back_what_goes_to_stderr(tmp_path):
    (tmp_path / "loud.py").write_text(LOUD)
    command = [sys.executable, "-m", "parity", "check", "loud.py:relu", "--op", "relu"]
    quiet = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert quiet.stderr == ""
    loud = subprocess.run(
        [*command, "--show-output"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert all(words in loud.stderr for words in ("loads", "runs", "logged"))


# ---- classes whose methods are called as the operation ------------------------------------------


class Activations:
    def softmax(self, z):
        return F.softmax(z)


class Several:
    def __init__(self, size):
        raise NotImplementedError("static methods need no object")

    @staticmethod
    def relu(z):
        return np.maximum(z, 0)

    @staticmethod
    def relu_derivative(z):
        return (z > 0).astype(z.dtype)

    @classmethod
    def sigmoid(cls, z):
        return np.exp(-np.logaddexp(0, -z))

    @classmethod
    def d_sigmoid(cls, z):
        return cls.sigmoid(z) * (1 - cls.sigmoid(z))


class Losses:
    def mse(self, y, y_hat):
        return ((y - y_hat) ** 2).mean()

    def mse_grad(self, y, y_hat):
        return 2 * (y_hat - y) / y.size

    def crossEntropy(self, z, labels):
        return F.cross_entropy(z, labels)


class Only:
    def transform(self, z):
        return np.maximum(z, 0)


METHODS = [
    (Activations, "softmax", ""),
    (Activations(), "softmax", ""),
    (Several, "relu", "Several.relu_derivative(z)"),
    (Several, "sigmoid", "Several.d_sigmoid(z)"),
    (Losses, "mse_loss", "Losses.mse_grad(y = target, y_hat = prediction)"),
    (Losses.mse, "mse_loss", "Losses.mse_grad(y = target, y_hat = prediction)"),
    (Losses, "cross_entropy", ""),
    (Only, "relu", ""),
]


@pytest.mark.parametrize(("thing", "op", "backward"), METHODS)
def test_check_takes_methods_that_are_called_as_the_operation(thing, op, backward):
    report = parity.check(thing, op)
    assert report.grade == "right", str(report)
    assert report.backward.partition(";")[0] == backward


# ---- what a notebook's definitions need ---------------------------------------------------------

CELLS = """
import logging
import numpy as np
ran = []
---
EPS = np.float32(1e-7)
labels = ["cat", "dog", "bird"]
classes = len(labels)
rng = np.random.default_rng(0)
scale = 2 * np.sqrt(classes)
unused = ran.append("unused")
z = ran.append("z is an argument")
data = ran.append("read") or open("missing.csv")
X, y = load_data(ran.append("downloaded"))
parts = MNIST(ran.append("downloaded"), download=True)
history = train_model(ran.append("trained"))
fitted = model.fit(ran.append("trained"))
picture = plt.imshow(ran.append("plotted"))
optional = nothing_of_this_name()
---
def one_hot(t):
    return np.eye(classes)[t]

class NeedsMore(missing.Base):
    pass

def loss(z, t, eps=EPS):
    noise = rng.normal() * 0 * scale
    late = (data, X, parts, history, fitted, picture, optional) if len(z) < 0 else None
    return -(one_hot(t) * np.log(z + eps)).sum() + noise

class Loss:
    def forward(self, z, t):
        return loss(z, t)
---
ran.append("a statement")
for step in range(3):
    ran.append("a loop")
"""


def notebook(folder):
    cells = [{"cell_type": "code", "source": text} for text in CELLS.split("---\n")]
    (folder / "mine.ipynb").write_text(json.dumps({"cells": cells}))
    return folder / "mine.ipynb"


@pytest.mark.parametrize("name", ["loss", "Loss"])
def test_check_runs_the_assignments_that_a_definition_needs_and_no_others(name, tmp_path):
    with loading.loaded(f"{notebook(tmp_path)}:{name}") as (found,):
        known = sys.modules[f"{loading.PRIVATE}{tmp_path / 'mine.ipynb'}"]
        function = found().forward if name == "Loss" else found
        assert np.isfinite(function(np.full((2, 3), 0.5), np.array([0, 2])))
        assert known.ran == []
        assert not {"unused", "data", "X", "parts", "history", "fitted", "picture"} & {*vars(known)}


def test_check_says_that_a_definition_that_is_needed_does_not_run(tmp_path):
    with (
        pytest.raises(DataError, match="name 'missing' is not defined"),
        loading.loaded(f"{notebook(tmp_path)}:NeedsMore"),
    ):
        pass
