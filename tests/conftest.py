"""Fixtures and Hypothesis profiles for all tests.

HYPOTHESIS_PROFILE=long runs 5,000 examples of each property, and the tests marked `long`.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

# Before NumPy is imported: on small matrices several threads cost more time than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from scratchnn import data
from scratchnn.data import Dataset

# nohup, and a shell that runs the tests in the background, leave signals ignored. Programs that the
# tests start would inherit that, and no signal would stop them.
for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGXCPU"):
    number = getattr(signal, name, None)  # Windows lacks some
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        signal.signal(number, default)

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")

settings.register_profile("default", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=5_000, deadline=None)
settings.load_profile(PROFILE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `long`, unless the profile is long."""
    if PROFILE == "long":
        return
    skip = pytest.mark.skip(reason="takes minutes: make test-long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


def _data(path: str) -> Path:
    root = os.environ.get("SCRATCHNN_DATA")
    if not root:
        pytest.skip("SCRATCHNN_DATA is not set: no real data")
    folder = Path(root) / path
    if not folder.exists():
        pytest.skip(f"{folder} is missing: no real data")
    return Path(root)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder that holds MNIST in torchvision's layout."""
    return _data("MNIST/raw")


@pytest.fixture(scope="session")
def fashion_dir() -> Path:
    """The folder that holds 900 images of Fashion-MNIST in torchvision's layout."""
    return _data("fashion-mnist-sample/FashionMNIST/raw") / "fashion-mnist-sample"


@pytest.fixture(scope="session")
def digits() -> tuple[Dataset, Dataset]:
    """The bundled digits, loaded once: train and test."""
    return data.digits()
