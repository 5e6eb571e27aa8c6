"""A softmax regression of your own whose gradient is nearly right, and what gradcheck says."""

import numpy as np

from scratchnn import gradcheck


def loss(X, W, b, target):
    z = X @ W + b
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(X)), target].mean()


def gradient(dloss, X, W, b, target):
    e = np.exp(X @ W + b)
    dz = e / e.sum(axis=1, keepdims=True)  # p
    dz[np.arange(len(X)), target] -= 1  # p - onehot
    dz *= dloss  # something is missing here
    return X.T @ dz, dz.sum(axis=0)


rng = np.random.default_rng(0)
X, W, b = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
target = rng.integers(4, size=5)
print(gradcheck.check(loss, gradient, X, W, b, target, wrt=["W", "b"]))


def repaired(dloss, X, W, b, target):
    return gradient(dloss / len(X), X, W, b, target)


print()
print(gradcheck.check(loss, repaired, X, W, b, target, wrt=["W", "b"]))
