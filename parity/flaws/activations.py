"""What goes wrong in activations, and in the binary cross-entropy."""

import numpy as np

import scratchnn.functional as F
from parity.flaws.flaw import Plants

FLAWS = Plants()
BCE = "binary_cross_entropy_with_logits"


@FLAWS.of("sigmoid")
def exp_over_one_plus_exp(z):
    """exp(z) overflows above 88.7 in float32 (709.8 in float64), and inf / inf is nan: take
    e = exp(-|z|) on both sides of 0."""
    return np.exp(z) / (1 + np.exp(z))


@FLAWS.of("sigmoid")
def a_tanh(z):
    """It is a tanh: its values lie between -1 and 1."""
    return np.tanh(z)


@FLAWS.backward("sigmoid")
def without_dy(dp, z):
    """The upstream gradient is missing: dz = dp p (1 - p)."""
    return F.sigmoid_backward(np.ones_like(dp), z)


@FLAWS.backward("sigmoid")
def at_the_input(dp, z):
    """It takes z (1 - z), as if z were the sigmoid's result: dz = dp p (1 - p)."""
    return dp * z * (1 - z)


@FLAWS.of("relu")
def leaky(z):
    """Negative numbers leak through: relu(z) = max(z, 0)."""
    return np.maximum(z, z.dtype.type(0.01) * z)


@FLAWS.backward("relu")
def slope_1_at_0(dy, z):
    """relu'(0) is taken for 1; torch, and nearly everybody, has 0: dy * (z > 0)."""
    return dy * (z >= 0)


@FLAWS.backward("relu")
def without_the_mask(dy, z):
    """The mask is missing: dz = dy where z > 0, and 0 elsewhere."""
    return dy.copy()


@FLAWS.backward("relu")
def mask_of_the_gradient(dy, z):
    """The mask is made of the gradient: it must be that of z > 0."""
    return np.maximum(dy, 0)


@FLAWS.of(BCE)
def log_of_clipped_sigmoid(z, target, reduction="mean"):
    """The probability is clipped before its logarithm: take max(z, 0) - z t + log1p(exp(-|z|))."""
    p = np.clip(F.sigmoid(z), 1e-7, 1 - 1e-7).astype(z.dtype)
    losses = -(target * np.log(p) + (1 - target) * np.log1p(-p))
    return losses if reduction == "none" else getattr(losses, reduction)()


@FLAWS.of(BCE)
def softplus_that_overflows(z, target, reduction="mean"):
    """exp(z) overflows above 88.7 in float32: take max(z, 0) - z t + log1p(exp(-|z|))."""
    losses = np.log1p(np.exp(z)) - z * target
    return losses if reduction == "none" else getattr(losses, reduction)()


@FLAWS.of(BCE)
def only_where_the_target_is_one(z, target, reduction="mean"):
    """The term (1 - t) log(1 - p) is missing."""
    losses = -target * F.log_softmax(np.stack([np.zeros_like(z), z], -1))[..., 1]
    return losses if reduction == "none" else getattr(losses, reduction)()


@FLAWS.of(BCE)
def pos_weight_on_every_entry(z, target, weight=None, pos_weight=None, reduction="mean"):
    """pos_weight multiplies the whole loss: it belongs to the term of the target alone."""
    both = [w for w in (weight, pos_weight) if w is not None]
    product = np.prod(np.broadcast_arrays(*both), axis=0) if both else None
    return F.binary_cross_entropy_with_logits(z, target, weight=product, reduction=reduction)


@FLAWS.backward(BCE)
def bce_without_one_over_n(dloss, z, target, reduction="mean", **options):
    """1/N is missing: the gradient of the mean is (p - t) / N."""
    wanted = "sum" if reduction == "mean" else reduction
    return F.binary_cross_entropy_with_logits_backward(
        dloss, z, target, reduction=wanted, **options
    )


@FLAWS.backward(BCE)
def with_the_slope_of_the_sigmoid(dloss, z, target, reduction="mean", **options):
    """A factor p (1 - p) too many: in the cross-entropy it cancels, and p - t is left."""
    p = F.sigmoid(z)
    dz = F.binary_cross_entropy_with_logits_backward(
        dloss, z, target, reduction=reduction, **options
    )
    return dz * p * (1 - p)
