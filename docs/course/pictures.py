"""The pictures of the course: each a function that returns a matplotlib figure.

What they show is computed by the package. Text and axes are drawn in INK, which the site turns
into the colour of its text, so that they can be read in light and in dark. Each takes the function
`say`, which turns a label into the language of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import scratchnn
import scratchnn.functional as F
from scratchnn import calibration, data, information, mlp
from scratchnn.optim import SGD, Adam

INK = "#010203"
BLUE, ORANGE, GREEN = "#3b8fd9", "#e0691f", "#0a9a72"
RESULTS = Path(__file__).resolve().parents[1] / "results"
Say = Callable[[str], str]

mpl.rcParams.update(
    dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    )
    | {"font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False}
    | {"legend.frameon": False, "font.family": "sans-serif"}
)


def panels(n: int, height: float = 2.7, width: float = 3.0) -> tuple[Figure, list[Axes]]:
    """Return a figure with n panels in a row."""
    figure = Figure(figsize=(width * n, height), layout="constrained")
    axes = list(figure.subplots(1, n, squeeze=False)[0])
    for axis in axes:
        axis.grid(color=INK, alpha=0.12, linewidth=0.5)
    return figure, axes


def result(name: str) -> dict:
    """Return a results file."""
    found: dict = json.loads((RESULTS / f"{name}.json").read_text())
    return found


# 1


def three_losses(say: Say = str) -> Figure:
    """Draw the squared, the absolute and Huber's loss, and their slopes."""
    figure, (left, right) = panels(2)
    r = np.linspace(-3, 3, 301)
    nothing = np.zeros_like(r)
    for name, loss, backward, colour in (
        ("squared", F.squared_loss, F.squared_loss_backward, BLUE),
        ("absolute", F.l1_loss, F.l1_loss_backward, ORANGE),
        ("Huber", F.huber_loss, F.huber_loss_backward, GREEN),
    ):
        left.plot(r, loss(r, nothing, reduction="none"), color=colour, label=say(name))
        slope, _ = backward(np.ones_like(r), r, nothing, reduction="none")
        right.plot(r, slope, color=colour)
    left.set(xlabel=say("r = prediction - target"), ylabel=say("loss"), ylim=(0, 3))
    right.set(xlabel="r", ylabel=say("slope ∂loss/∂r"))
    left.legend()
    return figure


def line_steps(say: Say = str) -> Figure:
    """Draw a line that gradient steps move onto points."""
    figure, axes = panels(4, width=2.1)
    line = data.synthetic_line((2.0,), 4.2, examples=40, noise=0.6, rng=1)
    X, y = line.X, line.target
    network = mlp.Parameters.from_arrays([(np.zeros((1, 1)), np.zeros(1))])
    optimizer, steps, x = SGD(0.2), 0, np.array([[-2.5], [2.5]])
    for axis, wanted in zip(axes, (0, 1, 4, 20), strict=True):
        for _ in range(wanted - steps):
            outputs = mlp.forward(network, X)
            dz, _ = F.squared_loss_backward(1.0, outputs[-1], y)
            optimizer.step(network.theta, mlp.backward(network, outputs, dz).theta)
        steps = wanted
        prediction = mlp.forward(network, X)[-1]
        axis.vlines(X[:, 0], y[:, 0], prediction[:, 0], color=ORANGE, linewidth=0.7, alpha=0.8)
        axis.plot(X, y, ".", color=BLUE, markersize=4)
        axis.plot(x, mlp.forward(network, x)[-1], color=INK)
        loss = F.squared_loss(prediction, y)
        title = say("step {}: loss {:.2f}").format(steps, loss)
        axis.set(title=title, ylim=(-2, 10), xlabel="x")
    return figure


# 2


def temperatures(say: Say = str) -> Figure:
    """Draw softmax(z / T) at three temperatures."""
    figure, axes = panels(3, height=2.3, width=2.4)
    z = np.array([2.0, 1.0, 0.5, -1.0])
    for axis, T in zip(axes, (0.3, 1.0, 5.0), strict=True):
        axis.bar(range(1, 5), F.softmax(z / T), color=BLUE)
        axis.set(title=f"T = {T:g}", ylim=(0, 1), xticks=range(1, 5), xlabel=say("class"))
    axes[0].set_ylabel("p")
    return figure


# 3


def surprise(say: Say = str) -> Figure:
    """Draw -log p, and the cross-entropy of two classes with its floor."""
    figure, (left, right) = panels(2)
    p = np.linspace(0.005, 1, 400)
    left.plot(p, information.surprisal(p), color=BLUE)
    left.set(xlabel=say("p of what happened"), ylabel=say("-log p (nats)"), ylim=(0, 5.5))
    P, q = np.array([0.3, 0.7]), np.linspace(0.02, 0.98, 300)
    Q = np.stack([q, 1 - q], axis=1)
    H = information.cross_entropy(np.broadcast_to(P, Q.shape), Q)
    right.plot(q, H, color=ORANGE, label="H(P, Q)")
    floor = information.entropy(P)
    right.axhline(floor, color=INK, linewidth=0.8, linestyle="--", label=say("H(P), the floor"))
    right.plot([0.3], [floor], "o", color=ORANGE)
    right.set(xlabel=say("Q's first probability; P's is 3/10"), ylabel=say("nats"), ylim=(0, 3))
    right.legend()
    return figure


# 4


def loss_and_slope(say: Say = str) -> Figure:
    """Draw the loss and its gradient over the logit of the right class."""
    figure, (left, right) = panels(2)
    z = np.stack([np.linspace(-6, 6, 201), np.zeros(201), np.zeros(201)], axis=1)
    target = np.zeros(201, int)
    left.plot(z[:, 0], F.cross_entropy(z, target, reduction="none"), color=BLUE)
    left.set(xlabel=say("logit of the right class; the others are 0"), ylabel=say("loss (nats)"))
    dz = F.cross_entropy_backward(np.ones(201), z, target, reduction="none")
    right.plot(z[:, 0], dz[:, 0], color=BLUE, label=say("right class: p - 1"))
    right.plot(z[:, 0], dz[:, 1], color=ORANGE, label=say("each other class: p"))
    right.set(xlabel=say("logit of the right class"), ylabel=say("gradient"), ylim=(-1.05, 1.05))
    right.legend()
    return figure


# 5


def weight_images(_: Say = str) -> Figure:
    """Train softmax regression on the digits, and draw each class's weights."""
    train, _ = data.digits()
    network = mlp.init([64, 10], std=0.01, rng=0)
    scratchnn.fit(
        network, train, optimizer=SGD(0.5), epochs=20, batch_size=64, rng=0, evaluation=False
    )
    (W, _) = network.views[0]
    figure = Figure(figsize=(6.6, 1.0), layout="constrained")
    limit = abs(W).max()
    for c, axis in enumerate(figure.subplots(1, 10)):
        axis.imshow(W[:, c].reshape(8, 8), cmap="RdBu", vmin=-limit, vmax=limit)
        axis.set_title(str(c), fontsize=9)
        axis.set_axis_off()
    return figure


# 6


def paths(say: Say = str) -> Figure:
    """Draw the ways of three optimizers to the lowest point of a narrow valley."""
    figure, axes = panels(3, height=2.4, width=2.5)
    curvature = np.array([1.0, 20.0])
    x, y = np.meshgrid(np.linspace(-2.3, 0.6, 80), np.linspace(-1, 1, 80))
    height = (curvature[0] * x**2 + curvature[1] * y**2) / 2
    optimizers = (
        ("SGD", SGD(0.09)),
        ("with momentum 8/10", SGD(0.02, momentum=0.8)),
        ("Adam", Adam(0.15)),
    )
    for axis, (name, optimizer) in zip(axes, optimizers, strict=True):
        theta = np.array([-2.0, 0.8])
        way = [theta.copy()]
        for _ in range(30):
            optimizer.step(theta, curvature * theta)
            way.append(theta.copy())
        axis.contour(x, y, height, levels=[0.1, 0.5, 1.5, 4, 8], colors=INK, alpha=0.25)
        axis.plot(*np.array(way).T, ".-", color=BLUE, linewidth=1, markersize=4)
        axis.set(title=say(name), xticks=[], yticks=[])
    return figure


# 7


def drift(say: Say = str) -> Figure:
    """Draw how far NumPy and torch come apart, and torch from itself."""
    found = result("free-run")
    figure, axes = panels(2)
    for axis, run in zip(axes, found["results"], strict=True):
        steps = found["steps"]
        axis.loglog(steps, run["apart"], ".-", color=BLUE, label=say("NumPy and torch"))
        axis.loglog(
            steps, run["control"], ".--", color=ORANGE, label=say("torch and torch + 1 ulp")
        )
        axis.set(title=run["dtype"], xlabel=say("step"), ylabel="max |θ - θ|")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


# 8


def lost_digits(say: Say = str) -> Figure:
    """Draw the relative error of p - 1 in float32, by the textbook and by expm1."""
    gap = np.linspace(1, 40, 200)
    z = np.stack([gap, np.zeros_like(gap)], axis=1)
    target = np.zeros(len(z), int)
    right = F.cross_entropy_backward(np.ones(len(z)), z, target, reduction="none")[:, 0]
    single = z.astype(np.float32)
    textbook = F.softmax(single)[:, 0] - np.float32(1)
    ones = np.ones(len(z), np.float32)
    ours = F.cross_entropy_backward(ones, single, target, reduction="none")[:, 0]
    # the same from the rounded logits, so that only the arithmetic differs
    exact = F.cross_entropy_backward(
        np.ones(len(z)), single.astype(float), target, reduction="none"
    )[:, 0]
    figure, (axis,) = panels(1, width=5.5)
    for found, colour, name in ((textbook, ORANGE, "p - 1"), (ours, BLUE, "expm1(log p)")):
        error = np.maximum(abs(found - exact) / abs(right), 1e-9)
        axis.semilogy(gap, error, ".", color=colour, markersize=4, label=name)
    axis.axhline(1, color=INK, linewidth=0.8, linestyle="--")
    axis.set(xlabel=say("lead of the right logit"), ylabel=say("relative error in float32"))
    axis.legend()
    return figure


# 9


def found_by(say: Say = str) -> Figure:
    """Draw how many of the planted bugs each check finds."""
    rows = [row for row in result("mutants")["mutants"] if row["where"] != "training"]
    checks: dict[str, int] = {}
    for row in rows:
        for check in row["killed_by"]:
            checks[check] = checks.get(check, 0) + 1
    names = sorted(checks, key=checks.__getitem__)
    figure, (axis,) = panels(1, height=0.25 * len(names) + 0.6, width=5.5)
    axis.barh([say(name) for name in names], [checks[name] for name in names], color=BLUE)
    label = say("bugs found, of {} planted in operations").format(len(rows))
    axis.set_xlabel(label, loc="right")
    axis.grid(visible=False)
    return figure


# 10


def overconfident() -> tuple[np.ndarray, np.ndarray]:
    """Return logits and targets of the test digits from a network that was trained too long."""
    train, test = data.digits()
    X, target = train.batch(slice(300), np.float64)
    network = mlp.init([64, 100, 10], rng=0, dtype=np.float64)
    options = {"epochs": 150, "batch_size": 32, "rng": 0, "evaluation": False}
    scratchnn.fit(network, X, target, optimizer=SGD(0.5), **options)
    X, target = test.batch(slice(None), np.float64)
    return mlp.forward(network, X)[-1], target


def reliability(say: Say = str) -> Figure:
    """Draw accuracy over confidence, before and after temperature scaling."""
    z, target = overconfident()
    half = len(z) // 2
    T = calibration.fit_temperature(z[:half], target[:half])
    figure, axes = panels(2)
    for axis, name, logits in (
        (axes[0], say("before"), z[half:]),
        (axes[1], say("after, T = {:.2f}").format(T), z[half:] / T),
    ):
        bins = calibration.reliability_bins(F.softmax(logits), target[half:], bins=10)
        full = bins.count > 0
        confidence, accuracy = bins.confidence[full], bins.accuracy[full]
        axis.plot([0, 1], [0, 1], "--", color=INK, linewidth=0.8)
        axis.vlines(confidence, accuracy, confidence, color=ORANGE, linewidth=3, alpha=0.7)
        axis.scatter(confidence, accuracy, s=8 + bins.count[full], color=BLUE)
        axis.set(xlabel=say("confidence"), ylabel=say("share right"), title=name, xlim=(0, 1.02))
    return figure


# 11


def epoch_times(say: Say = str) -> Figure:
    """Draw the time of an epoch of softmax regression, and its floor."""
    file = RESULTS.parents[1] / "benchmarks/results/amd-epyc-2-cores.json"
    rows = json.loads(file.read_text())["rows"]
    wanted = ("scratchnn", "torch", "torch.compile", "torch DataLoader", "JAX", "scikit-learn")
    times = {
        row["backend"]: np.median(row["values"])
        for row in rows
        if row["case"]["group"] == "epoch"
        and "softmax" in row["case"]["name"]
        and row["threads"] == 1
        and row.get("values")
    }
    names = [name for name in wanted if name in times][::-1]
    figure, (axis,) = panels(1, height=2.4, width=5.5)
    axis.barh(names, [1e3 * times[name] for name in names], color=BLUE)
    floor = times.get("floor products", 0) + times.get("floor bytes", 0)
    label = say("floor: the products, and moving the data")
    axis.axvline(1e3 * floor, color=ORANGE, label=label)
    axis.set_xlabel(say("milliseconds per epoch of MNIST, 1 thread"), loc="right")
    axis.grid(visible=False)
    figure.legend(loc="outside upper center")
    return figure
