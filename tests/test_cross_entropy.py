"""nll_loss and cross_entropy with their gradients."""

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn.objectives import one_hot
from tests.helpers import DTYPES, C, N, assert_within, complex_step_vjp

U = bounds.unit_roundoff(np.float64)
REDUCTIONS = ["none", "mean", "sum"]
TARGET = np.array([3, 0, 2, 2, 1])


@pytest.fixture
def z():
    return np.random.default_rng(0).normal(size=(N, C)) * 3


def upstream(reduction, shape):
    return np.random.default_rng(1).normal(size=shape if reduction == "none" else ())


def test_cross_entropy_golden_value():
    z, target = np.array([[0.2, 0.1, -0.1]]), np.array([0])
    bound = loss_bounds.cross_entropy(z, target, u=U)
    assert_within(F.cross_entropy(z, target), np.float64(0.9729189131256584), bound)


@pytest.mark.parametrize(
    ("z", "loss"),
    [
        ([[0.1, 0.2, 0.9], [1.1, 0.1, 0.2], [0.2, 2.1, 0.1]], 0.4966),
        ([[0.8, 0.2, 0.3], [0.2, 0.3, 0.5], [0.2, 0.2, 0.5]], 1.2389),
    ],
)
def test_cross_entropy_golden_values_to_four_digits(z, loss):
    assert F.cross_entropy(np.array(z), np.array([2, 0, 1])).round(4) == loss


def test_cross_entropy_hand_values():
    z, target = np.log(np.array([[1.0, 3.0], [4.0, 1.0]])), np.array([0, 0])
    losses = np.log([4.0, 1.25])
    bound = loss_bounds.cross_entropy(z, target, reduction="none", u=U)
    assert_within(F.cross_entropy(z, target, reduction="none"), losses, bound)
    assert_within(F.cross_entropy(z, target), losses.mean(), bound.max())
    assert_within(F.cross_entropy(z, target, reduction="sum"), losses.sum(), 2 * bound.max())


def test_cross_entropy_backward_hand_values():
    z, target = np.log(np.array([[1.0, 3.0], [4.0, 1.0]])), np.array([0, 0])
    dz = F.cross_entropy_backward(1.0, z, target)  # (p - onehot) / 2
    bound = loss_bounds.cross_entropy_backward(1.0, z, target, u=U)
    assert_within(dz, np.array([[-0.375, 0.375], [-0.1, 0.1]]), bound)


def test_cross_entropy_is_nll_loss_of_log_softmax(z):
    np.testing.assert_array_equal(F.cross_entropy(z, TARGET), F.nll_loss(F.log_softmax(z), TARGET))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_backward_equals_complex_step(z, reduction):
    def loss(z):
        losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(N), TARGET]
        return {"none": losses, "mean": losses.mean(), "sum": losses.sum()}[reduction]

    dloss = upstream(reduction, N)
    dz = F.cross_entropy_backward(dloss, z, TARGET, reduction=reduction)
    bound = loss_bounds.cross_entropy_backward(dloss, z, TARGET, reduction=reduction, u=U)
    assert_within(dz, complex_step_vjp(loss, z, dloss), bound)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_backward_composes_nll_and_log_softmax(z, reduction):
    log_p, dloss = F.log_softmax(z), upstream(reduction, N)
    dlog_p = F.nll_loss_backward(dloss, log_p, TARGET, reduction=reduction)
    dz = F.cross_entropy_backward(dloss, z, TARGET, reduction=reduction)
    bound = loss_bounds.cross_entropy_backward(dloss, z, TARGET, reduction=reduction, u=U)
    assert_within(F.log_softmax_backward(dlog_p, z), dz, bound)


def test_cross_entropy_backward_rows_sum_to_zero(z):
    dz = F.cross_entropy_backward(1.0, z, TARGET)
    bound = loss_bounds.cross_entropy_backward(1.0, z, TARGET, u=U).sum(axis=1)
    assert_within(dz.sum(axis=1), np.zeros(N), bound + bounds.gamma(C, U) * abs(dz).sum(axis=1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_is_exact_where_p_rounds_to_1(dtype):
    z, target, tiny = np.array([[0, -50]], dtype), np.array([0]), np.exp(dtype(-50))
    assert F.cross_entropy(z, target) == tiny
    dz = F.cross_entropy_backward(1.0, z, target)
    np.testing.assert_array_equal(dz, np.array([[-tiny, tiny]], dtype))
    loss, dz = F.cross_entropy_with_gradient(z, target)
    assert loss == tiny
    np.testing.assert_array_equal(dz, np.array([[-tiny, tiny]], dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_backward_of_almost_one_hot_targets_keeps_its_digits(dtype):
    u = bounds.unit_roundoff(dtype)
    z = np.array([[-np.log(u), 0.0]], dtype)
    t = np.array([[1 - u, 0.4 * u]], dtype)
    q = np.exp(-np.longdouble(z[0, 0]))
    moved_to = t[0, 1] / (1 + q) - t[0, 0] * q / (1 + q)  # p_0 t_1 - t_0 p_1
    terms = t[0, 1] / (1 + q) + t[0, 0] * q / (1 + q)
    dz, _ = F.cross_entropy_backward(1.0, z, t, reduction="sum")
    assert_within(dz, [[moved_to, -moved_to]], (2 * bounds.EXP_ULPS + 8) * u * terms)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_extreme_logits(dtype):
    z = np.array([[1e30, 0, -1e30]] * 2, dtype)
    np.testing.assert_array_equal(
        F.cross_entropy(z, np.array([0, 2]), reduction="none"), np.array([0, 2e30], dtype)
    )


def test_nll_loss_hand_values():
    log_p = -np.arange(12.0).reshape(3, 4)
    target = np.array([3, 0, 2])
    np.testing.assert_array_equal(F.nll_loss(log_p, target, reduction="none"), [3, 4, 10])
    assert F.nll_loss(log_p, target, reduction="sum") == 17
    dlog_p = F.nll_loss_backward(np.array([2.0, 3, 5]), log_p, target, reduction="none")
    np.testing.assert_array_equal(dlog_p, -np.array([2.0, 3, 5])[:, None] * one_hot(target, 4))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_dtype_is_kept_and_inputs_left_alone(z, dtype, reduction):
    z, target = z.astype(dtype), TARGET.copy()
    for array in (z, target):
        array.flags.writeable = False
    log_p = F.log_softmax(z)
    results = [
        F.nll_loss(log_p, target, reduction=reduction),
        F.nll_loss_backward(1.0, log_p, target, reduction=reduction),
        F.cross_entropy(z, target, reduction=reduction),
        F.cross_entropy_backward(1.0, z, target, reduction=reduction),
    ]
    assert {result.dtype for result in results} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ([0, 1, 2, 3, 4], ValueError, r"class indices in \[0, 4\), got values in \[0, 4\]"),
        ([0, 1, 2, 3, -1], ValueError, r"class indices in \[0, 4\), got values in \[-1, 3\]"),
        ([True] * 5, TypeError, "class indices must be integers .* got bool"),
        ([0.0, 1.0, 2.0, 3.0, 0.0], TypeError, "class indices must be integers .* got float64"),
        ([0, 1, 2], ValueError, r"shape \(5,\), one class per row, got \(3,\)"),
        ([[0], [1], [2], [3], [0]], ValueError, r"shape \(5,\), one class per row, got \(5, 1\)"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        F.cross_entropy,
        F.cross_entropy_with_gradient,
        F.nll_loss,
        lambda z, target: F.cross_entropy_backward(1.0, z, target),
        lambda z, target: F.nll_loss_backward(1.0, z, target),
    ],
)
def test_bad_targets_are_named(z, call, target, error, message):
    with pytest.raises(error, match=f"target.* must .*{message}|target: {message}"):
        call(z, np.array(target))


def test_target_that_is_no_array_is_named(z):
    message = r"target must be a NumPy array, got list: pass np.asarray\(target\)"
    for f in (F.cross_entropy, F.nll_loss, F.cross_entropy_with_gradient):
        with pytest.raises(TypeError, match=message):
            f(z, [0, 1, 2, 3, 0])


def test_nll_loss_takes_no_probabilities(z):
    with pytest.raises(TypeError, match=r"class indices must be integers .* got float64"):
        F.nll_loss(F.log_softmax(z), F.softmax(z))


@pytest.mark.parametrize(
    ("z", "error", "message"),
    [
        (np.ones((N, C), int), TypeError, "z must be floating point, got int64"),
        (np.ones((N, 0)), ValueError, r"z must have shape .* with C > 0, got \(5, 0\)"),
        (np.ones(()), ValueError, r"z must have shape .* with C > 0, got \(\)"),
    ],
)
def test_bad_logits_are_named(z, error, message):
    with pytest.raises(error, match=message):
        F.cross_entropy(z, TARGET)


def test_unknown_reduction_is_named(z):
    with pytest.raises(ValueError, match='reduction must be "none", "mean" or "sum", got \'avg\''):
        F.cross_entropy(z, TARGET, reduction="avg")


def test_cross_entropy_with_gradient_is_both():
    z, target = np.random.default_rng(0).normal(size=(N, C)), np.array([0, 3, 1, 2, 0])
    loss, dz = F.cross_entropy_with_gradient(z, target)
    assert loss == F.cross_entropy(z, target)
    np.testing.assert_array_equal(dz, F.cross_entropy_backward(1.0, z, target))


WEIGHT = np.array([0.5, 2, 1, 3])
SHAPES = [(C,), (N, C), (N, C, 3), (N, C, 3, 2)]
OPTIONS = {  # what else a loss may be told
    "plain": {},
    "weight": {"weight": WEIGHT},
    "smoothing": {"label_smoothing": 0.25},
    "weight and smoothing": {"weight": WEIGHT, "label_smoothing": 0.25},
}


def draw(shape):
    return np.random.default_rng(2).normal(size=shape)


def labels_of(shape):
    rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
    return np.asarray(np.random.default_rng(3).integers(C, size=rows))


def masses(target, shape, weight=None, label_smoothing=0.0, ignored=None):
    """Return the mass of each class by the definition, with the classes on their axis."""
    axis = 0 if len(shape) == 1 else 1
    w = np.ones(C) if weight is None else weight
    if target.dtype.kind == "f":
        v = (1 - label_smoothing) * np.moveaxis(target, axis, -1) + label_smoothing / C
        return np.moveaxis(v * w, -1, axis)
    hard = np.eye(C)[target] * w
    v = (1 - label_smoothing) * hard + label_smoothing / C * w
    if ignored is not None:
        v = np.where(ignored[..., None], 0, v)
    return np.moveaxis(v, -1, axis)


def test_cross_entropy_with_weight_hand_values():
    """Every logit is alike: each loss is w_t ln 2, and the mean divides by Σ w_t."""
    z, target, weight = np.zeros((3, 2)), np.array([0, 1, 1]), np.array([1.0, 4.0])
    losses = F.cross_entropy(z, target, weight=weight, reduction="none")
    np.testing.assert_array_equal(losses, np.log(2) * np.array([1, 4, 4]))
    assert_within(
        F.cross_entropy(z, target, weight=weight),
        np.log(2.0),
        loss_bounds.cross_entropy(z, target, u=U, weight=weight),
    )
    dz = F.cross_entropy_backward(9.0, z, target, weight=weight)  # w_t (p - onehot) 9 / Σ w
    bound = loss_bounds.cross_entropy_backward(9.0, z, target, u=U, weight=weight)
    assert_within(dz, np.array([[-0.5, 0.5], [2, -2], [2, -2]]), bound)


def test_cross_entropy_with_ignore_index_hand_values():
    z, target = np.zeros((3, 2)), np.array([0, -100, 1])
    losses = F.cross_entropy(z, target, reduction="none")
    np.testing.assert_array_equal(losses, np.log(2) * np.array([1, 0, 1]))
    assert F.cross_entropy(z, target) == np.log(2)
    dz = F.cross_entropy_backward(2.0, z, target)
    np.testing.assert_array_equal(dz, [[-0.5, 0.5], [0, 0], [0.5, -0.5]])
    with_another = F.cross_entropy_backward(2.0, z, np.array([0, 1, 1]), ignore_index=1)
    np.testing.assert_array_equal(with_another, [[-1, 1], [0, 0], [0, 0]])


def test_cross_entropy_with_probabilities_hand_values():
    """ln 2 for each, as the masses sum to 1; the gradient is p - t."""
    z, target = np.zeros((2, 2)), np.array([[0.25, 0.75], [1.0, 0.0]])
    assert F.cross_entropy(z, target) == np.log(2)
    dz, dtarget = F.cross_entropy_backward(2.0, z, target)
    bound, _ = loss_bounds.cross_entropy_backward(2.0, z, target, u=U)
    assert_within(dz, np.array([[0.25, -0.25], [-0.5, 0.5]]), bound)
    np.testing.assert_array_equal(dtarget, np.full((2, 2), np.log(2)))


def test_cross_entropy_with_label_smoothing_hand_values():
    """ε = 1/2 with 2 classes: the target class keeps 3/4."""
    z, target = np.zeros((1, 2)), np.array([0])
    assert F.cross_entropy(z, target, label_smoothing=0.5) == np.log(2)
    dz = F.cross_entropy_backward(1.0, z, target, label_smoothing=0.5)
    bound = loss_bounds.cross_entropy_backward(1.0, z, target, u=U, label_smoothing=0.5)
    assert_within(dz, np.array([[-0.25, 0.25]]), bound)


@pytest.mark.parametrize("options", OPTIONS)
def test_one_hot_probabilities_sum_as_class_indices(z, options):
    """Only the sum: the mean divides by Σ w_t for indices and by N for probabilities."""
    options = OPTIONS[options] | {"reduction": "none"}
    hard, soft = TARGET, one_hot(TARGET, C, np.float64)
    given = {k: v for k, v in options.items() if k != "reduction"}
    bound = loss_bounds.cross_entropy(z, hard, reduction="none", u=U, **given)
    result = F.cross_entropy(z, soft, **options)
    assert_within(F.cross_entropy(z, hard, **options), result, bound)


def test_ignored_rows_count_as_if_absent(z):
    target = np.where(np.arange(N) == 2, -100, TARGET)
    keep = target != -100
    for options in OPTIONS.values():
        bound = loss_bounds.cross_entropy(z, target, u=U, **options)
        whole = F.cross_entropy(z, target, **options)
        assert_within(whole, F.cross_entropy(z[keep], target[keep], **options), bound)
        dz = F.cross_entropy_backward(1.0, z, target, **options)
        np.testing.assert_array_equal(dz[~keep], 0)
        dz_bound = loss_bounds.cross_entropy_backward(1.0, z, target, u=U, **options)
        dz_kept = F.cross_entropy_backward(1.0, z[keep], target[keep], **options)
        assert_within(dz[keep], dz_kept, dz_bound[keep])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_and_its_gradients_equal_the_definition(shape, options, reduction, soft):
    options, z = dict(OPTIONS[options]), draw(shape)
    axis = 0 if len(shape) == 1 else 1
    target = F.softmax(draw(shape)[::-1].copy(), axis) if soft else labels_of(shape)
    v = masses(target, shape, **options)
    rows = v.sum(axis=axis).shape
    weights = options.get("weight", np.ones(C))
    count = int(np.prod(rows)) if soft else weights[target].sum()

    def reduced(losses):
        return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / count}[reduction]

    def loss(z):
        log_p = z - np.log(np.exp(z).sum(axis=axis, keepdims=True))
        return reduced(-(v * log_p).sum(axis=axis))

    result = F.cross_entropy(z, target, reduction=reduction, **options)
    assert result.shape == (rows if reduction == "none" else ())
    options["reduction"] = reduction
    assert_within(result, loss(z), loss_bounds.cross_entropy(z, target, **options, u=U))
    dy = upstream(reduction, rows)
    gradients = F.cross_entropy_backward(dy, z, target, **options)
    allowed = loss_bounds.cross_entropy_backward(dy, z, target, **options, u=U)
    if not soft:
        assert_within(gradients, complex_step_vjp(loss, z, dy), allowed)
    else:

        def of_target(t):
            log_p = z - np.log(np.exp(z).sum(axis=axis, keepdims=True))
            w = options.get("weight", np.ones(C))
            w = w.reshape([C if k == axis else 1 for k in range(len(shape))])
            smoothing = options.get("label_smoothing", 0.0)
            return reduced(-(w * ((1 - smoothing) * t + smoothing / C) * log_p).sum(axis=axis))

        assert_within(gradients[0], complex_step_vjp(loss, z, dy), allowed[0])
        assert_within(gradients[1], complex_step_vjp(of_target, target, dy), allowed[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", OPTIONS)
def test_options_keep_the_dtype_and_the_inputs(z, options, reduction, dtype):
    """Also with weights of another precision."""
    options = OPTIONS[options] | {"reduction": reduction}
    z, soft = z.astype(dtype), F.softmax(z).astype(dtype)
    for array in (z, soft):
        array.flags.writeable = False
    assert F.cross_entropy(z, TARGET, **options).dtype == dtype
    assert F.cross_entropy(z, soft, **options).dtype == dtype
    dz = F.cross_entropy_backward(0.7, z, TARGET, **options)
    gradients = F.cross_entropy_backward(0.7, z, soft, **options)
    assert {gradient.dtype for gradient in (dz, *gradients)} == {np.dtype(dtype)}


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_have_the_dtype_of_their_variable(z, options):
    z, soft = z.astype(np.float32), F.softmax(z)
    dz, dtarget = F.cross_entropy_backward(0.7, z, soft, **OPTIONS[options])
    assert (dz.dtype, dtarget.dtype) == (np.float32, np.float64)


def test_options_that_make_no_sense_are_named(z):
    soft = F.softmax(z)
    with pytest.raises(ValueError, match=r"weight must have shape \(4,\), one per class"):
        F.cross_entropy(z, TARGET, weight=np.ones(3))
    with pytest.raises(TypeError, match="weight must be floating point, got int64"):
        F.cross_entropy(z, TARGET, weight=np.ones(C, int))
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\], got 1.5"):
        F.cross_entropy(z, TARGET, label_smoothing=1.5)
    with pytest.raises(ValueError, match="ignore_index is for class indices"):
        F.cross_entropy(z, soft, ignore_index=0)
    with pytest.raises(ValueError, match=r"target must have the shape of z \(5, 4\)"):
        F.cross_entropy(z, soft[:1])


def test_ignored_rows_may_hold_anything(z):
    """Not even an infinite log-probability makes an ignored row count."""
    z[1] = -np.inf
    target = np.where(np.arange(N) == 1, -100, TARGET)
    assert np.isfinite(F.cross_entropy(z, target))
    np.testing.assert_array_equal(F.cross_entropy_backward(1.0, z, target)[1], 0)


def test_cross_entropy_with_gradient_refuses_what_is_no_class():
    with pytest.raises(ValueError, match=r"class indices in \[0, 4\), got values in \[-100, 1\]"):
        F.cross_entropy_with_gradient(np.zeros((2, C)), np.array([-100, 1]))
    with pytest.raises(ValueError, match="at least one row"):
        F.cross_entropy_with_gradient(np.zeros((0, C)), np.zeros(0, int))


def test_backward_refuses_what_the_loss_refuses():
    with pytest.raises(ValueError, match="target must have the shape of z"):
        F.cross_entropy_backward(1.0, np.zeros((4, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="label_smoothing must be in"):
        F.cross_entropy_backward(1.0, np.zeros(3), np.zeros(3), label_smoothing=3.0)
    with pytest.raises(ValueError, match=r'dloss must have shape \(\) for "mean", got \(4,\)'):
        F.cross_entropy_backward(np.ones(4), np.zeros((4, 3)), np.zeros(4, int))


# Impossible classes: 0 · log 0 = 0


def test_class_without_mass_may_be_impossible():
    """A soft target of 0, or a weight of 0, where the logit is -inf."""
    z, target = np.array([[0.0, 0.0, -np.inf]]), np.array([[0.25, 0.75, 0.0]])
    assert F.cross_entropy(z, target) == np.log(2)
    dz, dtarget = F.cross_entropy_backward(1.0, z, target)
    np.testing.assert_array_equal(dz, [[0.25, -0.25, 0]])
    np.testing.assert_array_equal(dtarget, [[np.log(2), np.log(2), np.inf]])
    weight = np.array([1.0, 1.0, 0.0])
    smoothed = F.cross_entropy(z, np.array([1]), weight=weight, label_smoothing=0.3)
    bound = loss_bounds.cross_entropy(z[:, :2], np.array([1]), u=U, label_smoothing=0.3)
    assert_within(smoothed, np.log(2) * (0.7 + 2 * 0.1), bound)


def test_label_of_weight_0_may_be_impossible():
    z, target, weight = np.array([[-np.inf, 0.0], [0.0, 0.0]]), np.array([0, 1]), np.array([0, 1.0])
    assert F.cross_entropy(z, target, weight=weight) == np.log(2)
    dz = F.cross_entropy_backward(1.0, z, target, weight=weight)
    np.testing.assert_array_equal(dz, [[0, 0], [0.5, -0.5]])
    log_p = np.array([[-np.inf, 0.0], [-1.0, -1.0]])
    assert F.nll_loss(log_p, target, weight=weight) == 1


def test_impossible_label_has_an_infinite_loss_and_a_finite_gradient():
    z, target = np.array([[-np.inf, 0.0]]), np.array([0])
    for loss, dz in (
        (F.cross_entropy(z, target), F.cross_entropy_backward(1.0, z, target)),
        F.cross_entropy_with_gradient(z, target),
    ):
        assert loss == np.inf
        np.testing.assert_array_equal(dz, [[-1, 1]])


def test_what_is_undefined_is_nan_without_a_warning():
    z, target = np.array([[0.0, -np.inf]]), np.array([[1.0, 0.0]])
    _, dtarget = F.cross_entropy_backward(1.0, z, target, weight=np.array([1.0, 0.0]))
    assert np.isnan(dtarget[0, 1])  # 0 · log 0
    log_p = np.array([[np.inf, 0.0], [-np.inf, 0.0]])
    assert np.isnan(F.nll_loss(log_p, np.array([0, 0]), reduction="sum"))  # inf - inf


# What a reader meets


def called(f, *arguments, **options):
    """Return the functions of scratchnn that a call enters, as (file, name)."""
    entered = set()

    def profile(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and "scratchnn" in path.parts:
            entered.add((path.name, frame.f_code.co_name))

    sys.setprofile(profile)
    try:
        f(*arguments, **options)
    finally:
        sys.setprofile(None)
    return entered


@pytest.mark.parametrize("f", [F.cross_entropy, F.cross_entropy_with_gradient])
def test_cross_entropy_is_few_functions_in_few_files(z, f):
    functions = called(f, z, TARGET)
    assert ("softmax.py", "exponentials") in functions
    assert len(functions) <= 8, functions
    assert {file for file, _ in functions} <= {"cross_entropy.py", "softmax.py", "shared.py"}


def test_source_of_cross_entropy_is_cross_entropy():
    assert inspect.getsource(F.cross_entropy).startswith("def cross_entropy(")


def test_class_without_mass_does_not_hide_a_nan():
    """Only 0 · log 0 is 0: a NaN that came in stays NaN."""
    z, target = np.array([[np.nan, 0.0, 1.0]]), np.array([[0.0, 0.5, 0.5]])
    assert np.isnan(F.cross_entropy(z, target))
    weight = np.array([0.0, 1.0, 1.0])
    losses = F.cross_entropy(z, np.array([0]), weight=weight, reduction="none")
    assert np.isnan(losses).all()
    assert np.isnan(F.nll_loss(z, np.array([0]), weight=weight, reduction="none")).all()


@pytest.mark.parametrize("label", [1, -100])
def test_label_of_one_example_is_an_array_or_a_number(label):
    z = np.array([0.5, -1.0, 2.0])
    for reduction in ("sum", "none"):
        one, number = (
            F.cross_entropy(z, t, reduction=reduction) for t in (np.array(label), np.int64(label))
        )
        assert one == number
        assert (one == 0) == (label == -100)
    np.testing.assert_array_equal(
        F.cross_entropy_backward(1.0, z, np.int64(label), reduction="sum"),
        F.cross_entropy_backward(1.0, z, np.array(label), reduction="sum"),
    )


def test_gradient_of_training_has_the_digits_of_longdouble():
    z, target = np.zeros((3, 3), np.longdouble), np.array([0, 1, 2])
    _, dz = F.cross_entropy_with_gradient(z, target)
    expected = F.cross_entropy_backward(1.0, z, target)
    np.testing.assert_allclose(dz, expected, rtol=4 * np.finfo(np.longdouble).eps)
