"""A network of one's own, trained on both sides; a step of one's own compared with torch's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import parity
import scratchnn.functional as F
from scratchnn import SGD, mlp
from scratchnn.layers import Dense, Kronecker, Tanh
from scratchnn.objectives import CrossEntropy, HuberLoss, Objective
from scratchnn.optim import Adam, AdamW

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(50, 6)), RNG.integers(4, size=50)
REAL, SOFT = RNG.normal(size=(50, 4)), F.softmax(RNG.normal(size=(50, 4)))
WEIGHTED = CrossEntropy(weight=np.array([0.5, 1, 2, 3]), label_smoothing=0.1)
NESTEROV = SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
SIZES = [6, 5, 4]


@pytest.mark.parametrize(
    ("y", "options"),
    [
        (LABELS, {"objective": WEIGHTED, "epochs": 3}),
        (LABELS, {"objective": WEIGHTED, "dtype": "float32"}),
        (LABELS, {"objective": CrossEntropy(ignore_index=2), "batch_size": 7}),
        (LABELS, {"objective": "one_vs_rest", "optimizer": Adam(0.01, weight_decay=0.1)}),
        (LABELS, {"optimizer": AdamW(0.01, betas=(0.5, 0.9)), "activation": "tanh"}),
        (SOFT, {"activation": "softplus"}),
        (REAL, {"objective": HuberLoss(0.3), "optimizer": SGD(0.1, maximize=True)}),
    ],
)
def test_training_of_ones_own_holds(y, options):
    report = parity.train(SIZES, X, y, **{"optimizer": NESTEROV} | options)
    assert report.holds, str(report)
    steps = options.get("epochs", 1) * -(-50 // options.get("batch_size", 32))
    assert f"{steps} steps" in str(report)
    assert len(str(report).splitlines()) == 3 + options.get("epochs", 1)


@pytest.mark.parametrize(
    ("network", "X", "y", "objective"),
    [
        ([Dense(6, 4), Tanh(), Kronecker(4, 4, 2)], X, LABELS, "cross_entropy"),
        (mlp.init(SIZES, rng=3), X, LABELS, "cross_entropy"),
        ([6, 3, 1], X, LABELS > 1, "two_classes"),
        ([6, 3, 1], X, REAL[:, 0], "squared_loss"),
        (SIZES, X.reshape(50, 2, 3), LABELS.tolist(), "cross_entropy"),
    ],
)
def test_training_takes_layers_parameters_images_and_lists(network, X, y, objective):
    before = network.theta.copy() if isinstance(network, mlp.Parameters) else None
    report = parity.train(network, X, y, optimizer=SGD(0.1), objective=objective)
    assert report.holds, str(report)
    assert before is None or (network.theta == before).all()


def test_training_starts_without_the_state_of_the_optimizer_and_leaves_it():
    optimizer = SGD(0.1, momentum=0.5)
    optimizer.state = {"velocity": np.ones(3)}
    assert parity.train(SIZES, X, LABELS, optimizer=optimizer).holds
    np.testing.assert_array_equal(optimizer.state["velocity"], 1)


def test_training_leaves_torchs_settings():
    torch.use_deterministic_algorithms(False)
    parity.train([6, 4], X, LABELS, optimizer=SGD(0.1))
    assert not torch.are_deterministic_algorithms_enabled()


def test_failing_training_names_the_side_and_shows_the_element(monkeypatch):
    right = SGD.step
    monkeypatch.setattr(SGD, "step", lambda self, theta, grad: right(self, theta, 1.01 * grad))
    report = parity.train([6, 4], X, LABELS, optimizer=SGD(0.1))
    assert not report.holds
    assert "first at step 1, θ[" in str(report)
    assert "wrong is NumPy: θ" in str(report)
    assert "in Python, this element alone:\n    import numpy as np" in str(report)


class NoBound(Objective):
    op = "kl_div"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": NoBound(), "y": SOFT}, "objective must have one of .*: kl_div"),
        ({"objective": "ce"}, "objective must be one of"),
        ({"optimizer": 0.1}, r"optimizer must be one of SGD, .*, as SGD\(0.1\), .* got 0.1"),
        ({"optimizer": SGD}, "optimizer must be one of .* got SGD"),
        ({"dtype": "float16"}, "dtype must be float32 or float64, got float16"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"network": [5, 4]}, "your data has 6 features per example, and the network takes 5"),
        ({"network": [6, 3]}, r"class indices in \[0, 3\)"),
        ({"objective": "mse_loss"}, "your data needs 1 outputs, and the network has 4"),
        ({"y": LABELS * 1.0}, "y must be class indices, which are integers, got float64"),
        ({"X": X * 1j}, "X must be an array of real numbers, got complex128"),
        ({"device": "tpu"}, "device"),
    ],
)
def test_training_refuses_with_a_sentence(changes, message):
    given = {"network": SIZES, "X": X, "y": LABELS, "optimizer": SGD(0.1)} | changes
    with pytest.raises((ValueError, RuntimeError), match=message):
        parity.train(given.pop("network"), given.pop("X"), given.pop("y"), **given)


# A step of one's own


def step_of(X, y, W1, b1, W2, b2):
    """Return the loss and the gradients, as a course writes them."""
    z1 = X @ W1 + b1
    a1 = np.maximum(z1, 0)
    loss, dz2 = F.cross_entropy_with_gradient(a1 @ W2 + b2, y)
    dz1 = (dz2 @ W2.T) * (z1 > 0)
    return float(loss), [X.T @ dz1, dz1.sum(axis=0), a1.T @ dz2, dz2.sum(axis=0)]


def on_arrays(theta, X, y):
    return step_of(X, y, *theta)


def on_theta(theta, X, y):
    """Take and return one vector."""
    W1, b1, W2, b2 = np.split(theta, [30, 35, 55])
    loss, parts = step_of(X, y, W1.reshape(6, 5), b1, W2.reshape(5, 4), b2)
    theta[:] = 0  # it is a copy
    return loss, np.concatenate([part.ravel() for part in parts])


def with_pairs(theta, X, y):
    loss, (dW1, db1, dW2, db2) = on_arrays(theta, X, y)
    return loss, [(dW1, db1), (torch.tensor(dW2), db2)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("step", "arrays"), [(on_theta, False), (on_arrays, True), (with_pairs, True)]
)
def test_right_step_holds(step, arrays, dtype):
    report = parity.check_step(step, SIZES, X, LABELS, arrays=arrays, dtype=dtype, epochs=2)
    assert report.holds, str(report)
    assert report.steps == 4
    assert 0 < report.worst.ratio < 0.5


def test_step_gets_examples_as_they_were_given():
    seen = []

    def step(theta, X, y):
        seen.append((X.shape, y.shape, theta.shape))
        W, b = theta[:6].reshape(6, 1), theta[6]
        r = (X.reshape(-1, 6) @ W)[:, 0] + b - y
        dW = X.reshape(-1, 6).T @ r / len(y)
        return (r * r).mean() / 2, np.append(dW, r.mean())

    images, y = X.reshape(50, 2, 3), REAL[:, 0]
    report = parity.check_step(step, [6, 1], images, y, objective="squared_loss")
    assert report.holds, str(report)
    assert seen == [((32, 2, 3), (32,), (7,)), ((18, 2, 3), (18,), (7,))]


def changed(name, change):
    """Return a step that is wrong in one of its results."""

    def step(theta, X, y):
        loss, (dW1, db1, dW2, db2) = on_arrays(theta, X, y)
        found = {"loss": loss, "dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
        found[name] = change(found[name], theta, X)
        return found.pop("loss"), [*found.values()]

    return step


@pytest.mark.parametrize(
    ("name", "change", "quantity", "cause"),
    [
        ("loss", lambda loss, theta, X: loss * len(X), "loss:", "32 times too large, the rows"),
        ("dW2", lambda dW, theta, X: dW * len(X), "layer 2 dW", "a sum, and not the mean"),
        ("db2", lambda db, theta, X: db / len(X), "layer 2 db", "32 times too small, the rows"),
        ("dW1", lambda dW, theta, X: -dW, "layer 1 dW", "the sign is wrong"),
        ("dW1", lambda dW, theta, X: 2 * dW, "layer 1 dW", "it is 2 times torch's"),
        ("dW1", lambda dW, theta, X: dW.T.reshape(dW.shape), "layer 1 dW", "it is transposed"),
        ("dW2", lambda dW, theta, X: np.float32(dW), "layer 2 dW", "8 digits are right"),
        ("db1", lambda db, theta, X: 0 * db, "layer 1 db", "it is zero everywhere"),
        ("db1", lambda db, theta, X: db + np.nan, "layer 1 db", "it is not finite"),
        ("dW1", lambda dW, theta, X: dW + theta[0] / 8, "layer 1 dW", "0.125 times the parameter"),
        ("dW1", lambda dW, theta, X: dW + np.eye(6, 5), "layer 1 dW", "5 of 30 numbers differ"),
    ],
)
def test_wrong_step_names_what_is_wrong_first_and_how(name, change, quantity, cause):
    report = parity.check_step(changed(name, change), SIZES, X, LABELS, arrays=True)
    assert not report.holds
    first, how, right, wrong = str(report).splitlines()
    assert f"first at step 1, {quantity}" in first
    assert cause in how
    assert wrong == f"wrong in this step: {quantity.rstrip(':')}"
    assert len(right.split(", ")) == 4


def test_step_that_is_wrong_in_the_short_batch_alone_is_found_there():
    """The last batch has 18 rows, and is divided by 32."""
    step = changed("db2", lambda db, theta, X: db * len(X) / 32)
    report = parity.check_step(step, SIZES, X, LABELS, arrays=True)
    assert "first at step 2, layer 2 db" in str(report)
    assert "it is 0.5625 times torch's" in str(report)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (1.0, r"step must return \(loss, gradient\), got float"),
        ((np.ones(32), np.zeros(59)), r"must be one number, the mean, got shape \(32,\)"),
        ((1.0, np.zeros(58)), r"must have θ's shape \(59,\), or be a list .* got shape \(58,\)"),
        ((1.0, [np.zeros((6, 5))]), "must be 4 arrays, one for each W and b, got 1"),
        (
            (1.0, [np.zeros((5, 6)), np.zeros(5), np.zeros((5, 4)), np.zeros(4)]),
            r"dW of layer 1 must have the shape \(6, 5\), as W has, got \(5, 6\)",
        ),
    ],
)
def test_step_of_another_form_is_refused(returned, message):
    with pytest.raises(ValueError, match=message):
        parity.check_step(lambda *_: returned, SIZES, X, LABELS)


def test_the_page_shows_what_its_python_prints(capsys):
    """Word by word; numbers that rounding decides may be others on other machines."""
    page = (Path(__file__).parents[2] / "docs/parity-training.md").read_text()
    names = {}
    for marker, code in zip(
        ("own", "step"), re.findall(r"```python\n(.*?)```", page, re.DOTALL), strict=True
    ):
        exec(code, names)
        (shown,) = re.findall(rf"<!-- {marker} -->\n```\n(.*?)```", page, re.DOTALL)
        said = capsys.readouterr().out
        rounding = r" *\d+%|\d\.\de[-+]\d+|\([^(]*, step \d+\)"
        assert re.sub(rounding, "#", said) == re.sub(rounding, "#", shown)


def test_importing_parity_imports_neither_torch_nor_numpy():
    code = (
        "import sys, parity; assert {'check', 'train', 'check_step'} <= set(dir(parity)); "
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
