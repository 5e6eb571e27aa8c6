"""Five wrong implementations, as people write them; docs/check.md says what the checker says.

python -m parity check examples/flawed/five.py:softmax --op softmax
"""

import numpy as np


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def softmax_of_a_batch(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum()


def cross_entropy(z, y):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(y)), y] + 1e-9))


def softmax_loss(z, y):
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    dz = np.exp(log_p)
    dz[np.arange(len(y)), y] -= 1
    return -log_p[np.arange(len(y)), y].mean(), dz


class ReLU:
    def forward(self, x):
        self.x = x
        return np.maximum(0, x)

    def backward(self, dout):
        return (self.x > 0).astype(dout.dtype)
