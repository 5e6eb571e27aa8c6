"""What goes wrong in losses of classes, from logits or log-probabilities."""

from __future__ import annotations

import numpy as np

import scratchnn.functional as F
from parity.flaws import Plants, no_mean, reduced

FLAWS = Plants()


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

    def cross_entropy_of_clipped_logits(z, target, reduction="mean", limit=50.0):
        """The logits are clipped at ±{limit}, so the loss stays finite and wrong: take log_softmax,
        z - max - log Σ exp(z - max)."""
        return F.cross_entropy(np.clip(z, -limit, limit), target, reduction=reduction)

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
        """exp overflows above 88.7 in float32 (709.8 in float64), and where p underflows to 0,
        log p is -inf: take log_softmax, z - max - log Σ exp(z - max)."""
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

    def columns_of_all_labels(z, target, reduction="mean"):
        """log_p[:, y] takes the columns of all labels from each row: log_p[np.arange(N), y] takes
        each row's own."""
        return reduced(-F.log_softmax(z)[:, target], reduction)

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


@FLAWS.of("nll_loss")
class NllLoss:
    def log_taken_again(log_p, target, reduction="mean"):
        """It takes a logarithm of what is one already."""
        return F.nll_loss(np.log(abs(log_p)), target, reduction=reduction)

    def columns_of_all_labels_in_nll(log_p, target, reduction="mean"):
        """log_p[:, y] takes the columns of all labels from each row: log_p[np.arange(N), y] takes
        each row's own."""
        return reduced(-log_p[:, target], reduction)

    def likelihood_without_the_minus(log_p, target, **options):
        """The sign is wrong: the loss is -log p."""
        return -F.nll_loss(log_p, target, **options)

    def nll_without_one_over_n(dloss, log_p, target, reduction="mean", **options):
        """1/N is missing: the gradient of the mean is -1/N at the target."""
        return F.nll_loss_backward(dloss, log_p, target, reduction=no_mean(reduction), **options)
