"""binary_cross_entropy_with_logits and its gradients."""

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from tests.helpers import DTYPES, C, N, assert_within, complex_step_vjp

U = bounds.unit_roundoff(np.float64)
REDUCTIONS = ["none", "mean", "sum"]
WEIGHT = np.array([0.5, 2, 1, 3])
OPTIONS = {
    "plain": {},
    "weight": {"weight": WEIGHT},
    "pos_weight": {"pos_weight": WEIGHT},
    "both": {"weight": WEIGHT[:1], "pos_weight": WEIGHT[::-1].copy()},
}
bce_bound = loss_bounds.binary_cross_entropy_with_logits
bce_backward_bound = loss_bounds.binary_cross_entropy_with_logits_backward


def upstream(reduction):
    return np.random.default_rng(1).normal(size=(N, C) if reduction == "none" else ())


@pytest.fixture
def yes_or_no():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, C)) * 3, rng.random((N, C))


def test_bce_hand_values():
    z, target = np.log(np.array([3.0, 3.0, 1 / 3])), np.array([1.0, 0.0, 0.5])
    losses = np.log([4 / 3, 4, 4 / np.sqrt(3)])
    bound = bce_bound(z, target, reduction="none", u=U)
    result = F.binary_cross_entropy_with_logits(z, target, reduction="none")
    assert_within(result, losses, bound)


def test_bce_of_labels_is_cross_entropy_of_two_classes(yes_or_no):
    z, target = yes_or_no[0][:, :2], np.array([1, 0, 0, 0, 1])
    logit = z[:, 1] - z[:, 0]
    bound = loss_bounds.cross_entropy(z, target, u=U) + U * abs(logit).max()
    result = F.binary_cross_entropy_with_logits(logit, target.astype(float))
    assert_within(result, F.cross_entropy(z, target), bound)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_bce_backward_equals_complex_step(yes_or_no, reduction):
    z, target = yes_or_no

    def loss(z):
        losses = np.log(1 + np.exp(z)) - target * z
        return {"none": losses, "mean": losses.mean(), "sum": losses.sum()}[reduction]

    dloss = upstream(reduction)
    dz, _ = F.binary_cross_entropy_with_logits_backward(dloss, z, target, reduction=reduction)
    bound, _ = bce_backward_bound(dloss, z, target, reduction=reduction, u=U)
    assert_within(dz, complex_step_vjp(loss, z, dloss), bound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bce_is_exact_where_sigma_rounds(dtype):
    z, target = np.array([50, -50], dtype), np.array([1, 0], dtype)
    tiny = np.exp(dtype(-50))
    losses = F.binary_cross_entropy_with_logits(z, target, reduction="none")
    np.testing.assert_array_equal(losses, [tiny, tiny])
    dz, _ = F.binary_cross_entropy_with_logits_backward(dtype(1), z, target, reduction="sum")
    np.testing.assert_array_equal(dz, [-tiny, tiny])


def test_bce_refuses_what_would_broadcast():
    with pytest.raises(ValueError, match=r"target must have the shape of z \(5, 1\), got \(5,\)"):
        F.binary_cross_entropy_with_logits(np.zeros((N, 1)), np.zeros(N))


def test_bce_refuses_integer_targets():
    with pytest.raises(TypeError, match="target must be floating point, got int64"):
        F.binary_cross_entropy_with_logits(np.zeros(N), np.zeros(N, int))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_bce_with_weights_and_its_gradients_equal_the_definition(yes_or_no, reduction, options):
    options, (z, target) = OPTIONS[options], yes_or_no
    w, p = options.get("weight", 1.0), options.get("pos_weight", 1.0)

    def loss(z, t):
        yes, no = np.log(1 + np.exp(-z)), np.log(1 + np.exp(z))
        losses = w * (p * t * yes + (1 - t) * no)
        return {"none": losses, "mean": losses.mean(), "sum": losses.sum()}[reduction]

    options = options | {"reduction": reduction}
    bound = bce_bound(z, target, **options, u=U)
    assert_within(F.binary_cross_entropy_with_logits(z, target, **options), loss(z, target), bound)
    dy = upstream(reduction)
    dz, dtarget = F.binary_cross_entropy_with_logits_backward(dy, z, target, **options)
    dz_bound, dtarget_bound = bce_backward_bound(dy, z, target, **options, u=U)
    assert_within(dz, complex_step_vjp(lambda z: loss(z, target), z, dy), dz_bound)
    assert_within(dtarget, complex_step_vjp(lambda t: loss(z, t), target, dy), dtarget_bound)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", OPTIONS)
def test_bce_keeps_the_dtype_and_its_inputs(yes_or_no, options, reduction, dtype):
    """Also with weights of another precision."""
    z, target = (array.astype(dtype) for array in yes_or_no)
    for array in (z, target):
        array.flags.writeable = False
    options = OPTIONS[options] | {"reduction": reduction}
    loss = F.binary_cross_entropy_with_logits(z, target, **options)
    gradients = F.binary_cross_entropy_with_logits_backward(0.7, z, target, **options)
    assert {array.dtype for array in (loss, *gradients)} == {np.dtype(dtype)}


def test_bce_gradients_have_the_dtype_of_their_variable(yes_or_no):
    z, target = yes_or_no
    dz, dtarget = F.binary_cross_entropy_with_logits_backward(1.0, z.astype(np.float32), target)
    assert (dz.dtype, dtarget.dtype) == (np.float32, np.float64)


def test_bce_names_a_weight_that_does_not_fit(yes_or_no):
    for name in ("weight", "pos_weight"):
        with pytest.raises(ValueError, match=rf"^{name} must broadcast to the shape of z \(5, 4\)"):
            F.binary_cross_entropy_with_logits(*yes_or_no, **{name: np.ones(3)})
        with pytest.raises(ValueError, match=rf"^{name} must broadcast to the shape of z \(5, 4\)"):
            F.binary_cross_entropy_with_logits(*yes_or_no, **{name: np.ones((2, N, C))})
        with pytest.raises(TypeError, match=f"^{name} must be floating point, got int64"):
            F.binary_cross_entropy_with_logits(*yes_or_no, **{name: np.ones(C, int)})


@pytest.mark.parametrize("dtype", DTYPES)
def test_bce_gradient_keeps_the_digits_of_a_small_pos_weight(dtype):
    """1 + (p⁺ - 1) t would have them rounded to an ulp of 1."""
    p, one = np.array([1e-4], dtype), np.ones(1, dtype)
    dz, _ = F.binary_cross_entropy_with_logits_backward(1.0, 0 * one, one, pos_weight=p)
    np.testing.assert_array_equal(dz, -p / 2)
