"""Where torch differs from the textbook, one named function each."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as torch_F
from torch import Tensor


def squared_loss(prediction: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return the textbook's loss, with 1/2; torch's mse_loss has none."""
    return torch_F.mse_loss(prediction, target, reduction=reduction) / 2


def kl_div(log_q: Tensor, target: Tensor, **options: Any) -> Tensor:
    """Return torch's kl_div, whose "mean" warns that it is no divergence: "batchmean" is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction: 'mean' divides")
        return torch_F.kl_div(log_q, target, **options)


def two_classes(z: Tensor, target: Tensor) -> Tensor:
    """Return BCE of one logit a row with labels 0 and 1; torch wants the labels as floats."""
    return torch_F.binary_cross_entropy_with_logits(z, target.to(z.dtype).unsqueeze(1))


def one_vs_rest(z: Tensor, target: Tensor) -> Tensor:
    """Return the mean BCE of C yes-or-no questions a row; torch wants one-hot floats."""
    one_hot = torch_F.one_hot(target, z.shape[1]).to(z.dtype)
    return torch_F.binary_cross_entropy_with_logits(z, one_hot)


def momentum_buffer(optimizer: torch.optim.SGD, parameter: Tensor) -> Tensor | None:
    """Return torch's velocity v of a parameter; None before the first step or without momentum.

    v = momentum v + (1 - dampening) g, and v = g at the first step.
    """
    buffer: Tensor | None = optimizer.state[parameter].get("momentum_buffer")
    return buffer


def correct(z: Tensor, target: Tensor, objective: str) -> int:
    """Count the right answers, by torch's own argmax, or by the sign of a single logit."""
    if objective == "two_classes":
        return int(((z[:, 0] > 0) == (target == 1)).sum())
    if objective in ("cross_entropy", "one_vs_rest"):
        return int((z.argmax(1) == target).sum())
    return 0


# The loss of each objective of scratchnn.objectives.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": torch_F.cross_entropy,
    "two_classes": two_classes,
    "one_vs_rest": one_vs_rest,
    "squared_loss": squared_loss,
    "mse_loss": torch_F.mse_loss,
}
