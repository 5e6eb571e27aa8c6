"""strict: what would be a silent NaN is an error that names the row."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn import strict
from tests.helpers import C, N

TARGET = np.array([3, 0, 2, 2, 1])


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(size=(N, C))


def row_of(value):
    z = np.random.default_rng(0).normal(size=(N, C))
    z[2] = value
    return z


def infinite_logit():
    z = np.random.default_rng(0).normal(size=(N, C))
    z[3, 2] = np.inf  # of the target class: with another one, the loss is ∞, not NaN
    return z


NOTHING = "the mean is over nothing: no rows, all ignored, or of weight 0"
UNDEFINED = {  # what: the operation, its arguments, its options, what strict says of it
    "softmax of a row of -inf": (F.softmax, [row_of(-np.inf)], {}, "softmax is nan in row 2 "),
    "log_softmax of a row of -inf": (
        F.log_softmax, [row_of(-np.inf)], {}, r"log_softmax is nan in row 2 \(at \[2, 0\]\)",
    ),
    "cross_entropy of a row of -inf": (
        F.cross_entropy, [row_of(-np.inf), TARGET], {}, "cross_entropy is nan in row 2 ",
    ),
    "softmax of an infinite logit": (
        F.softmax, [infinite_logit()], {}, "softmax is nan in row 3 ",
    ),
    "cross_entropy of an infinite logit": (
        F.cross_entropy, [infinite_logit(), TARGET], {}, "cross_entropy is nan in row 3 ",
    ),
    "a gradient of an infinite logit": (
        F.cross_entropy_backward, [1.0, infinite_logit(), TARGET], {},
        "cross_entropy_backward is nan in row 3 ",
    ),
    "all targets ignored": (
        F.cross_entropy, [row_of(0), np.full(N, -100)], {}, f"cross_entropy: {NOTHING}",
    ),
    "all targets ignored, smoothed": (
        F.cross_entropy, [row_of(0), np.full(N, -100)], {"label_smoothing": 0.1},
        f"cross_entropy: {NOTHING}",
    ),
    "zero weights": (F.cross_entropy, [row_of(0), TARGET], {"weight": np.zeros(C)}, NOTHING),
    "an empty batch": (F.cross_entropy, [np.zeros((0, C)), np.zeros(0, int)], {}, NOTHING),
    "an empty regression": (
        F.mse_loss, [np.zeros((0, 1)), np.zeros((0, 1))], {}, f"mse_loss: {NOTHING}",
    ),
    "a target that is NaN": (
        F.squared_loss, [np.zeros(3), np.array([0, np.nan, 0])], {},
        "squared_loss is nan in row 1 ",
    ),
    "an input of a layer that is NaN": (
        F.linear, [row_of(np.nan), np.ones((C, 2))], {}, r"linear is nan in row 2 \(at \[2, 0",
    ),
    "the same with leading dimensions": (
        F.linear, [row_of(np.nan)[None], np.ones((C, 2))], {},
        r"linear is nan .*at \[0, 2, 0\]",
    ),
    "a layer's gradients": (
        F.linear_backward, [row_of(np.nan), np.ones((N, 3)), np.ones((3, C))], {},
        "linear_backward is nan in row 2 ",
    ),
    "a structured layer": (
        F.kronecker_linear, [row_of(np.nan), np.ones((2, 2, 2)), np.ones((2, 2, 3))], {},
        "kronecker_linear is nan in row 2 ",
    ),
    "relu": (F.relu, [row_of(np.nan)], {}, "relu is nan in row 2 "),
    "relu's gradient": (
        F.relu_backward, [row_of(np.nan), np.ones((N, C))], {}, "relu_backward is nan in row 2 ",
    ),
    "loss and gradient in one": (
        F.cross_entropy_with_gradient, [row_of(-np.inf), TARGET], {},
        r"cross_entropy_with_gradient is nan in row 2 \(at \[2, 0\]\)",
    ),
    "a single number": (F.sigmoid, [np.array(np.nan)], {}, "sigmoid is nan at its only entry"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNDEFINED)
def test_undefined_is_silent_nan_without_strict(case):
    f, arguments, options, _ = UNDEFINED[case]
    result = f(*arguments, **options)
    parts = result if isinstance(result, tuple) else (result,)
    assert any(np.isnan(part).any() for part in parts)


@pytest.mark.parametrize("case", UNDEFINED)
def test_strict_names_the_row(case):
    f, arguments, options, message = UNDEFINED[case]
    with pytest.raises(ValueError, match=message):
        strict(f)(*arguments, **options)


def test_strict_leaves_defined_results_alone(z):
    assert strict(F.cross_entropy)(z, TARGET) == F.cross_entropy(z, TARGET)
    np.testing.assert_array_equal(strict(F.softmax)(z, axis=0), F.softmax(z, axis=0))
    infinite = strict(F.cross_entropy)(np.array([[-np.inf, 0]]), np.array([0]))
    assert infinite == np.inf  # and not NaN


def test_strict_lets_the_errors_of_the_operation_through(z):
    with pytest.raises(TypeError, match="z must be floating point, got int64"):
        strict(F.softmax)(z.astype(int))


def test_strict_changes_nothing_but_what_it_returns():
    """The operation itself stays as it is, in this thread and in others."""
    f, arguments, _, message = UNDEFINED["softmax of a row of -inf"]
    checked = strict(f)
    with ThreadPoolExecutor(1) as other:
        assert np.isnan(other.submit(f, *arguments).result()).any()
        with pytest.raises(ValueError, match=message):
            other.submit(checked, *arguments).result()
    assert np.isnan(f(*arguments)).any()


def test_strict_keeps_name_and_signature():
    checked = strict(F.softmax)
    assert checked.__name__ == "softmax"
    assert inspect.signature(checked) == inspect.signature(F.softmax)


def test_strict_of_a_partial():
    with pytest.raises(ValueError, match=r"softmax.* is nan in row 0"):
        strict(partial(F.softmax, axis=0))(np.full((2, 2), np.nan))
