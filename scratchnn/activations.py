"""The nonlinear functions between layers, and the one that turns a logit into a probability."""

import numpy as np

from scratchnn.arrays import Array, check_float, check_same_shape
from scratchnn.strictness import checked, watched


@watched
def relu(z: Array, *, out: Array | None = None) -> Array:
    """Set negative entries to zero.

        y = max(z, 0)

    Shapes   z (...) → y, the same shape. `out` may be z.
    Torch    torch.relu(z)
    """
    check_float(z=z)
    return np.maximum(z, 0, out=out)


@watched
def relu_backward(dy: Array, y: Array, *, out: Array | None = None) -> Array:
    """Vector-Jacobian product of `relu`: dz from dy.

        ∂y/∂z = [z > 0] = [y > 0]

    The kink at z = 0 has no derivative; 0 is the usual choice, and torch's.

    Shapes   dy, y = relu(z) (...) → dz, the same shape. `out` may be dy.
    """
    check_float(dy=dy, y=y)
    check_same_shape(dy=dy, y=y)
    return np.multiply(dy.astype(y.dtype, copy=False), y > 0, out=out)


@checked
def sigmoid(z: Array) -> Array:
    """Turn a logit into a probability.

        σ(z) = 1 / (1 + exp(-z)) = exp(z) / (1 + exp(z))

    The first form serves z ≥ 0 and the second z < 0, so that exp never
    overflows; both have the same e = exp(-|z|).

    Shapes   z (...) → p, the same shape.
    Torch    torch.sigmoid(z)
    """
    check_float(z=z)
    e = np.exp(-np.abs(z))
    p: Array = np.where(z >= 0, 1, e) / (1 + e)
    return p


@checked
def sigmoid_backward(dp: Array, z: Array) -> Array:
    """Vector-Jacobian product of `sigmoid`: dz from dp.

        σ'(z) = σ(z) (1 - σ(z)) = e / (1 + e)²,   e = exp(-|z|)

    The last form has no 1 - σ, which cancels where σ is close to 1.

    Shapes   dp, z (...) → dz, the same shape.
    """
    check_float(dp=dp, z=z)
    check_same_shape(dp=dp, z=z)
    e = np.exp(-np.abs(z))
    dz: Array = dp.astype(z.dtype, copy=False) * (e / (1 + e) ** 2)
    return dz
