"""Objectives: an operation with its options, its gradient, and what counts as a right answer."""

from dataclasses import fields

import numpy as np
import pytest

import scratchnn.functional as F
from parity import bounds, loss_bounds
from scratchnn import objectives
from scratchnn.objectives import (
    OBJECTIVES,
    CrossEntropy,
    HuberLoss,
    OneVsRest,
    SmoothL1Loss,
    SquaredLoss,
    TwoClasses,
    one_hot,
)
from tests.helpers import DTYPES, C, N, assert_within

LABELS = np.array([2, 0, 3, 1, 3])
BINARY = np.array([1, 0, 0, 1, 1])
WEIGHT = np.array([0.5, 2.0, 1.0, 3.0])


def draw(columns, dtype=np.float64):
    return np.random.default_rng(1).normal(size=(N, columns)).astype(dtype)


def real_target(dtype=np.float64):
    return np.random.default_rng(2).normal(size=(N, C)).astype(dtype)


# objective, columns of z, the target as data have it, and as the operation takes it
CASES = {
    "cross_entropy": (CrossEntropy(), C, lambda _: LABELS, lambda t: t),
    "cross_entropy with options": (
        CrossEntropy(WEIGHT, ignore_index=1, label_smoothing=0.25),
        C,
        lambda _: LABELS,
        lambda t: t,
    ),
    "cross_entropy of probabilities": (
        CrossEntropy(WEIGHT),
        C,
        lambda dtype: F.softmax(real_target(dtype)),
        lambda t: t,
    ),
    "two_classes": (TwoClasses(), 1, lambda _: BINARY, lambda t: t[:, None]),
    "one_vs_rest": (OneVsRest(), C, lambda _: LABELS, lambda t: np.eye(C)[t]),
    "squared_loss": (SquaredLoss(), C, real_target, lambda t: t),
    "mse_loss": (OBJECTIVES["mse_loss"], C, real_target, lambda t: t),
    "l1_loss": (OBJECTIVES["l1_loss"], C, real_target, lambda t: t),
    "huber_loss": (HuberLoss(delta=0.5), C, real_target, lambda t: t),
    "smooth_l1_loss": (SmoothL1Loss(beta=0.25), C, real_target, lambda t: t),
}


def test_objectives_are_all_tested():
    assert {name.split(" ")[0] for name in CASES} == set(OBJECTIVES)
    for name in OBJECTIVES:
        assert type(CASES[name][0]) is type(OBJECTIVES[name])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_objective_is_its_operation_with_its_options(case, dtype):
    objective, columns, given, prepared = CASES[case]
    z, target = draw(columns, dtype), given(dtype)
    taken = prepared(target)
    if objective.op == "binary_cross_entropy_with_logits":
        taken = taken.astype(dtype)
    np.testing.assert_array_equal(objective.prepared(z, target), taken, strict=True)
    loss, dz = objective.loss_and_gradient(z, target)
    assert loss == getattr(F, objective.op)(z, taken, **objective.options)
    assert loss.dtype == dtype
    expected = getattr(F, f"{objective.op}_backward")(1.0, z, taken, **objective.options)
    expected = expected[0] if isinstance(expected, tuple) else expected
    np.testing.assert_array_equal(dz, expected, strict=True)
    np.testing.assert_array_equal(z, draw(columns, dtype))


@pytest.mark.parametrize("objective", OBJECTIVES.values())
def test_options_are_those_of_the_operation(objective):
    names = [field.name for field in fields(objective)]
    assert objective.options == {"reduction": "mean"} | {n: getattr(objective, n) for n in names}
    defaults = getattr(F, objective.op).__kwdefaults__
    assert {name: defaults[name] for name in names} == {
        name: value for name, value in objective.options.items() if name != "reduction"
    }


def test_objective_cross_entropy_golden_value():
    z = np.array([[0.2, 0.1, -0.1]])
    loss, dz = CrossEntropy().loss_and_gradient(z, np.array([0]))
    u = bounds.unit_roundoff(z.dtype)
    bound = loss_bounds.cross_entropy(z, np.array([0]), u=u)
    assert_within(loss, np.array(0.9729189131256584), bound)
    bound = loss_bounds.cross_entropy_backward(1.0, z, np.array([0]), u=u)
    assert_within(dz.sum(), np.array(0.0), bound.sum())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight": WEIGHT},
        {"ignore_index": 3},
        {"weight": WEIGHT, "ignore_index": 3},
        {"label_smoothing": 0.25},
    ],
)
def test_count_is_what_the_mean_divides_by(options):
    objective, z = CrossEntropy(**options), draw(C)
    total = F.cross_entropy(z, LABELS, **options, reduction="sum")
    loss, _ = objective.loss_and_gradient(z, LABELS)
    assert abs(loss * objective.count(LABELS) - total) < 1e-14


def test_count_hand_values():
    assert CrossEntropy().count(LABELS) == SquaredLoss().count(real_target()) == N
    assert CrossEntropy(WEIGHT).count(LABELS) == 1 + 0.5 + 3 + 2 + 3
    assert CrossEntropy(WEIGHT, ignore_index=3).count(LABELS) == 1 + 0.5 + 2
    assert CrossEntropy(WEIGHT).count(F.softmax(real_target())) == N  # a mean of rows


def test_batch_in_which_nothing_counts_has_no_loss_and_no_gradient():
    z = draw(C)
    for objective in (CrossEntropy(ignore_index=2), CrossEntropy(weight=np.array([1, 1, 0, 1.0]))):
        loss, dz = objective.loss_and_gradient(z, np.full(N, 2))
        assert loss == 0
        np.testing.assert_array_equal(dz, np.zeros((N, C)), strict=True)


def test_get_returns_objectives_and_finds_names():
    objective = CrossEntropy(label_smoothing=0.1)
    assert objectives.get(objective) is objective
    assert objectives.get("one_vs_rest") is OBJECTIVES["one_vs_rest"]
    with pytest.raises(
        ValueError, match=r"objective must be one of cross_entropy, .*, got 'hinge'"
    ):
        objectives.get("hinge")


@pytest.mark.parametrize(("name", "target"), [("two_classes", BINARY), ("one_vs_rest", LABELS % 2)])
def test_objective_at_zero_logits(name, target):
    columns = 1 if name == "two_classes" else 2
    loss, dz = OBJECTIVES[name].loss_and_gradient(np.zeros((N, columns)), target)
    assert loss == np.log(2)
    t = target[:, None] == (np.array([1]) if columns == 1 else np.arange(2))
    np.testing.assert_array_equal(dz, (0.5 - t) * (1 / (N * columns)))


def test_objective_mse_loss_is_twice_the_squared_loss():
    z, target = draw(C), real_target()
    squared, mse = (OBJECTIVES[name].loss_and_gradient for name in ("squared_loss", "mse_loss"))
    assert mse(z, target)[0] == 2 * squared(z, target)[0]
    np.testing.assert_array_equal(mse(z, target)[1], 2 * squared(z, target)[1])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_of_regression_counts_nothing(name):
    classes = name in ("cross_entropy", "two_classes", "one_vs_rest")
    assert OBJECTIVES[name].classes == classes
    if not classes:
        assert OBJECTIVES[name].correct(draw(C), real_target()) == 0


@pytest.mark.parametrize("name", ["cross_entropy", "one_vs_rest"])
def test_objective_counts_the_largest_logit(name):
    z = draw(C)
    best = z.argmax(axis=1)
    assert OBJECTIVES[name].correct(z, best) == N
    assert OBJECTIVES[name].correct(z, np.where(np.arange(N) < 2, (best + 1) % C, best)) == N - 2


def test_objective_counts_the_likeliest_class_of_probabilities():
    z = draw(C)
    soft = 0.5 * np.eye(C)[z.argmax(axis=1)] + 0.125
    assert CrossEntropy().correct(z, soft) == N
    assert CrossEntropy().correct(z, np.roll(soft, 1, axis=1)) == 0


def test_objective_two_classes_counts_the_sign():
    z = np.array([[0.5], [-0.5], [0.0], [2.0], [-3.0]])  # classes 1 0 0 1 0
    assert OBJECTIVES["two_classes"].correct(z, np.array([1, 0, 0, 1, 0])) == 5
    assert OBJECTIVES["two_classes"].correct(z, np.array([1, 0, 1, 0, 0])) == 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_hand_written(dtype):
    expected = np.array([[0, 0, 1, 0], [1, 0, 0, 0]], dtype)
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 4, dtype), expected, strict=True)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (np.array([0, C]), ValueError, r"\[0, 4\), got values in \[0, 4\]"),
        (np.array([-1, 0]), ValueError, r"got values in \[-1, 0\]"),
        (np.array([0.0, 1.0]), TypeError, "got float64"),
        (np.zeros((2, 1), int), ValueError, r"shape \(2,\)"),
    ],
)
def test_one_hot_refuses(target, error, message):
    with pytest.raises(error, match=message):
        one_hot(target, C)


@pytest.mark.parametrize(
    ("name", "columns", "target", "error"),
    [
        ("cross_entropy", C, LABELS + 1, ValueError),
        ("cross_entropy", C, LABELS - 1, ValueError),
        ("cross_entropy", C, LABELS.astype(float), TypeError),
        ("one_vs_rest", C, LABELS + 1, ValueError),
        ("one_vs_rest", C, LABELS.astype(float), TypeError),
        ("two_classes", C, BINARY, ValueError),  # (N, 1) would broadcast
        ("squared_loss", C, np.zeros((N, 1)), ValueError),
        ("squared_loss", 1, np.zeros(N), ValueError),
        ("mse_loss", 1, np.zeros(N), ValueError),
        ("mse_loss", 1, np.zeros((N, 1), int), TypeError),
        pytest.param(
            "two_classes", 1, BINARY + 1, ValueError,
        ),
        pytest.param(
            "two_classes", 1, BINARY - 1, ValueError,
        ),
    ],
)  # fmt: skip
def test_objective_refuses(name, columns, target, error):
    with pytest.raises(error, match="target"):
        OBJECTIVES[name].loss_and_gradient(draw(columns), target)


def test_cross_entropy_ignores_the_label_that_it_is_told():
    """Also a negative one other than -100."""
    z, target = np.array([[0.5, 1.0], [2.0, -1.0]]), np.array([0, -1])
    goal = CrossEntropy(ignore_index=-1)
    loss, dz = goal.loss_and_gradient(z, target)
    assert loss == goal.loss(z, target) == F.cross_entropy(z[:1], target[:1])
    np.testing.assert_array_equal(dz[1], [0, 0])
    assert goal.count(target) == 1
