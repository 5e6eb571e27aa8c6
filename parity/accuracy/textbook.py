"""The formulas as they stand in most textbooks, with the maximum subtracted."""

from collections.abc import Callable

import numpy as np

from parity.accuracy.answers import SOFT, Inputs
from scratchnn.arrays import Array


def softmax(z: Array) -> Array:
    """exp(z - m) / Σ exp(z - m)."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_gradient(i: Inputs) -> Array:
    """p (dy - Σ dy p)."""
    p = softmax(i.z)
    return p * (i.dy - (i.dy * p).sum(axis=-1, keepdims=True))


def log_softmax(z: Array) -> Array:
    """z - logsumexp z."""
    return z - logsumexp(z)[:, None]


def logsumexp(z: Array) -> Array:
    """m + log Σ exp(z - m)."""
    m = z.max(axis=-1)
    return m + np.log(np.exp(z - m[:, None]).sum(axis=-1))


def minus_onehot(i: Inputs) -> Array:
    """(p - onehot) dloss."""
    dz = softmax(i.z)
    dz[np.arange(len(dz)), i.target] -= 1
    return dz * i.dloss[:, None]


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


def bce(z: Array, t: Array) -> Array:
    """(1 - t) z + max(-z, 0) + log(1 + exp(-|z|))."""
    return (1 - t) * z + np.maximum(-z, 0) + np.log(1 + np.exp(-abs(z)))


def library() -> dict[str, Callable[[Inputs], Array]]:
    """Return them as the other libraries' are: functions of the inputs."""
    return {
        "softmax": lambda i: softmax(i.z),
        "softmax gradient": softmax_gradient,
        "log_softmax": lambda i: log_softmax(i.z),
        "log_softmax gradient": lambda i: i.dy - softmax(i.z) * i.dy.sum(axis=-1, keepdims=True),
        "logsumexp": lambda i: logsumexp(i.z),
        "logsumexp gradient": lambda i: np.exp(log_softmax(i.z)) * i.dloss[:, None],
        "cross_entropy": lambda i: -log_softmax(i.z)[np.arange(len(i.z)), i.target],
        "cross_entropy gradient": minus_onehot,
        SOFT: lambda i: -(i.likely * log_softmax(i.z)).sum(axis=-1),
        f"{SOFT} gradient": lambda i: (softmax(i.z) - i.likely) * i.dloss[:, None],
        "sigmoid": lambda i: sigmoid(i.z),
        "sigmoid gradient": lambda i: i.dy * sigmoid(i.z) * (1 - sigmoid(i.z)),
        "bce, t in {0, 1}": lambda i: bce(i.z, i.yes),
        "bce, t in (0, 1)": lambda i: bce(i.z, i.share),
        "bce, t in {0, 1} gradient": lambda i: i.dy * (sigmoid(i.z) - i.yes),
        "bce, t in (0, 1) gradient": lambda i: i.dy * (sigmoid(i.z) - i.share),
    }
