"""Ten ways to get softmax and cross-entropy wrong, and one to get each right; docs/check.md.

python -m parity check examples/flawed/implementations.py:overflowing --op softmax
"""

import numpy as np


def softmax(z):
    """Right: the maximum of each row is subtracted first."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(z, target):
    """Right: log Σ exp z - z_target, and labels are checked."""
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
    """Flawed: exp overflows, as nothing is subtracted."""
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def global_maximum(z):
    """Flawed: the maximum of all rows is subtracted from each."""
    e = np.exp(z - np.max(z))
    return e / np.sum(e, axis=1, keepdims=True)


def wrong_axis(z):
    """Flawed: the columns sum to 1, not the rows."""
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def in_place(z):
    """Flawed: the caller's logits are gone."""
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


def in_double(z):
    """Flawed: float32 in, float64 out."""
    p = np.zeros(z.shape)
    for n, row in enumerate(z):
        e = np.exp(row - row.max())
        p[n] = e / e.sum()
    return p


def clipped(z, target):
    """Flawed: log of a clipped probability; no loss is ever above 16.1."""
    p = np.clip(softmax(z), 1e-7, 1 - 1e-7)
    return np.mean(-np.log(p[np.arange(len(z)), target]))


def summed(z, target):
    """Flawed: the sum of the losses where their mean was meant."""
    log_p = z - z.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(z)), target].sum()


def of_probabilities(z, target):
    """Flawed: it expects logits, takes a softmax, and hands that to a loss that takes another."""
    return cross_entropy(softmax(z), target)


def bits(z, target):
    """Flawed: the logarithm has base 2."""
    return cross_entropy(z, target) / np.log(z.dtype.type(2))


def gradient_of_the_sum(z, target):
    """Flawed as a gradient of the mean: 1/N is missing."""
    dz = softmax(z)
    dz[np.arange(len(z)), target] -= 1
    return dz
