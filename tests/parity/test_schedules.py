"""Schedules compared with those of torch.optim.lr_scheduler, and a training that has one."""

import numpy as np
import pytest
import torch

from scratchnn.optim import SGD, Cosine, Scheduled, StepDecay

STEPS = 300
PER_EPOCH = 15


def of_torch(make, stride=1):
    """Return torch's rates of 300 steps; its scheduler counts one in `stride` of them."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler, rates = make(optimizer), []
    for t in range(1, STEPS + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if t % stride == 0:
            scheduler.step()
    return rates


lr = torch.optim.lr_scheduler


def warm_up(optimizer, steps):
    return lr.LinearLR(optimizer, start_factor=1 / steps, total_iters=steps - 1)


def step_lr(optimizer, gamma=0.5):
    return lr.StepLR(optimizer, 40, gamma)


def cosine(optimizer):
    return lr.CosineAnnealingLR(optimizer, STEPS)


@pytest.mark.parametrize(
    ("ours", "theirs", "stride"),
    [
        (Scheduled(SGD(0.3), StepDecay(40, 0.5)), step_lr, 1),
        (Scheduled(SGD(0.3), StepDecay(40)), lambda o: lr.StepLR(o, 40), 1),
        # torch's counts epochs where its step() is called once per epoch
        (Scheduled(SGD(0.3), StepDecay(4 * PER_EPOCH)), lambda o: lr.StepLR(o, 4), PER_EPOCH),
        (Scheduled(SGD(0.3), Cosine(STEPS)), cosine, 1),
        (Scheduled(SGD(0.3), warm_up=20), lambda o: warm_up(o, 20), 1),
        (
            Scheduled(SGD(0.3), StepDecay(40, 0.5), warm_up=60),
            lambda o: lr.ChainedScheduler([warm_up(o, 60), step_lr(o)]),
            1,
        ),
        (
            Scheduled(SGD(0.3), Cosine(STEPS), warm_up=20),
            lambda o: lr.ChainedScheduler([warm_up(o, 20), cosine(o)]),
            1,
        ),
    ],
)
def test_rates_are_those_of_torch(ours, theirs, stride):
    rates = [ours.rate(t) for t in range(STEPS)]
    np.testing.assert_allclose(rates, of_torch(theirs, stride), rtol=1e-12)
    assert len(set(rates)) > 3  # they change
