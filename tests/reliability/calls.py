"""Right calls of every public function that takes arrays or numbers: arguments by name.

`wrong_arguments` replaces one or two of their arguments by something else.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import scratchnn.functional as F
from scratchnn import (
    SGD,
    Adam,
    AdamW,
    calibration,
    data,
    evaluate,
    fit,
    information,
    metrics,
    mlp,
    objectives,
)
from scratchnn.layers import Dense, Kronecker
from tests.samples import LABELS, PAIRS, C, D, N, samples

RNG = np.random.default_rng(3)
Z = RNG.normal(size=(N, C))
P = F.softmax(Z)
X = RNG.normal(size=(N, D))
IMAGES = RNG.integers(256, size=(N, 6, 5), dtype=np.uint8)
NETWORK = mlp.init([D, 2, C], rng=0, dtype=np.float64)


@dataclass(frozen=True)
class Call:
    """A right call: its name in code, the function, its arguments by name."""

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]

    def fresh(self) -> dict[str, Any]:
        """Return the arguments with arrays of their own: some functions change them."""
        given = self.arguments.items()
        return {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in given}

    def optional(self, name: str) -> bool:
        """Whether an argument may be None."""
        if name in ("rng", "test", "weight"):
            return True
        parameter = inspect.signature(self.function).parameters.get(name)
        return parameter is not None and "None" in str(parameter.annotation)


def calls() -> list[Call]:
    """Return right calls of all functions, with their options."""
    return [
        *operations(),
        *(Call(name, f, given) for name, f, given in measures()),
        *(Call(name, f, given) for name, f, given in networks()),
        *(Call(name, f, given) for name, f, given in of_images()),
        *(Call(name, f, given) for name, f, given in of_data()),
    ]


def operations() -> list[Call]:
    """Return calls of scratchnn.functional, by the samples of the tests."""
    found = [("cross_entropy_with_gradient", {"z": Z, "target": LABELS})]
    for name in PAIRS:
        f, backward = getattr(F, name), getattr(F, f"{name}_backward")
        for arguments, options in samples(name, np.float64):
            found.append((name, bound(f, *arguments, **options)))
            dy = np.ones_like(f(*arguments, **options))
            found.append((f"{name}_backward", bound(backward, dy, *arguments, **options)))
    for name in ("relu", "tanh", "softmax"):
        y, backward = getattr(F, name)(Z), f"{name}_backward"
        kept = "p" if name == "softmax" else "y"
        found.append((name, {"z": Z, "out": np.empty_like(Z)}))
        found.append((backward, {f"d{kept}": Z, "z": None, kept: y, "out": np.empty_like(Z)}))
    return [Call(f"F.{name}", getattr(F, name), given) for name, given in found]


def bound(f: Callable[..., Any], *arguments: Any, **options: Any) -> dict[str, Any]:
    """Return the arguments of a call by name."""
    return dict(inspect.signature(f).bind(*arguments, **options).arguments)


def measures() -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Return calls of metrics, information, calibration and objectives."""
    z, p, two = {"z": Z, "target": LABELS}, {"p": P, "target": LABELS}, {"p": P, "q": P[::-1]}
    hot = {"target": LABELS, "classes": C}
    of, confusion = {"axis": 1, "unit": "bits"}, {"confusion": metrics.confusion_matrix(Z, LABELS)}
    return [
        ("metrics.count_correct", metrics.count_correct, z),
        ("metrics.accuracy", metrics.accuracy, z),
        ("metrics.top_k_accuracy", metrics.top_k_accuracy, {**z, "k": 2}),
        ("metrics.confusion_matrix", metrics.confusion_matrix, z),
        ("metrics.precision", metrics.precision, {**confusion, "undefined": 0.5}),
        ("metrics.recall", metrics.recall, {**confusion, "undefined": 0.5}),
        ("information.surprisal", information.surprisal, {"p": P, "unit": "bits"}),
        ("information.entropy", information.entropy, {"p": P, **of}),
        ("information.perplexity", information.perplexity, {"p": P, "axis": 1}),
        ("information.cross_entropy", information.cross_entropy, {**two, **of}),
        ("information.kl_divergence", information.kl_divergence, {**two, **of}),
        ("information.jeffreys_divergence", information.jeffreys_divergence, {**two, **of}),
        (
            "information.jensen_shannon_divergence",
            information.jensen_shannon_divergence,
            {**two, **of},
        ),
        ("calibration.reliability_bins", calibration.reliability_bins, {**p, "bins": 5}),
        (
            "calibration.expected_calibration_error",
            calibration.expected_calibration_error,
            {**p, "bins": 5},
        ),
        ("calibration.brier_score", calibration.brier_score, p),
        ("calibration.fit_temperature", calibration.fit_temperature, z),
        (
            "calibration.temperature_derivatives",
            calibration.temperature_derivatives,
            {**z, "T": 2.0},
        ),
        ("objectives.one_hot", objectives.one_hot, {**hot, "dtype": np.float64}),
    ]  # fmt: skip


def networks() -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Return calls of mlp, layers, optimizers, fit and evaluate."""
    outputs = mlp.forward(NETWORK, X)
    pairs = [tuple(pair) for pair in NETWORK.views if pair]

    def backward(**given: Any) -> Any:
        given = {"outputs": outputs, "dz": np.ones((N, C)), **given}
        return mlp.backward(NETWORK, **given)

    def trained(parameters: Any, **given: Any) -> Any:
        parameters = parameters.copy() if isinstance(parameters, mlp.Parameters) else parameters
        given.setdefault("optimizer", SGD(0.1))
        fit(parameters, **given)
        return parameters.theta

    def judged(**options: Any) -> Any:
        return evaluate(NETWORK, (X, LABELS), objectives.CrossEntropy(**options))

    def measured(**options: Any) -> Any:
        network = mlp.init([D, 1], rng=0, dtype=np.float64)
        return evaluate(network, (X, X[:, :1]), objectives.HuberLoss(**options))

    weighted = {"weight": np.linspace(0.5, 1, C), "ignore_index": 1, "label_smoothing": 0.1}
    theta, grad = np.arange(1.0, 7), np.ones(6)
    part = {"train": (X, LABELS), "test": (X, LABELS)}
    more = {"epochs": 2, "batch_size": 3, "rng": 1, "evaluation": True}
    rates = {"learning_rate": 0.1, "weight_decay": 0.1, "maximize": True}
    momentum = {"momentum": 0.5, "dampening": 0.0, "nesterov": True}
    return [
        ("mlp.init", mlp.init, {"network": [D, C], "std": 0.1, "rng": 1, "dtype": np.float64}),
        ("mlp.init", mlp.init, {"network": [D, 2, C], "activation": "tanh", "rng": 1}),
        ("mlp.layers", mlp.layers, {"sizes": [4, 6, 2], "activation": "tanh", "kronecker": 2}),
        ("mlp.forward", mlp.forward, {"parameters": NETWORK, "X": X}),
        ("mlp.predict", mlp.predict, {"parameters": NETWORK, "X": X}),
        ("mlp.backward", backward, {"dz": np.ones((N, C))}),
        ("mlp.backward", backward, {"outputs": outputs}),
        ("mlp.Parameters", mlp.Parameters, {"layers": NETWORK.layers, "theta": NETWORK.theta}),
        ("mlp.Parameters.zeros", mlp.Parameters.zeros,
         {"layers": NETWORK.layers, "dtype": np.float64}),
        ("mlp.Parameters.from_arrays", mlp.Parameters.from_arrays,
         {"pairs": pairs, "activation": "tanh"}),
        ("Dense", Dense, {"D": 3, "H": 2}),
        ("Kronecker", Kronecker, {"D": 4, "H": 2, "n": 2}),
        ("fit", trained, {"parameters": NETWORK, **part, **more}),
        ("fit", trained, {"parameters": NETWORK, **part, "rng": 1, "optimizer": SGD(0.1)}),
        ("fit", trained, {"parameters": NETWORK, **part, "rng": 1, "objective": "one_vs_rest"}),
        ("evaluate", evaluate,
         {"parameters": NETWORK, "data": (X, LABELS), "objective": "cross_entropy"}),
        ("objectives.CrossEntropy", judged, weighted),
        ("objectives.HuberLoss", measured, {"delta": 0.5}),
        *(stepped(kind, {**rates, **more}, theta, grad) for kind, more in
          ((SGD, momentum), (SGD, {"momentum": 0.5}), (Adam, {"betas": (0.9, 0.99), "eps": 1e-8}),
           (AdamW, {"betas": (0.9, 0.99)}))),
    ]  # fmt: skip


def stepped(
    kind: type, options: dict[str, Any], theta: Any, grad: Any
) -> tuple[str, Callable[..., Any], dict[str, Any]]:
    """Return the call of two steps of an optimizer, which returns θ after them."""

    def step(theta: Any, grad: Any, **options: Any) -> Any:
        optimizer = kind(**options)
        for _ in range(2):
            optimizer.step(theta, grad)
        return theta

    return f"{kind.__name__}.step", step, {**options, "theta": theta, "grad": grad}


def of_images() -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Return calls of what changes images."""
    images, chance = {"images": IMAGES}, {"p": 0.5, "rng": 1}
    window = {"top": 1, "left": 1, "height": 3, "width": 2}

    def scaled(pixels: Any, dtype: Any = np.float64, **options: Any) -> Any:
        return data.Normalize(**options)(pixels, dtype)

    def to_tensor(pixels: Any, dtype: Any, max_value: Any) -> Any:
        return data.ToTensor(max_value)(pixels, dtype)

    return [
        ("data.pad", data.pad, {**images, "padding": 1, "fill": 3.0}),
        ("data.pad", data.pad, {**images, "padding": (1, 2), "padding_mode": "reflect"}),
        ("data.crop", data.crop, {**images, **window}),
        ("data.center_crop", data.center_crop, {**images, "size": 3}),
        ("data.hflip", data.hflip, images),
        ("data.vflip", data.vflip, images),
        ("data.resize", data.resize, {**images, "size": (4, 3)}),
        ("data.resize", data.resize, {"images": IMAGES / 255, "size": 3}),
        ("data.random_crop", data.random_crop, {**images, "size": 3, "padding": 1, "rng": 1}),
        ("data.random_hflip", data.random_hflip, {**images, **chance}),
        ("data.random_vflip", data.random_vflip, {**images, **chance}),
        ("data.ToTensor", to_tensor, {"pixels": IMAGES, "dtype": np.float64, "max_value": 255.0}),
        ("data.Normalize", scaled, {"pixels": IMAGES, "mean": 0.5, "std": 0.5, "max_value": 255.0}),
        ("data.Normalize", scaled, {"pixels": IMAGES / 255, "mean": 0.5, "std": 0.5}),
        ("data.as_float", data.as_float, {"values": IMAGES, "dtype": np.float64}),
    ]


def of_data() -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Return calls of data sets, batches and files."""
    digits = tuple("abcd")
    made = data.Dataset("mine", X, LABELS, digits)
    images = data.Dataset.of_images("mine", IMAGES, LABELS, digits, data.ToTensor())

    line = {"b": 1.0, "examples": 5, "noise": 0.1, "rng": 1}

    def of_arrays(**given: Any) -> Any:
        return data.Dataset("mine", **given)

    def written(values: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            data.write_idx(Path(folder) / "file", values)
            return data.read_idx(Path(folder) / "file")

    return [
        ("data.Dataset", of_arrays, {"X": X, "target": LABELS, "classes": digits}),
        ("data.Dataset", of_arrays, {"X": X, "target": X}),
        ("data.Dataset.split", made.split, {"share": 0.5, "rng": 1}),
        ("data.Dataset.only", made.only, {"classes": [1, 2]}),
        ("data.Dataset.batch", partial(made.batch, slice(2)), {"dtype": np.float64}),
        ("data.Dataset.with_images", images.with_images, {"images": IMAGES}),
        ("data.minibatches", data.minibatches, {"examples": 7, "batch_size": 3, "drop_last": True}),
        (
            "data.synthetic_line",
            data.synthetic_line,
            line,
        ),
        ("data.write_idx", written, {"values": IMAGES}),
    ]
