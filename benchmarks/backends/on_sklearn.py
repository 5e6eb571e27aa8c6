"""scikit-learn's MLPClassifier with plain SGD; without a hidden layer it is softmax regression."""

from typing import Any

import numpy as np

from benchmarks.backends import Task
from benchmarks.cases import Case
from benchmarks.inputs import SEED, Problem, problem
from scratchnn.arrays import Array, IntArray
from scratchnn.extras import need
from scratchnn.mlp import Parameters


class OnSklearn:
    """The work in scikit-learn; it has no operations to itself."""

    def __init__(self) -> None:
        self.neural_network = need("sklearn.neural_network", "benchmarks")

    def trainer(self, case: Case, dtype: str) -> "Trainer":
        """Return a network with its data."""
        return Trainer(self.neural_network, problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")
        model = Trainer(self.neural_network, p).model
        return Task(lambda: model.predict_proba(p.X), lambda: (model.predict_proba(p.X),))


class Trainer:
    """A network with the start of the problem, trained by partial_fit: an epoch a call."""

    def __init__(self, neural_network: Any, problem: Problem) -> None:
        self.problem = p = problem
        self.data_bytes = p.X.nbytes + p.target.nbytes
        self.model = neural_network.MLPClassifier(
            p.start.sizes[1:-1], solver="sgd", alpha=0, learning_rate_init=p.learning_rate,
            momentum=p.momentum, nesterovs_momentum=False,
            random_state=SEED,
        )  # fmt: skip
        classes = np.arange(p.start.sizes[-1])
        self.model.set_params(batch_size=1)
        self.model.partial_fit(p.X[:1], p.target[:1], classes=classes)  # makes the arrays
        self.model.set_params(batch_size=min(p.batch, len(p.X)))
        self._restart()

    def epoch(self) -> None:
        """Train on every example once."""
        self.model.partial_fit(self.problem.X, self.problem.target)

    step = epoch

    def theta(self) -> Array:
        """Return the parameters in our layout, which is scikit-learn's, too."""
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return Parameters.from_arrays(list(pairs)).theta

    def order(self) -> IntArray:
        """Return the order that scikit-learn draws in the first epoch."""
        shuffle = need("sklearn.utils", "benchmarks").shuffle
        rows: IntArray = shuffle(
            np.arange(len(self.problem.X)), random_state=np.random.RandomState(SEED)
        )
        return rows

    def _restart(self) -> None:
        """Put the start of the problem in place; velocity 0."""
        arrays = [*self.model.coefs_, *self.model.intercepts_]
        layers = self.problem.start.layers
        starts = [layer.W for layer in layers] + [layer.b for layer in layers]
        for array, start in zip(arrays, starts, strict=True):
            array[...] = start
        for velocity in self.model._optimizer.velocities:
            velocity[...] = 0
        self.model._random_state = np.random.RandomState(SEED)


open = OnSklearn
