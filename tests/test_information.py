"""Entropy and divergences: their identities, their extremes, and every digit of a small one."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scratchnn.functional as F
from parity import bounds
from parity.bounds import LOG_ULPS
from scratchnn import information
from scratchnn.information import (
    cross_entropy,
    entropy,
    jeffreys_divergence,
    jensen_shannon_divergence,
    kl_divergence,
    perplexity,
    surprisal,
)
from tests.helpers import DTYPES, C, N, assert_within

U = bounds.unit_roundoff(np.float64)
PAIRS = (cross_entropy, kl_divergence, jeffreys_divergence, jensen_shannon_divergence)
ALL = (entropy, perplexity, *PAIRS)
SOFT = np.array([0.1, 0.2, 0.7])  # the soft label of the reference texts
AMPLIFIED = 2 / (math.log1p(-2 / 9) + 2 / 7)  # of p log(p/q) + d at s = 1/8, where t = 2/7


def call(f, p, q, **options):
    return f(p, q, **options) if f in PAIRS else f(p, **options)


def sum_bound(C, u):
    """The relative error of a sum of terms ≥ 0, each with a logarithm and two products."""
    return bounds.gamma(C, u) + (LOG_ULPS + 4) * u


def divergence_bound(C, u):
    """The same where each term is p log(p/q) + d, which cancels most where the series ends."""
    return bounds.gamma(C, u) + AMPLIFIED * (LOG_ULPS + 4) * u


def gap_of_sums(p, q):
    """Return |Σ q - Σ p|, which KL takes for 0, as its distributions sum to 1."""
    return abs(math.fsum([*q, *-p]))


@st.composite
def distributions(draw, count, dtype=np.float64):
    """Draw distributions of one size: soft and sharp, some with zeros, some close to another."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    C = draw(st.integers(1, 12))
    kinds = st.sampled_from(["soft", "sharp", "with zeros", "close"])
    rows = [F.softmax(rng.normal(size=C))]
    for _ in range(count):
        kind = draw(kinds)
        row = F.softmax(rng.normal(size=C) * (30 if kind == "sharp" else 1))
        if kind == "with zeros" and C > 1:
            row[rng.integers(C, size=C // 2)] = 0
        if kind == "close":
            row = rows[-1] * (1 + 10 ** rng.uniform(-16, -1) * rng.normal(size=C))
        rows.append((abs(row) / abs(row).sum()).astype(dtype))
    return [row / row.sum() for row in rows[1:]]


def exact(f, p, q):
    """Return the value from 60 digits; a divergence of p/Σp and q/Σq where they miss 1."""
    P, Q = ([Decimal(float(x)) for x in v] for v in (p, q))

    def kl(P, Q):
        if any(a and not b for a, b in zip(P, Q, strict=True)):
            return Decimal("inf")
        return sum((a * (a / b).ln() if a else 0) - a + b for a, b in zip(P, Q, strict=True))

    def surprise(P, Q):
        if any(a and not b for a, b in zip(P, Q, strict=True)):
            return Decimal("inf")
        return -sum(a * b.ln() for a, b in zip(P, Q, strict=True) if a)

    with localcontext(prec=60):
        M = [(a + b) / 2 for a, b in zip(P, Q, strict=True)]
        value = {
            entropy: lambda: surprise(P, P),
            perplexity: lambda: surprise(P, P).exp(),
            cross_entropy: lambda: surprise(P, Q),
            kl_divergence: lambda: kl(P, Q),
            jeffreys_divergence: lambda: kl(P, Q) + kl(Q, P),
            jensen_shannon_divergence: lambda: (kl(P, M) + kl(Q, M)) / 2,
        }[f]()
        return float(value)


@pytest.mark.parametrize(
    ("f", "p", "q", "bits"),
    [
        (entropy, [0.5, 0.5], None, 1),  # a fair coin
        (entropy, [1, 0], None, 0),
        (entropy, [0.25] * 4, None, 2),
        (entropy, [0.5, 0.25, 0.125, 0.125], None, 1.75),
        (perplexity, [0.125] * 8, None, 8),
        (perplexity, [0, 1], None, 1),
        (cross_entropy, [0.5, 0.5], [0.25, 0.75], 2 - math.log2(3) / 2),
        (cross_entropy, [0.5, 0.5], [0.5, 0.5], 1),  # the floor is H(P), not 0
        (cross_entropy, [0, 1], [0.5, 0.5], 1),
        (cross_entropy, [0.5, 0.5], [0, 1], math.inf),
        (kl_divergence, [1, 0], [0.5, 0.5], 1),
        (kl_divergence, [0.5, 0.5], [1, 0], math.inf),
        (kl_divergence, [0.5, 0.5], [0.125, 0.875], 2 - math.log2(7) / 2),
        (kl_divergence, [0, 1], [0, 1], 0),
        (jeffreys_divergence, [0.25, 0.75], [0.75, 0.25], math.log2(3)),
        (jeffreys_divergence, [1, 0], [0.5, 0.5], math.inf),
        (jensen_shannon_divergence, [1, 0], [0, 1], 1),
        (jensen_shannon_divergence, [0.5, 0.5], [0.5, 0.5], 0),
        (jensen_shannon_divergence, [1, 0], [0.5, 0.5], 1.5 - 0.75 * math.log2(3)),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_hand_values(f, p, q, bits, dtype):
    u = bounds.unit_roundoff(dtype)
    p, q = np.array(p, dtype), np.array(p if q is None else q, dtype)
    in_bits = call(f, p, q) if f is perplexity else call(f, p, q, unit="bits")
    assert_within(in_bits, bits, divergence_bound(2, u) * abs(bits))
    if f is not perplexity:
        nats = bits * math.log(2)
        assert_within(call(f, p, q), nats, divergence_bound(2, u) * abs(nats))


def test_surprisal_hand_values():
    np.testing.assert_array_equal(
        surprisal(np.array([1, 0.5, 0.125, 0]), unit="bits"), [0, 1, 3, math.inf]
    )
    assert surprisal(np.float64(0.5)) == math.log(2)


def test_certainty_has_no_negative_zero():
    for value in (surprisal(np.ones(1))[0], entropy(np.array([1.0, 0.0]))):
        assert math.copysign(1, value) == 1


def test_soft_label_of_the_texts():
    """The soft label (.1, .2, .7): H = .1 ln 10 + .2 ln 5 + .7 ln(10/7), the least loss."""
    H = 0.1 * math.log(10) + 0.2 * math.log(5) + 0.7 * math.log(10 / 7)
    assert_within(entropy(SOFT), H, sum_bound(3, U) * H)
    assert round(float(entropy(SOFT)), 4) == 0.8018
    assert cross_entropy(SOFT, np.array([0.2, 0.2, 0.6])) > entropy(SOFT) > 0


def test_a_hard_label_leaves_the_surprisal_of_its_class():
    assert cross_entropy(np.array([0, 1.0, 0]), SOFT) == surprisal(SOFT)[1] == -math.log(0.2)


@pytest.mark.parametrize("f", ALL)
@given(distributions(2), st.sampled_from(DTYPES))
def test_values_are_right_to_the_last_digits(f, pair, dtype):
    p, q = (v.astype(dtype) for v in pair)
    if f is not perplexity and f is not entropy:  # rounding to float32 may have lost a support
        p, q = (v / v.sum(dtype=dtype) for v in (p, q))
    u = bounds.unit_roundoff(dtype)
    expected = exact(f, p, q)
    relative = divergence_bound(len(p), u)
    if f is perplexity:  # exp turns the absolute error of H into a relative one
        relative = relative * math.log(expected) + 2 * bounds.EXP_ULPS * u
    bound = relative * expected if math.isfinite(expected) else 0.0
    assert_within(call(f, p, q), expected, bound)


@given(distributions(2))
def test_cross_entropy_is_entropy_plus_kl(pair):
    p, q = pair
    H, KL, CE = entropy(p), kl_divergence(p, q), cross_entropy(p, q)
    if np.isinf(KL):
        assert np.isinf(CE)
        return
    missing = gap_of_sums(p, q)
    bound = sum_bound(len(p), U) * (H + CE) + divergence_bound(len(p), U) * KL + missing
    assert_within(CE, H + KL, bound)


@given(distributions(2))
def test_cross_entropy_is_least_at_the_truth(pair):
    p, q = pair
    slack = sum_bound(len(p), U) * entropy(p) + gap_of_sums(p, q)
    assert cross_entropy(p, q) * (1 + sum_bound(len(p), U)) >= entropy(p) - slack


@given(distributions(2))
def test_kl_is_zero_only_between_equals(pair):
    p, q = pair
    assert kl_divergence(p, p) == kl_divergence(q, q.copy()) == 0
    assert (kl_divergence(p, q) > 0) == (not np.array_equal(p, q))


def test_kl_is_not_symmetric():
    p, q = np.array([0.5, 0.5]), np.array([0.125, 0.875])
    assert kl_divergence(p, q) > kl_divergence(q, p) + 0.0625


def test_kl_keeps_its_digits_between_near_equals():
    """For P = (1/2, 1/2) and Q = P ± e, KL = 2e² + 4e⁴ + ...: H(P, Q) - H(P) sees none of it."""
    p, e = np.array([0.5, 0.5]), 2.0**-40
    q = np.array([0.5 - e, 0.5 + e])
    expected = -0.5 * math.log1p(-4 * e * e)
    assert_within(kl_divergence(p, q), expected, divergence_bound(2, U) * expected)
    lost = cross_entropy(p, q) - entropy(p)
    assert abs(lost - expected) > expected / 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_kl_of_the_smallest_probabilities_is_finite(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    p, q = np.array([1, tiny], dtype), np.array([tiny, 1], dtype)
    expected = -float(np.log(np.float64(tiny)))
    for f, factor in ((kl_divergence, 1), (jeffreys_divergence, 2)):
        bound = divergence_bound(2, bounds.unit_roundoff(dtype)) * factor * expected
        assert_within(f(p, q), factor * expected, bound)


@given(distributions(3))
def test_jensen_shannon_is_symmetric_bounded_and_its_root_a_metric(three):
    p, q, r = three
    relative = divergence_bound(len(p), U)
    js = jensen_shannon_divergence
    assert js(p, q) == js(q, p)
    assert 0 <= js(p, q) <= math.log(2) * (1 + 2 * relative)
    assert (js(p, q) == 0) == np.array_equal(p, q)
    pq, qr, pr = (math.sqrt(x) for x in (js(p, q), js(q, r), js(p, r)))
    assert pr <= (pq + qr) * (1 + 2 * relative)


@given(distributions(2))
def test_jeffreys_is_symmetric_and_the_sum_of_both(pair):
    p, q = pair
    assert jeffreys_divergence(p, q) == jeffreys_divergence(q, p)
    assert jeffreys_divergence(p, q) == kl_divergence(p, q) + kl_divergence(q, p)


@given(distributions(1))
def test_entropy_lies_between_certainty_and_uniformity(one):
    (p,) = one
    C = len(p)
    assert 0 <= entropy(p) <= math.log(C) * (1 + 2 * sum_bound(C, U)) + bounds.gamma(2 * C, U)
    assert entropy(p, unit="bits") >= 0


@given(distributions(2))
def test_scipy_agrees(pair):
    scipy = pytest.importorskip("scipy")
    p, q = pair
    C = len(p)
    H = scipy.stats.entropy(p)
    assert_within(entropy(p), H, (sum_bound(C, U) + bounds.gamma(2 * C, U)) * (H + 1))
    terms = scipy.special.rel_entr(p, q)
    if np.isinf(terms).any():
        assert np.isinf(kl_divergence(p, q))
        return
    missing = gap_of_sums(p, q)
    own = divergence_bound(C, U) * kl_divergence(p, q)
    theirs = sum_bound(C, U) * (abs(terms).sum() + 1)  # p/q is rounded before its logarithm
    assert_within(kl_divergence(p, q), terms.sum(), own + theirs + missing)
    normalised = bounds.gamma(2 * C, U) * (abs(terms).sum() + 1)
    assert_within(
        kl_divergence(p, q, unit="bits"),
        scipy.stats.entropy(p, q, base=2),
        (own + theirs + missing + normalised) / math.log(2),
    )


@pytest.mark.parametrize("f", ALL)
@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_axis_is_the_one_of_the_classes(f, axis):
    rng = np.random.default_rng(0)
    p, q = (F.softmax(rng.normal(size=(N, C, 3)), axis) for _ in range(2))
    last = [np.ascontiguousarray(np.moveaxis(v, axis, -1)) for v in (p, q)]
    result = call(f, p, q, axis=axis)
    expected = call(f, *last)
    assert_within(result, expected, divergence_bound(5, U) * (1 + expected) * expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", ALL)
def test_dtype_is_kept_and_inputs_left_alone(f, dtype):
    rng = np.random.default_rng(0)
    p, q = (F.softmax(rng.normal(size=(N, C)).astype(dtype)) for _ in range(2))
    p.flags.writeable = q.flags.writeable = False
    assert call(f, p, q).dtype == dtype
    assert call(f, p, q).shape == (N,)
    if f is not perplexity:
        assert call(f, p, q, unit="bits").dtype == dtype
    assert surprisal(p, unit="bits").dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("C", [2, 10, 1000])
def test_a_softmax_is_a_distribution(C, dtype):
    z = np.random.default_rng(0).normal(size=(N, C)).astype(dtype) * 10
    assert (entropy(F.softmax(z)) > 0).all()


@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        (np.array([0.5, -0.5, 1]), ValueError, r"p must hold probabilities.*got -0.5 at \(1,\)"),
        (np.array([[0.5, 0.5], [np.nan, 1]]), ValueError, r"got nan at \(1, 0\)"),
        (np.array([np.inf, 0]), ValueError, r"got inf at \(0,\)"),
        (np.array([[1, 0], [0.3, 0.6]]), ValueError, r"sum to 1 along axis -1.*0.8999.* at \(1,\)"),
        (np.array([0.5, 0.5 + 3 * U * 2]), ValueError, r"p must sum to 1.*float64, got 1\.0{14}"),
        (np.array(1.0), ValueError, "p must have an axis of classes, got a single number"),
        (np.array([0, 1]), TypeError, "p must be floating point, got int64"),
        ([0.5, 0.5], TypeError, "p must be a NumPy array, got list"),
        (np.array([0.5, 0.5j]), TypeError, "p must be real, got complex128"),
    ],
)
@pytest.mark.parametrize("f", ALL)
def test_what_is_no_distribution_is_refused(f, p, error, message):
    with pytest.raises(error, match=message):
        call(f, p, p)


@pytest.mark.parametrize("f", ALL)
def test_anything_but_one_axis_is_refused(f):
    with pytest.raises(TypeError, match=r"axis must be an integer, got \(0, 1\)"):
        call(f, SOFT, SOFT, axis=(0, 1))
    with pytest.raises(ValueError, match="axis 1 is out of bounds"):
        call(f, SOFT, SOFT, axis=1)


def test_the_tolerance_of_the_sum_is_that_of_the_dtype():
    p = F.softmax(np.random.default_rng(0).normal(size=(99, 10)).astype(np.float32))
    entropy(p)
    with pytest.raises(ValueError, match="rounding in float64"):
        entropy(p.astype(np.float64))


@pytest.mark.parametrize("f", PAIRS)
def test_the_second_distribution_is_checked_too(f):
    with pytest.raises(ValueError, match=r"q must sum to 1 along axis -1.*got 0.5"):
        f(np.array([0.5, 0.5]), np.array([0.5, 0]))
    with pytest.raises(ValueError, match=r"q must have the shape of p \(1, 2\), got \(2,\)"):
        f(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]))


def test_surprisal_refuses_what_is_no_probability():
    for p in (1 + 2 * U, -U, math.nan):
        with pytest.raises(ValueError, match=r"p must hold probabilities in \[0, 1\]"):
            surprisal(np.array([p]))


@pytest.mark.parametrize("f", [f for f in ALL if f is not perplexity])
def test_other_units_are_refused(f):
    with pytest.raises(ValueError, match='unit must be "nats" or "bits", got \'bans\''):
        call(f, SOFT, SOFT, unit="bans")


def test_the_series_has_enough_terms():
    """The first one left out, at s = 1/8, is below a rounding of the sum, which starts with d s."""
    s = information.NEAR
    left_out = 2 * s**21 / 21 / (1 - s**2)  # a geometric bound on the rest, for p = 1
    assert left_out < U * (2 * s * s - 2 * s**3)


def test_a_probability_that_rounding_took_above_1_leaves_no_negative_entropy():
    p = np.array([1 + 2 * U, 0])
    assert entropy(p) == cross_entropy(p, p) == 0
    assert perplexity(p) == 1
