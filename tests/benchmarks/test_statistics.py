"""What is said about a handful of times."""

import numpy as np
import pytest

from benchmarks.results import exponent, ratios, summary


def test_summary_is_the_median_and_the_quartiles():
    assert summary([5.0, 1.0, 4.0, 2.0, 3.0]) == (3.0, 2.0, 4.0)
    with pytest.raises(ValueError, match="at least one figure, got none"):
        summary([])


def test_ratios_cancel_what_slows_both_down():
    assert ratios([2.0, 6.0, 4.0], [1.0, 3.0, 2.0]) == [2.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_exponent_finds_the_power_of_the_upper_half(power):
    sizes = np.array([1, 4, 16, 64, 256, 1024])
    times = 1e-6 * sizes**power
    times[:2] = 1.0  # the cost of a call
    shuffled = np.random.default_rng(0).permutation(6)
    assert exponent(sizes[shuffled], times[shuffled]) == pytest.approx(power, abs=1e-12)


def test_exponent_refuses_a_single_size():
    with pytest.raises(ValueError, match="two or more pairs, got 1 and 1"):
        exponent([1], [1.0])
