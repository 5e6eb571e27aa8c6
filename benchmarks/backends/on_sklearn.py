"""scikit-learn's MLPClassifier with plain SGD; without a hidden layer it is softmax regression."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.utils import shuffle

from benchmarks.backends import Task
from benchmarks.cases import Case
from benchmarks.inputs import SEED, Problem, problem
from scratchnn.mlp import Parameters
from scratchnn.ops.shared import Array, IntArray


class OnSklearn:
    """The work in scikit-learn; it has no operations of their own."""

    def trainer(self, case: Case, dtype: str) -> Trainer:
        """Return a network with its data."""
        return Trainer(problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")
        model = Trainer(p).model
        return Task(lambda: model.predict_proba(p.X), lambda: (model.predict_proba(p.X),))


class Trainer:
    """A network with the start of the problem. Each call of partial_fit trains for an epoch."""

    def __init__(self, problem: Problem) -> None:
        self.problem = p = problem
        self.data_bytes = p.X.nbytes + p.target.nbytes
        self.model = MLPClassifier(
            p.start.sizes[1:-1],
            solver="sgd",
            alpha=0,
            learning_rate_init=p.learning_rate,
            momentum=p.momentum,
            nesterovs_momentum=False,
            random_state=SEED,
        )
        classes = np.arange(p.start.sizes[-1])
        self.model.set_params(batch_size=1)
        self.model.partial_fit(p.X[:1], p.target[:1], classes=classes)  # makes the arrays
        self.model.set_params(batch_size=min(p.batch, len(p.X)))
        self._restart()

    def epoch(self) -> None:
        """Train on every example once."""
        self.model.partial_fit(self.problem.X, self.problem.target)

    step = epoch  # all examples are one batch

    def theta(self) -> Array:
        """Return the parameters in our layout, which is also scikit-learn's."""
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return Parameters.from_arrays(list(pairs)).theta

    def order(self) -> IntArray:
        """Return the order that scikit-learn draws in the first epoch."""
        rows = np.arange(len(self.problem.X))
        return shuffle(rows, random_state=np.random.RandomState(SEED))

    def _restart(self) -> None:
        """Undo the step that made the arrays: θ as at the start, velocity 0."""
        weights, biases = zip(*self.problem.pairs, strict=True)
        arrays = [*self.model.coefs_, *self.model.intercepts_]
        for array, start in zip(arrays, [*weights, *biases], strict=True):
            array[...] = start
        for velocity in self.model._optimizer.velocities:
            velocity[...] = 0
        self.model._random_state = np.random.RandomState(SEED)
