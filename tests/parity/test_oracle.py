"""The right answers, compared with the definitions written out in mpmath with 400 digits.

So many digits that no formula need be stable: 1 + exp(-100) and 1 - p are exact enough. A gradient
is the definition's central difference with h = 10^-120, times a random upstream one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from parity import digits
from parity.ops import OPS, as_tuple

RNG = np.random.default_rng(0)
Z = np.array([[1.5, -0.25, 40.0], [0.1, 0.1, -3.0]])  # one class dominates, one is a tie
P = np.array([[0.5, 0.25, 0.25], [0.1, 0.6, 0.3]])
LOG_P = np.log(P)
WEIGHT = np.array([0.5, 2.0, 1.25])


def entries(x: Any) -> Any:
    """Return an array of mpf with the same values."""
    return np.frompyfunc(lambda value: mpf(float(value)), 1, 1)(np.asarray(x, object))


exp, log = (np.frompyfunc(function, 1, 1) for function in (mp.exp, mp.log))


def logsumexp(z, axis=1):
    return log(exp(z).sum(axis=axis, keepdims=True))


def sigma(z):
    return 1 / (1 + exp(-z))


def weighted_cross_entropy(z, target, weight, ignore_index, label_smoothing, reduction):
    """The words of torch's documentation, for two rows and three classes."""
    log_p, epsilon = z - logsumexp(z), mpf(label_smoothing)
    w = entries(weight)
    losses, total = [], mpf(0)
    for row, t in zip(log_p, target, strict=True):
        smooth = -(w * row).sum() / 3
        counts = t != ignore_index
        losses.append(counts * (-(1 - epsilon) * w[t] * row[t] + epsilon * smooth))
        total += counts * w[t]
    return sum(losses) / total


def huber(r, delta):
    return r * r / 2 if abs(r) <= delta else delta * (abs(r) - delta / 2)


def mean_of(loss: Callable[..., Any]) -> Callable[..., Any]:
    return lambda prediction, target, reduction, **options: np.mean(
        np.frompyfunc(lambda r: loss(r, *map(mpf, options.values())), 1, 1)(prediction - target)
    )


PAIR = {"prediction": Z, "target": P, "reduction": "mean"}
INDICES = {
    "z": Z,
    "target": np.array([0, 2]),
    "weight": WEIGHT,
    "ignore_index": 1,
    "label_smoothing": 0.25,
    "reduction": "mean",
}

# An operation's case, and its definition.
DEFINITIONS: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {
    "linear": (
        {"X": Z, "W": P.T.copy(), "b": np.array([0.1, 0.7])},
        lambda X, W, b: X @ W + b,
    ),
    "linear, without a bias": ({"X": Z, "W": P.T.copy()}, lambda X, W: X @ W),
    "kronecker_linear": (
        {
            "X": RNG.normal(size=(3, 4)),
            "A": RNG.normal(size=(2, 2, 2)),
            "S": RNG.normal(size=(2, 2, 1)),
            "b": np.array([0.1, 0.7]),
        },
        lambda X, A, S, b: X @ sum(map(np.kron, A, S)) + b,
    ),
    "relu": ({"z": Z}, lambda z: np.where(z > 0, z, mpf(0))),
    "sigmoid": ({"z": Z}, sigma),
    "tanh": ({"z": Z}, lambda z: (exp(z) - exp(-z)) / (exp(z) + exp(-z))),
    "softplus": (
        {"z": Z, "beta": 0.5, "threshold": 3.0},
        lambda z, beta, threshold: np.where(z * beta > 3, z, log(1 + exp(beta * z)) / beta),
    ),
    "softmax": ({"z": Z, "axis": 1}, lambda z, axis: exp(z - logsumexp(z))),
    "log_softmax": ({"z": Z, "axis": 0}, lambda z, axis: z - logsumexp(z, 0)),
    "logsumexp": ({"z": Z, "axis": 1}, lambda z, axis: logsumexp(z)[:, 0]),
    "nll_loss": (
        {"log_p": LOG_P, "target": np.array([0, 2]), "weight": WEIGHT, "reduction": "mean"},
        lambda log_p, target, weight, reduction: (
            -(entries(weight)[target] * log_p[[0, 1], target]).sum() / entries(weight)[target].sum()
        ),
    ),
    "cross_entropy": (INDICES, weighted_cross_entropy),
    "cross_entropy, probabilities": (
        {"z": Z, "target": P, "weight": WEIGHT, "label_smoothing": 0.25, "reduction": "mean"},
        lambda z, target, weight, label_smoothing, reduction: (
            -(entries(weight) * (0.75 * target + mpf(0.25) / 3) * (z - logsumexp(z))).sum() / 2
        ),
    ),
    "binary_cross_entropy_with_logits": (
        {"z": Z, "target": P, "weight": WEIGHT, "pos_weight": WEIGHT[::-1], "reduction": "sum"},
        lambda z, target, weight, pos_weight, reduction: (
            -(
                entries(weight)
                * (entries(pos_weight) * target * log(sigma(z)) + (1 - target) * log(1 - sigma(z)))
            ).sum()
        ),
    ),
    "kl_div": (
        {"log_q": LOG_P, "target": P[::-1], "reduction": "batchmean", "log_target": False},
        lambda log_q, target, reduction, log_target: (target * (log(target) - log_q)).sum() / 2,
    ),
    "squared_loss": (PAIR, mean_of(lambda r: r * r / 2)),
    "mse_loss": (PAIR, mean_of(lambda r: r * r)),
    "l1_loss": (PAIR, mean_of(abs)),
    "huber_loss": (PAIR | {"delta": 0.5}, mean_of(huber)),
    "smooth_l1_loss": (PAIR | {"beta": 0.5}, mean_of(lambda r, beta: huber(r, beta) / beta)),
}


def with_digits(op, case):
    return {name: entries(value) if name in op.inputs else value for name, value in case.items()}


def differences(op, definition, case, name, dy):
    """Return Σ dy ∂y/∂x for every entry x of one input, by central differences."""
    h, case = mpf(10) ** -120, with_digits(op, case)
    gradient = np.empty(case[name].shape, object)
    for place in np.ndindex(gradient.shape):
        sides = []
        for step in (h, -h):
            moved = case[name].copy()
            moved[place] += step
            sides.append(definition(**case | {name: moved}))
        gradient[place] = np.sum(dy * (sides[0] - sides[1])) / (2 * h)
    return gradient


def assert_digits(found, right, wanted):
    found, right = np.ravel(found), np.ravel(right)
    assert len(found) == len(right)
    for a, b in zip(found, right, strict=True):
        assert abs(mpf(str(a)) - b) <= mpf(10) ** -wanted * abs(b), (a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPS)
def test_oracle_is_the_definition(name, dtype):
    """To 13 digits for float32, whose oracle is in float64, and to 45 for float64."""
    assert name in DEFINITIONS, f"DEFINITIONS needs a case and the definition of {name}"
    op, (case, definition) = OPS[name], DEFINITIONS[name]
    case = {
        key: np.asarray(value, dtype) if getattr(value, "dtype", None) == np.float64 else value
        for key, value in case.items()
    }
    lifted, wanted = {key: digits.lift(value, dtype) for key, value in case.items()}, {8: 45, 4: 13}
    with mp.workdps(400), digits.precise():
        right = definition(**with_digits(op, case))
        assert_digits(op.exact(**lifted), right, wanted[np.dtype(dtype).itemsize])
        dy = np.asarray(RNG.normal(size=np.shape(right)), dtype)
        gradients = as_tuple(op.exact_backward(digits.lift(dy, dtype), **lifted))
        assert len(gradients) == len(op.inputs)
        for key, gradient in zip(op.inputs, gradients, strict=True):
            expected = differences(op, definition, case, key, entries(dy))
            assert_digits(gradient, expected, wanted[np.dtype(dtype).itemsize])


def test_every_row_has_a_definition():
    assert set(OPS) <= set(DEFINITIONS)
