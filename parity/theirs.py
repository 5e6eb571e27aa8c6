"""torch's side of each operation, optimizer and objective, and where torch differs from the
textbook; docs/conventions.md lists the differences.

`operation` finds torch's function of an operation. It takes tensors, and otherwise the operation's
arguments and options. This file has a function where torch's has another name, other options or
another result. All others are those of torch.nn.functional.

Importing this file does not import torch, so that an implementation can be checked against the
oracle where torch is not installed.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from parity.digits import AnyDtype
from scratchnn.extras import need
from scratchnn.ops.shared import Array
from scratchnn.optim import Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor
    from torch.optim import Optimizer as TorchOptimizer

Weight = TypeVar("Weight", Array, "Tensor")


class _Torch:
    """torch, imported when something of it is first used, and looked up once."""

    _module: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._module is None:
            self._module = need("torch", "torch")
        return getattr(self._module, name)


torch: Any = _Torch()


def has_torch() -> bool:
    return find_spec("torch") is not None


def operation(name: str, first: str = "input") -> Callable[..., Tensor]:
    """Return torch's function of an operation: the one of this file, or of torch.nn.functional.

    Options  first   what the operation calls its first argument; torch.nn.functional: `input`
    Raises   LookupError where neither has one
    """
    if name in globals():
        return globals()[name]
    if has_torch() and not hasattr(torch.nn.functional, name):
        raise LookupError(f"torch.nn.functional has no {name}: parity.theirs must have it")

    def function(*tensors: Tensor, **case: object) -> Tensor:
        named = {"input" if key == first else key: value for key, value in case.items()}
        return getattr(torch.nn.functional, name)(*tensors, **named)

    return function


def weight(W: Weight) -> Weight:
    """Turn a weight into the other's layout: it is (D, H) in algebra and here, (H, D) in torch."""
    return W.T


def linear(X: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """Return X W + b; W is (D, H)."""
    return torch.nn.functional.linear(X, weight(W), b)


def kronecker_linear(X: Tensor, A: Tensor, S: Tensor, b: Tensor | None = None) -> Tensor:
    """Return X (Σ_i A_i ⊗ S_i) + b. torch has no such layer: torch.kron forms the weight."""
    products = [torch.kron(a, s) for a, s in zip(A, S, strict=True)]
    return torch.nn.functional.linear(X, weight(torch.stack(products).sum(dim=0)), b)


def softmax(z: Tensor, axis: int = -1, *, dtype: AnyDtype = None) -> Tensor:
    return torch.softmax(z, axis, **_of_dtype(dtype))


def log_softmax(z: Tensor, axis: int = -1, *, dtype: AnyDtype = None) -> Tensor:
    return torch.log_softmax(z, axis, **_of_dtype(dtype))


def _of_dtype(dtype: AnyDtype) -> dict[str, object]:
    return {} if dtype is None else {"dtype": getattr(torch, np.dtype(dtype).name)}


def logsumexp(z: Tensor, axis: int | tuple[int, ...] = -1, *, keepdims: bool = False) -> Tensor:
    return torch.logsumexp(z, axis, keepdims)


def kl_div(log_q: Tensor, target: Tensor, **options: object) -> Tensor:
    """Return torch's kl_div without its warning: "mean" is no divergence, "batchmean" is one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction: 'mean' divides")
        return torch.nn.functional.kl_div(log_q, target, **options)


def squared_loss(prediction: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return the textbook's loss, with 1/2; torch's mse_loss has none."""
    return torch.nn.functional.mse_loss(prediction, target, reduction=reduction) / 2


def optimizer(parameters: Iterable[Tensor], ours: Optimizer) -> TorchOptimizer:
    """Return the optimizer of torch.optim with the name and the settings of ours, before any step.

    torch calls the learning rate lr; all other options have the same names.
    """
    options = {name: value for name, value in vars(ours).items() if name != "state"}
    options["lr"] = options.pop("learning_rate")
    return getattr(torch.optim, type(ours).__name__)(parameters, **options)


def right(z: Tensor, target: Tensor) -> Tensor:
    """Return which examples are classified right, by argmax, or by the sign of a single logit.

    Of probabilities as target, the likeliest class is right.
    """
    label = target if target.ndim == 1 else target.argmax(1)
    return (z[:, 0] > 0 if z.shape[1] == 1 else z.argmax(1)) == label
