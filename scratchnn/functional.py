"""Every operation in one place, under torch's name where torch has it:

    import scratchnn.functional as F

At the end of a computation stands one number, the loss L. dv means ∂L/∂v: how much L changes when
an entry of v does. It has the shape of v. Each function f has a function f_backward, which goes one
step back: from dy, for the result y of f, to the gradients of f's arguments. There is one rule:

    f_backward(dy, *the arguments of f, **its options)

returns the gradient of each floating-point array among the arguments, in their order: one array,
or a tuple of them. (It is also called a vector-Jacobian product: dy times the derivatives of y.)
`cross_entropy_with_gradient` stands alone: it computes a loss and its gradient in one go.
"""

from scratchnn.ops.activations import (
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from scratchnn.ops.binary import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
)
from scratchnn.ops.cross_entropy import (
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_with_gradient,
    nll_loss,
    nll_loss_backward,
)
from scratchnn.ops.divergence import kl_div, kl_div_backward
from scratchnn.ops.kronecker import kronecker_linear, kronecker_linear_backward
from scratchnn.ops.linear import linear, linear_backward
from scratchnn.ops.regression import (
    huber_loss,
    huber_loss_backward,
    l1_loss,
    l1_loss_backward,
    mse_loss,
    mse_loss_backward,
    smooth_l1_loss,
    smooth_l1_loss_backward,
    squared_loss,
    squared_loss_backward,
)
from scratchnn.ops.softmax import (
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
    "cross_entropy_with_gradient",
    "huber_loss",
    "huber_loss_backward",
    "kl_div",
    "kl_div_backward",
    "kronecker_linear",
    "kronecker_linear_backward",
    "l1_loss",
    "l1_loss_backward",
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
    "smooth_l1_loss",
    "smooth_l1_loss_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "squared_loss",
    "squared_loss_backward",
    "tanh",
    "tanh_backward",
]
