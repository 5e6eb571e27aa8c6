"""Every operation under its torch name: `import scratchnn.functional as F`.

Each f has its f_backward, which maps the gradient of f's result to that of its inputs.
"""

from scratchnn.activations import relu, relu_backward, sigmoid, sigmoid_backward
from scratchnn.binary import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_backward_target,
)
from scratchnn.classification import (
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_backward_target,
    cross_entropy_with_gradient,
    nll_loss,
    nll_loss_backward,
)
from scratchnn.divergence import kl_div, kl_div_backward, kl_div_backward_target
from scratchnn.linear import linear, linear_backward
from scratchnn.regression import (
    mse_loss,
    mse_loss_backward,
    mse_loss_backward_target,
    squared_loss,
    squared_loss_backward,
    squared_loss_backward_target,
)
from scratchnn.robust import (
    huber_loss,
    huber_loss_backward,
    huber_loss_backward_target,
    l1_loss,
    l1_loss_backward,
    l1_loss_backward_target,
    smooth_l1_loss,
    smooth_l1_loss_backward,
    smooth_l1_loss_backward_target,
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
    "binary_cross_entropy_with_logits_backward_target",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_backward_target",
    "cross_entropy_with_gradient",
    "huber_loss",
    "huber_loss_backward",
    "huber_loss_backward_target",
    "kl_div",
    "kl_div_backward",
    "kl_div_backward_target",
    "l1_loss",
    "l1_loss_backward",
    "l1_loss_backward_target",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "logsumexp_backward",
    "mse_loss",
    "mse_loss_backward",
    "mse_loss_backward_target",
    "nll_loss",
    "nll_loss_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "smooth_l1_loss",
    "smooth_l1_loss_backward",
    "smooth_l1_loss_backward_target",
    "softmax",
    "softmax_backward",
    "squared_loss",
    "squared_loss_backward",
    "squared_loss_backward_target",
]
