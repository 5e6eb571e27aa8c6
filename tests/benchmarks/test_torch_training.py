"""Training in torch: what is compiled, what is fused, and the order of copies and computing."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.backends import BACKENDS, torch_training, transfers
from benchmarks.backends.on_torch import OnTorch
from benchmarks.cases import NotRunError, cases
from benchmarks.checks import check
from benchmarks.inputs import problem
from benchmarks.work import results_of, work_of

CASES = {case.kind: case for case in cases("digits", quick=True) if case.momentum}


@pytest.mark.parametrize("kind", ["step", "epoch"])
def test_fused_is_as_right_as_the_others(kind):
    backend = BACKENDS["torch fused"].open()
    found = check(CASES[kind], results_of(backend, CASES[kind]))
    assert found.holds, found.what
    _, trainer = work_of(backend, CASES[kind])
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


class Fake:
    """torch with a CUDA that computes at once, and notes what it is told."""

    def __init__(self):
        self.log, self.index_select = [], torch.index_select
        self.from_numpy, self.zeros, self.optim, self.nn = (
            torch.from_numpy, torch.zeros, torch.optim, torch.nn,
        )  # fmt: skip
        self.cuda = SimpleNamespace(
            Event=lambda: FakeEvent(self.log), Stream=lambda: FakeStream("copies", self.log),
            current_stream=lambda: FakeStream("computing", self.log), stream=nullcontext,
        )  # fmt: skip

    def empty(self, shape, *, dtype, pin_memory=False, device="cpu"):
        return torch.empty(shape, dtype=dtype)


class FakeEvent:
    count = 0

    def __init__(self, log):
        self.log, self.name = log, "used" if FakeEvent.count % 2 else "copied"
        self.slot = FakeEvent.count // 2
        FakeEvent.count += 1

    def synchronize(self):
        self.log.append(("host waits", self.name, self.slot))

    def record(self, stream):
        self.log.append((f"{stream.name} note", self.name, self.slot))


class FakeStream:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def wait_event(self, event):
        self.log.append((f"{self.name} wait", event.name, event.slot))


@pytest.fixture
def pinned(monkeypatch):
    """A trainer on the fake, three batches of which the last one is short."""
    monkeypatch.setattr(FakeEvent, "count", 0)
    on, fake = OnTorch(), Fake()
    on.transfer, on.torch = "pinned", fake
    p = problem(CASES["epoch"], "float32")
    p = p.__class__(**{**vars(p), "X": p.X[:150], "target": p.target[:150], "examples": 150})
    return transfers.PinnedTrainer(on, p), torch_training.Trainer(OnTorch(), p), fake.log


def test_pinned_trains_as_the_others(pinned):
    trainer, plain, _ = pinned
    for _ in range(2):
        assert trainer.epoch() == plain.epoch()
    np.testing.assert_array_equal(trainer.theta(), plain.theta())


def test_pinned_copies_a_batch_before_the_one_before_it_is_computed(pinned):
    trainer, _, log = pinned
    trainer.epoch()

    def sent(slot):
        return [("host waits", "copied", slot), ("copies wait", "used", slot),
                ("copies note", "copied", slot)]  # fmt: skip

    def computed(slot):
        return [("computing wait", "copied", slot), ("computing note", "used", slot)]

    expected = [sent(0), sent(1), computed(0), sent(0), computed(1), computed(0)]
    assert log == [line for part in expected for line in part]
