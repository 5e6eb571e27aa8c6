"""Every operation under its torch name: `import scratchnn.functional as F`.

Each f has its f_backward, which maps the gradient of f's result to that of its inputs.
"""

from scratchnn.activations import relu, relu_backward, sigmoid, sigmoid_backward
from scratchnn.classification import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    cross_entropy,
    cross_entropy_backward,
    nll_loss,
    nll_loss_backward,
)
from scratchnn.linear import linear, linear_backward
from scratchnn.regression import (
    mse_loss,
    mse_loss_backward,
    squared_loss,
    squared_loss_backward,
)
from scratchnn.softmax import (
    log_softmax,
    log_softmax_backward,
    logsumexp,
    logsumexp_backward,
    softmax,
    softmax_backward,
)

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "logsumexp_backward",
    "mse_loss",
    "mse_loss_backward",
    "nll_loss",
    "nll_loss_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "squared_loss",
    "squared_loss_backward",
]
