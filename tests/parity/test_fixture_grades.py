"""Do the fixtures deserve their grades? Each is measured against torch here, without the checker.

The grades in fixtures/fixtures.json are what the checker should say. Were they taken from the
checker, they could not show its mistakes. So each fixture is called by hand here, in the
convention that fixtures.json states, next to a line of torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.parity import fixture_calls as calls  # noqa: E402  (needs torch)

F = torch.nn.functional
Reference = Callable[..., Any]
GRADES = "wrong", "unstable", "differs"  # the worst counts


def cross_entropy(**options: Any) -> Reference:
    return lambda z, t: F.cross_entropy(z, t, **options)


def nll_of(p: Any, t: Any, reduction: str = "mean") -> Any:
    return F.nll_loss(torch.log(p), t, reduction=reduction)


def nll_of_hot(p: Any, t: Any) -> Any:
    """The sum over the rows of -log p at the target; what is elsewhere does not count."""
    return nll_of(p, t.argmax(1), "sum")


def bce_of(p: Any, t: Any) -> Any:
    return -(torch.xlogy(t, p) + torch.special.xlog1py(1 - t, -p)).mean()


def kl_of(p: Any, q: Any) -> Any:
    return F.kl_div(torch.log(q), p, reduction="sum")


def affine(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


def affine_columns(x: Any, w: Any, b: Any) -> Any:
    return w @ x + b


def bce(reduction: str) -> Reference:
    return lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction=reduction)


def total(loss: Reference, factor: float = 1.0) -> Reference:
    return lambda a, b: loss(a, b, reduction="sum") * factor


def mean(loss: Reference, factor: float = 1.0) -> Reference:
    return lambda a, b: loss(a, b) * factor


def softmax(x: Any) -> Any:
    return torch.softmax(x, -1)


def softplus(x: Any) -> Any:
    return torch.logaddexp(x, torch.zeros_like(x))


def log_softmax(x: Any) -> Any:
    return torch.log_softmax(x, -1)


def logsumexp(x: Any) -> Any:
    return torch.logsumexp(x, -1)


hot_scores = calls.one_hot(calls.scores)
hot_probabilities = calls.one_hot(calls.probabilities)
dh, hd, columns = calls.linear("dh"), calls.linear("hd"), calls.linear("hd", "h1", "dn")
ce, ce_sum, ce_each = (
    cross_entropy(),
    cross_entropy(reduction="sum"),
    cross_entropy(reduction="none"),
)

# name: (inputs, how to call, torch's function of the same inputs)
TRUTHS: dict[str, tuple[Callable[[], calls.Inputs], str, Reference]] = {
    "assignment-affine": (dh, "cache", affine),
    "assignment-relu": (calls.rows, "cache", torch.relu),
    "assignment-softmax-loss": (calls.scores, "loss and gradient", ce),
    "attempt-affine-dw": (dh, "cache", affine),
    "attempt-affine-db": (dh, "cache", affine),
    "attempt-relu": (calls.rows, "cache", torch.relu),
    "attempt-softmax-naive": (calls.scores, "loss and gradient", ce),
    "attempt-softmax-vectorized": (calls.scores, "loss and gradient", ce),
    "attempt-softmax-fast": (calls.scores, "loss and gradient", ce),
    "attempt-softmax-one-based": (calls.scores, "loss and gradient", ce),
    "book-relu": (calls.rows, "layer", torch.relu),
    "book-sigmoid": (calls.rows, "layer", torch.sigmoid),
    "book-tanh": (calls.rows, "layer", torch.tanh),
    "book-affine": (dh, "layer with dW", affine),
    "book-squared-error": (calls.differences, "layer", total(F.mse_loss, 0.5)),
    "book-softmax-with-loss": (calls.scores, "layer", ce),
    "book-sigmoid-again": (calls.rows, "layer", torch.sigmoid),
    "neurons-dense": (calls.linear("dh", "1h"), "layer with drawn weights", affine),
    "neurons-relu": (calls.rows, "layer with output", torch.relu),
    "neurons-softmax": (calls.rows, "layer with output", softmax),
    "neurons-crossentropy": (calls.probabilities, "forward", nll_of),
    "neurons-mse": (
        calls.differences,
        "layer of predictions",
        lambda y, t: ((y - t) ** 2).mean(-1),
    ),
    "costs-quadratic": (calls.differences, "fn, derivative", total(F.mse_loss, 0.5)),
    "costs-cross-entropy": (calls.binary, "fn, delta", bce("sum")),
    "costs-log-likelihood": (calls.one_column, "fn", lambda p, t: nll_of_hot(p.T, t.T)),
    "costs-sigmoid": (calls.rows, "derivative", torch.sigmoid),
    "columns-linear": (columns, "cache", affine_columns),
    "columns-softmax": (calls.columns, "upstream first", lambda z: torch.softmax(z, 0)),
    "columns-cost": (calls.binary_probabilities, "value", bce_of),
    "columns-cost-old": (calls.binary_probabilities, "value", bce_of),
    "columns-total-cost": (
        calls.large_ties,
        "loss, gradient",
        lambda z, t: ce_sum(z.T, t.T),
    ),
    "columns-dense-class": (columns, "layer with dW", affine_columns),
    "answer-softmax-vector": (calls.vector, "value", softmax),
    "answer-softmax-whole": (calls.rows, "value", softmax),
    "answer-softmax-global-max": (calls.rows, "value", softmax),
    "answer-softmax-keepdims": (calls.rows, "value", softmax),
    "answer-softmax-transposes": (calls.rows, "value", softmax),
    "answer-softmax-max-axis": (calls.rows, "value", softmax),
    "answer-lse": (calls.rows, "value", logsumexp),
    "answer-lse-pairs": (calls.rows, "value", logsumexp),
    "answer-log-softmax-bad": (calls.rows, "value", log_softmax),
    "answer-log-softmax": (calls.rows, "value", log_softmax),
    "answer-sigmoid-two-sided": (calls.rows, "value", torch.sigmoid),
    "answer-xent": (hot_probabilities, "value", lambda p, t: nll_of(p, t.argmax(1))),
    "answer-xent-sum": (hot_probabilities, "value", nll_of_hot),
    "answer-surprise": (
        calls.probabilities,
        "value",
        lambda p, t: nll_of(p, t, "none") / np.log(2),
    ),
    "answer-softplus": (calls.rows, "derivative", softplus),
    "answer-kl": (calls.distributions, "value", kl_of),
    "answer-kl-safe": (calls.distributions, "value", kl_of),
    "tinynet-linear": (hd, "layer with parameters", F.linear),
    "tinynet-softmax": (calls.rows, "module", softmax),
    "tinynet-fast-softmax": (calls.rows, "module", softmax),
    "tinynet-log-softmax": (calls.rows, "module", log_softmax),
    "tinynet-log-softmax-short": (calls.rows, "module", log_softmax),
    "tinynet-relu": (calls.rows, "module", torch.relu),
    "tinynet-logsumexp": (calls.rows, "module", logsumexp),
    "tinynet-bce": (calls.binary, "module without upstream", bce("sum")),
    "tinynet-smooth-l1": (calls.differences, "module without upstream", total(F.smooth_l1_loss)),
    "activation-relu": (calls.rows, "class of functions", torch.relu),
    "activation-tanh": (calls.rows, "class of functions", torch.tanh),
    "activation-handmade-tanh": (calls.rows, "class of functions", torch.tanh),
    "activation-softplus": (calls.rows, "class of functions", softplus),
    "activation-logistic": (calls.rows, "derivative by output", torch.sigmoid),
    "activation-relu-functions": (calls.rows, "derivative", torch.relu),
    "activation-tanh-functions": (calls.rows, "derivative", torch.tanh),
    "activation-softplus-functions": (calls.rows, "derivative", softplus),
    "plain-sigmoid": (calls.rows, "value", torch.sigmoid),
    "plain-relu": (calls.rows, "value", torch.relu),
    "plain-softmax": (calls.vector, "value", softmax),
    "plain-dense": (dh, "value", affine),
    "plain-cross-entropy": (calls.scores, "value", ce),
    "plain-mean-nll": (calls.log_probabilities, "value", F.nll_loss),
    "plain-nll-sum": (calls.log_probabilities, "value", total(F.nll_loss)),
    "plain-half-mse": (
        calls.differences,
        "loss, gradient",
        lambda y, t: ((y - t) ** 2).sum(1).mean() / 2,
    ),
    "logreg-loss": (calls.binary, "loss, gradient", bce("sum")),
    "logreg-loss-simple": (calls.binary, "loss, gradient", bce("mean")),
    "logreg-gradient-wrong-way": (calls.binary, "loss, gradient", bce("sum")),
    "torch-softmax": (calls.rows, "tensors", softmax),
    "torch-log-softmax": (calls.rows, "tensors", log_softmax),
    "torch-cross-entropy": (calls.probabilities, "tensors", lambda p, t: nll_of(p, t, "none")),
    "torch-squared-loss": (calls.differences, "tensors", mean(F.mse_loss, 0.5)),
    "torch-linreg": (dh, "tensors", affine),
    "torch-nll": (calls.log_probabilities, "tensors", F.nll_loss),
    "robust-huber": (calls.differences, "value, target first", F.huber_loss),
    "robust-huber-sum": (calls.differences, "loss, gradient, target first", total(F.huber_loss)),
    "robust-smooth-l1": (calls.differences, "value", total(F.smooth_l1_loss)),
    "robust-l1": (calls.differences, "class, target first", total(F.l1_loss)),
    "robust-absolute": (calls.differences, "class", total(F.l1_loss)),
    "robust-mae": (calls.differences, "class", F.l1_loss),
    "robust-square": (calls.differences, "class, target first", F.mse_loss),
    "ce-mean-entries": (hot_scores, "loss, gradient", lambda z, t: ce(z, t) / z.shape[1]),
    "ce-bits": (calls.scores, "loss, gradient", lambda z, t: ce_sum(z, t) / np.log(2)),
    "ce-clipped": (calls.scores, "value", ce_each),
    "ce-tiny": (calls.scores, "value", ce_each),
    "ce-each": (calls.scores, "upstream last", ce_each),
    "ce-each-divided": (calls.scores, "upstream last", ce_each),
    "ce-inplace": (calls.scores, "loss and gradient", ce_sum),
    "ce-one": (calls.one_score, "loss and gradient", ce),
    "softmax-single-class": (calls.rows, "value", softmax),
    "notebook-softmax": (calls.rows, "value", softmax),
    "notebook-nll": (hot_scores, "loss, gradient, target first", ce_sum),
    "notebook-mean-nll": (hot_scores, "loss, gradient, target first", ce),
    "notebook-predict": (dh, "upstream first, all", affine),
    "notebook-mse": (calls.differences, "loss, gradient, target first", F.mse_loss),
    "notebook-rss": (calls.differences, "loss, gradient, target first", total(F.mse_loss)),
    "package-cross-entropy": (calls.scores, "upstream first", ce),
    "package-bce": (calls.binary, "upstream first", bce("mean")),
    "package-kl-swapped": (calls.log_distribution, "loss, gradient", total(F.kl_div)),
    "package-total-kl": (calls.log_distribution, "loss, gradient", total(F.kl_div)),
    "package-mean-kl": (
        calls.log_distribution,
        "value",
        lambda q, p: F.kl_div(q, p, reduction="batchmean"),
    ),
    "package-dense": (hd, "upstream first, all", F.linear),
    "package-gate": (calls.rows, "upstream first", torch.sigmoid),
}


# An overflow takes small values with it, which torch flushes to 0 as well.
OVERFLOWING = ("book-sigmoid",)


def truth(reference: Reference, *arrays: np.ndarray) -> list[np.ndarray]:
    """torch's value and the gradient of each floating-point array; the last is the upstream one."""
    *arrays, upstream = arrays
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    value = reference(*tensors)
    leaves = [t for t in tensors if t.requires_grad]
    gradients = torch.autograd.grad(
        value, leaves, torch.tensor(upstream), allow_unused=True, materialize_grads=True
    )
    return [value.detach().numpy(), *(d.detach().numpy() for d in gradients)]


def agree(got: Sequence[Any], expected: list[np.ndarray], rtol: float) -> bool:
    return all(
        np.shape(a) == b.shape and np.allclose(a, b, rtol=rtol, atol=rtol, equal_nan=True)
        for a, b in zip(got, expected, strict=False)
    )


def problems(entry: dict[str, Any], situation: str, arrays: tuple[np.ndarray, ...]) -> set[str]:
    """What a call shows, as the grades it allows at best; empty if all is right."""
    _, how, reference = TRUTHS[entry["name"]]
    lost = {"ordinary": "wrong", "extreme": "unstable", "odd": "differs"}[situation]
    dtype = arrays[0].dtype
    shape = reference(*map(torch.tensor, arrays)).shape
    g = np.random.default_rng(3).normal(size=shape) if how in calls.CALLS else np.ones(shape)
    given = [*arrays, g.astype(dtype)]
    expected = truth(reference, *given)
    copies = [a.copy() for a in given]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            got = calls.call(entry, how, tuple(copies[:-1]), copies[-1])
        except (ArithmeticError, IndexError, TypeError, ValueError):
            return {lost}
    of_probabilities = "probabilities" in (entry["convention"] or "")
    compared = (
        got[:1] if of_probabilities and situation == "extreme" else got
    )  # 1/0 has no gradient
    tolerance = {8: 1e-9, 4: 1e-4}[dtype.itemsize]
    found = set() if agree(compared, expected, tolerance) else {lost}
    minus_log_0 = of_probabilities and situation == "extreme"  # infinite in torch, too
    if any(not minus_log_0 or "divide by zero" not in str(w.message) for w in warned):
        found.add("differs")
    if any(np.asarray(v).dtype != dtype for v in got):
        found.add("differs")
    if not all(np.array_equal(a, b) for a, b in zip(given, copies, strict=True)):
        found.add("differs")  # it wrote into its arguments
    return found


def cast(arrays: tuple[np.ndarray, ...], dtype: type) -> tuple[np.ndarray, ...]:
    return tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays)


@pytest.mark.parametrize("entry", calls.FIXTURES, ids=lambda entry: entry["name"])
def test_a_fixture_deserves_its_grade(entry):
    found = set()
    for situation, arrays in TRUTHS[entry["name"]][0]():
        for dtype in (np.float64, np.float32):
            found |= problems(entry, situation, cast(arrays, dtype))
    if entry["name"] in OVERFLOWING:
        x = np.array([[-100.0]], np.float32)
        with np.errstate(over="ignore"):
            value = calls.load(entry["subject"])().forward(x)
        found |= {"unstable"} if value == 0 < np.exp(x) else set()
    assert next((g for g in GRADES if g in found), "right") == entry["grade"]


def test_each_fixture_has_a_truth():
    assert list(TRUTHS) == [entry["name"] for entry in calls.FIXTURES]
