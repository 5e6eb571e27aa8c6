"""What a backend times is what its users would run, and nothing more."""

import numpy as np
import pytest
import torch

import scratchnn.functional as F
from benchmarks import ops
from benchmarks.backends import BACKENDS
from benchmarks.backends.on_torch import OnTorch, function
from benchmarks.cases import OPS, cases
from benchmarks.checks import check
from benchmarks.inputs import op_inputs
from benchmarks.work import results_of, work_of
from parity import later

CASES = {case.kind: case for case in reversed(cases("digits", quick=True))}


def small(name):
    return op_inputs(name, (5, 3, 4) if name == "linear" else (5, 3))


@pytest.mark.parametrize("name", ["relu", "softmax", "log_softmax"])
def test_ours_computes_a_value_once(name, monkeypatch):
    """The backward gets the value; to compute it again, parity's row asks F for it."""
    work, (dy, arguments) = ops.ours(name), small(name)
    expected = ops.row(name).backward(dy, **arguments, **ops.options(name))
    monkeypatch.setattr(F, name, None)
    _, gradient = work(dy, **arguments)
    np.testing.assert_array_equal(gradient, expected[0])


@pytest.mark.parametrize("name", OPS)
def test_ours_and_torch_have_a_gradient_of_each_input_but_a_target(name):
    dy, arguments = small(name)
    count = 1 + len([key for key in arguments if key != "target"])
    assert len(ops.ours(name)(dy, **arguments)) == count
    assert len(OnTorch().op(name, dy, arguments).result()) == count
    assert len(ops.limits(name, dy, arguments, tf32=False)) == count


def test_limits_of_tf32_are_wider_for_products_alone():
    for name in ("linear", "softmax"):
        dy, arguments = small(name)
        wide, narrow = (ops.limits(name, dy, arguments, tf32=tf32)[0] for tf32 in (True, False))
        assert (wide > narrow).all() == (name == "linear")


def test_torch_linear_has_its_own_layout(monkeypatch):
    weights, real = [], torch.nn.functional.linear

    def linear(X, W, b):
        weights.append(W)
        return real(X, W, b)

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    _, _, dW, _ = OnTorch().op("linear", *small("linear")).result()
    assert weights[0].shape == (4, 3)
    assert weights[0].is_contiguous()
    assert dW.shape == (3, 4)


@pytest.mark.parametrize("name", OPS)
def test_torch_function_looks_nothing_up(name, monkeypatch):
    """An import at each call would be part of torch's time."""
    dy, arguments = small(name)
    work = OnTorch().op(name, dy, arguments)
    work.run()
    monkeypatch.setattr(later, "need", None)
    work.run()
    assert function(torch, "kl_div") is not ops.row("kl_div").torch  # it changes warning filters


@pytest.mark.parametrize("kind", ["op", "step", "epoch", "inference"])
def test_jax_is_checked_in_float64_and_timed_without_it(kind):
    """The check in float64 would fail in float32; every array of what is timed has 32 bits."""
    jax = pytest.importorskip("jax")
    backend, case = BACKENDS["JAX"].open(), CASES[kind]
    found = check(case, results_of(backend, case))
    assert found.holds, found.what
    before = {id(array) for array in jax.live_arrays()}
    run, _ = work_of(backend, case)
    done = run()
    made = [array for array in jax.live_arrays() if id(array) not in before]
    assert done is not None or made
    assert {array.dtype.itemsize for array in made} == {4}
    assert not jax.config.jax_enable_x64
