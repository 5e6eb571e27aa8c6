"""The loss of independent yes-or-no questions, straight from their logits."""

from __future__ import annotations

import numpy as np

from scratchnn.ops.shared import (
    Array,
    Reduction,
    check_real,
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
    """Return the cross-entropy of the probabilities σ(z) against the target t, from the logits.

        loss = -w (w⁺ t log σ(z) + (1 - t) log(1 - σ(z)))

        z > 0:  loss = w ((1 - t) z + s log(1 + exp(-z)))
        z ≤ 0:  loss = w (-w⁺ t z + s log(1 + exp(z)))        s = 1 - t + w⁺ t

    where w is `weight` and w⁺ is `pos_weight`. The forms by the sign of z never
    overflow, and have no σ that could round to 0 or 1. The mean divides by the
    number of entries, whatever their weights.

    Shapes   z, target (...) with t in [0, 1], the probabilities of yes → () or, for "none", (...)
    Options  weight       how much each entry counts; it broadcasts to z; default: 1
             pos_weight   how much a yes counts; it broadcasts to z; default: 1
             reduction    "mean" over all entries, "sum", or "none"
    Units    nats
    Raises   TypeError, ValueError
    Torch    torch.nn.functional.binary_cross_entropy_with_logits(z, target)
    """
    w, w_yes, s = _weights(z, target, weight, pos_weight)
    slope = np.where(z > 0, 1 - target, -w_yes * target)
    with np.errstate(invalid="ignore"):  # 0 · inf is nan, as in torch
        losses = z * slope + s * np.log1p(np.exp(-np.abs(z)))
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
    """Backward of `binary_cross_entropy_with_logits`.

        ∂loss/∂z = w (s σ(z) - w⁺ t) = w ((1 - t) - s σ(-z));   without weights σ(z) - t
        ∂loss/∂t = w (w⁺ log(1 + exp(-z)) - log(1 + exp(z)));   without weights -z

    with s as above. The slope in z is one of two equal differences. The code takes
    the one whose terms are smaller, since it loses fewer digits: the second where
    both σ(z) and t are close to 1.

    Shapes   dloss () or, for "none", (...); z, target (...) → dz, dtarget (...)
    Options  as given to `binary_cross_entropy_with_logits`
    """
    w, w_yes, s = _weights(z, target, weight, pos_weight)
    e = np.exp(-np.abs(z))
    yes = s * (np.where(z < 0, e, 1) / (1 + e))  # s σ(z)
    no = s * (np.where(z < 0, 1, e) / (1 + e))  # s σ(-z)
    dz = np.where(yes < 1 - target, yes - w_yes * target, (1 - target) - no)
    dtarget = -z
    if pos_weight is not None:
        log1p = np.log1p(e)
        dtarget = w_yes * (np.maximum(-z, 0) + log1p) - (np.maximum(z, 0) + log1p)
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
    """Return w, w⁺ and s = 1 - t + w⁺ t in the precision of z; without w⁺ the last two are 1."""
    check_real(z=z, target=target)
    check_same_shape(z=z, target=target)
    w, w_yes = _weight("weight", weight, z), _weight("pos_weight", pos_weight, z)
    return (w, 1, 1) if w_yes is None else (w, w_yes, 1 - target + w_yes * target)


def _weight(name: str, weight: Array | None, z: Array) -> Array | None:
    if weight is None:
        return None
    check_real(**{name: weight})
    pairs = zip(weight.shape[::-1], z.shape[::-1], strict=False)
    if weight.ndim > z.ndim or any(length not in (1, n) for length, n in pairs):
        raise ValueError(f"{name} must broadcast to the shape of z {z.shape}, got {weight.shape}")
    return weight.astype(z.dtype, copy=False)
