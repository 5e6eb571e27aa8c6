"""Every operation and torch's against the right answer: values and gradients, generated inputs."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import scratchnn.functional as F
from parity import cases
from parity.judge import compare, gradient_bounds, judge
from parity.ops import OPS, as_tuple

CUDA = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPS)
def test_op_agrees_with_torch(name, dtype, device):
    op = OPS[name]

    @given(op.cases(dtype), st.integers(0, 2**32 - 1))
    def check(case, dy_seed):
        for verdict in judge(op, case, dy_seed, [device]):
            assert verdict.holds, str(verdict)

    check()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPS)
def test_op_agrees_with_torch_on_typical_and_extreme_cases(name, dtype):
    op = OPS[name]
    for case in (op.typical(dtype), *(op.extreme(what, dtype) for what in op.extremes)):
        for verdict in judge(op, case):
            assert verdict.holds, str(verdict)


@pytest.mark.parametrize("name", OPS)
def test_op_has_the_values_found_by_hand(name):
    op = OPS[name]
    assert op.hand
    for case, value in op.hand_cases():
        assert compare(name, op.ours(**case), value, 4 * np.finfo(float).eps).holds


def test_every_operation_has_a_complete_row():
    functions = {
        name for name in F.__all__ if "_backward" not in name and "_with_gradient" not in name
    }
    assert functions == {op.function for op in OPS.values()}
    assert all(op.missing == () for op in OPS.values())


@pytest.mark.parametrize("name", OPS)
def test_sides_take_the_same_arguments(name):
    """The arguments of a case go to each side by name."""
    op = OPS[name]
    case = op.typical(np.float32)
    assert set(case) == {*op.arguments, *op.options}
    assert set(op.defaults) == set(op.options)
    gradients = as_tuple(op.backward(op.ours(**case), **case))
    assert [gradient.shape for gradient in gradients] == [case[name].shape for name in op.inputs]
    for function in (op.ours, op.backward, op.exact, op.exact_backward, op.theirs):
        inspect.signature(function).bind_partial(**case)
    for function in (op.bound, op.backward_bound):
        precision = {"u": 0.0} | ({"factors": 0.0} if op.products else {})
        inspect.signature(function).bind_partial(**case, **precision)


@pytest.mark.parametrize("name", OPS)
def test_plain_cases_are_arrays_of_the_given_shape(name):
    op = OPS[name]
    case = op.plain((3, 4, 6) if op.products else (3, 4), np.float64)
    assert set(case) == set(op.arguments)
    assert case[op.inputs[0]].shape == (3, 4)
    assert all(case[name].dtype == np.float64 for name in op.inputs)
    assert np.isfinite(op.ours(**case)).all()
    again = op.plain((3, 4, 6) if op.products else (3, 4), np.float64)
    assert all(np.array_equal(case[name], again[name]) for name in case)


def test_backward_is_handed_the_result_where_it_takes_it():
    handed = {op.name for op in OPS.values() if op.backward_takes_result}
    assert {"softmax", "relu"} <= handed
    for name in handed:
        op = OPS[name]
        case = op.typical(np.float64)
        y = op.ours(**case)
        with_result = op.backward(y, **case, **{op.result: y})
        (bound,) = gradient_bounds(op, case, y)
        difference = compare(name, with_result, op.backward(y, **case), 2 * bound)
        assert difference.holds, str(difference)


def test_row_says_what_is_missing():
    op = replace(OPS["relu"], name="no_such_operation")
    assert op.missing == ("theirs", "exact", "exact_backward", "bound", "backward_bound")
    with pytest.raises(LookupError, match=r"parity\.oracle has no no_such_operation yet"):
        op.exact  # noqa: B018
    with pytest.raises(LookupError, match=r"parity\.bounds or parity\.loss_bounds has no no_such"):
        op.bound  # noqa: B018


def test_operation_that_torch_does_not_have_is_judged_without_it(monkeypatch):
    monkeypatch.delattr("torch.nn.functional.sigmoid")
    value, gradient = judge(OPS["sigmoid"], OPS["sigmoid"].typical(np.float32))
    assert value.holds
    assert gradient.holds
    assert [error.side for error in value.errors] == ["NumPy"]


def test_every_extreme_case_is_of_some_operation():
    assert set(cases.EXTREMES) == {name for op in OPS.values() for name in op.extremes}
