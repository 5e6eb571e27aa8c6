"""The three-way verdict: ours, torch's, and the right answer. The side that is wrong is named."""

import numpy as np
import pytest
import torch

import scratchnn.functional as F
from parity import theirs
from parity.judge import compare, judge, literal, worst
from parity.ops import OPS
from scratchnn.ops.softmax import softmax, softmax_backward

Z = np.array([[1.0, 2.0, 4.0], [0.5, -1.0, 0.0]], np.float32)
CASE = {"z": Z, "axis": 1}
SIDES = {"NumPy": F, "torch cpu": theirs}


def slightly_more(function):
    def wrong(*arguments, **options):
        result = function(*arguments, **options)
        return result * (1 + 64 * np.finfo(result.dtype).eps)

    return wrong


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_judge_finds_both_sides_right(dtype):
    value, gradient = judge(OPS["softmax"], {"z": Z.astype(dtype), "axis": 1})
    for verdict, quantity in ((value, "softmax"), (gradient, "softmax, dz")):
        assert verdict.holds
        assert verdict.quantity == quantity
        assert [error.side for error in verdict.errors] == ["NumPy", "torch cpu"]
        assert not any("LEFT" in str(error) for error in verdict.errors)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("guilty", "name", "wrong", "quantity"),
    [
        ("NumPy", "softmax", slightly_more(softmax), 0),
        ("NumPy", "softmax_backward", slightly_more(softmax_backward), 1),
        ("torch cpu", "softmax", lambda z, axis: torch.softmax(z, axis) * 1.25, 0),
        ("torch cpu", "softmax", lambda z, axis: torch.softmax(z, axis).detach() + 0 * z, 1),
    ],
)
def test_judge_names_the_guilty_side(guilty, name, wrong, quantity, dtype, monkeypatch):
    monkeypatch.setattr(SIDES[guilty], name, wrong)
    verdicts = judge(OPS["softmax"], {"z": Z.astype(dtype), "axis": 1})
    assert verdicts[quantity].guilty == (guilty,)
    assert f"  {guilty}[" in str(verdicts[quantity])
    assert str(verdicts[quantity]).count("LEFT its bound") == 1


def test_judge_names_torch_where_torch_itself_is_wrong(monkeypatch):
    assert all(verdict.holds for verdict in judge(OPS["sigmoid"], {"z": Z}))
    monkeypatch.setattr(torch.nn.functional, "sigmoid", torch.tanh)
    value, gradient = judge(OPS["sigmoid"], {"z": Z})
    assert value.guilty == gradient.guilty == ("torch cpu",)


def test_judge_names_both_where_both_are_wrong(monkeypatch):
    monkeypatch.setattr(F, "softmax", lambda z, axis: 1 - softmax(z, axis))
    monkeypatch.setattr(theirs, "softmax", lambda z, axis: 2 * z)
    assert judge(OPS["softmax"], CASE)[0].guilty == ("NumPy", "torch cpu")


def test_judge_says_where_and_how_wrong(monkeypatch):
    def off_by_a_half(z, axis):
        p = softmax(z, axis)
        p[1, 2] += np.float32(0.5)
        return p

    monkeypatch.setattr(F, "softmax", off_by_a_half)
    ours, _ = judge(OPS["softmax"], CASE)[0].errors
    right = np.float32(1 / np.exp([0.5, -1, 0]).sum())
    assert ours.index == (1, 2)
    assert ours.exact == right
    assert ours.value == right + np.float32(0.5)
    assert abs(ours.error - 0.5) < np.spacing(np.float32(1))
    assert round(ours.ulps * np.spacing(right), 6) == 0.5


def test_judge_draws_the_upstream_gradient_from_its_seed():
    first, again, other = (judge(OPS["softmax"], CASE, seed)[1] for seed in (0, 0, 1))
    assert first == again
    assert first.errors[0].exact != other.errors[0].exact


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda z, axis: softmax(z, axis)[:1], ValueError, r"NumPy has shape \(1, 3\), must"),
        (lambda z, axis: softmax(z.astype(float), axis), TypeError, "NumPy has dtype float64"),
    ],
)
def test_judge_is_strict_about_shape_and_dtype(wrong, error, message, monkeypatch):
    monkeypatch.setattr(F, "softmax", wrong)
    with pytest.raises(error, match=message):
        judge(OPS["softmax"], CASE)


@pytest.mark.parametrize("no_number", [np.nan, np.inf])
def test_bound_that_is_no_number_lets_nothing_pass_but_the_right_answer(no_number, monkeypatch):
    monkeypatch.setattr("parity.bounds.relu", lambda z, u: np.full_like(z, no_number))
    assert judge(OPS["relu"], {"z": Z})[0].holds
    for wrong in (lambda z: z + 1, lambda z: z * np.float32(np.nan)):
        monkeypatch.setattr(F, "relu", wrong)
        value, _ = judge(OPS["relu"], {"z": Z})
        assert value.guilty == ("NumPy",)
        assert value.errors[0].ratio == np.inf


def test_compare_names_the_element_closest_to_its_tolerance():
    ours, torch = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.5], [3.25, 4.0]])
    difference = compare("z", ours, torch, np.array([[1.0, 10.0], [0.5, 1.0]]))
    assert (difference.index, difference.ratio, difference.difference) == ((1, 0), 0.5, 0.25)
    assert (difference.largest, difference.largest_tolerance) == (0.5, 10.0)
    assert difference.holds
    assert str(difference).startswith("z[1, 0]: NumPy 3.0, torch 3.25, apart by 2.50e-01")


@pytest.mark.parametrize(
    ("ours", "torch", "holds"),
    [
        (np.nan, np.nan, True),
        (np.inf, np.inf, True),
        (np.nan, 1.0, False),
        (1.0, np.nan, False),
        (np.inf, -np.inf, False),
        (np.inf, 1.0, False),
        (1.0, 1.5, False),
        (1.0, 1.25, True),
    ],
)
def test_compare_judges_what_is_not_finite(ours, torch, holds):
    assert compare("x", np.float64(ours), np.float64(torch), 0.25).holds is holds


def test_compare_with_no_tolerance_wants_equality():
    assert compare("x", np.ones(3), np.ones(3), 0.0).holds
    assert not compare("x", np.ones(3), np.nextafter(np.ones(3), 2), 0.0).holds


@pytest.mark.parametrize("tolerance", [np.nan, np.inf])
def test_compare_with_a_tolerance_that_is_no_number_wants_equality(tolerance):
    assert compare("x", np.ones(3), np.ones(3), tolerance).holds
    difference = compare("x", np.ones(3), np.array([1, 1, 1.5]), np.array([1, 1, tolerance]))
    assert (difference.index, difference.ratio) == ((2,), np.inf)


def test_compare_is_strict_about_shape_and_dtype():
    with pytest.raises(ValueError, match=r"z: NumPy has shape \(3,\), torch \(3, 1\)"):
        compare("z", np.ones(3), np.ones((3, 1)), 1.0)
    with pytest.raises(TypeError, match="z: NumPy has dtype float64, torch float32"):
        compare("z", np.ones(3), np.ones(3, np.float32), 1.0)


def test_worst_keeps_the_largest_difference_of_all():
    close = compare("a", np.float64(1), np.float64(2), 1.5)
    large = compare("b", np.float64(1), np.float64(9), 100.0)
    assert (worst([close, large]).quantity, worst([close, large]).largest) == ("a", 8)


@pytest.mark.parametrize("tolerance", [np.nan, np.inf])
def test_worst_never_loses_a_nan_for_want_of_a_tolerance(tolerance):
    fine = compare("fine", np.float64(1), np.float64(1.1), 1.0)
    broken = compare("broken", np.float64(np.nan), np.float64(1), tolerance)
    assert not worst([fine, broken]).holds
    assert not worst([broken, fine]).holds


@pytest.mark.parametrize(
    "value",
    [
        np.array([[0.1, np.inf], [np.nan, -0.0]], np.float32),
        np.array(1e-45, np.float32),
        np.array([1 / 3, -np.inf]),
        np.zeros((0, 3)),
        np.inf,
        np.array([1, 2]),
        None,
        0.1,
        "mean",
        (0, 1),
    ],
)
def test_literal_keeps_every_bit(value):
    again = eval(literal(value), {"np": np})
    if isinstance(value, np.ndarray):
        assert (again.dtype, again.shape) == (value.dtype, value.shape)
        assert again.tobytes() == value.tobytes()
    else:
        assert again == value
