"""What is true of an operation whatever its numbers are, each with the rounding that it allows.

A law takes `run`, which gives the function's answer and its error bound for a case, and a case. It
returns a claim: what was found, what it must be, and how far the two may be apart. Its name and its
docstring are what the report says of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from parity import bounds
from parity.cases import Case
from scratchnn.ops.shared import Array

Run: TypeAlias = Callable[[Case], tuple[Array, Array]]
Claim: TypeAlias = tuple[Array, Array | float, Array | float]
Law: TypeAlias = Callable[[Run, Case], Claim]
SHIFT = 8.0  # exact, as it is added to whole numbers


def sums_to_one(run: Run, case: Case) -> Claim:
    """Σ p = 1."""
    p, bound = run(case)
    axis = case["axis"]
    rounding = bounds.gamma(p.shape[axis], bounds.unit_roundoff(p.dtype))
    return p.sum(axis=axis), 1.0, bound.sum(axis=axis) + rounding


def is_never_negative(run: Run, case: Case) -> Claim:
    """y ≥ 0."""
    y, bound = run(case)
    return np.minimum(y, 0), 0.0, bound


def does_not_change_with_a_shift(run: Run, case: Case) -> Claim:
    """f(z + c) = f(z)."""
    case = _whole(case)
    return _same(run(_shifted(case)), run(case))


def grows_with_a_shift(run: Run, case: Case) -> Claim:
    """f(z + c) = f(z) + c."""
    case = _whole(case)
    y, bound = run(case)
    return _same(run(_shifted(case)), (y + y.dtype.type(SHIFT), bound))


def does_not_mix_rows(run: Run, case: Case) -> Claim:
    """f of rows in another order is f, in that order."""
    case = case | {"z": np.atleast_2d(case["z"])}
    if case["axis"] % case["z"].ndim == 0:
        case |= {"z": np.moveaxis(case["z"], 0, -1), "axis": -1}
    y, bound = run(case)
    turned, _ = run(case | {"z": case["z"][::-1].copy()})
    return turned[::-1], y, 2 * bound


def adds_up_with_its_mirror(run: Run, case: Case) -> Claim:
    """σ(z) + σ(-z) = 1."""
    (y, bound), (mirror, other) = run(case), run(case | {"z": -case["z"]})
    return y + mirror, 1.0, bound + other + bounds.unit_roundoff(y.dtype)


def is_the_positive_part(run: Run, case: Case) -> Claim:
    """relu(z) - relu(-z) = z."""
    (y, _), (mirror, _) = run(case), run(case | {"z": -case["z"]})
    return y - mirror, case["z"], 0.0


def is_linear_in_its_weights(run: Run, case: Case) -> Claim:
    """Twice the last factor and the bias give twice the answer."""
    factor = "W" if "W" in case else "S"
    y, bound = run(case)
    twice = {name: 2 * case[name] for name in (factor, "b") if name in case}
    return _same(run(case | twice), (2 * y, 2 * bound))


def is_linear_in_log_p(run: Run, case: Case) -> Claim:
    """Twice log p gives twice the loss."""
    y, bound = run(case)
    return _same(run(case | {"log_p": 2 * case["log_p"]}), (2 * y, 2 * bound))


def turns_with_its_labels(run: Run, case: Case) -> Claim:
    """bce(z, t) = bce(-z, 1 - t), without pos_weight."""
    case = case | {"pos_weight": None, "target": np.rint(case["target"])}
    return _same(run(case | {"z": -case["z"], "target": 1 - case["target"]}), run(case))


def is_nothing_of_equals(run: Run, case: Case) -> Claim:
    """The loss of a right prediction is 0."""
    return run(case | {"prediction": case["target"]})[0], 0.0, 0.0


def is_symmetric(run: Run, case: Case) -> Claim:
    """f(prediction, target) = f(target, prediction)."""
    swapped = {"prediction": case["target"], "target": case["prediction"]}
    return _same(run(case | swapped), run(case))


def is_nothing_between_equals(run: Run, case: Case) -> Claim:
    """KL(p, p) = 0."""
    p = np.exp(case["log_q"])
    y, bound = run(case | {"log_target": False, "target": p})
    rounded = bounds.EXP_ULPS * bounds.unit_roundoff(p.dtype) * p.astype(np.float64)
    return y, 0.0, 2 * bound + (rounded if case["reduction"] == "none" else rounded.sum())


SOFTMAX = (does_not_change_with_a_shift, does_not_mix_rows)
LOSS = (is_never_negative, is_nothing_of_equals, is_symmetric)
LAWS: dict[str, tuple[Law, ...]] = {
    "linear": (is_linear_in_its_weights,),
    "kronecker_linear": (is_linear_in_its_weights,),
    "relu": (is_never_negative, is_the_positive_part),
    "sigmoid": (is_never_negative, adds_up_with_its_mirror),
    "softmax": (sums_to_one, is_never_negative, *SOFTMAX),
    "log_softmax": SOFTMAX,
    "logsumexp": (grows_with_a_shift,),
    "nll_loss": (is_linear_in_log_p,),
    "cross_entropy": (is_never_negative, does_not_change_with_a_shift),
    "binary_cross_entropy_with_logits": (is_never_negative, turns_with_its_labels),
    "kl_div": (is_nothing_between_equals,),
    **dict.fromkeys(["squared_loss", "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"], LOSS),
}


def in_words(law: Law) -> str:
    return f"{law.__name__.replace('_', ' ')}: {(law.__doc__ or '').rstrip('.')}"


def _whole(case: Case) -> Case:
    """Round z to whole numbers in [-30, 30], to which SHIFT is added without an error."""
    return case | {"z": np.rint(np.clip(case["z"], -30, 30))}


def _shifted(case: Case) -> Case:
    return case | {"z": case["z"] + case["z"].dtype.type(SHIFT)}


def _same(a: tuple[Array, Array], b: tuple[Array, Array]) -> Claim:
    return a[0], b[0], a[1] + b[1]
