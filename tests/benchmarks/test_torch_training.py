"""Training in torch: what is compiled, what is fused, and the order of copies and computing."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.backends import BACKENDS
from benchmarks.backends.on_torch import OnTorch
from benchmarks.backends.torch_training import PinnedTrainer, Setup, Trainer
from benchmarks.cases import NotRunError, cases
from benchmarks.checks import check
from benchmarks.inputs import problem
from benchmarks.worker import results_of

CASES = {case.kind: case for case in cases("digits", quick=True) if case.momentum}


@pytest.mark.parametrize("kind", ["step", "epoch"])
def test_fused_is_as_right_as_the_others(kind):
    backend = BACKENDS["torch fused"].open()
    found = check(CASES[kind], results_of(backend, CASES[kind]))
    assert found.holds, found.what
    trainer = backend.trainer(CASES[kind], "float32")
    assert trainer.optimizer.param_groups[0]["fused"]


def test_fused_is_not_run_where_torch_cannot(monkeypatch):
    def step(self):
        raise RuntimeError("`fused=True` requires another device")

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    with pytest.raises(NotRunError, match="no fused SGD for cpu: `fused=True` requires"):
        BACKENDS["torch fused"].open()
    OnTorch()


def test_compile_takes_forward_with_loss_and_the_update(monkeypatch):
    """And each is what runs in a step; the compiler itself is left out."""
    results = []

    def compile(f, **options):
        def compiled(*args):
            results.append(f(*args))
            return results[-1]

        return compiled

    monkeypatch.setattr("benchmarks.backends.on_torch.shutil.which", lambda name: name)
    monkeypatch.setattr(torch, "compile", compile)
    on = OnTorch(compiled=True)
    trainer = on.trainer(CASES["step"], "float32")
    before = trainer.theta()
    trainer.step()
    loss, update = results
    assert loss.shape == ()
    assert update is None
    assert (trainer.theta() != before).any()
    on.predictor(CASES["step"]).run()
    assert results[-1].sum(axis=1).numpy() == pytest.approx(1)


class FakeEvent:
    """An event of a CUDA that computes at once; it notes who waits for it, and who records it."""

    made = ()

    def __init__(self):
        slot, second = divmod(len(FakeEvent.made), 2)
        self.name = "used" if second else "copied", slot
        FakeEvent.made = (*FakeEvent.made, self)

    def synchronize(self):
        FakeStream.log.append(("host waits", *self.name))

    def record(self, stream):
        FakeStream.log.append((f"{stream.name} note", *self.name))


class FakeStream:
    log = ()

    def __init__(self, name="copies"):
        self.name = name

    def wait_event(self, event):
        self.log.append((f"{self.name} wait", *event.name))


@pytest.fixture
def pinned(monkeypatch):
    """A trainer on the fake, with three batches of which the last one is short, and a plain one."""
    empty = torch.empty
    monkeypatch.setattr(FakeEvent, "made", ())
    monkeypatch.setattr(FakeStream, "log", [])
    monkeypatch.setattr(torch, "empty", lambda *shape, pin_memory=False, **o: empty(*shape, **o))
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: FakeStream("computing"))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    p = problem(CASES["epoch"], "float32")
    p = replace(p, X=p.X[:150], target=p.target[:150], examples=150)
    device = torch.device("cpu")
    return PinnedTrainer(Setup(device, transfers=True), p), Trainer(Setup(device), p)


def test_pinned_trains_as_the_others(pinned):
    trainer, plain = pinned
    for _ in range(2):
        assert trainer.epoch() == plain.epoch()
    np.testing.assert_array_equal(trainer.theta(), plain.theta())


def test_pinned_copies_the_next_batch_before_it_computes_on_one(pinned):
    pinned[0].epoch()

    def sent(slot):
        return [
            ("host waits", "copied", slot),
            ("copies wait", "used", slot),
            ("copies note", "copied", slot),
        ]

    def computed(slot):
        return [("computing wait", "copied", slot), ("computing note", "used", slot)]

    expected = [sent(0), sent(1), computed(0), sent(0), computed(1), computed(0)]
    assert FakeStream.log == [line for part in expected for line in part]
