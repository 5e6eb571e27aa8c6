"""torch compared with the textbook: that they differ, and that the conversion makes them agree.

The numbers are short binary fractions, so that every result is exact.
"""

import math
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as torch_F

import scratchnn.functional as F
from parity import loss_bounds, theirs
from parity.bounds import unit_roundoff
from scratchnn.objectives import OBJECTIVES
from scratchnn.optim import SGD
from tests.helpers import assert_within

PREDICTION = torch.tensor([0.5, -2.0, 0.25, 3.0], dtype=torch.float64)
TARGET = torch.tensor([0.25, 1.0, 0.25, 2.5], dtype=torch.float64)


# The textbook's side, from torch's: docs/conventions.md


def huber_over_beta(prediction, target, beta):
    """Return smooth L1 from Huber's loss: they differ by the factor beta, and agree at 1."""
    return torch_F.huber_loss(prediction, target, delta=beta) / beta


def kl_divergence(log_q, p):
    """Return KL(p ‖ q) per row, the mean of all rows: torch's "mean" divides by N C, not by N."""
    return theirs.kl_div(log_q, p, reduction="batchmean")


def binary_cross_entropy(p, target):
    """Return the textbook's mean -t log p - (1 - t) log(1 - p): infinite where p = 0 and t = 1.

    torch's function of this name takes no logarithm to be less than -100.
    """
    return -(torch.xlogy(target, p) + torch.xlogy(1 - target, 1 - p)).mean()


def momentum_buffer(sgd, parameter):
    """Return torch's velocity v of a parameter; None before the first step or without momentum.

    v = momentum v + (1 - dampening) g, and v = g at the first step.
    """
    return sgd.state[parameter].get("momentum_buffer")


def sutskever_velocity(buffer, learning_rate):
    """Return the textbook's velocity, v = momentum v - learning_rate g with θ += v, from torch's.

    Each gradient in it keeps the learning rate of its own step; torch's has that of today alone.
    """
    return -learning_rate * buffer


def change_learning_rate(sgd, learning_rate):
    """Change the learning rate as the textbook's momentum does: old gradients keep their own."""
    for group in sgd.param_groups:
        for parameter in group["params"]:
            buffer = momentum_buffer(sgd, parameter)
            if buffer is not None:
                buffer *= group["lr"] / learning_rate
        group["lr"] = learning_rate


def test_weight_layout_is_transposed():
    X, W = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    linear = torch.nn.Linear(3, 4, bias=False, dtype=torch.float64)
    assert tuple(linear.weight.shape) == (4, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(theirs.weight(W)))
        assert (linear(torch.from_numpy(X)).numpy() == X @ W).all()
    assert (theirs.weight(linear.weight).detach().numpy() == W).all()


def test_mse_has_no_half():
    textbook = F.squared_loss(PREDICTION.numpy(), TARGET.numpy())
    assert torch_F.mse_loss(PREDICTION, TARGET) == 2 * textbook
    assert theirs.squared_loss(PREDICTION, TARGET) == textbook


def test_smooth_l1_is_huber_over_beta():
    smooth = torch_F.smooth_l1_loss(PREDICTION, TARGET, beta=0.5)
    assert torch_F.huber_loss(PREDICTION, TARGET, delta=0.5) == smooth / 2
    assert huber_over_beta(PREDICTION, TARGET, beta=0.5) == smooth
    assert torch_F.huber_loss(PREDICTION, TARGET) == torch_F.smooth_l1_loss(PREDICTION, TARGET)


def test_kl_mean_is_no_divergence():
    """KL of (1/2, 1/4, 1/8, 1/8) from the uniform distribution is 1/4 bit."""
    p = torch.tensor([[0.5, 0.25, 0.125, 0.125]] * 3, dtype=torch.float64)
    log_q = torch.full_like(p, -math.log(4))
    options = {"log_q": log_q.numpy(), "target": p.numpy(), "log_target": False}
    bound = loss_bounds.kl_div(**options, reduction="batchmean", u=unit_roundoff(np.float64))
    divergence = kl_divergence(log_q, p)
    assert_within(divergence.numpy(), math.log(2) / 4, bound)
    assert theirs.kl_div(log_q, p, reduction="mean") == divergence / 4
    with pytest.warns(UserWarning, match="batchmean"):
        torch_F.kl_div(log_q, p, reduction="mean")


def test_bce_of_probabilities_is_clamped_at_100():
    p, target = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    assert torch_F.binary_cross_entropy(p, target) == 100
    assert binary_cross_entropy(p, target) == math.inf
    assert binary_cross_entropy(p, 1 - target) == 0


def test_bce_with_logits_is_not_clamped():
    z, target = torch.tensor([-256.0]), torch.ones(1)
    assert torch_F.binary_cross_entropy_with_logits(z, target) == 256
    assert torch_F.binary_cross_entropy(torch.sigmoid(z), target) == 100
    assert F.binary_cross_entropy_with_logits(z.numpy(), target.numpy()) == 256


def test_bce_agrees_with_the_textbook_between():
    p, target = torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.0])
    assert torch_F.binary_cross_entropy(p, target) == binary_cross_entropy(p, target)


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
    return path, momentum_buffer(optimizer, theta)


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
    assert sutskever_velocity(buffer, 0.25).item() == v


def test_momentum_differs_where_the_rate_changes():
    path, textbook = by_torch(CHANGING, set_rate)[0], by_textbook(CHANGING)[0]
    assert path[:2] == textbook[:2]
    assert all(ours != theirs for ours, theirs in zip(path[2:], textbook[2:], strict=True))
    path, buffer = by_torch(CHANGING, change_learning_rate)
    assert path == textbook
    assert sutskever_velocity(buffer, 0.5).item() == by_textbook(CHANGING)[1]


def test_momentum_takes_the_first_gradient_undampened():
    theta = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([theta], 0.25, momentum=0.5, dampening=0.5)
    assert momentum_buffer(optimizer, theta) is None
    for v in (1.0, 0.5 * 1 + 0.5 * 0.75):
        optimizer.zero_grad()
        (theta.square() / 2).backward()
        optimizer.step()
        assert momentum_buffer(optimizer, theta) == v


def test_optimizer_has_our_settings():
    theta = torch.ones(3)
    ours = SGD(0.25, momentum=0.5, weight_decay=0.125, nesterov=True)
    group = theirs.optimizer([theta], ours).param_groups[0]
    assert group["lr"] == 0.25
    for name in ("momentum", "dampening", "weight_decay", "nesterov", "maximize"):
        assert group[name] == getattr(ours, name)


@pytest.mark.parametrize("name", [n for n, goal in OBJECTIVES.items() if goal.classes])
def test_right_answers_are_counted_as_ours(name):
    objective, rng = OBJECTIVES[name], np.random.default_rng(0)
    z = rng.normal(size=(40, 1 if name == "two_classes" else 3))
    target = rng.integers(2, size=40)
    found = int(theirs.right(torch.tensor(z), torch.tensor(target)).sum())
    assert found == objective.correct(z, target)
    assert 0 < found < 40


def test_torch_is_missing_only_where_it_is_used(monkeypatch):
    monkeypatch.setattr(theirs, "torch", theirs._Torch())
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="torch, which is not installed: in a checkout"):
        theirs.logsumexp(None)
    with pytest.raises(ImportError, match="torch, which is not installed"):
        theirs.operation("relu")(None)


def test_operation_is_torchs_own_where_this_file_has_none():
    """Its first argument is called `input`, whatever ours is called."""
    softplus = theirs.operation("softplus", "z")
    expected = torch_F.softplus(PREDICTION, beta=0.5)
    assert torch.equal(softplus(z=PREDICTION, beta=0.5), expected)
    assert torch.equal(softplus(PREDICTION, beta=0.5), expected)
    assert theirs.operation("squared_loss") is theirs.squared_loss
    with pytest.raises(LookupError, match=r"torch\.nn\.functional has no no_such: parity\.theirs"):
        theirs.operation("no_such")
