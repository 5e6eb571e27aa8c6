"""Sample arguments and options of every public operation, for tests with NumPy alone.

A new operation needs one method here: its arguments, and all of its options.
"""

import numpy as np

import scratchnn.functional as F

N, D, H, C = 5, 3, 7, 4  # distinct, so that a transpose cannot hide
DTYPES = (np.float32, np.float64)
PAIRS = [name for name in F.__all__ if f"{name}_backward" in F.__all__]
LABELS = np.array([0, 3, 1, 2, 2])


class Samples:
    """For each function of F a method of its name: its arguments with options, several of each."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.rng = np.random.default_rng(1)

    def normal(self, *shape):
        return self.rng.normal(size=shape).astype(self.dtype)

    def positive(self, *shape):
        return self.rng.uniform(0.1, 1, shape).astype(self.dtype)

    def probabilities(self, *shape):
        p = self.positive(*shape)
        return p / p.sum(axis=1 if len(shape) > 1 else 0, keepdims=True)

    def log_probabilities(self, *shape):
        return np.log(self.probabilities(*shape))

    def away_from_zero(self, *shape):
        """Random numbers with |x| ≥ 1/2: |x| and relu have a kink at 0."""
        x = self.normal(*shape)
        return x + np.copysign(x.dtype.type(0.5), x)

    def softmax(self):
        return [
            ((self.normal(N, C),), {}),
            ((self.normal(N, C), 0), {}),
            ((self.normal(N, C, D),), {"axis": 1}),
            ((self.normal(N, C),), {"dtype": np.float32}),
        ]

    log_softmax = softmax

    def logsumexp(self):
        z = self.normal(N, C, D)
        options = {}, {"axis": 0}, {"axis": (0, 2)}, {"axis": (0, 2), "keepdims": True}
        return [((z, 0), {}), *(((z,), each) for each in options)]

    def relu(self):
        return [((self.away_from_zero(N, C),), {})]

    def sigmoid(self):
        return [((self.normal(N, C),), {})]

    tanh = sigmoid

    def softplus(self):
        """With numbers on both sides of the threshold, where the value jumps, and none near it."""
        z, far = self.normal(N, C), self.away_from_zero(N, C)
        return [((z,), {}), ((z,), {"beta": 0.5}), ((far,), {"beta": 2.0, "threshold": 0.0})]

    def _layer(self, H, X, *others):
        """X as one batch and as two, with a bias, without it, and with None for it."""
        others, b = [self.normal(*shape) for shape in others], self.normal(H)
        arguments = [self.normal(*X), *others]
        several = [self.normal(2, *X), *others, b]
        return [(each, {}) for each in (arguments, [*arguments, b], [*arguments, None], several)]

    def linear(self):
        return self._layer(H, (N, D), (D, H))

    def kronecker_linear(self):
        return self._layer(10, (N, 6), (2, 2, 2), (2, 3, 5))

    def _of_class_indices(self, draw):
        z, weight = draw(N, C), self.positive(C)
        options = [{}, {"reduction": "sum"}, {"reduction": "none"}, {"weight": weight}]
        options += [{"ignore_index": 2}, {"weight": weight, "ignore_index": 1, "reduction": "none"}]
        several = np.tile(LABELS[:, None], D)
        return [
            *(((z, LABELS), each) for each in options),
            ((draw(C), np.array(2)), {}),
            ((draw(N, C, D), several), {"weight": weight, "ignore_index": 1}),
        ]

    def nll_loss(self):
        return self._of_class_indices(self.log_probabilities)

    def cross_entropy(self):
        z, target = self.normal(N, C), self.probabilities(N, C)
        weighted, smooth = {"weight": self.positive(C)}, {"label_smoothing": 0.3}
        options = [smooth, {**smooth, **weighted}, {**smooth, **weighted, "reduction": "none"}]
        more = [{}, {"reduction": "sum"}, {"reduction": "none"}, weighted]
        return [
            *self._of_class_indices(self.normal),
            *(((z, LABELS), each) for each in options),
            *(((z, target), each) for each in (*options, *more)),
            ((self.normal(C), self.probabilities(C)), {}),
            ((self.normal(N, C, D), self.probabilities(N, C, D)), weighted),
        ]

    def _loss(self, prediction, target, *options):
        reductions = [{"reduction": reduction} for reduction in ("mean", "sum", "none")]
        return [((prediction, target), each) for each in ({}, *reductions, *options)]

    def binary_cross_entropy_with_logits(self):
        weights = {"weight": self.positive(N, 1), "pos_weight": self.positive(C)}
        options = weights, {**weights, "reduction": "none"}
        return self._loss(self.normal(N, C), self.positive(N, C), *options)

    def kl_div(self):
        log_q = self.log_probabilities(N, C)
        logs = {"log_target": True}, {"log_target": True, "reduction": "none"}
        batch = {"reduction": "batchmean"}, {"reduction": "batchmean", "log_target": True}
        return [
            *self._loss(log_q, self.probabilities(N, C), batch[0]),
            *(((log_q, self.log_probabilities(N, C)), each) for each in (*logs, batch[1])),
        ]

    def mse_loss(self, *options):
        target = self.normal(N, D)
        return self._loss(target + self.away_from_zero(N, D), target, *options)

    squared_loss = l1_loss = mse_loss

    def huber_loss(self):
        return self.mse_loss({"delta": 0.7})

    def smooth_l1_loss(self):
        return self.mse_loss({"beta": 0.7})


def samples(name, dtype):
    assert hasattr(Samples, name), f"{name} has no sample arguments: add a method {name} to Samples"
    return getattr(Samples(dtype), name)()
