"""Small implementations that an earlier checker misjudged; test_check.py says what each is.

python -m parity check tests/parity/check_faults.py:NAME --op OP
"""

import numpy as np


def log_p(z):
    s = z - z.max(axis=1, keepdims=True)
    return s - np.log(np.exp(s).sum(axis=1, keepdims=True))


def p(z):
    return np.exp(log_p(z))


# The order (y_true, y_pred) is that of Keras and scikit-learn; the gradient is y_pred's.
def mse(y_true, y_pred):
    return ((y_pred - y_true) ** 2).mean()


def mse_gradient(y_true, y_pred):  # of y_pred: right
    return 2 * (y_pred - y_true) / y_pred.size


def mse_gradient_wrong(y_true, y_pred):  # of y_pred: the sign is wrong
    return 2 * (y_true - y_pred) / y_pred.size


def eps(z, target):
    return -np.log(p(z)[np.arange(len(z)), target] + z.dtype.type(1e-12)).mean()


def far(z, target):  # log Σ exp - z[target], without the shift: loses digits
    m = z.max(axis=1)
    lse = m + np.log(np.exp(z - m[:, None]).sum(axis=1))
    return (lse - z[np.arange(len(z)), target]).mean()


def relu(z):
    return np.maximum(z, 0)


def relu_backward_float64(dy, z):  # right, but float64
    return dy * np.where(z > 0, 1.0, np.zeros(z.shape))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_backward_in_place(dy, y):
    dy *= y * (1 - y)
    return dy


def kl(log_q, target):
    with np.errstate(all="ignore"):
        return np.where(target > 0, target * (np.log(target) - log_q), 0).mean()


def kl_of_exp(log_q, target):
    with np.errstate(all="ignore"):
        return np.where(target != 0, target * np.log(target / np.exp(log_q)), 0).mean()


def loss_and_gradient(z, target):
    d = p(z)
    d[np.arange(len(z)), target] -= 1
    return -log_p(z)[np.arange(len(z)), target].mean(), d / len(z)


def softmax_of_columns(z):  # --set axis=0
    e = np.exp(z - z.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


def no_keepdims(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1)


objects = np.frompyfunc(lambda x: 1 / (1 + np.exp(-x)), 1, 1)


def relu_backward_mask(dy, z):
    dz = dy.copy()
    dz[z <= 0] = 0
    return dz


def mse_2d(prediction, target):
    N, C = prediction.shape
    return ((prediction - target) ** 2).sum() / (N * C)


def popular(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def mse_over_rows(prediction, target):
    return ((prediction - target) ** 2).sum() / len(prediction)


def of_probabilities(probabilities, target):
    return -np.log(probabilities[np.arange(len(target)), target]).mean()


def of_one_hot(z, onehot):
    return -log_p(z)[np.arange(len(z)), onehot.argmax(axis=1)].mean()


def affine(X, W, b):
    return X.reshape(X.shape[0], -1) @ W + b


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


def exp_of_log_sigmoid(z):
    return np.exp(np.minimum(z, 0) - np.log1p(np.exp(-abs(z))))


def none_is_zero(z, target, ignore_index=-100):
    seen = target != ignore_index
    losses = -log_p(z)[np.arange(len(z)), np.where(seen, target, 0)] * seen
    return (losses.sum() / max(seen.sum(), 1)).astype(z.dtype)
