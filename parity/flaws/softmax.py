"""What goes wrong in softmax, log_softmax and logsumexp."""

from __future__ import annotations

import numpy as np

import scratchnn.functional as F
from parity.flaws import Plants

FLAWS = Plants()


@FLAWS.of("softmax")
class Softmax:
    def without_the_maximum(z, axis=-1):
        """exp overflows above 88.7 in float32 (709.8 in float64):
        subtract the row's maximum first."""
        e = np.exp(z)
        return e / e.sum(axis=axis, keepdims=True)

    def maximum_of_all_rows(z, axis=-1):
        """The maximum of all rows is subtracted, and rows far below it become 0 / 0: take each
        row's own: z.max(axis=-1, keepdims=True)."""
        e = np.exp(z - z.max())
        return e / e.sum(axis=axis, keepdims=True)

    def maximum_of_the_columns(z, axis=-1):
        """Each column's maximum is subtracted, which does not cancel in a row: take each row's own,
        z.max(axis=-1, keepdims=True)."""
        e = np.exp(z - z.max(axis=0))
        return e / e.sum(axis=axis, keepdims=True)

    def maximum_subtracted_from_the_exponential(z, axis=-1):
        """The maximum is subtracted from exp(z), not from z: take exp(z - max)."""
        e = np.exp(z) - z.max(axis=axis, keepdims=True)
        return e / e.sum(axis=axis, keepdims=True)

    def divided_by_the_maximum(z, axis=-1):
        """z is divided by its maximum, which changes the answer: subtract it,
        z - z.max(axis=-1, keepdims=True)."""
        return F.softmax(z / z.max(axis=axis, keepdims=True), axis)

    def minimum_for_maximum(z, axis=-1):
        """The minimum is subtracted, and exp overflows: subtract the maximum."""
        e = np.exp(z - z.min(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    def the_wrong_axis(z, axis=-1):
        """It normalises over the wrong axis: the classes are on the last one (axis=-1)."""
        return F.softmax(z, -1 if axis % z.ndim == 0 and z.ndim > 1 else 0)

    def normalised_over_everything(z, axis=-1):
        """It divides by the sum of all rows, not each row's own: e.sum(axis=-1, keepdims=True)."""
        e = np.exp(z - z.max(axis=axis, keepdims=True))
        return e / e.sum()

    def base_two(z, axis=-1):
        """It takes powers of 2: np.exp has the base e."""
        return F.softmax(z * z.dtype.type(np.log(2)), axis)

    def softmax_twice(z, axis=-1):
        """The softmax is taken twice: its input must be logits, not probabilities."""
        return F.softmax(F.softmax(z, axis), axis)

    def a_sigmoid_each(z, axis=-1):
        """It is a sigmoid of each entry: the entries of a row do not compete."""
        return F.sigmoid(z)

    def exp_of_minus_z(z, axis=-1):
        """It takes exp(-z): the largest z must have the largest p."""
        return F.softmax(-z, axis)

    def without_the_exponential(z, axis=-1):
        """The exponential is missing: softmax is exp(z) / Σ exp(z), and not z / Σ z."""
        return z / z.sum(axis=axis, keepdims=True)

    def clipped_logits(z, axis=-1, limit=50.0):
        """The logits are clipped at ±{limit}, and large ones are all the same: subtract the row's
        maximum in place of that."""
        return F.softmax(np.clip(z, -limit, limit), axis)

    def without_normalising(z, axis=-1):
        """It is not divided by its sum."""
        return np.exp(z - z.max(axis=axis, keepdims=True))

    def epsilon_in_the_denominator(z, axis=-1, epsilon=1e-6):
        """ε ≈ {epsilon} is added to the sum: leave it out, the sum of exp(z - max) is at least
        1."""
        e = np.exp(z - z.max(axis=axis, keepdims=True))
        return e / (e.sum(axis=axis, keepdims=True) + z.dtype.type(epsilon))

    def half_precision(z, axis=-1):
        """It computes in float16, which has 3 digits: keep the precision of the argument."""
        return F.softmax(z.astype(np.float16), axis).astype(z.dtype)

    def always_float64(z, axis=-1):
        """float64 came in on the way"""
        return F.softmax(z.astype(np.float64), axis)

    def in_place(z, axis=-1):
        """an in-place operation (z -= ...) on the argument: it is the caller's array"""
        return F.softmax(z, axis, out=z)

    def diagonal_alone(dp, z, axis=-1):
        """Only the Jacobian's diagonal, p (1 - p), is there. Each p depends on every z of its row:
        dz = p (dp - Σ dp p)."""
        p = F.softmax(z, axis)
        return dp * p * (1 - p)

    def without_the_mean(dp, z, axis=-1):
        """The mean of dp is not subtracted: dz = p (dp - Σ dp p)."""
        return dp * F.softmax(z, axis)

    def an_unweighted_mean(dp, z, axis=-1):
        """The sum of dp has no weights p: dz = p (dp - Σ dp p)."""
        return F.softmax(z, axis) * (dp - dp.sum(axis=axis, keepdims=True))

    def mean_over_all_rows(dp, z, axis=-1):
        """Σ dp p is taken over all rows, not each row's own: keep axis=-1, keepdims=True."""
        p = F.softmax(z, axis)
        return p * (dp - (dp * p).sum())

    def mean_over_the_wrong_axis(dp, z, axis=-1):
        """Σ dp p is taken over the rows: it is each row's own sum, over axis=-1."""
        p = F.softmax(z, axis)
        return p * (dp - (dp * p).sum(axis=0))

    def plus_the_mean(dp, z, axis=-1):
        """The sign of Σ dp p is wrong: dz = p (dp - Σ dp p)."""
        p = F.softmax(z, axis)
        return p * (dp + (dp * p).sum(axis=axis, keepdims=True))

    def upstream_gradient_taken_for_ones(dp, z, axis=-1):
        """The upstream gradient is taken for ones, whose gradient through a softmax is always 0."""
        return F.softmax_backward(np.ones_like(dp), z, axis)

    def gradient_in_float64(dp, z, axis=-1):
        """float64 came in on the way"""
        return F.softmax_backward(dp.astype(np.float64), z.astype(np.float64), axis)

    def gradient_in_place(dp, z, axis=-1):
        """an in-place operation (z -= ...) on the argument: it is the caller's array"""
        return F.softmax_backward(dp, z, axis, out=dp)


@FLAWS.of("log_softmax")
class LogSoftmax:
    def log_of_softmax(z, axis=-1):
        """It takes log p, which is -inf where p underflows: take z - max - log Σ exp(z - max)."""
        return np.log(F.softmax(z, axis))

    def log_of_softmax_and_epsilon(z, axis=-1, epsilon=1e-7):
        """It takes log(p + ε), ε ≈ {epsilon}, wrong for every small p: take
        z - max - log Σ exp(z - max)."""
        return np.log(F.softmax(z, axis) + z.dtype.type(epsilon))

    def log_of_clipped_softmax(z, axis=-1, epsilon=1e-7):
        """The probability is clipped at {epsilon} before its logarithm: take
        z - max - log Σ exp(z - max)."""
        return np.log(np.maximum(F.softmax(z, axis), z.dtype.type(epsilon)))

    def without_the_maximum(z, axis=-1):
        """exp overflows above 88.7 in float32 (709.8 in float64):
        subtract the row's maximum first."""
        return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))

    def maximum_outside_alone(z, axis=-1):
        """The maximum is subtracted from z, and not inside of the exponential: it is
        z - max - log Σ exp(z - max)."""
        return F.log_softmax(z, axis) - z.max(axis=axis, keepdims=True)

    def log_softmax_of_clipped_logits(z, axis=-1, limit=50.0):
        """The logits are clipped at ±{limit}: subtract the row's maximum in place of that."""
        return F.log_softmax(np.clip(z, -limit, limit), axis)

    def maximum_inside_alone(z, axis=-1):
        """The maximum is subtracted inside of the exponential alone: it is
        z - max - log Σ exp(z - max)."""
        return F.log_softmax(z, axis) + z.max(axis=axis, keepdims=True)

    def maximum_added_back(z, axis=-1):
        """The maximum is added back to log Σ exp(z - max) before the sum is subtracted from z, and
        digits cancel where z is large: take (z - max) - log Σ exp(z - max)."""
        return z - np.expand_dims(F.logsumexp(z, axis), axis)

    def base_two_log(z, axis=-1):
        """The logarithm has base 2: np.log is the natural one."""
        return F.log_softmax(z, axis) / z.dtype.type(np.log(2))

    def the_wrong_axis_of_log_softmax(z, axis=-1):
        """It normalises over the wrong axis: the classes are on the last one (axis=-1)."""
        return F.log_softmax(z, -1 if axis % z.ndim == 0 and z.ndim > 1 else 0)

    def one_for_the_sum(dlog_p, z, axis=-1):
        """The sum of the upstream gradient is taken for 1: dz = dlog_p - p Σ dlog_p."""
        return dlog_p - F.softmax(z, axis)

    def summed_over_the_rows(dlog_p, z, axis=-1):
        """The upstream gradient is summed over the wrong axis: Σ dlog_p is the sum of a row."""
        return dlog_p - F.softmax(z, axis) * dlog_p.sum(axis=0, keepdims=True)


@FLAWS.of("logsumexp")
class Logsumexp:
    def without_the_maximum(z, axis=-1):
        """exp overflows above 88.7 in float32 (709.8 in float64): subtract the maximum, and add it
        afterwards."""
        return np.log(np.exp(z).sum(axis=axis))

    def maximum_not_added_back(z, axis=-1):
        """The maximum is subtracted, and not added back: max + log Σ exp(z - max)."""
        return F.logsumexp(z, axis) - z.max(axis=axis)

    def logsumexp_of_clipped_logits(z, axis=-1, limit=50.0):
        """The logits are clipped at ±{limit}: subtract the maximum, and add it afterwards."""
        return F.logsumexp(np.clip(z, -limit, limit), axis)

    def sum_of_exp(z, axis=-1):
        """It is the mean of exp and not its sum: log Σ exp has no 1/C."""
        return F.logsumexp(z, axis) - np.log(z.dtype.type(z.shape[axis]))

    def without_the_upstream_gradient(dlse, z, axis=-1):
        """The upstream gradient is missing: dz = dlse p."""
        return F.softmax(z, axis)
