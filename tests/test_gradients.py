"""Every public f of scratchnn.functional has the gradient that its f_backward returns."""

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn import gradcheck
from tests.samples import DTYPES, PAIRS, samples


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_every_public_pair_passes(name, dtype):
    for arguments, options in samples(name, dtype):
        report = gradcheck.check(
            getattr(F, name), getattr(F, f"{name}_backward"), *arguments, options=options
        )
        assert report.ok, f"options {options}\n{report}"


@pytest.mark.parametrize("name", PAIRS)
def test_every_public_pair_fails_with_a_slightly_wrong_gradient(name):
    def backward(dy, *arguments, **options):
        gradients = getattr(F, f"{name}_backward")(dy, *arguments, **options)
        several = isinstance(gradients, tuple)
        return tuple(1.001 * dx for dx in gradients) if several else 1.001 * gradients

    for arguments, options in samples(name, np.float64):
        report = gradcheck.check(getattr(F, name), backward, *arguments, options=options)
        assert not report.ok
        assert "constant factor: the gradient is 1.001 times" in report.causes, report


def test_a_pair_without_sample_arguments_fails():
    with pytest.raises(AssertionError, match="softsign has no sample arguments: add a method"):
        samples("softsign", np.float64)
