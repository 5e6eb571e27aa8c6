"""What a review of `parity check` found: modules of torch, batches that mix, small errors, ..."""

from __future__ import annotations

import json

import numpy as np
import pytest

import parity
from parity.checking import loading

torch = pytest.importorskip("torch")
nn = torch.nn

# ---- modules of torch ---------------------------------------------------------------------------


class OwnSoftmax(nn.Module):
    def forward(self, z):
        return torch.softmax(z, 1)


MODULES = {
    "softmax": (nn.Softmax(dim=1), OwnSoftmax(), OwnSoftmax),
    "cross_entropy": (nn.CrossEntropyLoss(),),
    "mse_loss": (nn.MSELoss(), nn.MSELoss),
    "linear": (nn.Linear,),
}


@pytest.mark.parametrize(("op", "thing"), [(op, x) for op, of in MODULES.items() for x in of])
def test_check_takes_modules_of_torch(op, thing):
    report = parity.check(thing, op)
    assert report.grade == "right", str(report)


# ---- a layer of columns whose backward divides by m ---------------------------------------------


class Columns:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.zeros((n_out, n_in)), np.zeros((n_out, 1))

    def forward(self, X):
        self.X = X
        return self.W @ X + self.b

    def backward(self, dY):
        m = self.X.shape[1]
        self.dW = dY @ self.X.T / m
        self.db = dY.sum(axis=1, keepdims=True) / m
        return self.W.T @ dY


def test_check_names_the_mean_of_a_layer_of_columns():
    report = parity.check(Columns, "linear")
    assert (report.of("value"), report.of("gradient")) == ("right", "differs"), str(report)
    assert "The gradients of the parameters are divided by N" in str(report)


# ---- one example alone in axis 0 hides what mixes the examples ----------------------------------


def mse_of_sums(y_hat, y):
    return ((y_hat.sum(0) - y.sum(0)) ** 2).mean()


def mse_of_pairs(y_hat, y):
    return ((y_hat[:, None] - y[None]) ** 2).mean()


def mse_of_the_first(y_hat, y):
    return ((y_hat[0] - y[0]) ** 2).mean()


@pytest.mark.parametrize("mse", [mse_of_sums, mse_of_pairs, mse_of_the_first])
def test_check_sees_that_a_loss_mixes_the_examples(mse):
    report = parity.check(mse, "mse_loss")
    assert report.of("value") == "wrong", str(report)


def cost_by_a_product(A, Y):
    m = Y.size
    losses = np.dot(Y, np.log(A).T) + np.dot(1 - Y, np.log(1 - A).T)
    return -losses[0, 0] / m if losses.size == 1 else -losses / m


def cost_by_a_count(A, Y):
    m = Y.shape[1]
    return -np.sum(np.dot(Y, np.log(A).T) + np.dot(1 - Y, np.log(1 - A).T)) / m


@pytest.mark.parametrize("cost", [cost_by_a_product, cost_by_a_count])
def test_check_takes_a_row_of_numbers_where_a_batch_has_no_value_or_is_counted(cost):
    report = parity.check(cost, "binary_cross_entropy")
    assert "a number per example, (1, N)" in report.taken_for, str(report)
    assert report.of("value") == "unstable", str(report)  # by log 0 alone


# ---- with one example per call there is one axis ------------------------------------------------


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_backward_of_one(dp, z):
    p = softmax(z)
    return (np.diagflat(p) - np.outer(p, p)) @ dp


def test_check_tries_no_other_axis_with_one_example_per_call():
    report = parity.check(softmax, "softmax", softmax_backward_of_one)
    assert report.taken_for == "softmax, one example per call"
    assert report.grade == "right", str(report)
    assert "axis (only the last was)" in report.not_tested


# ---- softmax in one line ------------------------------------------------------------------------


def sum_of_all(z):
    return np.exp(z) / np.sum(np.exp(z))


def sum_of_all_by_a_method(z):
    return np.exp(z) / np.exp(z).sum()


def sum_of_all_with_the_maximum(z):
    return np.exp(z - np.max(z)) / np.sum(np.exp(z - np.max(z)))


def no_keepdims(z):
    return np.exp(z) / np.sum(np.exp(z), axis=1)


ONE_LINE = {
    sum_of_all: "sum of all rows",
    sum_of_all_by_a_method: "sum of all rows",
    sum_of_all_with_the_maximum: "sum of all rows",
    no_keepdims: "keepdims is missing",
}


@pytest.mark.parametrize("function", ONE_LINE)
def test_check_names_the_flaw_of_a_softmax_in_one_line(function):
    (finding,) = parity.check(function, "softmax").findings
    assert ONE_LINE[function] in finding.cause, finding
    assert "keepdims=True" in finding.mended


# ---- no answer at all ---------------------------------------------------------------------------


def raising(z):
    raise RuntimeError("not yet")


def without_a_return(z):
    np.exp(z)


@pytest.mark.parametrize(
    ("function", "title"),
    [
        (raising, "it raises RuntimeError: not yet"),
        (without_a_return, "it returns None: is a return missing?"),
    ],
)
def test_check_says_that_no_answer_comes(function, title):
    text = str(parity.check(function, "softmax"))
    assert f"1. value, wrong: {title}\n" in text
    assert "no known flaw" not in text


# ---- wrong by a small amount --------------------------------------------------------------------


def slightly_larger(z):
    return 1.001 * softmax(z)


def slightly_more(z):
    return softmax(z) + 1e-4


def rounded(z):
    return np.round(softmax(z), 4)


@pytest.mark.parametrize("function", [slightly_larger, slightly_more, rounded])
def test_check_calls_a_small_constant_error_wrong(function):
    report = parity.check(function, "softmax")
    assert report.grade == "wrong", str(report)


def backward_by_differences(dp, z):
    slopes = np.zeros_like(z)
    for index in np.ndindex(z.shape):
        moved = z.copy()
        moved[index] += 1e-4
        slopes[index] = ((softmax(moved) - softmax(z)) * dp).sum() / 1e-4
    return slopes


def test_check_blames_no_right_function_for_coarse_differences():
    report = parity.check(softmax, "softmax", backward_by_differences)
    assert (report.of("value"), report.of("gradient")) == ("right", "wrong"), str(report)
    assert not report.causes


def in_single_precision(z):
    return softmax(z.astype(np.float32)).astype(z.dtype)


def test_check_calls_single_precision_a_difference():
    report = parity.check(in_single_precision, "softmax")
    assert report.grade == "differs", str(report)


# ---- notebooks ----------------------------------------------------------------------------------

CELLS = """%%time
import json

import numpy as np
def timed(z):
    return z
---
%%capture output
def captured(z):
    return np.exp(z)
---

%%timeit -n 1
def repeated(z):
    return z
---
np.exp?
?np.exp
def after_help(z):
    return np.exp(z)
---
%%bash
ls
"""


@pytest.mark.parametrize("name", ["timed", "captured", "repeated", "after_help"])
def test_check_skips_the_magic_line_alone(name, tmp_path):
    notebook = tmp_path / "magic.ipynb"
    cells = [{"cell_type": "code", "source": source} for source in CELLS.split("---\n")]
    notebook.write_text(json.dumps({"cells": cells}))
    with loading.loaded(f"{notebook}:{name}") as (function,):
        assert np.all(np.isfinite(function(np.zeros(2))))
