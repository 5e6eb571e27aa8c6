"""The loss of independent yes-or-no questions, straight from their logits."""

import numpy as np

from scratchnn.arrays import Array, check_float, check_same_shape
from scratchnn.reductions import Reduction, reduce, reduce_backward
from scratchnn.strictness import checked


@checked
def binary_cross_entropy_with_logits(
    z: Array,
    target: Array,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy of σ(z) against probabilities of yes.

        loss = -w (p⁺ t log σ(z) + (1 - t) log(1 - σ(z)))
             = w (z (1 - t)  or  -z p⁺ t  by the sign of z,  + m log(1 + exp(-|z|)))

    where m = 1 - t + p⁺ t. The last form never overflows, and has no σ that could
    round to 0 or 1. The mean divides by the number of entries, whatever their weights.

    Shapes   z, target (...) in [0, 1]; weight, pos_weight broadcast to z → () or, for "none", (...)
    Units    nats
    Torch    torch.nn.functional.binary_cross_entropy_with_logits(z, target)
    """
    w, p, m = _check(z, target, weight, pos_weight)
    slope = np.where(z > 0, 1 - target, -p * target)
    losses = z * slope + m * np.log1p(np.exp(-np.abs(z)))
    return reduce(losses if w is None else losses * w, reduction)


@checked
def binary_cross_entropy_with_logits_backward(
    dloss: Array | float,
    z: Array,
    target: Array,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Vector-Jacobian product of `binary_cross_entropy_with_logits`: dz from dloss.

        ∂loss/∂z = w (m σ(z) - p⁺ t) = w ((1 - t) - m σ(-z));   without weights σ(z) - t

    Of the two differences, the one of smaller terms loses fewer digits: the second
    where σ(z) is close to 1 = t.

    Shapes   dloss () or, for "none", (...); z, target (...) → dz, the shape of z
    """
    w, p, m = _check(z, target, weight, pos_weight)
    e = np.exp(-np.abs(z))
    yes = m * (np.where(z < 0, e, 1) / (1 + e))  # m σ(z)
    no = m * (np.where(z < 0, 1, e) / (1 + e))  # m σ(-z)
    dz: Array = np.where(yes < 1 - target, yes - p * target, (1 - target) - no)
    dz *= reduce_backward(dloss, z.shape, reduction, dtype=dz.dtype)
    return (dz if w is None else dz * w).astype(z.dtype, copy=False)


@checked
def binary_cross_entropy_with_logits_backward_target(
    dloss: Array | float,
    z: Array,
    target: Array,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Return the gradient of `binary_cross_entropy_with_logits` for the target.

        ∂loss/∂t = w (p⁺ log(1 + exp(-z)) - log(1 + exp(z)));   without weights -z

    Shapes   as `binary_cross_entropy_with_logits_backward` → dtarget, the shape of target
    """
    w, p, _ = _check(z, target, weight, pos_weight)
    log1p = np.log1p(np.exp(-np.abs(z)))
    dtarget: Array = -z
    if pos_weight is not None:
        dtarget = p * (np.maximum(-z, 0) + log1p) - (np.maximum(z, 0) + log1p)
    dtarget = dtarget * reduce_backward(dloss, z.shape, reduction, dtype=dtarget.dtype)
    return (dtarget if w is None else dtarget * w).astype(target.dtype, copy=False)


def _check(
    z: Array, target: Array, weight: Array | None, pos_weight: Array | None
) -> tuple[Array | None, Array | int, Array | int]:
    """Return the weights in the precision of z, and m = 1 - t + p⁺ t; without p⁺ they are 1."""
    check_float(z=z, target=target)
    check_same_shape(z=z, target=target)
    given = {"weight": weight, "pos_weight": pos_weight}
    ready = {}
    for name, array in given.items():
        if array is not None:
            check_float(**{name: array})
            if np.broadcast_shapes(array.shape, z.shape) != z.shape:
                raise ValueError(
                    f"{name} must broadcast to the shape of z {z.shape}, got {array.shape}"
                )
            ready[name] = array.astype(z.dtype, copy=False)
    w, p = ready.get("weight"), ready.get("pos_weight")
    return (w, 1, 1) if p is None else (w, p, 1 - target + p * target)
