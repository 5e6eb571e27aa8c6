"""What goes wrong in losses: of classes, and of a difference."""

from __future__ import annotations

import numpy as np

import scratchnn.functional as F
from parity.flaws import Plants, no_mean, reduced

FLAWS = Plants()
BCE = "binary_cross_entropy_with_logits"


@FLAWS.of("cross_entropy")
class CrossEntropy:
    def sum_for_mean(z, target, reduction="mean", **options):
        """This is the sum of the losses, not their mean: divide by N (or say reduction="sum")."""
        return F.cross_entropy(z, target, reduction=no_mean(reduction), **options)

    def a_loss_a_row(z, target, reduction="mean", **options):
        """This is each row's loss, not their mean: take the mean (or say reduction="none")."""
        return F.cross_entropy(z, target, reduction="none", **options)

    def without_the_minus(z, target, **options):
        """The sign is wrong: the loss is -log p."""
        return -F.cross_entropy(z, target, **options)

    def log_of_clipped_probability(z, target, reduction="mean", epsilon=1e-7):
        """The probability is clipped at {epsilon} before its logarithm, so the loss never exceeds
        -log {epsilon}: take log_softmax, z - max - log Σ exp(z - max)."""
        p = np.clip(F.softmax(z), epsilon, 1 - epsilon).astype(z.dtype)
        return F.nll_loss(np.log(p), target, reduction=reduction)

    def log_of_p_and_epsilon(z, target, reduction="mean", epsilon=1e-8):
        """It takes log(p + ε), ε ≈ {epsilon}, wrong for every small p: take log_softmax, which
        needs no ε."""
        p = F.softmax(z) + z.dtype.type(epsilon)
        return F.nll_loss(np.log(p), target, reduction=reduction)

    def shift_added_back(z, target, reduction="mean"):
        """The maximum is added back to log Σ exp(z - max) before z[target] is subtracted, and
        digits cancel where logits are large: subtract max from z[target] instead."""
        m = z.max(axis=1)
        lse = m + np.log(np.exp(z - m[:, None]).sum(axis=1))
        return reduced(lse - z[np.arange(len(z)), target], reduction)

    def zero_for_the_mean_of_nothing(z, target, ignore_index=-100, reduction="mean"):
        """The mean of nothing is 0 here, and nan in torch: 0 / 0."""
        loss = F.cross_entropy(z, target, ignore_index=ignore_index, reduction=reduction)
        return np.where((target == ignore_index).all(), 0, loss).astype(z.dtype)

    def log_of_zero(z, target, reduction="mean"):
        """It takes log p, which is log 0 = -inf where p underflows: take log_softmax."""
        return F.nll_loss(np.log(F.softmax(z)), target, reduction=reduction)

    def without_the_maximum(z, target, reduction="mean"):
        """exp overflows above 88.7 in float32 (709.8 in float64):
        subtract the row's maximum first."""
        e = np.exp(z)
        return F.nll_loss(np.log(e / e.sum(axis=1, keepdims=True)), target, reduction=reduction)

    def logsumexp_without_the_maximum(z, target, reduction="mean"):
        """exp overflows above 88.7 in float32 (709.8 in float64):
        subtract the row's maximum first."""
        return reduced(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), target], reduction)

    def softmax_twice(z, target, reduction="mean"):
        """The softmax is taken twice: give the loss logits. Of probabilities take the log alone."""
        return F.cross_entropy(F.softmax(z), target, reduction=reduction)

    def a_sigmoid_first(z, target, reduction="mean"):
        """The logits are squashed by a sigmoid before the softmax: the loss cannot come near 0."""
        return F.cross_entropy(F.sigmoid(z), target, reduction=reduction)

    def in_bits(z, target, reduction="mean"):
        """The logarithm has base 2: np.log is the natural one."""
        return F.cross_entropy(z, target, reduction=reduction) / z.dtype.type(np.log(2))

    def mean_over_everything(z, target, reduction="mean"):
        """The mean is over N · C entries: divide by the number of rows."""
        losses = F.cross_entropy(z, target, reduction=no_mean(reduction))
        return losses / z.dtype.type(z.size) if reduction == "mean" else losses

    def labels_counted_from_the_end(z, target, reduction="mean"):
        """NumPy counts -1 from the end, so it reads the last class: check the labels"""
        return reduced(-F.log_softmax(z)[np.arange(len(z)), target], reduction)

    def labels_counted_from_one(z, target, reduction="mean"):
        """It looks up the class before the label's: labels count from 0."""
        return reduced(-F.log_softmax(z)[np.arange(len(z)), target - 1], reduction)

    def mean_over_rows_of_weighted_losses(z, target, weight=None, reduction="mean", **options):
        """The weighted losses are divided by N, and not by the sum of the target's weights."""
        losses = F.cross_entropy(z, target, weight=weight, reduction=no_mean(reduction), **options)
        rows = (target != options.get("ignore_index", -100)).sum()
        return losses / z.dtype.type(rows) if reduction == "mean" else losses

    def ignored_rows_counted(z, target, weight=None, reduction="mean", **options):
        """Rows with the ignored label are counted in the mean's denominator."""
        losses = F.cross_entropy(z, target, weight=weight, reduction=no_mean(reduction), **options)
        w = np.ones(z.shape[1], z.dtype) if weight is None else weight
        return losses / w[np.maximum(target, 0)].sum() if reduction == "mean" else losses

    def smoothing_without_class_weights(
        z, target, weight=None, label_smoothing=0.0, reduction="mean", **options
    ):
        """The smooth part of the loss has no class weights: each -log p_c has its own w_c."""
        sharp = F.cross_entropy(z, target, weight=weight, reduction="none", **options)
        seen = target != options.get("ignore_index", -100)
        smooth = -F.log_softmax(z, 1).mean(1) * seen
        losses = (1 - label_smoothing) * sharp + label_smoothing * smooth
        w = seen if weight is None else np.where(seen, weight[np.maximum(target, 0) * seen], 0)
        total = reduced(losses, no_mean(reduction))
        return total / np.sum(w, dtype=z.dtype) if reduction == "mean" else total

    def smoothing_over_the_others(z, target, label_smoothing=0.0, reduction="mean"):
        """ε is shared among the C - 1 other classes: torch shares it among all C."""
        C = z.shape[1]
        epsilon = label_smoothing * C / max(C - 1, 1)
        return F.cross_entropy(z, target, reduction=reduction, label_smoothing=min(epsilon, 1.0))

    def without_one_over_n(dloss, z, target, reduction="mean", **options):
        """1/N is missing: the gradient of the mean is (p - onehot) / N."""
        return F.cross_entropy_backward(dloss, z, target, reduction=no_mean(reduction), **options)

    def without_the_one_hot(dloss, z, target, reduction="mean"):
        """The target's 1 is not subtracted: dz = p - onehot."""
        share = np.reshape(dloss, (-1, 1)) / z.dtype.type(len(z) if reduction == "mean" else 1)
        return F.softmax(z) * share

    def one_hot_minus_p(dloss, z, target, **options):
        """The sign is wrong: dz = p - onehot."""
        return -F.cross_entropy_backward(dloss, z, target, **options)

    def no_gradient_at_all(dloss, z, target):
        """The gradient is 0 everywhere."""
        return np.zeros_like(z)

    def dloss_ignored(dloss, z, target, **options):
        """The upstream gradient is taken for 1."""
        return F.cross_entropy_backward(np.ones_like(dloss), z, target, **options)

    def mean_over_rows_in_the_gradient(dloss, z, target, reduction="mean", **options):
        """The weighted gradient is divided by N, and not by the sum of the target's weights."""
        sums = F.cross_entropy_backward(dloss, z, target, reduction=no_mean(reduction), **options)
        rows = (target != options.get("ignore_index", -100)).sum()
        return sums / z.dtype.type(rows) if reduction == "mean" else sums

    def ignored_rows_taken_for_class_0(dloss, z, target, **options):
        """Rows with the ignored label have a gradient: it must be 0."""
        return F.cross_entropy_backward(dloss, z, np.maximum(target, 0), **options)


@FLAWS.of("cross_entropy, probabilities")
class CrossEntropyProbabilities:
    def hard_labels_of_probabilities(z, target, reduction="mean"):
        """The target's argmax is taken: soft labels weigh every class."""
        return F.cross_entropy(z, target.argmax(axis=1), reduction=reduction)

    def divergence_for_cross_entropy(z, target, reduction="mean"):
        """The target's entropy is subtracted: that is the divergence, not the cross-entropy."""
        entropy = -(target * np.log(target)).sum(axis=1)
        return reduced(F.cross_entropy(z, target, reduction="none") - entropy, reduction)

    def factor_p_in_the_targets_gradient(dloss, z, target, **options):
        """The target's gradient has a factor p too many: it is -log p."""
        dz, dtarget = F.cross_entropy_backward(dloss, z, target, **options)
        return dz, dtarget * F.softmax(z, min(z.ndim - 1, 1))


@FLAWS.of("cross_entropy_of_probabilities")
class CrossEntropyOfProbabilities:
    def log_of_given_p_and_epsilon(p, target, reduction="mean", epsilon=1e-8):
        """It takes log(p + ε), ε ≈ {epsilon}: the loss of a small p is wrong. Give the loss logits,
        and take log_softmax, which needs no ε."""
        return F.nll_loss(np.log(p + p.dtype.type(epsilon)), target, reduction=reduction)

    def log_of_clipped_given_p(p, target, reduction="mean", epsilon=1e-7):
        """p is clipped at {epsilon}, so the loss never exceeds -log {epsilon}. Give the loss logits,
        and take log_softmax."""
        p = np.clip(p, epsilon, 1 - epsilon).astype(p.dtype)
        return F.nll_loss(np.log(p), target, reduction=reduction)

    def without_the_logarithm(p, target, reduction="mean"):
        """The logarithm is missing: the loss is -log p."""
        return F.nll_loss(p, target, reduction=reduction)

    def zero_times_log_of_other_classes(p, target, reduction="mean"):
        """0 · log 0 is nan where a class that is not the target has p = 0: take the logarithm of
        the target's p alone."""
        onehot = np.eye(p.shape[1], dtype=p.dtype)[target]
        return reduced(-(onehot * np.log(p)).sum(axis=1), reduction)

    def with_one_minus_p(p, target, reduction="mean"):
        """log(1 - p) of the other classes is added: that is the binary cross-entropy of each class."""
        onehot = np.eye(p.shape[1], dtype=p.dtype)[target]
        both = onehot * np.log(p) + (1 - onehot) * np.log1p(-p)
        return reduced(-both.sum(axis=1), reduction)

    def slope_with_the_wrong_sign(dloss, p, target, reduction="mean"):
        """The sign is wrong: the gradient of -log p is -1/p at the target."""
        return -_slope_of_p(dloss, p, target, reduction)

    def slope_and_epsilon(dloss, p, target, reduction="mean", epsilon=1e-8):
        """It takes 1 / (p + ε), ε ≈ {epsilon}, wrong for a small p."""
        return _slope_of_p(dloss, p + p.dtype.type(epsilon), target, reduction)

    def slope_of_zero_over_zero(dloss, p, target, reduction="mean"):
        """-onehot / p is 0 / 0 = nan for the other classes where p is 0: divide at the target
        alone."""
        return _slope_of_p(dloss, p, target, reduction)

    def slope_of_every_class(dloss, p, target, reduction="mean"):
        """Every class has a gradient: only the target's p is in the loss."""
        share = dloss / len(p) if reduction == "mean" else np.reshape(dloss, (-1, 1))
        return -share / p


def _slope_of_p(dloss, p, target, reduction):
    onehot = np.eye(p.shape[1], dtype=p.dtype)[target]
    share = dloss / len(p) if reduction == "mean" else np.reshape(dloss, (-1, 1))
    return -onehot / p * share


@FLAWS.of("cross_entropy_of_probabilities, probabilities")
class SoftCrossEntropyOfProbabilities:
    def log_of_given_p_and_epsilon(p, target, reduction="mean", epsilon=1e-8):
        """It takes log(p + ε), ε ≈ {epsilon}: the loss of a small p is wrong. Give the loss logits,
        and take log_softmax, which needs no ε."""
        return reduced(-(target * np.log(p + p.dtype.type(epsilon))).sum(axis=1), reduction)

    def log_of_clipped_given_p(p, target, reduction="mean", epsilon=1e-7):
        """p is clipped at {epsilon}: the loss of a small p is wrong. Give the loss logits."""
        p = np.clip(p, epsilon, 1 - epsilon).astype(p.dtype)
        return reduced(-(target * np.log(p)).sum(axis=1), reduction)


@FLAWS.of("binary_cross_entropy")
class BinaryCrossEntropyOfProbabilities:
    def log_of_p_and_epsilon(p, target, reduction="mean", epsilon=1e-8):
        """It takes log(p + ε), ε ≈ {epsilon}, wrong near 0 and 1: give the loss logits, and take
        max(z, 0) - z t + log1p(exp(-|z|))."""
        eps = p.dtype.type(epsilon)
        losses = -(target * np.log(p + eps) + (1 - target) * np.log(1 - p + eps))
        return reduced(losses, reduction)

    def log_of_clipped_p(p, target, reduction="mean", epsilon=1e-7):
        """p is clipped at {epsilon}, so no loss exceeds -log {epsilon}: give the loss logits, and
        take max(z, 0) - z t + log1p(exp(-|z|))."""
        p = np.clip(p, epsilon, 1 - epsilon).astype(p.dtype)
        return reduced(-(target * np.log(p) + (1 - target) * np.log1p(-p)), reduction)

    def zero_times_log_of_zero(p, target, reduction="mean"):
        """0 · log 0 is 0 · (-inf) = nan where p is 0 or 1: take the term alone that counts."""
        return reduced(-(target * np.log(p) + (1 - target) * np.log(1 - p)), reduction)

    def only_where_the_target_is_one(p, target, reduction="mean"):
        """The term (1 - t) log(1 - p) is missing."""
        return reduced(-target * np.log(p), reduction)

    def plus_for_minus(p, target, reduction="mean"):
        """The sign of one of the two terms is wrong: -(t log p + (1 - t) log(1 - p))."""
        return reduced(-target * np.log(p) + (1 - target) * np.log1p(-p), reduction)

    def slope_without_p_1_minus_p(dloss, p, target, reduction="mean"):
        """It is p - t, the gradient of the logits: that of p is (p - t) / (p (1 - p))."""
        return dloss * (p - target) / p.dtype.type(p.size if reduction == "mean" else 1)

    def slope_of_one_term(dloss, p, target, reduction="mean"):
        """The term (1 - t) / (1 - p) is missing in the gradient."""
        return -dloss * target / p / p.dtype.type(p.size if reduction == "mean" else 1)

    def slope_with_the_wrong_sign(dloss, p, target, reduction="mean"):
        """The sign is wrong: the gradient is (1 - t) / (1 - p) - t / p."""
        slope = target / p - (1 - target) / (1 - p)
        return dloss * slope / p.dtype.type(p.size if reduction == "mean" else 1)


@FLAWS.of("kl_div_of_probabilities")
class KlDivOfProbabilities:
    def reversed(q, target, reduction="mean"):
        """The two are the wrong way round: it is Σ q log(q / p), and must be Σ p log(p / q)."""
        return reduced(q * (np.log(q) - np.log(target)), reduction)

    def epsilon_in_the_quotient(q, target, reduction="mean", epsilon=1e-8):
        """ε ≈ {epsilon} is added before the logarithm, wrong for small q."""
        eps = q.dtype.type(epsilon)
        return reduced(target * np.log((target + eps) / (q + eps)), reduction)

    def clipped_q(q, target, reduction="mean", epsilon=1e-8):
        """q and p are clipped at {epsilon}, wrong for small q."""
        q, p = (np.clip(x, epsilon, 1).astype(x.dtype) for x in (q, target))
        return reduced(p * np.log(p / q), reduction)

    def zero_times_log_of_zero(q, target, reduction="mean"):
        """0 · log 0 is 0 · (-inf) = nan: a class of no probability adds 0."""
        return reduced(target * (np.log(target) - np.log(q)), reduction)

    def without_the_entropy(q, target, reduction="mean"):
        """The term p log p is missing: this is the cross-entropy."""
        return reduced(-target * np.log(q), reduction)


@FLAWS.of("nll_loss")
class NllLoss:
    def log_taken_again(log_p, target, reduction="mean"):
        """It takes a logarithm of what is one already."""
        return F.nll_loss(np.log(abs(log_p)), target, reduction=reduction)

    def likelihood_without_the_minus(log_p, target, **options):
        """The sign is wrong: the loss is -log p."""
        return -F.nll_loss(log_p, target, **options)

    def nll_without_one_over_n(dloss, log_p, target, reduction="mean", **options):
        """1/N is missing: the gradient of the mean is -1/N at the target."""
        return F.nll_loss_backward(dloss, log_p, target, reduction=no_mean(reduction), **options)


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
        return losses.sum() / len(losses) if reduction == "batchmean" else reduced(losses, reduction)

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
        """The sign is wrong: prediction - target."""
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
