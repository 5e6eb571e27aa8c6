"""strict: what would be a silent NaN is an error that names the row, and only inside the block."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import scratchnn
import scratchnn.functional as F
from scratchnn import kronecker
from scratchnn.kronecker import kronecker_linear
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


NOTHING = "cross_entropy: the mean is over nothing: no rows, all ignored, or of weight 0"
UNDEFINED = {  # what: the call, what strict says of it
    "softmax of a row of -inf": (lambda: F.softmax(row_of(-np.inf)), r"softmax is nan in row 2 "),
    "log_softmax of a row of -inf": (
        lambda: F.log_softmax(row_of(-np.inf)), r"log_softmax is nan in row 2 \(at \[2, 0\]\)",
    ),
    "cross_entropy of a row of -inf": (
        lambda: F.cross_entropy(row_of(-np.inf), TARGET), "is nan in row 2 ",
    ),
    "softmax of an infinite logit": (
        lambda: F.softmax(infinite_logit()), "softmax is nan in row 3 ",
    ),
    "cross_entropy of an infinite logit": (
        lambda: F.cross_entropy(infinite_logit(), TARGET), "is nan in row 3 ",
    ),
    "a gradient of an infinite logit": (
        lambda: F.cross_entropy_backward(1.0, infinite_logit(), TARGET),
        "cross_entropy_backward is nan in row 3 ",
    ),
    "all targets ignored": (
        lambda: F.cross_entropy(row_of(0), np.full(N, -100)), "the mean is over nothing",
    ),
    "all targets ignored, smoothed": (
        lambda: F.cross_entropy(row_of(0), np.full(N, -100), label_smoothing=0.1), NOTHING,
    ),
    "zero weights": (
        lambda: F.cross_entropy(row_of(0), TARGET, weight=np.zeros(C)), "the mean is over nothing",
    ),
    "an empty batch": (
        lambda: F.cross_entropy(np.zeros((0, C)), np.zeros(0, int)), "the mean is over nothing",
    ),
    "an empty regression": (
        lambda: F.mse_loss(np.zeros((0, 1)), np.zeros((0, 1))),
        "mse_loss: the mean is over nothing",
    ),
    "a target that is no number": (
        lambda: F.squared_loss(np.zeros(3), np.array([0, np.nan, 0])),
        "squared_loss is nan in row 1 ",
    ),
    "a number that is none in a layer": (
        lambda: F.linear(row_of(np.nan), np.ones((C, 2))), r"linear is nan in row 2 \(at \[2, 0",
    ),
    "the same with leading dimensions": (
        lambda: F.linear(row_of(np.nan)[None], np.ones((C, 2))), r"linear is nan .*at \[0, 2, 0\]",
    ),
    "a layer's gradients": (
        lambda: F.linear_backward(row_of(np.nan), np.ones((N, 3)), np.ones((3, C)))[0],
        "linear_backward is nan in row 2 ",
    ),
    "a structured layer": (
        lambda: kronecker_linear(row_of(np.nan), np.ones((2, 2, 2)), np.ones((2, 2, 3))),
        "kronecker_linear is nan in row 2 ",
    ),
    "relu": (lambda: F.relu(row_of(np.nan)), "relu is nan in row 2 "),
    "relu's gradient": (
        lambda: F.relu_backward(row_of(np.nan), np.ones((N, C))), "relu_backward is nan in row 2 ",
    ),
    "loss and gradient in one": (
        lambda: F.cross_entropy_with_gradient(row_of(-np.inf), TARGET)[1],
        r"cross_entropy_with_gradient is nan in row 2 \(at \[2, 0\]\)",
    ),
    "a single number": (
        lambda: F.sigmoid(np.array(np.nan)), "sigmoid is nan at its only entry",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNDEFINED)
def test_undefined_is_silent_nan_without_strict(case):
    call, _ = UNDEFINED[case]
    assert np.isnan(call()).any()


@pytest.mark.parametrize("case", UNDEFINED)
def test_strict_names_the_row(case):
    call, message = UNDEFINED[case]
    with scratchnn.strict(), pytest.raises(ValueError, match=message):
        call()


def test_strict_leaves_defined_results_alone(z):
    with scratchnn.strict():
        strictly = F.cross_entropy(z, TARGET), F.softmax(z)
        assert F.cross_entropy(np.array([[-np.inf, 0]]), np.array([0])) == np.inf  # no NaN
    assert strictly[0] == F.cross_entropy(z, TARGET)
    np.testing.assert_array_equal(strictly[1], F.softmax(z))


def test_strict_watches_every_operation():
    """`checked` and `watched` leave a mark: what they wrap."""
    functions = [getattr(F, name) for name in F.__all__] + [
        getattr(kronecker, name) for name in vars(kronecker) if name.startswith("kronecker_")
    ]
    assert [f.__name__ for f in functions if not hasattr(f, "__wrapped__")] == ["kronecker_count"]


def test_strict_nests():
    undefined, _ = UNDEFINED["softmax of a row of -inf"]
    with scratchnn.strict():
        with scratchnn.strict():
            pass
        with pytest.raises(ValueError, match="row 2"):
            undefined()
    assert np.isnan(undefined()).any()


def test_strict_ends_with_the_exception_it_raised():
    undefined, _ = UNDEFINED["softmax of a row of -inf"]
    with pytest.raises(ValueError, match="row 2"), scratchnn.strict():
        undefined()
    assert np.isnan(undefined()).any()


def test_strict_is_of_its_own_thread():
    undefined, _ = UNDEFINED["softmax of a row of -inf"]
    with scratchnn.strict(), ThreadPoolExecutor(1) as other:
        assert np.isnan(other.submit(undefined).result()).any()
    with ThreadPoolExecutor(1) as other:
        with pytest.raises(ValueError, match="row 2"):
            other.submit(strictly, undefined).result()
        assert np.isnan(other.submit(undefined).result()).any()
    assert np.isnan(undefined()).any()


def strictly(call):
    with scratchnn.strict():
        return call()
