"""softmax, log_softmax and logsumexp with their gradients."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnn.functional as F
from parity import bounds
from parity.strategies import along_axis
from tests.helpers import DTYPES, C, N, assert_within, complex_step_vjp

U = bounds.unit_roundoff(np.float64)
BACKWARD = {  # of z alone, from dy
    "softmax": lambda dy, z, axis: F.softmax_backward(dy, F.softmax(z, axis), axis),
    "log_softmax": lambda dy, z, axis: F.log_softmax_backward(dy, F.log_softmax(z, axis), axis),
    "logsumexp": lambda dy, z, axis: F.logsumexp_backward(dy, z, axis, keepdims=True),
}
FORWARD = {
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "logsumexp": lambda z, axis: F.logsumexp(z, axis, keepdims=True),
}


@pytest.mark.parametrize(
    ("axis", "columns"), [(0, [[0.0900, 0.2447, 0.6652]] * 2), (1, [[0.5, 0.5, 0.5]] * 2)]
)
def test_softmax_reference_values(axis, columns):
    z = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    np.testing.assert_array_equal(F.softmax(z, axis).T.round(4), columns)


def test_softmax_hand_values():
    z = np.log(np.array([1.0, 2.0, 5.0]))
    assert_within(F.softmax(z), np.array([1, 2, 5]) / 8, bounds.softmax(z, 0, U))
    assert_within(F.logsumexp(z), np.log(8.0), bounds.logsumexp(z, 0, U)[0])


@given(along_axis(np.float64), st.floats(-100, 100))
def test_softmax_ignores_a_shift(case, shift):
    z, axis = case["z"], case["axis"]
    shifted = z + shift
    moved = U * abs(shifted).max()  # the rounding of z + shift itself
    bound = bounds.softmax(z, axis, U) + bounds.softmax(shifted, axis, U) + 2 * moved
    assert_within(F.softmax(shifted, axis), F.softmax(z, axis), bound)


@given(along_axis(np.float64))
def test_softmax_is_a_distribution(case):
    p = F.softmax(**case)
    assert (p >= 0).all()
    total = p.sum(axis=case["axis"])
    C = p.shape[case["axis"]]
    assert_within(total, np.ones_like(total), bounds.gamma(2 * C + 2, U))


@given(along_axis(np.float64))
def test_softmax_keeps_the_order_weakly(case):
    z, axis = case["z"], case["axis"]
    by_z = np.take_along_axis(F.softmax(z, axis), z.argsort(axis=axis), axis)
    assert (np.diff(by_z, axis=axis) >= 0).all()


@given(along_axis(np.float64))
def test_log_softmax_exponentiates_to_softmax(case):
    z, axis = case["z"], case["axis"]
    bound = bounds.softmax(z, axis, U) + F.softmax(z, axis) * bounds.log_softmax(z, axis, U)
    with np.errstate(under="ignore"):
        assert_within(np.exp(F.log_softmax(z, axis)), F.softmax(z, axis), bound)


@given(along_axis(np.float64))
def test_logsumexp_is_a_smooth_maximum(case):
    z, axis = case["z"], case["axis"]
    m, lse = z.max(axis=axis), F.logsumexp(z, axis)
    slack = 2 * bounds.logsumexp(z, axis, U).squeeze(axis)
    assert (lse >= m).all()
    assert (lse <= m + np.log(z.shape[axis]) + slack).all()


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_backward_equals_complex_step(name, axis):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, C, 3)) * 3
    dy = rng.normal(size=FORWARD[name](z, axis).shape)
    step = complex_step_vjp(lambda z: FORWARD[name](z, axis), z, dy)
    bound = getattr(bounds, f"{name}_backward")(dy, z, axis, U)
    assert_within(BACKWARD[name](dy, z, axis), step, bound)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_backward_rows_sum_to_zero(name):
    """The value does not change along (1, ..., 1), so no gradient points that way."""
    rng = np.random.default_rng(0)
    z, dy = rng.normal(size=(2, N, C))
    dz = BACKWARD[name](dy, z, -1)
    bound = getattr(bounds, f"{name}_backward")(dy, z, -1, U).sum(axis=-1)
    assert_within(dz.sum(axis=-1), np.zeros(N), bound + bounds.gamma(C, U) * abs(dz).sum(axis=-1))


def test_softmax_backward_uses_the_whole_jacobian():
    p = F.softmax(np.log(np.array([1.0, 1.0, 2.0])))  # 1/4, 1/4, 1/2
    dp = np.array([4.0, 8.0, 16.0])  # mean 11
    np.testing.assert_allclose(F.softmax_backward(dp, p), [-1.75, -0.75, 2.5], rtol=8 * U)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORWARD)
def test_extreme_logits_do_not_overflow(name, dtype):
    z = np.array([[1e30, 0, -1e30], [800, 0, -800], [-1e30, -1e30, -1e30]], dtype)
    y = FORWARD[name](z, -1)
    assert np.isfinite(y).all()
    assert np.isfinite(BACKWARD[name](np.ones_like(y), z, -1)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_softmax_keeps_digits_where_one_class_dominates(dtype):
    z = np.array([0, -50], dtype)  # log(1 + exp(-50)) rounds to 0; the answer does not
    tiny = np.exp(dtype(-50))
    np.testing.assert_array_equal(F.log_softmax(z), np.array([-tiny, -50], dtype))


def test_log_softmax_backward_keeps_digits_where_one_class_dominates():
    z, dlog_p = np.array([0.0, -50.0]), np.array([1.0, 0.0])
    q = np.exp(-50.0)  # 1 - p_1, to first order
    np.testing.assert_allclose(BACKWARD["log_softmax"](dlog_p, z, -1), [q, -q], rtol=8 * U)


def test_softmax_works_in_place():
    rng = np.random.default_rng(0)
    z, dp = rng.normal(size=(2, N, C))
    p = F.softmax(z)
    dz = F.softmax_backward(dp, p)
    assert F.softmax(z, out=z) is z
    np.testing.assert_array_equal(z, p)
    assert F.softmax_backward(dp, p, out=dp) is dp
    np.testing.assert_array_equal(dp, dz)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORWARD)
def test_dtype_is_kept_and_inputs_left_alone(name, dtype):
    z = np.random.default_rng(0).normal(size=(N, C)).astype(dtype)
    z.flags.writeable = False
    y = FORWARD[name](z, -1)
    y.flags.writeable = False
    assert y.dtype == BACKWARD[name](y, z, -1).dtype == dtype


def test_logsumexp_keepdims_is_undone_by_backward():
    rng = np.random.default_rng(0)
    z, dlse = rng.normal(size=(N, C)), rng.normal(size=N)
    kept = F.logsumexp_backward(dlse[:, None], z, keepdims=True)
    np.testing.assert_array_equal(F.logsumexp_backward(dlse, z), kept)
    np.testing.assert_array_equal(F.logsumexp(z), F.logsumexp(z, keepdims=True)[:, 0])


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax, F.logsumexp])
def test_integer_logits_are_refused(f):
    with pytest.raises(TypeError, match="z must be floating point, got int64"):
        f(np.array([1, 2, 3]))


@pytest.mark.parametrize("name", FORWARD)
def test_anything_but_one_axis_is_refused(name):
    z = np.ones((N, C))
    for axis in ((0, 1), None, 1.0):
        with pytest.raises(
            TypeError, match=rf"axis must be an integer, got {re.escape(str(axis))}"
        ):
            FORWARD[name](z, axis)
    with pytest.raises(ValueError, match="axis 2 is out of bounds for array of dimension 2"):
        FORWARD[name](z, 2)


@pytest.mark.parametrize("backward", [F.softmax_backward, F.log_softmax_backward])
def test_backward_refuses_what_forward_does(backward):
    y = np.ones((N, C))
    with pytest.raises(TypeError, match=r"axis must be an integer, got \(0, 1\)"):
        backward(y, y, (0, 1))
    with pytest.raises(TypeError, match="p must be floating point, got int64"):
        backward(y, y.astype(int))


@pytest.mark.parametrize("name", FORWARD)
def test_gradients_have_the_precision_of_the_logits(name):
    z = np.random.default_rng(0).normal(size=(N, C)).astype(np.float32)
    dy = np.ones(FORWARD[name](z, -1).shape)
    assert BACKWARD[name](dy, z, -1).dtype == np.float32
    assert BACKWARD[name](dy.astype(np.float32), z.astype(np.float64), -1).dtype == np.float64


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_backward_keeps_digits_where_one_class_dominates(dtype):
    p, dp = F.softmax(np.array([0, -50], dtype)), np.array([3, 1], dtype)
    np.testing.assert_array_equal(F.softmax_backward(dp, p), [2 * p[1], -2 * p[1]])


def test_logsumexp_of_infinities():
    inf = np.inf
    z = np.array([[-inf, -inf], [inf, 0], [inf, inf], [-inf, 2]])
    np.testing.assert_array_equal(F.logsumexp(z), [-inf, inf, inf, 2])
    assert np.isnan(F.logsumexp(np.array([inf, np.nan])))
