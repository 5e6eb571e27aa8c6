"""The loss of independent yes-or-no questions, straight from their logits."""

from __future__ import annotations

import numpy as np

from scratchnn.ops.shared import (
    Array,
    Reduction,
    check_float,
    check_same_shape,
    reduce,
    reduce_backward,
)


def binary_cross_entropy_with_logits(
    z: Array,
    target: Array,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy of the probabilities σ(z) against the target t, from the logits.

        loss = -w (p⁺ t log σ(z) + (1 - t) log(1 - σ(z)))
             = w (z (1 - t)  or  -z p⁺ t  by the sign of z,  + m log(1 + exp(-|z|)))

    where w is `weight`, p⁺ is `pos_weight`, and m = 1 - t + p⁺ t. The last form
    never overflows, and has no σ that could round to 0 or 1. The mean divides by
    the number of entries, whatever their weights.

    Shapes   z, target (...) with t in [0, 1], the probabilities of yes → () or, for "none", (...)
    Options  weight       how much each entry counts; it broadcasts to z; default: 1
             pos_weight   how much a yes counts; it broadcasts to z; default: 1
             reduction    "mean" over all entries, "sum", or "none"
    Units    nats
    Raises   TypeError, ValueError
    Torch    torch.nn.functional.binary_cross_entropy_with_logits(z, target)
    """
    w, p, m = _weights(z, target, weight, pos_weight)
    slope = np.where(z > 0, 1 - target, -p * target)
    with np.errstate(invalid="ignore"):  # 0 · inf is nan, as in torch
        losses = z * slope + m * np.log1p(np.exp(-np.abs(z)))
        return reduce(losses if w is None else losses * w, reduction)


def binary_cross_entropy_with_logits_backward(
    dloss: Array | float,
    z: Array,
    target: Array,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> tuple[Array, Array]:
    """Vector-Jacobian product of `binary_cross_entropy_with_logits`.

        ∂loss/∂z = w (m σ(z) - p⁺ t) = w ((1 - t) - m σ(-z));   without weights σ(z) - t
        ∂loss/∂t = w (p⁺ log(1 + exp(-z)) - log(1 + exp(z)));   without weights -z

    Of the two differences for z, the one of smaller terms loses fewer digits:
    the second where σ(z) is close to 1 = t.

    Shapes   dloss () or, for "none", (...); z, target (...) → dz, dtarget (...)
    Options  as given to `binary_cross_entropy_with_logits`
    """
    w, p, m = _weights(z, target, weight, pos_weight)
    e = np.exp(-np.abs(z))
    yes = m * (np.where(z < 0, e, 1) / (1 + e))  # m σ(z)
    no = m * (np.where(z < 0, 1, e) / (1 + e))  # m σ(-z)
    dz = np.where(yes < 1 - target, yes - p * target, (1 - target) - no)
    dtarget = -z
    if pos_weight is not None:
        log1p = np.log1p(e)
        dtarget = p * (np.maximum(-z, 0) + log1p) - (np.maximum(z, 0) + log1p)
    dlosses = reduce_backward(dloss, z.shape, reduction, dtype=z.dtype)
    if w is not None:
        dlosses = dlosses * w
    with np.errstate(invalid="ignore"):  # 0 · inf is nan, as in torch
        return (
            (dz * dlosses).astype(z.dtype, copy=False),
            (dtarget * dlosses).astype(target.dtype, copy=False),
        )


def _weights(
    z: Array, target: Array, weight: Array | None, pos_weight: Array | None
) -> tuple[Array | None, Array | int, Array | int]:
    """Return w, p⁺ and m = 1 - t + p⁺ t in the precision of z; without p⁺ the last two are 1."""
    check_float(z=z, target=target)
    check_same_shape(z=z, target=target)
    w, p = _weight("weight", weight, z), _weight("pos_weight", pos_weight, z)
    return (w, 1, 1) if p is None else (w, p, 1 - target + p * target)


def _weight(name: str, weight: Array | None, z: Array) -> Array | None:
    if weight is None:
        return None
    check_float(**{name: weight})
    pairs = zip(weight.shape[::-1], z.shape[::-1], strict=False)
    if weight.ndim > z.ndim or any(length not in (1, n) for length, n in pairs):
        raise ValueError(f"{name} must broadcast to the shape of z {z.shape}, got {weight.shape}")
    return weight.astype(z.dtype, copy=False)
