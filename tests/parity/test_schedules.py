"""Schedules compared with those of torch.optim.lr_scheduler, and a training that has one."""

import json

import numpy as np
import pytest
import torch

from parity.cli import main
from parity.training import lockstep
from scratchnn.optim import SGD, Adam, AdamW, Cosine, Scheduled, StepDecay
from scratchnn.run import recipes

CPU = torch.device("cpu")
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


def of_run(optimizer, dtype="float64"):
    """Return a run of the digits with this optimizer, through ReLUs; it has 15 steps an epoch."""
    recipe = recipes.get("mlp").on("digits", hidden=(20,), batch_size=100, epochs=2)
    run = recipes.prepare(recipe, dtype=dtype)
    run.optimizer = optimizer
    return run


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1, momentum=0.9, nesterov=True),
        SGD(0.1, weight_decay=0.01),
        Adam(0.01),
        AdamW(0.01),
    ],
    ids=["nesterov", "decay", "adam", "adamw"],
)
def test_every_step_of_a_scheduled_training_is_torchs(optimizer, dtype):
    run = of_run(Scheduled(optimizer, Cosine(2 * PER_EPOCH), warm_up=10), dtype)
    *_, (result, _) = lockstep.train(run, CPU)
    assert result.holds, result.verdict()
    assert len(result.steps) == run.optimizer.steps == 2 * PER_EPOCH


def test_a_schedule_that_does_not_count_is_found():
    class Stuck(Scheduled):
        steps = property(lambda self: 0)

    run = of_run(Stuck(SGD(0.1), StepDecay(4)))
    *_, (result, _) = lockstep.train(run, CPU)
    assert not result.holds
    assert (result.culprit.step, result.culprit.difference.quantity) == (5, "θ")


def test_a_training_goes_on_on_both_sides_from_the_steps_taken():
    run = of_run(Scheduled(SGD(0.1, momentum=0.9), StepDecay(4, 0.5)))
    grad = np.random.default_rng(0).normal(size=run.parameters.theta.shape)
    for _ in range(6):
        run.optimizer.step(run.parameters.theta, 0.01 * grad)
    *_, (result, _) = lockstep.train(run, CPU, max_steps=5)
    assert result.holds, result.verdict()


def test_parity_train_takes_the_options_of_training(capsys, tmp_path):
    options = ["--hidden", "20", "--momentum", "0.9", "--nesterov", "--weight-decay", "0.001"]
    options += ["--schedule", "step:1,0.5", "--warm-up", "0.5", "--label-smoothing", "0.1"]
    command = ["train", "softmax-regression", "--epochs", "2", "--dtype", "float64", *options]
    assert main([*command, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Parameters(64-20-10, 1,510 float64); learning rate 0.5, step:1,0.5 schedule" in out
    (saved,) = json.loads((tmp_path / "parity.json").read_text())
    assert saved["settings"]["hidden"] == [20]
    assert saved["settings"]["nesterov"] is True


def test_command_that_shows_a_failure_again_has_the_options(capsys, monkeypatch):
    monkeypatch.setattr(SGD, "step", lambda *_: None)
    options = ["--hidden", "20", "--momentum", "0.5", "--nesterov", "--dtype", "float64"]
    assert main(["train", "softmax-regression", "--steps", "1", *options]) == 1
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("reproduce:"))
    command = line.partition("parity ")[2]
    assert "--hidden 20 " in command
    assert "--momentum 0.5 --nesterov " in command
    assert main(command.split()) == 1
