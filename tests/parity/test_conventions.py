"""torch beside the textbook: that they differ, and that the conversion makes them agree.

The numbers are short binary fractions, so that every result is exact.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as torch_F

import scratchnn.functional as F
from parity import conventions, loss_bounds
from parity.bounds import unit_roundoff
from parity.ops import OPS
from tests.helpers import assert_within

PREDICTION = torch.tensor([0.5, -2.0, 0.25, 3.0], dtype=torch.float64)
TARGET = torch.tensor([0.25, 1.0, 0.25, 2.5], dtype=torch.float64)


def test_weight_layout_is_transposed():
    X, W = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    linear = torch.nn.Linear(3, 4, bias=False, dtype=torch.float64)
    assert tuple(linear.weight.shape) == (4, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(conventions.weight(W)))
        assert (linear(torch.from_numpy(X)).numpy() == X @ W).all()
    assert (conventions.weight(linear.weight).detach().numpy() == W).all()


def test_mse_has_no_half():
    textbook = F.squared_loss(PREDICTION.numpy(), TARGET.numpy())
    assert torch_F.mse_loss(PREDICTION, TARGET) == 2 * textbook
    assert conventions.squared_loss(PREDICTION, TARGET) == textbook


def test_smooth_l1_is_huber_over_beta():
    smooth = torch_F.smooth_l1_loss(PREDICTION, TARGET, beta=0.5)
    assert torch_F.huber_loss(PREDICTION, TARGET, delta=0.5) == smooth / 2
    assert conventions.smooth_l1_loss(PREDICTION, TARGET, beta=0.5) == smooth
    assert torch_F.huber_loss(PREDICTION, TARGET) == torch_F.smooth_l1_loss(PREDICTION, TARGET)


def test_kl_mean_is_no_divergence():
    """KL of (1/2, 1/4, 1/8, 1/8) from the uniform distribution is 1/4 bit."""
    p = torch.tensor([[0.5, 0.25, 0.125, 0.125]] * 3, dtype=torch.float64)
    log_q = torch.full_like(p, -math.log(4))
    options = {"log_q": log_q.numpy(), "target": p.numpy(), "log_target": False}
    bound = loss_bounds.kl_div(**options, reduction="batchmean", u=unit_roundoff(np.float64))
    divergence = conventions.kl_divergence(log_q, p)
    assert_within(divergence.numpy(), math.log(2) / 4, bound)
    assert conventions.kl_div(log_q, p, reduction="mean") == divergence / 4
    with pytest.warns(UserWarning, match="batchmean"):
        torch_F.kl_div(log_q, p, reduction="mean")


def test_bce_of_probabilities_is_clamped_at_100():
    p, target = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    assert torch_F.binary_cross_entropy(p, target) == 100
    assert conventions.binary_cross_entropy(p, target) == math.inf
    assert conventions.binary_cross_entropy(p, 1 - target) == 0


def test_bce_with_logits_is_not_clamped():
    z, target = torch.tensor([-256.0]), torch.ones(1)
    assert torch_F.binary_cross_entropy_with_logits(z, target) == 256
    assert torch_F.binary_cross_entropy(torch.sigmoid(z), target) == 100
    assert F.binary_cross_entropy_with_logits(z.numpy(), target.numpy()) == 256


def test_bce_agrees_with_the_textbook_between():
    p, target = torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.0])
    assert torch_F.binary_cross_entropy(p, target) == conventions.binary_cross_entropy(p, target)


def by_torch(rates, change):
    """Minimize θ²/2 from 1 by torch's SGD; return the path, and the last velocity."""
    theta = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([theta], rates[0], momentum=0.5)
    path = []
    for rate in rates:
        change(optimizer, rate)
        optimizer.zero_grad()
        (theta.square() / 2).backward()
        optimizer.step()
        path.append(theta.item())
    return path, conventions.momentum_buffer(optimizer, theta)


def by_textbook(rates):
    """The same by v = momentum v - rate g, θ += v."""
    theta, v, path = 1.0, 0.0, []
    for rate in rates:
        v = 0.5 * v - rate * theta
        theta += v
        path.append(theta)
    return path, v


def set_rate(optimizer, rate):
    optimizer.param_groups[0]["lr"] = rate


CONSTANT, CHANGING = [0.25] * 5, [0.25, 0.25, 0.125, 0.125, 0.5]


def test_momentum_at_a_constant_rate_is_sutskevers():
    (path, buffer), (textbook, v) = by_torch(CONSTANT, set_rate), by_textbook(CONSTANT)
    assert path == textbook
    assert buffer.item() != v
    assert conventions.sutskever_velocity(buffer, 0.25).item() == v


def test_momentum_differs_where_the_rate_changes():
    path, textbook = by_torch(CHANGING, set_rate)[0], by_textbook(CHANGING)[0]
    assert path[:2] == textbook[:2]
    assert all(ours != theirs for ours, theirs in zip(path[2:], textbook[2:], strict=True))
    path, buffer = by_torch(CHANGING, conventions.change_learning_rate)
    assert path == textbook
    assert conventions.sutskever_velocity(buffer, 0.5).item() == by_textbook(CHANGING)[1]


def test_momentum_takes_the_first_gradient_undampened():
    theta = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([theta], 0.25, momentum=0.5, dampening=0.5)
    assert conventions.momentum_buffer(optimizer, theta) is None
    for v in (1.0, 0.5 * 1 + 0.5 * 0.75):
        optimizer.zero_grad()
        (theta.square() / 2).backward()
        optimizer.step()
        assert conventions.momentum_buffer(optimizer, theta) == v


def test_every_convention_is_in_the_table():
    page = (Path(__file__).parents[2] / "docs/conventions.md").read_text()
    functions = {
        name for name, value in vars(conventions).items()
        if callable(value) and getattr(value, "__module__", "") == conventions.__name__
    }  # fmt: skip
    assert {name for name in functions if f"`{name}`" not in page} == {"correct"}


def test_page_has_the_convention_of_each_operation():
    page = (Path(__file__).parents[2] / "docs/conventions.md").read_text()
    for op in OPS.values():
        assert not op.convention or f"| {op.name} | {op.convention} |\n" in page
