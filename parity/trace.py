"""What one training step in torch computed; to judge it takes NumPy alone."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from scratchnn.arrays import Array
from scratchnn.mlp import Parameters


@dataclass
class Trace:
    """All that torch computed in one step, as NumPy arrays of our layout."""

    X: Array
    target: NDArray[Any]
    before: Parameters
    velocity: Parameters | None
    outputs: list[Array]  # z_1, a_1, z_2, a_2, ..., z_L
    gradients: list[Array]  # of the loss, for each of these
    loss: Array
    grad: Parameters
    after: Parameters
