"""The arithmetic with digits to spare, compared with mpmath at twice as many."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mpmath import mp, mpf

from parity import digits
from parity.judge import right_value
from parity.ops import OPS

VALUES = np.array([-300.5, -1.0, -1e-20, 0.1, 1.0, 88.75, 700.0])


@pytest.mark.parametrize(
    ("ours", "theirs", "x"),
    [
        (digits.exp, mp.exp, VALUES),
        (digits.expm1, lambda x: mp.exp(x) - 1, np.append(VALUES, 1e-300)),
        (digits.log, mp.log, abs(VALUES) + 1.5),
        (digits.log1p, lambda x: mp.log(1 + x), np.array([-0.5, 1e-300, 1e-20, 3.0, 1e300])),
    ],
)
def test_functions_have_51_digits(ours, theirs, x):
    with digits.precise():
        found = ours(digits.lift(x, np.float64))
    with mp.workdps(700):  # 1 + 1e-300 included
        errors = [abs(as_mpf(y) / theirs(mpf(float(t))) - 1) for y, t in zip(found, x, strict=True)]
        assert max(errors) < mpf(10) ** -(digits.DIGITS - 1)
    assert digits.DIGITS == 51


def as_mpf(y):
    """Return a number of gmpy2's or of another context of mpmath's, every bit of it."""
    return mp.make_mpf(y._mpf_) if hasattr(y, "_mpf_") else mpf(str(y))


def test_logarithms_of_negative_numbers_are_nan():
    with digits.precise(), np.errstate(invalid="ignore"):
        assert np.isnan(float(digits.log(digits.lift(-1.5, np.float64))))
        assert np.isnan(float(digits.log1p(digits.lift(-1.5, np.float64))))


def test_float32_is_computed_in_float64():
    x = VALUES.astype(np.float32)
    assert digits.lift(x, np.float32).dtype == np.float64
    assert (digits.exp(digits.lift(x, np.float32)) == np.exp(x.astype(np.float64))).all()


def test_right_answers_have_51_digits_in_a_thread():
    case = {"z": np.array([[0.1, 1.5]]), "axis": 1}
    here = right_value(OPS["softmax"], case)
    with ThreadPoolExecutor() as pool:
        there = pool.submit(right_value, OPS["softmax"], case).result()
    with digits.precise():
        errors = abs(there.sum(axis=1) - 1)
    assert (here == there).all()
    assert errors.max() < 10.0 ** -(digits.DIGITS - 2)


def test_precise_leaves_the_precision_of_others_alone():
    gmpy2 = pytest.importorskip("gmpy2")
    before = mp.prec, gmpy2.get_context().precision
    with gmpy2.context(precision=20):
        third = right_value(OPS["sigmoid"], {"z": np.array([0.1])})
        assert gmpy2.get_context().precision == 20
    assert third[0].precision == digits.BITS
    assert (mp.prec, gmpy2.get_context().precision) == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lift_is_exact_and_leaves_all_but_floats(dtype):
    x = np.array([0.1, 1e-40, -3.5], dtype)
    assert (digits.rounded(digits.lift(x, dtype), dtype) == x).all()
    assert float(digits.lift(0.1, dtype)) == 0.1
    for value in (None, 3, "mean", True):
        assert digits.lift(value, dtype) is value
    index = np.array([1, 2])
    assert digits.lift(index, dtype) is index


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distance_sees_less_than_an_ulp(dtype):
    """A third is off from the nearest number by less than half an ulp, and by how much is known."""
    with digits.precise():
        third = digits.lift(np.ones(1), np.float64) / 3
    result = np.array([1 / 3], dtype)
    exact = third if dtype == np.float64 else third.astype(np.float64)
    with mp.workdps(60):
        right = float(abs(mpf(float(result[0])) - mpf(1) / 3))
    (found,) = digits.distance(result, exact)
    assert 0 < found < np.spacing(result[0]) / 2
    assert found == pytest.approx(right, rel=np.finfo(np.float64).eps * 2**30)


@pytest.mark.parametrize(
    ("result", "exact", "distance"),
    [
        (np.inf, np.inf, 0.0),
        (np.nan, np.nan, 0.0),
        (np.inf, -np.inf, np.inf),
        (np.nan, 1.0, np.inf),
        (1.0, np.nan, np.inf),
        (1.0, np.inf, np.inf),
        (1.0, 1.5, 0.5),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distance_of_what_is_not_finite(result, exact, distance, dtype):
    exact = digits.lift(np.array([exact]), dtype)
    assert digits.distance(np.array([result], dtype), exact) == [distance]
