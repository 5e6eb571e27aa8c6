"""The comparison itself."""

import numpy as np
import pytest

from parity.verdict import compare, worst


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


def test_compare_is_strict_about_shape_and_dtype():
    with pytest.raises(ValueError, match=r"z: NumPy has shape \(3,\), torch \(3, 1\)"):
        compare("z", np.ones(3), np.ones((3, 1)), 1.0)
    with pytest.raises(TypeError, match="z: NumPy has dtype float64, torch float32"):
        compare("z", np.ones(3), np.ones(3, np.float32), 1.0)


def test_worst_keeps_the_largest_difference_of_all():
    close = compare("a", np.float64(1), np.float64(2), 1.5)
    large = compare("b", np.float64(1), np.float64(9), 100.0)
    assert (worst([close, large]).quantity, worst([close, large]).largest) == ("a", 8)


@pytest.mark.parametrize(
    ("ours", "torch", "tolerance"), [(1.0, 2.0, np.nan), (np.nan, 1.0, np.inf), (1.0, 2.0, np.inf)]
)
def test_worst_never_loses_what_has_no_tolerance(ours, torch, tolerance):
    fine = compare("fine", np.float64(1), np.float64(1.1), 1.0)
    broken = compare("broken", np.float64(ours), np.float64(torch), tolerance)
    assert not worst([fine, broken]).holds
    assert not worst([broken, fine]).holds
