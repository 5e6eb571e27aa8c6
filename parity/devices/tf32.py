"""TF32 on any machine: products whose factors keep 10 of float32's 23 bits of mantissa.

NVIDIA's tensor cores compute float32 products in this way where it is allowed. It is here to show
that the float32 bounds refuse it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor


def shorten(x: Tensor) -> Tensor:
    """Round to 10 bits of mantissa; halves go up."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


class Product(torch.autograd.Function):
    """X Wᵀ, with shortened factors forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, X: Tensor, W: Tensor) -> Tensor:
        """Return X Wᵀ."""
        ctx.save_for_backward(X, W)
        return shorten(X) @ shorten(W).T

    @staticmethod
    def backward(ctx: Any, dY: Tensor) -> tuple[Tensor, Tensor]:
        """Return dY W and dYᵀ X."""
        dY, X, W = (shorten(factor) for factor in (dY, *ctx.saved_tensors))
        return dY @ W, dY.reshape(-1, dY.shape[-1]).T @ X.reshape(-1, X.shape[-1])


def linear(X: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """Stand in for torch.nn.functional.linear."""
    if X.dtype != torch.float32:
        return X @ W.T if b is None else X @ W.T + b
    Y = Product.apply(X, W)
    return Y if b is None else Y + b


@contextmanager
def simulated() -> Iterator[None]:
    """Make float32 products TF32's in torch.nn.Linear and torch.nn.functional.linear."""
    with patch("torch.nn.functional.linear", linear):
        yield
