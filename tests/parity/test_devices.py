"""Precision is set by one of torch's two APIs, never by both; what was set is recorded."""

from types import SimpleNamespace

import pytest
import torch

from parity import devices


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
