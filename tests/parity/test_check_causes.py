"""A cause is never false, and a grade and a range say what is so: small errors, overflows, ..."""

from __future__ import annotations

import numpy as np
import pytest

import parity

pytest.importorskip("torch")


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(z):
    s = z - z.max(axis=1, keepdims=True)
    return s - np.log(np.exp(s).sum(axis=1, keepdims=True))


def stable_sigmoid(z):
    e = np.exp(-abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


# ---- a small constant error is wrong, if no known guard explains it -----------------------------


def slightly_larger(z):
    return (1 + 1e-6) * softmax(z)


def slightly_more(z):
    return softmax(z) + 1e-9


def relu_and_more(z):
    return np.maximum(z, 0) + 1e-7


def mse_and_more(prediction, target):
    return ((prediction - target) ** 2).mean() + 1e-6


SMALL = {
    (slightly_larger, "softmax"): "everywhere it is 1 + 1e-06 times the right answer",
    (slightly_more, "softmax"): "it is a constant apart: 1e-09 in each entry",
    (relu_and_more, "relu"): "it is a constant apart: 1e-07 in each entry",
    (mse_and_more, "mse_loss"): "it is a constant apart: 1e-06",
}


@pytest.mark.parametrize(("function", "op"), SMALL)
def test_a_small_constant_error_is_wrong(function, op):
    report = parity.check(function, op)
    assert report.grade == "wrong", str(report)
    assert report.findings[0].notes == (SMALL[function, op],)


def log_of_p_and_epsilon(z, y):
    return -np.log(softmax(z)[np.arange(len(y)), y] + 1e-6).mean()


def test_an_epsilon_in_the_logarithm_is_unstable():
    report = parity.check(log_of_p_and_epsilon, "cross_entropy")
    assert report.grade == "unstable", str(report)
    assert "ε ≈ 1e-6" in report.causes[0]


def sum_and_epsilon(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / (e.sum(axis=1, keepdims=True) + 1e-8)


def test_an_epsilon_that_loses_nothing_at_extreme_numbers_is_a_difference():
    report = parity.check(sum_and_epsilon, "softmax")
    assert report.grade == "differs", str(report)
    assert "ε ≈ 1e-8 is added to the sum" in str(report)


def variance_like(prediction, target):  # digits cancel at ordinary numbers
    r = prediction - target + 50
    return (r * r).mean() - 100 * (r - 50).mean() - 2500


def test_a_loss_of_digits_at_ordinary_numbers_is_no_wrong_formula():
    report = parity.check(variance_like, "mse_loss")
    assert report.grade == "unstable", str(report)


# ---- float32 inside -----------------------------------------------------------------------------


def in_float32(z):
    return softmax(z.astype(np.float32)).astype(z.dtype)


def always_in_float32(z):
    return softmax(np.asarray(z, np.float32)).astype(np.float64)


def loss_in_float32(z, y):
    return np.float64(-log_softmax(z.astype(np.float32))[np.arange(len(y)), y].mean())


def weight_in_float32(X, W, b):
    return X @ W.astype(np.float32) + b


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (in_float32, "softmax"),
        (always_in_float32, "softmax"),
        (loss_in_float32, "cross_entropy"),
        (weight_in_float32, "linear"),
    ],
)
def test_float32_inside_is_a_difference_from_torch(function, op):
    report = parity.check(function, op)
    assert report.grade == "differs", str(report)
    (finding,) = [f for f in report.findings if f.grade == "differs"]
    assert finding.what == "it computes in float32 what it is given in float64"


def unstable_in_float32(z):
    e = np.exp(z.astype(np.float32))
    return (e / e.sum(axis=1, keepdims=True)).astype(z.dtype)


def test_what_is_lost_in_float32_is_unstable_all_the_same():
    report = parity.check(unstable_in_float32, "softmax")
    assert report.grade == "unstable", str(report)
    assert report.findings[0].since == "for logits beyond 88.7, in float32"
    assert "exp overflows above 88.7" in report.causes[0]


def rounded_to_six(z):
    return np.round(softmax(z), 6)


def test_rounded_numbers_are_not_taken_for_float32():
    assert "computes in float32" not in str(parity.check(rounded_to_six, "softmax"))


# ---- an overflow explains no wrong value, and no 0 / 0 ------------------------------------------


def shifted_outside_alone(z):
    m = z.max(axis=1, keepdims=True)
    return z - m - np.log(np.exp(z).sum(axis=1, keepdims=True))


def test_an_overflow_is_no_cause_at_ordinary_numbers():
    (finding,) = parity.check(shifted_outside_alone, "log_softmax").findings
    assert finding.grade == "wrong"
    assert "not inside of the exponential" in finding.cause
    assert "np.exp(z - z.max(axis=-1, keepdims=True))" in finding.mended


def tanh_of_a_sigmoid(z):
    return 2 / (1 + np.exp(-2 * z)) - 1


def tanh_of_a_quotient(z):
    return np.sinh(z) / np.cosh(z)


def test_the_cause_is_that_of_the_range_that_is_lost():
    report = parity.check(tanh_of_a_sigmoid, "tanh")
    assert "loses the digits of z close to 0" in report.causes[0]
    assert report.findings[0].since.startswith("for z closer to 0 than ")
    report = parity.check(tanh_of_a_quotient, "tanh")
    assert "overflow" in report.causes[0]
    assert "close to 0" not in report.causes[0]
    assert report.findings[0].since == "for z beyond 710 and beyond -710, in float64"


def positive_shares(z):
    e = np.where(z > 0, z, 0)
    return e / e.sum(axis=1, keepdims=True)


def logarithms(z):
    return np.log(z - z.min(axis=1, keepdims=True) - 0.01)


@pytest.mark.parametrize(
    ("function", "words"),
    [(positive_shares, "0 / 0"), (logarithms, "the logarithm of a negative number")],
)
def test_nan_at_ordinary_numbers_comes_from_no_overflow(function, words):
    (finding,) = [f for f in parity.check(function, "softmax").findings if f.grade == "wrong"]
    if np.isnan(finding.problem.got).any():
        assert finding.notes == (f"nan comes from {words}",)
    assert "overflow" not in " ".join(finding.notes)


def cost_of_a_row(A, Y):
    "A, Y: (1, m)"
    m = Y.shape[1]
    L = np.dot(Y, np.log(A).T) + np.dot(1 - Y, np.log(1 - A).T)
    return -np.squeeze(L) / m / m


def test_a_row_of_numbers_has_no_columns_to_divide_by():
    report = parity.check(cost_of_a_row, "binary_cross_entropy")
    (cause,) = report.causes
    assert "N, the length of axis 1. Is there one division by N too many?" in cause


def softmax_backward_by_differences(dp, z):
    slopes = np.zeros_like(z)
    for index in np.ndindex(z.shape):
        low, high = z.copy(), z.copy()
        low[index] -= 1e-5
        high[index] += 1e-5
        slopes[index] = ((softmax(high) - softmax(low)) * dp).sum() / 2e-5
    return slopes


def test_a_right_function_is_not_called_another_one():
    report = parity.check(softmax, "softmax", softmax_backward_by_differences)
    assert report.of("value") == "right"
    assert not report.causes, str(report)


# ---- from where on ------------------------------------------------------------------------------


def kl_without_a_mask(p, q):
    return np.sum(p * np.log(p / q))


def kl_of_clipped_shares(p, q):
    q, p = np.clip(q, 1e-7, 1), np.clip(p, 1e-7, 1)
    return np.sum(p * np.log(p / q))


def naive_softplus(z):
    return np.log(1 + np.exp(z))


def clipped_softplus(z):
    return np.logaddexp(0, np.clip(z, -30, 30))


def clipped_sigmoid(z):
    return stable_sigmoid(np.clip(z, -20, 20))


def relu6(z):
    return np.clip(z, 0, 6)


RANGES = {
    (kl_without_a_mask, "kl_div_of_probabilities"): "where the target has a 0",
    (kl_of_clipped_shares, "kl_div_of_probabilities"): "for q below 8.5e-8",
    (naive_softplus, "softplus"): "for z beyond 710 and from -34 to -695, in float64",
    (clipped_softplus, "softplus"): "for z beyond 30.3 and beyond -30, in float64",
    (clipped_sigmoid, "sigmoid"): "for z beyond -20, in float64",
    (relu6, "relu"): "for z beyond 6.06, in float64",
}


@pytest.mark.parametrize(("function", "op"), RANGES)
def test_a_range_is_where_the_answer_is_lost(function, op):
    (finding,) = [f for f in parity.check(function, op).findings if f.grade == "unstable"]
    assert finding.since == RANGES[function, op]


# ---- causes that were unknown -------------------------------------------------------------------


def of_clipped_logits(z, y):
    return -log_softmax(np.clip(z, -15, 15))[np.arange(len(y)), y].mean()


def of_all_labels(z, y):
    return -log_softmax(z)[:, y].mean()


def of_minus_z(z):
    return softmax(-z)


def without_exp(z):
    return z / z.sum(axis=1, keepdims=True)


def linear(X, W, b):
    return X @ W + b


def linear_backward(dY, X, W, b):
    return dY @ W.T, X.T @ dY, dY.sum(axis=1)


def tanh_backward(dy, z):
    return dy * (1 - np.tanh(z)) ** 2


KNOWN = {
    (relu6, "relu", None): "It is capped at 6",
    (clipped_softplus, "softplus", None): "z is clipped at ±30",
    (clipped_sigmoid, "sigmoid", None): "z is clipped at ±20",
    (of_clipped_logits, "cross_entropy", None): "The logits are clipped at ±15",
    (of_all_labels, "cross_entropy", None): "log_p[np.arange(N), y] takes each row's own",
    (of_minus_z, "softmax", None): "It takes exp(-z)",
    (without_exp, "softmax", None): "The exponential is missing",
    (linear, "linear", linear_backward): "The bias's gradient is summed over the wrong axis",
    (np.tanh, "tanh", tanh_backward): "It is (1 - y)²",
}


@pytest.mark.parametrize(("function", "op", "backward"), KNOWN)
def test_the_cause_is_known(function, op, backward):
    report = parity.check(function, op, backward)
    assert KNOWN[function, op, backward] in " ".join(report.causes), str(report)


# ---- the lines of a report do not contradict each other -----------------------------------------


def a_tenth_larger(z):
    return 1.1 * softmax(z)


def a_bit_of_mean(z, y):
    losses = -log_softmax(z)[np.arange(len(y)), y]
    return losses.sum() / (len(y) + 0.5)


def a_third_per_row(prediction, target):  # on one probe, with 3 columns, it is the mean
    return ((prediction - target) ** 2).sum(axis=1).mean() / 3


@pytest.mark.parametrize(
    ("function", "op", "line"),
    [
        (a_tenth_larger, "softmax", "this one comes nearest, 10 % off"),
        (a_bit_of_mean, "cross_entropy", "this one comes nearest, 14 % off"),
        (a_third_per_row, "mse_loss", "this one comes nearest, 33 % off"),
        (of_all_labels, "cross_entropy", ""),  # by chance another is nearer: the cause says more
    ],
)
def test_what_comes_nearest_is_what_it_is_taken_for(function, op, line):
    report = parity.check(function, op)
    assert report.nearest == line, str(report)


def cross_entropy(z, y):
    return -log_softmax(z)[np.arange(len(y)), y].mean()


def weighted(z, y, weight):
    losses = -log_softmax(z)[np.arange(len(y)), y] * weight[y]
    return losses.sum() / weight[y].sum()


def test_a_remark_about_weights_is_for_a_function_that_takes_them():
    assert "weights" not in str(parity.check(cross_entropy, "cross_entropy"))
    assert "the mean divides by the sum" in str(parity.check(weighted, "cross_entropy"))
    assert "threshold it is z" not in str(parity.check(naive_softplus, "softplus"))


def test_millions_of_ulps_are_explained():
    text = str(parity.check(log_softmax, "log_softmax"))
    assert "an ulp is the distance to the next float" in text
    assert "an ulp is" not in str(parity.check(softmax, "softmax"))
