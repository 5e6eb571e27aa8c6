"""Small implementations that an earlier checker misjudged; test_check.py says what each is.

python -m parity check tests/parity/check_faults.py:NAME --op OP
"""

import numpy as np


def log_p(z):
    s = z - z.max(axis=1, keepdims=True)
    return s - np.log(np.exp(s).sum(axis=1, keepdims=True))


def p(z):
    return np.exp(log_p(z))


# --op mse_loss --backward mse_gradient: right (was WRONG); --backward mse_gradient_wrong: WRONG, a sign (was right).
# The order (y_true, y_pred) is that of Keras and scikit-learn; the gradient is y_pred's.
def mse(y_true, y_pred):
    return ((y_pred - y_true) ** 2).mean()


def mse_gradient(y_true, y_pred):  # of y_pred: right
    return 2 * (y_pred - y_true) / y_pred.size


def mse_gradient_wrong(y_true, y_pred):  # of y_pred: the sign is wrong
    return 2 * (y_true - y_pred) / y_pred.size


# Flaws that are right on the input shown were named as the cause.
# eps, --op cross_entropy: unstable, ε about 1e-12 (was: "the sum of the losses, not their mean", expected 0.69314718, got 0.69314718)
def eps(z, target):
    return -np.log(p(z)[np.arange(len(z)), target] + z.dtype.type(1e-12)).mean()


# far, --op cross_entropy: unstable: loses digits where logits are large (was: "clipped", then "the sum, not the mean")
def far(z, target):  # log Σ exp - z[target], without the shift: loses digits
    m = z.max(axis=1)
    lse = m + np.log(np.exp(z - m[:, None]).sum(axis=1))
    return (lse - z[np.arange(len(z)), target]).mean()


# relu with relu_backward_float64: differs from torch, float64 (was: "relu'(0) is taken for 1")
def relu(z):
    return np.maximum(z, 0)


def relu_backward_float64(dy, z):  # right, but float64
    return dy * np.where(z > 0, 1.0, np.zeros(z.shape))


# sigmoid with sigmoid_backward_in_place: unstable forward (exp overflows), and the backward writes into dy
# (was: "your function is another one")
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_backward_in_place(dy, y):
    dy *= y * (1 - y)
    return dy


# --op kl_div: right (was WRONG at target = [-0.68]: log p given as probabilities)
def kl(log_q, target):
    with np.errstate(all="ignore"):
        return np.where(target > 0, target * (np.log(target) - log_q), 0).mean()


# --op kl_div: unstable, [-800, 0] gives inf and 199.65 is right (was right: log q below -20 was never tried)
def kl_of_exp(log_q, target):
    with np.errstate(all="ignore"):
        return np.where(target != 0, target * np.log(target / np.exp(log_q)), 0).mean()


# The tool's own exceptions: exit status 2, or its own line shown as the user's.
# loss_and_gradient, --op cross_entropy: right, and its gradient is the second result
def loss_and_gradient(z, target):
    d = p(z)
    d[np.arange(len(z)), target] -= 1
    return -log_p(z)[np.arange(len(z)), target].mean(), d / len(z)


# --op softmax --set axis=0: right (was: "argmax of an empty sequence", status 2)
def softmax_of_columns(z):  # --set axis=0
    e = np.exp(z - z.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


# --op softmax: WRONG, keepdims is missing in the sum (was: a line of the tool's own)
def no_keepdims(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1)


# --op sigmoid: an array of objects comes back: that has to be said (was: "an in-place operation")
objects = np.frompyfunc(lambda x: 1 / (1 + np.exp(-x)), 1, 1)


# 0-d and 1-d arrays that nobody asked for: right (were WRONG). relu with relu_backward_mask; mse_2d, --op mse_loss
def relu_backward_mask(dy, z):
    dz = dy.copy()
    dz[z <= 0] = 0
    return dz


def mse_2d(prediction, target):
    N, C = prediction.shape
    return ((prediction - target) ** 2).sum() / (N * C)


# No cause, or no operation that fits.
# popular, --op softmax: wrong for a batch (normalised over the whole array), right for one example a call; mse_over_rows, --op mse_loss, and
# of_probabilities and of_one_hot, --op cross_entropy: right, in the convention named (log 0 of a probability of 0 is unstable)
def popular(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def mse_over_rows(prediction, target):
    return ((prediction - target) ** 2).sum() / len(prediction)


def of_probabilities(probabilities, target):
    return -np.log(probabilities[np.arange(len(target)), target]).mean()


def of_one_hot(z, onehot):
    return -log_p(z)[np.arange(len(z)), onehot.argmax(axis=1)].mean()


# --op linear: right; that it raises on an empty batch is a difference from torch (was WRONG)
def affine(X, W, b):
    return X.reshape(X.shape[0], -1) @ W + b


# --op cross_entropy --backward squeezed_backward: the upstream gradient is ignored: WRONG, and that has to be said
# (was hidden by an AxisError at a single class)
def squeezed(z, target):
    if target.size == z.size:
        target = target.argmax(axis=1)
    return -log_p(z)[np.arange(len(z)), target].mean()


def squeezed_backward(dout, z, target):
    if target.size == z.size:
        target = target.argmax(axis=1)
    d = p(z)
    d[np.arange(len(z)), target] -= 1
    return d / len(z)


# --op sigmoid: right: stable, 9 half-ulps off at -14.46 (was WRONG, "exp overflows")
def exp_of_log_sigmoid(z):
    return np.exp(np.minimum(z, 0) - np.log1p(np.exp(-abs(z))))


# --op cross_entropy: differs from torch, 0 for the mean of nothing (was: "the sum, not the mean")
def none_is_zero(z, target, ignore_index=-100):
    seen = target != ignore_index
    losses = -log_p(z)[np.arange(len(z)), np.where(seen, target, 0)] * seen
    return (losses.sum() / max(seen.sum(), 1)).astype(z.dtype)
