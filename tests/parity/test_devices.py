"""Precision is set by one of torch's two APIs, never by both; what was set is recorded.

TF32, real or simulated, keeps to its own bound, and leaves that of float32.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from parity import bounds, devices
from parity.judge import judge
from parity.ops import OPS

CUDA = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
)


class Switches:
    """A part of torch.backends that has these switches, and refuses all others."""

    def __init__(self, **switches):
        self.__dict__.update(switches)

    def __setattr__(self, name, value):
        if name not in self.__dict__:
            raise RuntimeError(f"mix of the legacy and new APIs: {name}")
        self.__dict__[name] = value


def new_api():
    conv, rnn = Switches(fp32_precision="tf32"), Switches(fp32_precision="tf32")
    return Switches(fp32_precision="none"), Switches(conv=conv, rnn=rnn)


def old_api():
    return Switches(allow_tf32=False), Switches(allow_tf32=True)


@pytest.fixture(params=[new_api, old_api])
def backends(request, monkeypatch):
    matmul, cudnn = request.param()
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    return matmul, cudnn


def precisions(part):
    """Yield every switch of a fake, in the words of the new API."""
    for value in vars(part).values():
        if isinstance(value, Switches):
            yield from precisions(value)
        else:
            yield {True: "tf32", False: "ieee"}.get(value, value)


def test_prepare_turns_tf32_off_by_the_api_that_there_is(backends):
    devices.prepare("cpu")
    assert {value for part in backends for value in precisions(part)} == {"ieee"}


def test_products_turns_tf32_on_for_a_block_alone(backends):
    with devices.products("cuda", "tf32"):
        assert {value for part in backends for value in precisions(part)} == {"tf32"}
        assert devices.environment(torch.device("cpu"))["float32 products"] == "tf32"
    assert {value for part in backends for value in precisions(part)} == {"ieee"}
    assert devices.environment(torch.device("cpu"))["float32 products"] == "ieee"


def test_fakes_refuse_the_other_api():
    for matmul, other in ((new_api()[0], "allow_tf32"), (old_api()[0], "fp32_precision")):
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            setattr(matmul, other, "ieee")


def test_installed_torch_can_still_be_asked_after_both_settings():
    """torch itself raises when it is asked for a precision that both APIs were used on."""
    devices.prepare("cpu")
    with devices.products("cuda", "tf32"):
        assert devices._matmul_precision() == "tf32"
    assert devices._matmul_precision() == "ieee"
    torch.ones(2, 2) @ torch.ones(2, 2)


def test_prepare_sets_determinism():
    devices.prepare("cpu", deterministic=False)
    assert not devices.environment(torch.device("cpu"))["deterministic"]
    devices.prepare("cpu")
    assert devices.environment(torch.device("cpu"))["deterministic"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_prepare_refuses_cuda_where_there_is_none():
    assert devices.available() == ["cpu"]
    with pytest.raises(ValueError, match="got cuda: there is no GPU"):
        devices.prepare("cuda")


def test_threads_limits_both_sides_for_a_block():
    before = torch.get_num_threads()
    with devices.threads(1):
        facts = devices.environment(torch.device("cpu"))
        assert (facts["torch threads"], facts["blas threads"]) == (1, 1)
    assert torch.get_num_threads() == before
    with devices.threads(None):
        assert torch.get_num_threads() == before


def test_environment_records_what_a_result_depends_on():
    facts = devices.environment(torch.device("cpu"))
    assert {
        *("scratchnn", "commit", "python", "numpy", "blas", "blas threads", "torch"),
        *("torch threads", "cpu", "cpus", "platform", "device", "deterministic"),
        "float32 products",
    } == set(facts)
    assert facts["cpu"]


def test_environment_records_the_gpu(monkeypatch):
    gpu = SimpleNamespace(name="a GPU", multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    facts = devices.environment(torch.device("cuda"))
    assert (facts["gpu"], facts["multiprocessors"]) == ("a GPU", 132)
    assert {"driver", "cuda", "cublas", "cudnn", "cublas workspace"} < set(facts)
    assert facts["cublas workspace"] == ":4096:8"


def test_environment_without_git_or_driver_says_none(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(devices.subprocess, "run", missing)
    assert devices.environment(torch.device("cpu"))["commit"] is None


def dense_case(dtype=np.float32, rows=(64,), D=784, H=10):
    rng = np.random.default_rng(0)
    shapes = {"X": (*rows, D), "W": (D, H), "b": (H,)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("analysis", bounds.ANALYSES)
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_tf32_keeps_to_its_bound_and_leaves_that_of_float32(device, analysis):
    with bounds.analysis(analysis):
        own = judge(OPS["linear"], dense_case(), 0, [device], "tf32")
        as_float32 = judge(OPS["linear"], dense_case(), 0, [device], "tf32", judged_as="ieee")
    assert all(verdict.holds for verdict in own)
    wrong = {verdict.quantity: verdict.guilty for verdict in as_float32 if verdict.guilty}
    assert set(wrong.values()) == {(f"torch {device}",)}
    assert "linear, dW" in wrong
    if analysis != "worst-case":
        assert set(wrong) == {"linear", "linear, dX", "linear, dW"}  # db is a sum, no product


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_float64_is_no_tf32(device):
    verdicts = judge(
        OPS["linear"], dense_case(np.float64, D=5), 0, [device], "tf32", judged_as="ieee"
    )
    assert all(verdict.holds for verdict in verdicts)


def test_shorten_keeps_10_bits_and_rounds_halves_up():
    ulp = 2.0**-10
    x = torch.tensor([1 + ulp, 1 + ulp / 2, 1 + ulp / 4, -1 - 0.75 * ulp, 0.0, 3e-39])
    assert devices.shorten(x)[:5].tolist() == [1 + ulp, 1 + ulp, 1.0, -1 - ulp, 0.0]
    assert (
        abs(devices.shorten(x) - x) <= bounds.TF32 / 2 * abs(x) + torch.finfo(x.dtype).tiny
    ).all()


@pytest.mark.parametrize("rows", [(), (2,), (2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_simulated_linear_has_torchs_shapes_and_gradients(rows, bias):
    """Factors of few bits are exact in TF32, and whole sums are exact in any order."""
    rng = np.random.default_rng(1)
    shapes = (*rows, 3), (4, 3), (4,)
    results = []
    for linear in (torch.nn.functional.linear, devices.tf32_linear):
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
    X, W = (torch.tensor(dense_case()[name]) for name in "XW")
    before = torch.nn.functional.linear(X, W.T)
    with devices.products("cpu", "tf32"):
        inside = torch.nn.functional.linear(X, W.T)
    assert not torch.equal(before, inside)
    assert torch.equal(before, torch.nn.functional.linear(X, W.T))
