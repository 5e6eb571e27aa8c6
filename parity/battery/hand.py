"""Values that one can compute by hand, of every operation whose values one can."""

from typing import Any

import numpy as np

LN = np.log
HALF = 0.5

# By operation: a case at default options, and what it gives.
VALUES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "linear": [({"X": [[1, 2]], "W": [[3, 0, 1], [4, 1, 0]], "b": [1, 1, 1]}, [[12, 3, 2]])],
    "linear, without a bias": [({"X": [[1, 2]], "W": [[3, 0, 1], [4, 1, 0]]}, [[11, 2, 1]])],
    "kronecker_linear": [({"X": [[1, 2]], "A": [[[2]]], "S": [[[3], [4]]], "b": [1]}, [[23]])],
    "relu": [({"z": [[-1, 0, 2]]}, [[0, 0, 2]])],
    "sigmoid": [({"z": [[0.0, LN(3)]]}, [[HALF, 3 / 4]])],
    "softmax": [
        ({"z": [[1, 1], [2, 2], [3, 3]], "axis": -1}, [[HALF, HALF]] * 3),
        ({"z": [[0, LN(3)], [LN(4), 0]], "axis": -1}, [[1 / 4, 3 / 4], [4 / 5, 1 / 5]]),
    ],
    "log_softmax": [({"z": [[0, 0]], "axis": -1}, [[-LN(2), -LN(2)]])],
    "logsumexp": [({"z": [[0, 0], [1, 1]], "axis": -1}, [LN(2), 1 + LN(2)])],
    "nll_loss": [({"log_p": [[-1, -2], [-3, -4]], "target": [0, 1]}, (1 + 4) / 2)],
    "cross_entropy": [
        ({"z": [[0, 0]], "target": [1]}, LN(2)),
        ({"z": [[0, 0, 0], [0, LN(2), 0]], "target": [2, 1]}, (LN(3) + LN(2)) / 2),
        ({"z": [[0.2, 0.1, -0.1]], "target": [0]}, 0.9729189131256584),
    ],
    "cross_entropy, probabilities": [
        ({"z": [[0, 0], [0, LN(3)]], "target": [[0.1, 0.9], [0, 1]]}, (LN(2) + LN(4 / 3)) / 2)
    ],
    "binary_cross_entropy_with_logits": [
        ({"z": [[0.0, LN(3)]], "target": [[1.0, 1.0]]}, (LN(2) + LN(4 / 3)) / 2)
    ],
    "kl_div": [
        ({"log_q": [[-LN(2), -LN(2)]], "target": [[1 / 4, 3 / 4]]}, (3 / 4 * LN(3) - LN(2)) / 2)
    ],
    "squared_loss": [({"prediction": [[3, 0]], "target": [[1, 0]]}, 1)],
    "mse_loss": [({"prediction": [[3, 0]], "target": [[1, 0]]}, 2)],
    "l1_loss": [({"prediction": [[3, 0]], "target": [[1, 0]]}, 1)],
    "huber_loss": [({"prediction": [[3, 0.5]], "target": [[1, 0]]}, (1.5 + 0.125) / 2)],
    "smooth_l1_loss": [({"prediction": [[3, 0.5]], "target": [[1, 0]]}, (1.5 + 0.125) / 2)],
}  # fmt: skip


def as_arrays(given: dict[str, Any]) -> dict[str, Any]:
    """Return a hand-written case with its lists as arrays: float64, but for labels."""
    return {
        name: value if isinstance(value, int) else _array(value, name)
        for name, value in given.items()
    }


def _array(value: Any, name: str) -> Any:
    array = np.asarray(value)
    return array if name == "target" and array.ndim == 1 else array.astype(float)
