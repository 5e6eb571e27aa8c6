"""softmax, log_softmax and logsumexp with their gradients."""

import inspect
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnn.functional as F
from parity import bounds, cases
from tests.helpers import DTYPES, C, N, assert_within, complex_step_vjp

U = bounds.unit_roundoff(np.float64)
OPTIONS = {"softmax": {}, "log_softmax": {}, "logsumexp": {"keepdims": True}}


def forward(name, z, axis=-1):
    return getattr(F, name)(z, axis, **OPTIONS[name])


def backward(name, dy, z, axis=-1):
    return getattr(F, f"{name}_backward")(dy, z, axis, **OPTIONS[name])


def backward_bound(name, dy, z, axis=-1):
    return getattr(bounds, f"{name}_backward")(dy, z, axis, **OPTIONS[name], u=U)


def logits():
    """Draw z in float64 and one of its axes."""
    drawn = cases.strategy(cases.softmax, np.float64)
    return drawn.map(lambda case: {"z": case["z"], "axis": case["axis"]})


@pytest.mark.parametrize(
    ("axis", "columns"), [(0, [[0.0900, 0.2447, 0.6652]] * 2), (1, [[0.5, 0.5, 0.5]] * 2)]
)
def test_softmax_reference_values(axis, columns):
    z = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    np.testing.assert_array_equal(F.softmax(z, axis).T.round(4), columns)


def test_softmax_hand_values():
    z = np.log(np.array([1.0, 2.0, 5.0]))
    assert_within(F.softmax(z), np.array([1, 2, 5]) / 8, bounds.softmax(z, u=U))
    assert_within(F.logsumexp(z), np.log(8.0), bounds.logsumexp(z, u=U))


@given(logits(), st.floats(-100, 100))
def test_softmax_ignores_a_shift(case, shift):
    z, axis = case["z"], case["axis"]
    shifted = z + shift
    moved = U * abs(shifted).max()  # the rounding of z + shift itself
    bound = bounds.softmax(z, axis, u=U) + bounds.softmax(shifted, axis, u=U) + 2 * moved
    assert_within(F.softmax(shifted, axis), F.softmax(z, axis), bound)


@given(logits())
def test_softmax_is_a_distribution(case):
    p = F.softmax(**case)
    assert (p >= 0).all()
    total = p.sum(axis=case["axis"])
    C = p.shape[case["axis"]]
    assert_within(total, np.ones_like(total), bounds.gamma(2 * C + 2, U))


@given(logits())
def test_softmax_keeps_the_order_weakly(case):
    z, axis = case["z"], case["axis"]
    by_z = np.take_along_axis(F.softmax(z, axis), z.argsort(axis=axis), axis)
    assert (np.diff(by_z, axis=axis) >= 0).all()


@given(logits())
def test_log_softmax_exponentiates_to_softmax(case):
    z, axis = case["z"], case["axis"]
    bound = bounds.softmax(z, axis, u=U) + F.softmax(z, axis) * bounds.log_softmax(z, axis, u=U)
    with np.errstate(under="ignore"):
        assert_within(np.exp(F.log_softmax(z, axis)), F.softmax(z, axis), bound)


@given(logits())
def test_logsumexp_is_a_smooth_maximum(case):
    z, axis = case["z"], case["axis"]
    m, lse = z.max(axis=axis), F.logsumexp(z, axis)
    slack = 2 * bounds.logsumexp(z, axis, u=U)
    assert (lse >= m).all()
    assert (lse <= m + np.log(z.shape[axis]) + slack).all()


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_backward_equals_complex_step(name, axis):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, C, 3)) * 3
    dy = rng.normal(size=forward(name, z, axis).shape)
    step = complex_step_vjp(lambda z: forward(name, z, axis), z, dy)
    assert_within(backward(name, dy, z, axis), step, backward_bound(name, dy, z, axis))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_backward_rows_sum_to_zero(name):
    """The value does not change along (1, ..., 1), so no gradient points that way."""
    rng = np.random.default_rng(0)
    z, dy = rng.normal(size=(2, N, C))
    dz = backward(name, dy, z)
    bound = backward_bound(name, dy, z).sum(axis=-1)
    assert_within(dz.sum(axis=-1), np.zeros(N), bound + bounds.gamma(C, U) * abs(dz).sum(axis=-1))


def test_softmax_backward_uses_the_whole_jacobian():
    z = np.log(np.array([1.0, 1.0, 2.0]))  # p = 1/4, 1/4, 1/2
    dp = np.array([4.0, 8.0, 16.0])  # mean 11
    np.testing.assert_allclose(F.softmax_backward(dp, z), [-1.75, -0.75, 2.5], rtol=8 * U)


def test_softmax_backward_takes_the_result_where_it_is_known():
    rng = np.random.default_rng(0)
    z, dp = rng.normal(size=(2, N, C, 3))
    p, dz = F.softmax(z, 1), F.softmax_backward(dp, z, 1)
    np.testing.assert_array_equal(F.softmax_backward(dp, z, 1, p=p), dz)
    np.testing.assert_array_equal(F.softmax_backward(dp, None, 1, p=p), dz)
    with pytest.raises(TypeError, match=r"softmax_backward needs z, or p = softmax\(z\)"):
        F.softmax_backward(dp, None, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIONS)
def test_extreme_logits_do_not_overflow(name, dtype):
    z = np.array([[1e30, 0, -1e30], [800, 0, -800], [-1e30, -1e30, -1e30]], dtype)
    y = forward(name, z)
    assert np.isfinite(y).all()
    assert np.isfinite(backward(name, np.ones_like(y), z)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_softmax_keeps_digits_where_one_class_dominates(dtype):
    z = np.array([0, -50], dtype)  # log(1 + exp(-50)) rounds to 0; the answer does not
    tiny = np.exp(dtype(-50))
    np.testing.assert_array_equal(F.log_softmax(z), np.array([-tiny, -50], dtype))


def test_log_softmax_backward_keeps_digits_where_one_class_dominates():
    z, dlog_p = np.array([0.0, -50.0]), np.array([1.0, 0.0])
    q = np.exp(-50.0)  # 1 - p_1, to first order
    np.testing.assert_allclose(F.log_softmax_backward(dlog_p, z), [q, -q], rtol=8 * U)


def test_softmax_works_in_place():
    rng = np.random.default_rng(0)
    z, dp = rng.normal(size=(2, N, C))
    p = F.softmax(z)
    dz = F.softmax_backward(dp, z)
    assert F.softmax(z, out=z) is z
    np.testing.assert_array_equal(z, p)
    assert F.softmax_backward(dp, None, p=z, out=dp) is dp
    np.testing.assert_array_equal(dp, dz)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIONS)
def test_dtype_is_kept_and_inputs_left_alone(name, dtype):
    z = np.random.default_rng(0).normal(size=(N, C)).astype(dtype)
    z.flags.writeable = False
    y = forward(name, z)
    y.flags.writeable = False
    assert y.dtype == backward(name, y, z).dtype == dtype


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


@pytest.mark.parametrize("call", [forward, lambda name, z, axis: backward(name, z, z, axis)])
@pytest.mark.parametrize("name", OPTIONS)
def test_axis_that_is_none_is_named(name, call):
    z = np.ones((N, C))
    for axis in (None, 1.0, "1"):
        with pytest.raises(
            TypeError, match=rf"axis must be an integer.*, got {re.escape(repr(axis))}"
        ):
            call(name, z, axis)
    with pytest.raises(ValueError, match="axis 2 is out of bounds for array of dimension 2"):
        call(name, z, 2)


@pytest.mark.parametrize("call", [forward, lambda name, z, axis: backward(name, z, z, axis)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_several_axes_are_for_logsumexp_alone(name, call):
    with pytest.raises(TypeError, match=r"axis must be an integer, got \(0, 1\)"):
        call(name, np.ones((N, C)), (0, 1))


@pytest.mark.parametrize("name", OPTIONS)
def test_backward_refuses_what_forward_does(name):
    z = np.ones((N, C))
    with pytest.raises(TypeError, match="z must be floating point, got int64"):
        backward(name, z, z.astype(int))
    with pytest.raises(ValueError, match=r"must have (the )?shape .*, got \(2, 4\)"):
        backward(name, np.ones((2, C)), z)


@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_have_the_precision_of_the_logits(name):
    z = np.random.default_rng(0).normal(size=(N, C)).astype(np.float32)
    dy = np.ones(forward(name, z).shape)
    assert backward(name, dy, z).dtype == np.float32
    assert backward(name, dy.astype(np.float32), z.astype(np.float64)).dtype == np.float64


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_backward_keeps_digits_where_one_class_dominates(dtype):
    z, dp = np.array([0, -50], dtype), np.array([3, 1], dtype)
    p = F.softmax(z)
    np.testing.assert_array_equal(F.softmax_backward(dp, z), [2 * p[1], -2 * p[1]])


def test_logsumexp_of_infinities():
    inf = np.inf
    z = np.array([[-inf, -inf], [inf, 0], [inf, inf], [-inf, 2]])
    np.testing.assert_array_equal(F.logsumexp(z), [-inf, inf, inf, 2])
    assert np.isnan(F.logsumexp(np.array([inf, np.nan])))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [(0, 1), (0, 2), (1, -1), (2, 0), (0, 1, 2), (1,)])
def test_logsumexp_over_several_axes_is_that_over_one_of_all_their_entries(axis, keepdims):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, C, 3)) * 3
    last = np.moveaxis(z, axis, range(-len(axis), 0))
    rows = last.reshape(*last.shape[: -len(axis)], -1)
    lse = F.logsumexp(z, axis, keepdims=keepdims)
    assert lse.shape == z.sum(axis=axis, keepdims=keepdims).shape
    np.testing.assert_array_equal(lse.reshape(rows.shape[:-1]), F.logsumexp(rows))
    dlse = rng.normal(size=lse.shape)
    dz = F.logsumexp_backward(dlse, z, axis, keepdims=keepdims)
    of_rows = F.logsumexp_backward(dlse.reshape(rows.shape[:-1]), rows)
    back = np.moveaxis(of_rows.reshape(last.shape), range(-len(axis), 0), axis)
    np.testing.assert_array_equal(dz, back)


def test_logsumexp_over_several_axes_equals_complex_step():
    rng = np.random.default_rng(0)
    z, dlse = rng.normal(size=(N, C, 3)) * 3, rng.normal(size=C)
    step = complex_step_vjp(lambda z: F.logsumexp(z, (0, 2)), z, dlse)
    bound = bounds.logsumexp_backward(dlse, z, (0, 2), u=U)
    assert_within(F.logsumexp_backward(dlse, z, (0, 2)), step, bound)


def test_logsumexp_names_axes_that_are_the_same():
    with pytest.raises(ValueError, match="axis must name each axis once"):
        F.logsumexp(np.ones((N, C)), (1, -1))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("asked", DTYPES)
@pytest.mark.parametrize("given", DTYPES)
def test_dtype_converts_the_logits_first_and_the_gradient_back(name, given, asked):
    f, f_backward = getattr(F, name), getattr(F, f"{name}_backward")
    z = np.random.default_rng(0).normal(size=(N, C)).astype(given)
    y = f(z, dtype=asked)
    np.testing.assert_array_equal(y, f(z.astype(asked)), strict=True)
    dz = f_backward(y, z, dtype=asked)
    np.testing.assert_array_equal(dz, f_backward(y, z.astype(asked)).astype(given), strict=True)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_dtype_lets_integers_pass(name):
    z = np.array([[1, 2, 3]])
    wide = getattr(F, name)(z.astype(np.float64))
    np.testing.assert_array_equal(getattr(F, name)(z, dtype=np.float64), wide)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("asked", ["float32", "float64"])
@pytest.mark.parametrize("given", DTYPES)
def test_dtype_is_torchs(name, given, asked):
    torch = pytest.importorskip("torch", reason="compares with torch")
    z = np.random.default_rng(0).normal(size=(N, C)).astype(given)
    dy = np.random.default_rng(1).normal(size=(N, C)).astype(asked)
    leaf = torch.tensor(z, requires_grad=True)
    theirs = getattr(torch, name)(leaf, dim=1, dtype=getattr(torch, asked))
    theirs.backward(torch.from_numpy(dy))
    y = getattr(F, name)(z, dtype=asked)
    dz = getattr(F, f"{name}_backward")(dy, z, dtype=asked)
    u = bounds.unit_roundoff(min(DTYPES, key=lambda dtype: np.finfo(dtype).bits))
    exact = z.astype(np.float64)
    assert_within(y, theirs.detach().numpy(), getattr(bounds, name)(exact, u=u))
    bound = backward_bound(name, dy.astype(np.float64), exact) * (u / U)
    assert_within(dz, leaf.grad.numpy(), bound + u * abs(dz))


def test_source_of_softmax_is_softmax():
    """No wrapper hides it: help and inspect show the code that runs."""
    source = inspect.getsource(F.softmax)
    assert source.startswith("def softmax(")
    assert "np.exp(p, out=p)" in source
    assert str(inspect.signature(F.softmax)).startswith("(z: 'Array', axis: 'int' = -1")


def test_softmax_backward_of_complex_numbers_is_complex_step_exact():
    """A step ih of z: the imaginary part of dz / h is its derivative."""
    rng, h = np.random.default_rng(5), 1e-100
    z, dp, direction = rng.normal(size=(3, 2, 4))
    dz = F.softmax_backward(dp.astype(complex), z + 1j * h * direction)
    step = 1e-6
    numeric = (
        F.softmax_backward(dp, z + step * direction) - F.softmax_backward(dp, z - step * direction)
    ) / (2 * step)
    np.testing.assert_allclose(dz.imag / h, numeric, rtol=1e-6, atol=1e-9)


def test_no_numbers_have_no_gradient():
    for shape in ((0, C), (N, 0)):
        z = np.empty(shape)
        assert F.log_softmax_backward(z, z).shape == shape
        assert F.softmax_backward(z, z).shape == shape
    assert np.array_equal(F.logsumexp(np.empty((N, 0))), np.full(N, -np.inf))


def test_a_single_number_is_one_class():
    z, dy = np.array(0.3), np.array(2.0)
    assert F.softmax(z, 0) == 1
    assert F.softmax_backward(dy, z, 0) == 0
    assert F.logsumexp(z, 0) == z
    assert F.logsumexp_backward(dy, z, 0) == dy
