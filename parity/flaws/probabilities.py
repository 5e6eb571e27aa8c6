"""What goes wrong in losses of probabilities."""

from __future__ import annotations

import numpy as np

import scratchnn.functional as F
from parity.flaws import Plants, reduced

FLAWS = Plants()


@FLAWS.of("cross_entropy_of_probabilities")
class CrossEntropyOfProbabilities:
    def log_of_given_p_and_epsilon(p, target, reduction="mean", epsilon=1e-8):
        """It takes log(p + ε), ε ≈ {epsilon}: the loss of a small p is wrong. Give the loss logits,
        and take log_softmax, which needs no ε."""
        return F.nll_loss(np.log(p + p.dtype.type(epsilon)), target, reduction=reduction)

    def log_of_clipped_given_p(p, target, reduction="mean", epsilon=1e-7):
        """p is clipped at {epsilon}, so the loss never exceeds -log {epsilon}. Give the loss
        logits, and take log_softmax."""
        p = np.clip(p, epsilon, 1 - epsilon).astype(p.dtype)
        return F.nll_loss(np.log(p), target, reduction=reduction)

    def without_the_logarithm(p, target, reduction="mean"):
        """The logarithm is missing: the loss is -log p."""
        return F.nll_loss(p, target, reduction=reduction)

    def columns_of_all_labels_of_given_p(p, target, reduction="mean"):
        """p[:, y] takes the columns of all labels from each row: p[np.arange(N), y] takes each
        row's own."""
        return reduced(-np.log(p[:, target]), reduction)

    def zero_times_log_of_other_classes(p, target, reduction="mean"):
        """0 · log 0 is nan where a class that is not the target has p = 0: take the logarithm of
        the target's p alone."""
        onehot = np.eye(p.shape[1], dtype=p.dtype)[target]
        return reduced(-(onehot * np.log(p)).sum(axis=1), reduction)

    def with_one_minus_p(p, target, reduction="mean"):
        """log(1 - p) of the other classes is added: that is a binary cross-entropy of each."""
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

    def log_p_in_both_terms(p, target, reduction="mean"):
        """Both terms have log p: the second one is (1 - t) log(1 - p)."""
        return reduced(-np.log(p), reduction)

    def plus_for_minus(p, target, reduction="mean"):
        """The sign of one of the two terms is wrong: -(t log p + (1 - t) log(1 - p))."""
        return reduced(-target * np.log(p) + (1 - target) * np.log1p(-p), reduction)

    def slope_without_p_1_minus_p(dloss, p, target, reduction="mean"):
        """It is p - t, the gradient of the logits: that of p is (p - t) / (p (1 - p))."""
        return dloss * (p - target) / p.dtype.type(p.size if reduction == "mean" else 1)

    def slope_of_clipped_p(dloss, p, target, reduction="mean", epsilon=1e-7):
        """p is clipped at {epsilon}, so no slope exceeds 1 / {epsilon}: take the gradient of the
        logits, p - t."""
        p = np.clip(p, epsilon, 1 - epsilon).astype(p.dtype)
        slope = (1 - target) / (1 - p) - target / p
        return dloss * slope / p.dtype.type(p.size if reduction == "mean" else 1)

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

    def quotient_that_overflows(q, target, reduction="mean"):
        """p / q overflows where q is tiny: take log p - log q."""
        with np.errstate(all="ignore"):
            losses = np.where(target > 0, target * np.log(target / q), 0)
        return reduced(losses, reduction)

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
