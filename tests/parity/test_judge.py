"""The three-way verdict: ours, torch's, and the right answer; the guilty side is named."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import scratchnn.functional as F
from parity.ops import OPS
from parity.search.sides import judge

Z = np.array([[1.0, 2.0, 4.0], [0.5, -1.0, 0.0]], np.float32)
CASE = {"z": Z, "axis": 1}


def softmax_backward_of_ours(dy, z, axis):
    return (F.softmax_backward(dy, F.softmax(z, axis), axis),)


def slightly_more(array):
    return array * (1 + 64 * np.finfo(array.dtype).eps)


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
    ("changed", "guilty", "quantity"),
    [
        ({"ours": lambda z, axis: slightly_more(F.softmax(z, axis))}, "NumPy", 0),
        (
            {"backward": lambda *case, **more: tuple(
                map(slightly_more, softmax_backward_of_ours(*case, **more))
            )},
            "NumPy", 1,
        ),
        ({"torch": lambda z, axis: torch.softmax(z, axis).mul(1.25).detach() + 0 * z},
         "torch cpu", 0),
    ],
)  # fmt: skip
def test_judge_names_the_guilty_side(changed, guilty, quantity, dtype):
    verdicts = judge(replace(OPS["softmax"], **changed), {"z": Z.astype(dtype), "axis": 1})
    assert verdicts[quantity].guilty == (guilty,)
    assert f"  {guilty}[" in str(verdicts[quantity])
    assert str(verdicts[quantity]).count("LEFT its bound") == 1


def test_judge_names_torch_where_torch_itself_is_wrong(monkeypatch):
    assert all(verdict.holds for verdict in judge(OPS["sigmoid"], {"z": Z}))
    monkeypatch.setattr(torch, "sigmoid", torch.tanh)
    value, gradient = judge(OPS["sigmoid"], {"z": Z})
    assert value.guilty == gradient.guilty == ("torch cpu",)


def test_judge_names_both_where_both_are_wrong():
    op = replace(
        OPS["softmax"], ours=lambda z, axis: 1 - F.softmax(z, axis), torch=lambda z, axis: 2 * z
    )
    assert judge(op, CASE)[0].guilty == ("NumPy", "torch cpu")


def test_judge_says_where_and_how_wrong():
    def off_by_a_half(z, axis):
        p = F.softmax(z, axis)
        p[1, 2] += np.float32(0.5)
        return p

    ours, _ = judge(replace(OPS["softmax"], ours=off_by_a_half), CASE)[0].errors
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
    ("ours", "error", "message"),
    [
        (lambda z, axis: F.softmax(z, axis)[:1], ValueError, r"NumPy has shape \(1, 3\), must"),
        (lambda z, axis: F.softmax(z.astype(float), axis), TypeError, "NumPy has dtype float64"),
    ],
)  # fmt: skip
def test_judge_is_strict_about_shape_and_dtype(ours, error, message):
    with pytest.raises(error, match=message):
        judge(replace(OPS["softmax"], ours=ours), CASE)
