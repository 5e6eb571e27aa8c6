"""TF32, real or simulated: its own bound allows it, that of float32 refuses it."""

import numpy as np
import pytest
import torch

from parity import bounds, devices
from parity.devices import tf32
from parity.ops import OPS
from parity.search.sides import judge

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device"
))]  # fmt: skip


def case(dtype=np.float32, rows=(64,), D=784, H=10):
    rng = np.random.default_rng(0)
    shapes = {"X": (*rows, D), "W": (D, H), "b": (H,)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("analysis", bounds.ANALYSES)
@pytest.mark.parametrize("device", DEVICES)
def test_tf32_keeps_to_its_bound_and_leaves_that_of_float32(device, analysis):
    with bounds.analysis(analysis):
        own = judge(OPS["linear"], case(), 0, [device], "tf32")
        as_float32 = judge(OPS["linear"], case(), 0, [device], "tf32", judged_as="ieee")
    assert all(verdict.holds for verdict in own)
    wrong = {verdict.quantity: verdict.guilty for verdict in as_float32 if verdict.guilty}
    assert set(wrong.values()) == {(f"torch {device}",)}
    assert "linear, dW" in wrong
    if analysis != "worst-case":
        assert set(wrong) == {"linear", "linear, dX", "linear, dW"}  # db is a sum, no product


@pytest.mark.parametrize("device", DEVICES)
def test_float64_is_no_tf32(device):
    verdicts = judge(OPS["linear"], case(np.float64, D=5), 0, [device], "tf32", judged_as="ieee")
    assert all(verdict.holds for verdict in verdicts)


def test_shorten_keeps_10_bits_and_rounds_halves_up():
    ulp = 2.0**-10
    x = torch.tensor([1 + ulp, 1 + ulp / 2, 1 + ulp / 4, -1 - 0.75 * ulp, 0.0, 3e-39])
    assert tf32.shorten(x)[:5].tolist() == [1 + ulp, 1 + ulp, 1.0, -1 - ulp, 0.0]
    assert (abs(tf32.shorten(x) - x) <= bounds.TF32 / 2 * abs(x) + torch.finfo(x.dtype).tiny).all()


@pytest.mark.parametrize("rows", [(), (2,), (2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_simulated_linear_has_torchs_shapes_and_gradients(rows, bias):
    """Factors of few bits are exact in TF32, and whole sums are exact in any order."""
    rng = np.random.default_rng(1)
    shapes = (*rows, 3), (4, 3), (4,)
    results = []
    for linear in (torch.nn.functional.linear, tf32.linear):
        rng = np.random.default_rng(1)
        tensors = [
            torch.tensor(rng.integers(-8, 8, shape).astype(np.float32), requires_grad=True)
            for shape in shapes[: 3 if bias else 2]
        ]
        Y = linear(*tensors)
        results.append([Y, *torch.autograd.grad(Y, tensors, torch.ones_like(Y) * 3)])
    for theirs, ours in zip(*results, strict=True):
        assert torch.equal(theirs, ours)


def test_products_are_ieee_again_after_the_block():
    X, W = (torch.tensor(case()[name]) for name in "XW")
    before = torch.nn.functional.linear(X, W.T)
    with devices.products("cpu", "tf32"):
        inside = torch.nn.functional.linear(X, W.T)
    assert not torch.equal(before, inside)
    assert torch.equal(before, torch.nn.functional.linear(X, W.T))
