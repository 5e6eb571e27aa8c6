"""What goes wrong in losses: of yes or no, of two distributions, and of a difference."""

from __future__ import annotations

import numpy as np

import scratchnn.functional as F
from parity.flaws import Plants, no_mean, reduced

FLAWS = Plants()
BCE = "binary_cross_entropy_with_logits"


@FLAWS.of(BCE)
class BinaryCrossEntropy:
    def log_of_clipped_sigmoid(z, target, reduction="mean", epsilon=1e-7):
        """The probability is clipped at {epsilon} before its logarithm: take
        max(z, 0) - z t + log1p(e^-|z|)."""
        p = np.clip(F.sigmoid(z), epsilon, 1 - epsilon).astype(z.dtype)
        return reduced(-(target * np.log(p) + (1 - target) * np.log1p(-p)), reduction)

    def log_of_sigmoid_and_epsilon(z, target, reduction="mean", epsilon=1e-8):
        """It takes log(p + ε), ε ≈ {epsilon}, wrong where p is near 0 or 1: take
        max(z, 0) - z t + log1p(e^-|z|)."""
        p, eps = F.sigmoid(z), z.dtype.type(epsilon)
        losses = -(target * np.log(p + eps) + (1 - target) * np.log(1 - p + eps))
        return reduced(losses, reduction)

    def log_of_sigmoid(z, target, reduction="mean"):
        """It takes log p and log(1 - p), which lose the digits of a large |z|, and are -inf where
        p rounds to 0 or 1: take max(z, 0) - z t + log1p(e^-|z|)."""
        p = F.sigmoid(z)
        return reduced(-(target * np.log(p) + (1 - target) * np.log(1 - p)), reduction)

    def bce_of_clipped_logits(z, target, reduction="mean", limit=50.0):
        """The logits are clipped at ±{limit}, so the loss stays finite and wrong: take
        max(z, 0) - z t + log1p(e^-|z|)."""
        z = np.clip(z, -limit, limit)
        return F.binary_cross_entropy_with_logits(z, target, reduction=reduction)

    def a_sign_of_z_t(z, target, reduction="mean"):
        """The sign of z t is wrong: max(z, 0) - z t + log1p(exp(-|z|))."""
        return reduced(np.maximum(z, 0) + z * target + np.log1p(np.exp(-abs(z))), reduction)

    def softplus_that_overflows(z, target, reduction="mean"):
        """exp(z) overflows above 88.7 in float32: take max(z, 0) - z t + log1p(exp(-|z|))."""
        return reduced(np.log1p(np.exp(z)) - z * target, reduction)

    def only_where_the_target_is_one(z, target, reduction="mean"):
        """The term (1 - t) log(1 - p) is missing."""
        losses = -target * F.log_softmax(np.stack([np.zeros_like(z), z], -1))[..., 1]
        return reduced(losses, reduction)

    def pos_weight_on_every_entry(z, target, weight=None, pos_weight=None, reduction="mean"):
        """pos_weight multiplies the whole loss: it belongs to the term of the target alone."""
        both = [w for w in (weight, pos_weight) if w is not None]
        product = np.prod(np.broadcast_arrays(*both), axis=0) if both else None
        return F.binary_cross_entropy_with_logits(z, target, weight=product, reduction=reduction)

    def bce_without_one_over_n(dloss, z, target, reduction="mean", **options):
        """1/N is missing: the gradient of the mean is (p - t) / N."""
        options["reduction"] = no_mean(reduction)
        return F.binary_cross_entropy_with_logits_backward(dloss, z, target, **options)[0]

    def with_the_slope_of_the_sigmoid(dloss, z, target, **options):
        """A factor p (1 - p) too many: in the cross-entropy it cancels, and p - t is left."""
        dz = F.binary_cross_entropy_with_logits_backward(dloss, z, target, **options)[0]
        return F.sigmoid_backward(dz, z)


@FLAWS.of("kl_div")
class KlDiv:
    def mean_for_batchmean(log_q, target, reduction="mean", log_target=False):
        """It divides by all entries, where "batchmean" divides by the rows."""
        wanted = "mean" if reduction == "batchmean" else reduction
        return F.kl_div(log_q, target, reduction=wanted, log_target=log_target)

    def without_the_targets_entropy(log_q, target, reduction="mean"):
        """The term p log p is missing: this is the cross-entropy."""
        return reduced(-target * log_q, reduction)

    def zero_times_log_zero(log_q, target, reduction="mean"):
        """0 · log 0 is 0 · (-inf) = nan: a class of no probability adds 0."""
        return reduced(target * (np.log(target) - log_q), reduction)

    def quotient_with_exp_of_log_q(log_q, target, reduction="mean"):
        """It divides by exp(log q), which underflows to 0 below -745 (-103 in float32): take
        p (log p - log q)."""
        quotient = np.log(target / np.exp(log_q))
        return reduced(np.where(target != 0, target * quotient, 0), reduction)

    def log_q_added(log_q, target, reduction="mean"):
        """log q is added: it must be subtracted, p (log p - log q)."""
        log_p = np.log(np.where(target == 0, 1, target))
        losses = target * (log_p + log_q)
        return (
            losses.sum() / len(losses) if reduction == "batchmean" else reduced(losses, reduction)
        )

    def reversed_divergence(log_q, target, reduction="mean"):
        """The two are the wrong way round: it is Σ q log(q / p), and must be Σ p log(p / q)."""
        return reduced(np.exp(log_q) * (log_q - np.log(target)), reduction)

    def p_with_the_wrong_sign(dloss, log_q, target, **options):
        """The sign is wrong: the gradient is -p."""
        return -F.kl_div_backward(dloss, log_q, target, **options)[0]

    def derivative_without_its_1(dloss, log_q, target, reduction="mean", log_target=False):
        """The target's gradient lacks a 1: p (log p - log q) has the slope log p - log q + 1."""
        options = {"reduction": reduction, "log_target": log_target}
        dlog_q, dtarget = F.kl_div_backward(dloss, log_q, target, **options)
        p = np.exp(target) if log_target else np.ones_like(target)
        share = {"none": 1, "sum": 1, "mean": log_q.size, "batchmean": len(log_q)}[reduction]
        return dlog_q, dtarget - dloss * p / log_q.dtype.type(share)


@FLAWS.of("mse_loss")
class MseLoss:
    def mse_with_a_half(prediction, target, **options):
        """There is a 1/2: the textbook's squared loss has it, torch's mse_loss has not."""
        return F.squared_loss(prediction, target, **options)

    def root_of_the_mean_square(prediction, target, reduction="mean"):
        """It takes a square root: that is the RMSE."""
        return np.sqrt(F.mse_loss(prediction, target, reduction=reduction))

    def absolute_for_squared(prediction, target, reduction="mean"):
        """It takes the absolute value, not the square: that is the mean absolute error, l1_loss."""
        return F.l1_loss(prediction, target, reduction=reduction)

    def gradient_without_its_2(dloss, prediction, target, **options):
        """The 2 of the derivative is missing: 2 (prediction - target) / N."""
        return F.squared_loss_backward(dloss, prediction, target, **options)[0]

    def mse_without_one_over_n(dloss, prediction, target, reduction="mean"):
        """1/N is missing: 2 (prediction - target) / N."""
        return F.mse_loss_backward(dloss, prediction, target, reduction=no_mean(reduction))[0]

    def target_with_the_predictions_sign(dloss, prediction, target, **options):
        """The target's gradient has the sign of the prediction's: it is minus that one."""
        dprediction, _ = F.mse_loss_backward(dloss, prediction, target, **options)
        return dprediction, dprediction


@FLAWS.of("squared_loss")
class SquaredLoss:
    def squared_loss_without_its_half(prediction, target, **options):
        """The 1/2 is missing: this is torch's mse_loss."""
        return F.mse_loss(prediction, target, **options)

    def target_minus_prediction(dloss, prediction, target, **options):
        """The sign is wrong: it is prediction - target."""
        return -F.squared_loss_backward(dloss, prediction, target, **options)[0]


@FLAWS.of("l1_loss")
class L1Loss:
    def without_the_absolute_value(prediction, target, reduction="mean"):
        """The differences are not taken in absolute value, and cancel."""
        return reduced(prediction - target, reduction)

    def l1_target_minus_prediction(dloss, prediction, target, **options):
        """The sign is wrong: it is that of prediction - target."""
        return -F.l1_loss_backward(dloss, prediction, target, **options)[0]

    def difference_for_its_sign(dloss, prediction, target, **options):
        """It is the difference: the gradient is its sign."""
        return F.squared_loss_backward(dloss, prediction, target, **options)[0]

    def size_for_its_sign(dloss, prediction, target, **options):
        """It is the size of the difference: the gradient is its sign."""
        dprediction = F.squared_loss_backward(dloss, prediction, target, **options)[0]
        return np.sign(dloss) * abs(dprediction)

    def l1_slope_1_at_0(dloss, prediction, target, reduction="mean"):
        """The slope where prediction and target are equal is taken for 1: torch has 0, np.sign."""
        share = dloss / prediction.dtype.type(prediction.size if reduction == "mean" else 1)
        return np.where(prediction >= target, 1, -1).astype(prediction.dtype) * share

    def size_of_the_slope(dloss, prediction, target, **options):
        """The slope's absolute value is taken: it is -1 below the target."""
        dprediction = F.l1_loss_backward(dloss, prediction, target, **options)[0]
        return abs(dprediction) * np.sign(dloss)


@FLAWS.of("smooth_l1_loss")
class SmoothL1Loss:
    def branches_swapped(prediction, target, beta=1.0, reduction="mean"):
        """The two branches are swapped: the square belongs where |r| < beta."""
        r = abs(prediction - target)
        return reduced(np.where(r > beta, r * r / 2 / beta, r - beta / 2), reduction)

    def huber_for_smooth_l1(prediction, target, beta=1.0, reduction="mean"):
        """It is the Huber loss: smooth L1 is Huber divided by beta."""
        return F.huber_loss(prediction, target, delta=beta, reduction=reduction)

    def huber_for_smooth_l1_in_the_gradient(dloss, prediction, target, beta=1.0, reduction="mean"):
        """It is the gradient of the Huber loss: smooth L1 is Huber divided by beta."""
        return F.huber_loss_backward(dloss, prediction, target, delta=beta, reduction=reduction)[0]


@FLAWS.of("huber_loss")
class HuberLoss:
    def huber_without_its_line(prediction, target, delta=1.0, reduction="mean"):
        """Beyond delta the loss must grow along a line: delta (|r| - delta / 2)."""
        return F.squared_loss(prediction, target, reduction=reduction)

    def huber_that_jumps(prediction, target, delta=1.0, reduction="mean"):
        """The line misses its -delta / 2, so that the loss jumps at delta."""
        r = abs(prediction - target)
        return reduced(np.where(r <= delta, r * r / 2, delta * r), reduction)

    def huber_branches_swapped(prediction, target, delta=1.0, reduction="mean"):
        """The two branches are swapped: the square belongs where |r| <= delta."""
        r = abs(prediction - target)
        return reduced(np.where(r > delta, r * r / 2, delta * (r - delta / 2)), reduction)

    def huber_line_without_delta(prediction, target, delta=1.0, reduction="mean"):
        """Beyond delta the line has the slope 1: it must be delta (|r| - delta / 2)."""
        r = abs(prediction - target)
        return reduced(np.where(r <= delta, r * r / 2, r - delta / 2), reduction)

    def huber_without_its_half(prediction, target, delta=1.0, reduction="mean"):
        """The 1/2 of the square is missing: r² / 2 up to delta."""
        r = abs(prediction - target)
        return reduced(np.where(r <= delta, r * r, delta * (r - delta / 2)), reduction)

    def huber_not_clipped(dloss, prediction, target, delta=1.0, reduction="mean"):
        """The gradient is not clipped at delta."""
        return F.squared_loss_backward(dloss, prediction, target, reduction=reduction)[0]
