"""Fixtures and Hypothesis profiles for all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", max_examples=200, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=5_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


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
