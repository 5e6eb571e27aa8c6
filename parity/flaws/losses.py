"""What goes wrong in losses of classes: cross-entropies and divergences."""

from __future__ import annotations

import numpy as np

import scratchnn.functional as F
from parity.flaws.flaw import Plants, no_mean, reduced

FLAWS = Plants()
BCE = "binary_cross_entropy_with_logits"


@FLAWS.of("cross_entropy")
def sum_for_mean(z, target, reduction="mean", **options):
    """This is the sum of the losses, not their mean: divide by N (or say reduction="sum")."""
    return F.cross_entropy(z, target, reduction=no_mean(reduction), **options)


@FLAWS.of("cross_entropy")
def a_loss_a_row(z, target, reduction="mean", **options):
    """This is each row's loss, not their mean: take the mean (or say reduction="none")."""
    return F.cross_entropy(z, target, reduction="none", **options)


@FLAWS.of("cross_entropy")
def without_the_minus(z, target, **options):
    """The sign is wrong: the loss is -log p."""
    return -F.cross_entropy(z, target, **options)


@FLAWS.of("cross_entropy")
def log_of_clipped_probability(z, target, reduction="mean"):
    """The probability is clipped before its logarithm, so the loss never exceeds 16 or so: take
    z[target] - log Σ exp z, by log_softmax."""
    p = np.clip(F.softmax(z), 1e-7, 1 - 1e-7).astype(z.dtype)
    return F.nll_loss(np.log(p), target, reduction=reduction)


@FLAWS.of("cross_entropy")
def log_of_p_and_epsilon(z, target, reduction="mean"):
    """It takes log(p + ε), wrong for every small p: take log_softmax, which needs no ε."""
    return F.nll_loss(np.log(F.softmax(z) + z.dtype.type(1e-8)), target, reduction=reduction)


@FLAWS.of("cross_entropy")
def log_of_zero(z, target, reduction="mean"):
    """It takes log p, which is log 0 = -inf where p underflows: take log_softmax."""
    return F.nll_loss(np.log(F.softmax(z)), target, reduction=reduction)


@FLAWS.of("cross_entropy")
def without_the_maximum(z, target, reduction="mean"):
    """exp overflows above 88.7 in float32 (709.8 in float64): subtract the row's maximum first."""
    e = np.exp(z)
    log_p = np.log(e / e.sum(axis=1, keepdims=True))
    return F.nll_loss(log_p, target, reduction=reduction)


@FLAWS.of("cross_entropy")
def logsumexp_without_the_maximum(z, target, reduction="mean"):
    """exp overflows above 88.7 in float32 (709.8 in float64): subtract the row's maximum first."""
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), target]
    return reduced(losses, reduction)


@FLAWS.of("cross_entropy")
def softmax_twice(z, target, reduction="mean"):
    """The softmax is taken twice: give the loss logits, or take the log of the
    probabilities that it was given."""
    return F.cross_entropy(F.softmax(z), target, reduction=reduction)


@FLAWS.of("cross_entropy")
def a_sigmoid_first(z, target, reduction="mean"):
    """The logits are squashed by a sigmoid before the softmax: the loss cannot come near 0."""
    return F.cross_entropy(F.sigmoid(z), target, reduction=reduction)


@FLAWS.of("cross_entropy")
def in_bits(z, target, reduction="mean"):
    """The logarithm has base 2: np.log is the natural one."""
    return F.cross_entropy(z, target, reduction=reduction) / z.dtype.type(np.log(2))


@FLAWS.of("cross_entropy")
def mean_over_everything(z, target, reduction="mean"):
    """The mean is over N · C entries: divide by the number of rows."""
    losses = F.cross_entropy(z, target, reduction=no_mean(reduction))
    return losses / z.dtype.type(z.size) if reduction == "mean" else losses


@FLAWS.of("cross_entropy")
def labels_counted_from_the_end(z, target, reduction="mean"):
    """NumPy counts -1 from the end, so it reads the last class: check the labels"""
    log_p = F.log_softmax(z)
    return reduced(-log_p[np.arange(len(z)), target], reduction)


@FLAWS.of("cross_entropy")
def mean_over_rows_of_weighted_losses(z, target, weight=None, reduction="mean", **options):
    """The weighted losses are divided by N, and not by the sum of the target's weights."""
    losses = F.cross_entropy(z, target, weight=weight, reduction=no_mean(reduction), **options)
    rows = (target != options.get("ignore_index", -100)).sum()
    return losses / z.dtype.type(rows) if reduction == "mean" else losses


@FLAWS.of("cross_entropy")
def ignored_rows_counted(z, target, weight=None, reduction="mean", **options):
    """Rows with the ignored label are counted in the mean's denominator."""
    losses = F.cross_entropy(z, target, weight=weight, reduction=no_mean(reduction), **options)
    w = np.ones(1, z.dtype).repeat(target.size) if weight is None else weight[np.maximum(target, 0)]
    return losses / w.sum() if reduction == "mean" else losses


@FLAWS.of("cross_entropy")
def smoothing_without_class_weights(
    z, target, weight=None, label_smoothing=0.0, reduction="mean", **options
):
    """The smooth part of the loss has no class weights: each -log p_c has its own w_c."""
    sharp = F.cross_entropy(z, target, weight=weight, reduction="none", **options)
    seen = target != options.get("ignore_index", -100)
    losses = (1 - label_smoothing) * sharp - label_smoothing * F.log_softmax(z, 1).mean(1) * seen
    w = seen if weight is None else np.where(seen, weight[np.maximum(target, 0) * seen], 0)
    total = reduced(losses, no_mean(reduction))
    return total / np.sum(w, dtype=z.dtype) if reduction == "mean" else total


@FLAWS.of("cross_entropy")
def smoothing_over_the_others(z, target, label_smoothing=0.0, reduction="mean"):
    """ε is shared among the C - 1 other classes: torch shares it among all C."""
    C = z.shape[1]
    epsilon = label_smoothing * C / max(C - 1, 1)
    return F.cross_entropy(z, target, reduction=reduction, label_smoothing=min(epsilon, 1.0))


@FLAWS.backward("cross_entropy")
def without_one_over_n(dloss, z, target, reduction="mean", **options):
    """1/N is missing: the gradient of the mean is (p - onehot) / N."""
    return F.cross_entropy_backward(dloss, z, target, reduction=no_mean(reduction), **options)


@FLAWS.backward("cross_entropy")
def without_the_one_hot(dloss, z, target, reduction="mean"):
    """The target's 1 is not subtracted: dz = p - onehot."""
    share = np.reshape(dloss, (-1, 1)) / z.dtype.type(len(z) if reduction == "mean" else 1)
    return F.softmax(z) * share


@FLAWS.backward("cross_entropy")
def one_hot_minus_p(dloss, z, target, **options):
    """The sign is wrong: dz = p - onehot."""
    return -F.cross_entropy_backward(dloss, z, target, **options)


@FLAWS.backward("cross_entropy")
def no_gradient_at_all(dloss, z, target):
    """The gradient is 0 everywhere."""
    return np.zeros_like(z)


@FLAWS.backward("cross_entropy")
def dloss_ignored(dloss, z, target, **options):
    """The upstream gradient is taken for 1."""
    return F.cross_entropy_backward(np.ones_like(dloss), z, target, **options)


@FLAWS.backward("cross_entropy")
def mean_over_rows_in_the_gradient(dloss, z, target, reduction="mean", **options):
    """The weighted gradient is divided by N, and not by the sum of the target's weights."""
    sums = F.cross_entropy_backward(dloss, z, target, reduction=no_mean(reduction), **options)
    rows = (target != options.get("ignore_index", -100)).sum()
    return sums / z.dtype.type(rows) if reduction == "mean" else sums


@FLAWS.backward("cross_entropy")
def ignored_rows_taken_for_class_0(dloss, z, target, **options):
    """Rows with the ignored label have a gradient: it must be 0."""
    return F.cross_entropy_backward(dloss, z, np.maximum(target, 0), **options)


@FLAWS.of("cross_entropy, probabilities")
def hard_labels_of_probabilities(z, target, reduction="mean"):
    """The target's argmax is taken: soft labels weigh every class."""
    return F.cross_entropy(z, target.argmax(axis=1), reduction=reduction)


@FLAWS.of("cross_entropy, probabilities")
def divergence_for_cross_entropy(z, target, reduction="mean"):
    """The target's entropy is subtracted: that is the divergence, not the cross-entropy."""
    entropy = -(target * np.log(target)).sum(axis=1)
    return reduced(F.cross_entropy(z, target, reduction="none") - entropy, reduction)


@FLAWS.backward("cross_entropy, probabilities")
def factor_p_in_the_targets_gradient(dloss, z, target, **options):
    """The target's gradient has a factor p too many: it is -log p."""
    dz, dtarget = F.cross_entropy_backward(dloss, z, target, **options)
    return dz, dtarget * F.softmax(z, min(z.ndim - 1, 1))


@FLAWS.of("nll_loss")
def log_taken_again(log_p, target, reduction="mean"):
    """It takes a logarithm of what is one already."""
    return F.nll_loss(np.log(abs(log_p)), target, reduction=reduction)


@FLAWS.of("nll_loss")
def likelihood_without_the_minus(log_p, target, **options):
    """The sign is wrong: the loss is -log p."""
    return -F.nll_loss(log_p, target, **options)


@FLAWS.backward("nll_loss")
def nll_without_one_over_n(dloss, log_p, target, reduction="mean", **options):
    """1/N is missing: the gradient of the mean is -1/N at the target."""
    return F.nll_loss_backward(dloss, log_p, target, reduction=no_mean(reduction), **options)


@FLAWS.of(BCE)
def log_of_clipped_sigmoid(z, target, reduction="mean"):
    """The probability is clipped before its logarithm: take max(z, 0) - z t + log1p(exp(-|z|))."""
    p = np.clip(F.sigmoid(z), 1e-7, 1 - 1e-7).astype(z.dtype)
    losses = -(target * np.log(p) + (1 - target) * np.log1p(-p))
    return reduced(losses, reduction)


@FLAWS.of(BCE)
def softplus_that_overflows(z, target, reduction="mean"):
    """exp(z) overflows above 88.7 in float32: take max(z, 0) - z t + log1p(exp(-|z|))."""
    losses = np.log1p(np.exp(z)) - z * target
    return reduced(losses, reduction)


@FLAWS.of(BCE)
def only_where_the_target_is_one(z, target, reduction="mean"):
    """The term (1 - t) log(1 - p) is missing."""
    losses = -target * F.log_softmax(np.stack([np.zeros_like(z), z], -1))[..., 1]
    return reduced(losses, reduction)


@FLAWS.of(BCE)
def pos_weight_on_every_entry(z, target, weight=None, pos_weight=None, reduction="mean"):
    """pos_weight multiplies the whole loss: it belongs to the term of the target alone."""
    both = [w for w in (weight, pos_weight) if w is not None]
    product = np.prod(np.broadcast_arrays(*both), axis=0) if both else None
    return F.binary_cross_entropy_with_logits(z, target, weight=product, reduction=reduction)


@FLAWS.backward(BCE)
def bce_without_one_over_n(dloss, z, target, reduction="mean", **options):
    """1/N is missing: the gradient of the mean is (p - t) / N."""
    wanted = {"reduction": no_mean(reduction), **options}
    return F.binary_cross_entropy_with_logits_backward(dloss, z, target, **wanted)[0]


@FLAWS.backward(BCE)
def with_the_slope_of_the_sigmoid(dloss, z, target, **options):
    """A factor p (1 - p) too many: in the cross-entropy it cancels, and p - t is left."""
    p = F.sigmoid(z)
    return F.binary_cross_entropy_with_logits_backward(dloss, z, target, **options)[0] * p * (1 - p)


@FLAWS.of("kl_div")
def mean_for_batchmean(log_q, target, reduction="mean", log_target=False):
    """It divides by all entries, where "batchmean" divides by the rows."""
    wanted = "mean" if reduction == "batchmean" else reduction
    return F.kl_div(log_q, target, reduction=wanted, log_target=log_target)


@FLAWS.of("kl_div")
def without_the_targets_entropy(log_q, target, reduction="mean"):
    """The term p log p is missing: this is the cross-entropy."""
    losses = -target * log_q
    return reduced(losses, reduction)


@FLAWS.of("kl_div")
def zero_times_log_zero(log_q, target, reduction="mean"):
    """0 · log 0 is 0 · (-inf) = nan: a class of no probability adds 0."""
    losses = target * (np.log(target) - log_q)
    return reduced(losses, reduction)


@FLAWS.backward("kl_div")
def p_with_the_wrong_sign(dloss, log_q, target, **options):
    """The sign is wrong: the gradient is -p."""
    return -F.kl_div_backward(dloss, log_q, target, **options)[0]


@FLAWS.backward("kl_div")
def derivative_without_its_1(dloss, log_q, target, reduction="mean", log_target=False):
    """The target's gradient lacks a 1: the derivative of p (log p - log q) is log p - log q + 1."""
    options = {"reduction": reduction, "log_target": log_target}
    dlog_q, dtarget = F.kl_div_backward(dloss, log_q, target, **options)
    p = np.exp(target) if log_target else np.ones_like(target)
    share = {"none": 1, "sum": 1, "mean": log_q.size, "batchmean": len(log_q)}[reduction]
    return dlog_q, dtarget - dloss * p / log_q.dtype.type(share)
