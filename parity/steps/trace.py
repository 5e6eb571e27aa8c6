"""What one training step in torch computed; to judge it takes NumPy alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity import bounds
from scratchnn.arrays import Array
from scratchnn.mlp import Parameters
from scratchnn.recipes import Run
from scratchnn.sgd import SGD


@dataclass
class Trace:
    """All that torch computed in one step, as NumPy arrays of our layout.

    `known` marks the entries of `grad` and `after` that are there; None: all of them.
    """

    X: Array
    target: NDArray[Any]
    before: Parameters
    velocity: Parameters | None
    outputs: list[Array]  # z_1, a_1, z_2, a_2, ..., z_L
    gradients: list[Array]  # of the loss, for each of these
    loss: Array
    grad: Parameters
    after: Parameters
    known: Parameters | None = None

    @property
    def inputs(self) -> list[Array]:
        """What each layer was given: X, a_1, a_2, ..."""
        return [self.X, *self.outputs[1::2]]

    def astype(self, dtype: type) -> "Trace":
        """Return it in another precision; class indices are left as they are."""
        changed = {name: _astype(value, dtype) for name, value in vars(self).items()}
        return Trace(**changed)


@dataclass(frozen=True)
class Settings:
    """What a step was taken for, and how; and as products of which precision it is judged."""

    objective: str
    optimizer: SGD  # its settings alone
    factors: float = 0.0  # the error of a factor of a product: bounds.TF32, or none

    @classmethod
    def of(cls, run: Run, judged_as: str = "ieee") -> "Settings":
        """Return those of a run, its products judged as "ieee" or "tf32"."""
        factors = bounds.TF32 if judged_as == "tf32" else 0.0
        return cls(run.recipe.objective, run.optimizer, factors)


def _astype(value: Any, dtype: type) -> Any:
    if isinstance(value, list):
        return [_astype(item, dtype) for item in value]
    floats = isinstance(value, Parameters) or getattr(value, "dtype", np.dtype(int)).kind == "f"
    return value.astype(dtype) if floats else value
