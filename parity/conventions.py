"""Where torch differs from the textbook, one named function each; see docs/conventions.md."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as torch_F
from torch import Tensor

from scratchnn.arrays import Array

Weight = TypeVar("Weight", Array, Tensor)


def weight(W: Weight) -> Weight:
    """Turn a weight into the other's layout: the algebra's is (D, H), torch's (H, D)."""
    return W.T


def squared_loss(prediction: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return the textbook's loss, with 1/2; torch's mse_loss has none."""
    return torch_F.mse_loss(prediction, target, reduction=reduction) / 2


def smooth_l1_loss(prediction: Tensor, target: Tensor, beta: float = 1.0, **options: Any) -> Tensor:
    """Return smooth L1 from Huber's loss: they differ by the factor beta, and agree at 1."""
    return torch_F.huber_loss(prediction, target, delta=beta, **options) / beta


def kl_div(log_q: Tensor, target: Tensor, **options: Any) -> Tensor:
    """Return torch's kl_div, whose "mean" warns that it is no divergence: "batchmean" is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction: 'mean' divides")
        return torch_F.kl_div(log_q, target, **options)


def kl_divergence(log_q: Tensor, p: Tensor) -> Tensor:
    """Return KL(p ‖ q) a row, the mean of all rows: torch's "mean" divides by N C, not by N."""
    return torch_F.kl_div(log_q, p, reduction="batchmean")


def binary_cross_entropy(p: Tensor, target: Tensor) -> Tensor:
    """Return the textbook's mean -t log p - (1 - t) log(1 - p), infinite where p is surely wrong.

    torch's function of that name takes no logarithm to be less than -100.
    """
    return -(torch.xlogy(target, p) + torch.xlogy(1 - target, 1 - p)).mean()


def kronecker_linear(X: Tensor, A: Tensor, S: Tensor, b: Tensor) -> Tensor:
    """Return X (Σ_i A_i ⊗ S_i) + b, with the weight formed by torch.kron."""
    products = [torch.kron(a, s) for a, s in zip(A, S, strict=True)]
    return torch_F.linear(X, torch.stack(products).sum(dim=0).T, b)


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


def sutskever_velocity(buffer: Tensor, learning_rate: float) -> Tensor:
    """Return the textbook's velocity, v = momentum v - learning_rate g with θ += v, from torch's.

    It holds the learning rates of the steps that it comes from, torch's only that of today.
    """
    return -learning_rate * buffer


def change_learning_rate(optimizer: torch.optim.SGD, learning_rate: float) -> None:
    """Change the learning rate as the textbook's momentum has it: old gradients keep theirs."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            buffer = momentum_buffer(optimizer, parameter)
            if buffer is not None:
                buffer *= group["lr"] / learning_rate
        group["lr"] = learning_rate


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
