"""What a backend times is what its users would run, and nothing more."""

import numpy as np
import pytest
import torch

import scratchnn.functional as F
from benchmarks import ops
from benchmarks.backends import BACKENDS
from benchmarks.backends.on_torch import OnTorch, function
from benchmarks.cases import NotRunError, cases
from benchmarks.checks import check
from benchmarks.worker import results_of, work_of
from parity import bounds, theirs
from parity.ops import OPS, as_tuple

CASES = {case.kind: case for case in reversed(cases("digits", quick=True))}


def small(name):
    return ops.inputs(name, (5, 4, 6) if ops.row(name).products else (5, 3))


def test_every_operation_of_paritys_table_is_timed():
    """But for its variants; one has a second implementation of ours."""
    assert set(ops.NAMES) == {op.function for op in OPS.values()} | {ops.FUSED}
    shapes = {case.op: case.shape for case in cases("digits") if case.kind == "op"}
    assert set(shapes) == set(ops.NAMES)
    assert all((len(shape) == 3) == ops.row(name).products for name, shape in shapes.items())


@pytest.mark.parametrize("name", [name for name in ops.NAMES if ops.row(name).products])
def test_layers_have_the_shape_that_the_case_says(name):
    dy, arguments = ops.inputs(name, (5, 4, 6))
    assert (arguments["X"].shape, dy.shape) == ((5, 4), (5, 6))


@pytest.mark.parametrize(
    "name", [name for name, op in OPS.items() if op.backward_takes_result and "," not in name]
)
def test_ours_computes_a_value_once(name, monkeypatch):
    """The backward gets the value; to compute it again, it would ask its module for it."""
    dy, arguments = small(name)
    work, calls = ops.ours(name, dy, arguments), []
    f, op = getattr(F, name), ops.row(name)
    expected = as_tuple(op.backward(dy, **arguments, **{op.result: f(**arguments)}))
    module = __import__(f.__module__, fromlist=[name])
    monkeypatch.setattr(module, name, lambda *a, **k: calls.append(name) or f(*a, **k))
    _, *gradients = work()
    assert not calls  # the one call of `work` was looked up before
    for gradient, right in zip(gradients, expected, strict=True):
        np.testing.assert_array_equal(gradient, right)


@pytest.mark.parametrize("name", ops.NAMES)
def test_ours_and_torch_have_a_gradient_of_each_floating_point_argument(name):
    dy, arguments = small(name)
    floats = [v for v in arguments.values() if getattr(v, "dtype", None) == np.float32]
    shapes = [dy.shape, *(array.shape for array in floats)]
    for results in (
        ops.ours(name, dy, arguments)(),
        OnTorch().op(name, dy, arguments).result(),
        ops.limits(name, dy, arguments),
    ):
        assert [result.shape for result in results] == shapes


def test_limits_of_tf32_are_wider_for_products_alone():
    for name in ("linear", "softmax"):
        dy, arguments = small(name)
        wide, narrow = (ops.limits(name, dy, arguments, f)[0] for f in (bounds.TF32, 0.0))
        assert (wide > narrow).all() == (name == "linear")


def test_torch_linear_has_its_own_layout(monkeypatch):
    weights, real = [], torch.nn.functional.linear

    def linear(X, W, b):
        weights.append(W)
        return real(X, W, b)

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    _, _, dW, _ = OnTorch().op("linear", *small("linear")).result()
    assert weights[0].shape == (6, 4)
    assert weights[0].is_contiguous()
    assert dW.shape == (4, 6)


@pytest.mark.parametrize("name", ops.NAMES)
def test_torch_function_imports_nothing(name, monkeypatch):
    """An import at each call would be part of torch's time."""
    work = OnTorch().op(name, *small(name))
    work.run()
    monkeypatch.setattr(theirs, "need", None)
    work.run()
    assert function("kl_div") is torch.nn.functional.kl_div  # parity's changes warning filters


def test_jax_says_which_operation_it_lacks(monkeypatch):
    pytest.importorskip("jax")
    from benchmarks.backends import on_jax

    monkeypatch.delitem(on_jax.FUNCTIONS, "kl_div")
    with pytest.raises(NotRunError, match=r"on_jax\.py has no kl_div"):
        on_jax.OnJax().op("kl_div", *small("kl_div"))


@pytest.mark.parametrize("name", ops.NAMES)
def test_jax_has_every_operation(name):
    pytest.importorskip("jax")
    case = next(case for case in cases("digits", quick=True) if case.op == name)
    found = check(case, results_of(BACKENDS["JAX"].open(), case))
    assert found.holds, found.what


@pytest.mark.parametrize("kind", ["op", "step", "epoch", "inference"])
def test_jax_is_checked_in_float64_and_timed_without_it(kind):
    """The check in float64 would fail in float32; every array of what is timed has 32 bits."""
    jax = pytest.importorskip("jax")
    backend, case = BACKENDS["JAX"].open(), CASES[kind]
    found = check(case, results_of(backend, case))
    assert found.holds, found.what
    before = {id(array) for array in jax.live_arrays()}
    run = work_of(backend, case)
    done = run()
    made = [array for array in jax.live_arrays() if id(array) not in before]
    assert done is not None or made
    assert {array.dtype.itemsize for array in made} == {4}
    assert not jax.config.jax_enable_x64
