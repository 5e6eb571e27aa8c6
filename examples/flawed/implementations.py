"""Ten implementations of softmax and cross-entropy that are not torch's, and right ones.

docs/check.md explains the verdicts.

python -m parity check examples/flawed/implementations.py:overflowing --op softmax
"""

import numpy as np


def softmax(z):
    """Right: the maximum of each row is subtracted first."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(z, target):
    """Right: log Σ exp z - z_target; the labels are checked."""
    rows, classes = z.shape
    if ((target < 0) | (target >= classes)).any():
        raise ValueError(f"target must hold class indices in [0, {classes}), got {target}")
    shifted = z - z.max(axis=1, keepdims=True)
    lse = np.log(np.exp(shifted).sum(axis=1))
    return (lse - shifted[np.arange(rows), target]).mean()


def cross_entropy_gradient(z, target):
    """Right: (p - onehot) / N, the gradient of the mean."""
    dz = softmax(z)
    dz[np.arange(len(z)), target] -= 1
    return dz / len(z)


def overflowing(z):
    """Wrong: exp overflows, because the maximum is not subtracted."""
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def global_maximum(z):
    """Wrong: the maximum of all rows is subtracted, not that of each row."""
    e = np.exp(z - np.max(z))
    return e / np.sum(e, axis=1, keepdims=True)


def wrong_axis(z):
    """Another convention: the columns sum to 1, not the rows."""
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def in_place(z):
    """Differs from torch: it overwrites the caller's logits."""
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


def in_double(z):
    """Differs from torch: float32 comes in, float64 goes out."""
    p = np.zeros(z.shape)
    for n, row in enumerate(z):
        e = np.exp(row - row.max())
        p[n] = e / e.sum()
    return p


def clipped(z, target):
    """Wrong: the log of a clipped probability; no loss is ever above 16.1."""
    p = np.clip(softmax(z), 1e-7, 1 - 1e-7)
    return np.mean(-np.log(p[np.arange(len(z)), target]))


def summed(z, target):
    """Wrong: the sum of the losses in place of their mean."""
    log_p = z - z.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(z)), target].sum()


def of_probabilities(z, target):
    """Wrong: softmax twice, here and in cross_entropy, which takes logits."""
    return cross_entropy(softmax(z), target)


def bits(z, target):
    """Wrong: the logarithm has base 2."""
    return cross_entropy(z, target) / np.log(z.dtype.type(2))


def gradient_of_the_sum(z, target):
    """Wrong as the gradient of the mean: 1/N is missing."""
    dz = softmax(z)
    dz[np.arange(len(z)), target] -= 1
    return dz
