"""What `parity check` hands to a backward, and which gradients it reads: caches, dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

import parity

# ---- a cache that the forward returns is what its backward gets ---------------------------------


def tanh_with_cache(x):
    return np.tanh(x), x


def tanh_by_the_cache(dout, cache):
    return dout * (1 - np.tanh(cache) ** 2)


def tanh_as_if_of_the_result(dout, cache):
    x = cache
    return dout * (1 - x * x)


def sigmoid_with_cache(Z):
    return np.exp(-np.logaddexp(0, -Z)), Z


def sigmoid_as_if_of_the_result(dA, activation_cache):
    return dA * activation_cache * (1 - activation_cache)


def softplus_with_cache(x):
    return np.logaddexp(0, x), x


def softplus_as_if_of_the_result(dout, cache):
    return dout * (1 - np.exp(-cache))


def tanh_alone(x):
    return np.tanh(x)


CACHES = [
    (tanh_with_cache, tanh_by_the_cache, "tanh", "right"),
    (tanh_with_cache, tanh_as_if_of_the_result, "tanh", "wrong"),
    (sigmoid_with_cache, sigmoid_as_if_of_the_result, "sigmoid", "wrong"),
    (softplus_with_cache, softplus_as_if_of_the_result, "softplus", "wrong"),
    (tanh_alone, tanh_as_if_of_the_result, "tanh", "right"),  # it returns no cache: the result
]


@pytest.mark.parametrize(("forward", "backward", "op", "grade"), CACHES)
def test_check_hands_a_backward_the_cache_that_its_forward_returned(forward, backward, op, grade):
    report = parity.check(forward, op, backward)
    assert report.of("value") == "right", str(report)
    assert report.of("gradient") == grade, str(report)
    assert ("cache = the result" in report.backward) == (forward is tanh_alone)
