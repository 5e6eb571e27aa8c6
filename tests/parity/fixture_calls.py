"""How to load and to call the fixtures by hand: for test_fixture_grades.py, without the checker."""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent / "fixtures"
FIXTURES = json.loads((FOLDER / "fixtures.json").read_text(encoding="utf-8"))

# ---- load a fixture ----------------------------------------------------------------------------


def _notebook_code(path: Path) -> str:
    """The code of a notebook without its magics and its plots."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    lines = "\n".join(cell for cell in code if "plt." not in cell and "%%" not in cell).split("\n")
    return "\n".join(line for line in lines if not line.startswith(("%", "!", "import matplotlib")))


@cache
def load(subject: str) -> Any:
    """What FILE:NAME or PACKAGE.MODULE:NAME names."""
    where, name = subject.split(":")
    if where.endswith((".py", ".ipynb")):
        path = FOLDER / where
        code = path.read_text(encoding="utf-8") if where.endswith(".py") else _notebook_code(path)
        module = types.ModuleType("fixture")
        exec(compile(code, where, "exec"), module.__dict__)
        return getattr(module, name)
    sys.path.insert(0, str(FOLDER))
    try:
        return getattr(importlib.import_module(where), name)
    finally:
        sys.path.remove(str(FOLDER))


# ---- inputs: situation -> arrays in float64 (integers are class indices) -----------------------

Inputs = Iterator[tuple[str, tuple[np.ndarray, ...]]]
BIG = 1000.0
EXTREME = np.array([[BIG, -BIG, 1, 3], [-BIG, -BIG - 1, -BIG, -BIG], [90, -90, 720, -750]])


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def rows() -> Inputs:
    yield "ordinary", (_rng().normal(size=(5, 4)),)
    yield "ordinary", (_rng().normal(size=(4, 4)),)
    yield "extreme", (EXTREME,)
    yield "odd", (np.zeros((3, 4)),)
    yield "odd", (np.empty((0, 4)),)
    yield "odd", (_rng().normal(size=(3, 1)),)


def columns() -> Inputs:
    for situation, (x,) in rows():
        yield situation, (x.T,)


def vector() -> Inputs:
    yield "ordinary", (_rng().normal(size=6),)
    yield "extreme", (EXTREME[0],)
    yield "extreme", (EXTREME[1],)
    yield "odd", (np.ones(1),)


def scores() -> Inputs:
    """Scores and class indices."""
    for situation, (z,) in rows():
        yield situation, (z, (np.arange(len(z)) * 3 + 1) % z.shape[1])


def large_ties() -> Inputs:
    """Scores of columns and one-hot targets, and equal scores of 1e8, whose loss is log C."""
    yield from transposed(one_hot(scores))()
    yield "extreme", (np.full((4, 2), 1e8), np.eye(4)[:, :2])


def one_score() -> Inputs:
    for situation, (z,) in vector():
        yield situation, (z, np.array(min(1, len(z) - 1)))


def log_probabilities() -> Inputs:
    for situation, (z, t) in scores():
        yield situation, (torch.log_softmax(torch.tensor(z), 1).numpy(), t)


def probabilities() -> Inputs:
    """Probabilities, 0 among them, and class indices."""
    for situation, (z, t) in scores():
        yield situation, (torch.softmax(torch.tensor(z), 1).numpy(), t)


def one_hot(pairs: Callable[[], Inputs]) -> Callable[[], Inputs]:
    def inputs() -> Inputs:
        for situation, (z, t) in pairs():
            yield situation, (z, np.eye(z.shape[1])[t])

    return inputs


def transposed(pairs: Callable[[], Inputs]) -> Callable[[], Inputs]:
    def inputs() -> Inputs:
        for situation, arrays in pairs():
            yield situation, tuple(array.T for array in arrays)

    return inputs


def one_column() -> Inputs:
    """One example: probabilities and a one-hot target, each of shape (C, 1)."""
    for situation, (p, t) in one_hot(probabilities)():
        if len(p):
            yield situation, (p[:1].T, t[:1].T)


def binary() -> Inputs:
    """Logits and targets, 0 or 1."""
    for situation, (z,) in rows():
        yield situation, (z, (np.arange(z.size).reshape(z.shape) % 3 > 0).astype(float))


def binary_probabilities() -> Inputs:
    """Probabilities and targets, a row of them."""
    for situation, (z, t) in binary():
        p = torch.sigmoid(torch.tensor(z)).numpy()
        yield situation, (p.reshape(1, -1), t.reshape(1, -1))


def differences() -> Inputs:
    for situation, (x,) in rows():
        yield situation, (x * 2, np.zeros_like(x) + (0.25 if x.any() else 0))


def distributions() -> Inputs:
    """Two distributions; where the first is 0, the second is not."""
    for situation, (z,) in rows():
        p = torch.softmax(torch.tensor(z), 1).numpy()
        yield situation, (p, np.full_like(p, 1 / p.shape[1]))


def log_distribution() -> Inputs:
    """Log-probabilities of the model, and the data's probabilities."""
    for situation, (p, q) in distributions():
        yield situation, (np.log(q[:, ::-1]) - 0.1 * np.arange(q.shape[1]), p)


def linear(weight: str, bias: str = "h", batch: str = "nd") -> Callable[[], Inputs]:
    def inputs() -> Inputs:
        for situation, n in (("ordinary", 5), ("odd", 0)):
            sizes = {"n": n, "d": 3, "h": 2, "1": 1}
            yield (
                situation,
                tuple(
                    _rng().normal(size=[sizes[axis] for axis in shape])
                    for shape in (batch, weight, bias)
                ),
            )

    return inputs


# ---- how to call: (subject, backward, arrays, upstream gradient) -> value and gradients ---------

Call = Callable[[Any, Any, tuple[Any, ...], Any], tuple[Any, ...]]


def layer(s: Any, _b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    it = s()
    return it.forward(*a), it.backward(g)


def unit_layer(s: Any, _b: Any, a: Any, _g: Any) -> tuple[Any, ...]:
    it = s()
    return it(*a), it.backward()


def output_layer(s: Any, _b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    it = s()
    it.forward(*a)
    it.backward(g)
    return it.output, it.dinputs


def affine_layer(s: Any, _b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    it = s(*a[1:])
    return it.forward(a[0]), it.backward(g), it.dW, it.db


def parameter_layer(s: Any, _b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    it = s(*a[1:])
    return it(a[0]), it.backward(g), it.weight.grad, it.bias.grad


def drawn_layer(s: Any, _b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    it = s(*a[1].shape)
    it.weights, it.biases = a[1:]
    it.forward(a[0])
    it.backward(g)
    return it.output, it.dinputs, it.dweights, it.dbiases


def cached(s: Any, b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    y, cache = s(*a)
    gradients = b(g, cache)
    return (y, *gradients) if isinstance(gradients, tuple) else (y, gradients)


def prediction_layer(s: Any, _b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    """Its backward takes the prediction, and each row's loss has the upstream gradient 1."""
    it = s()
    value = it.forward(*a)
    it.backward(*a)
    return value, it.dinputs


def tensors(s: Any, _b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    inputs = [torch.tensor(v, requires_grad=v.dtype.kind == "f") for v in a]
    value = s(*inputs)
    gradient = torch.autograd.grad(value, inputs[0], torch.tensor(np.asarray(g)))[0]
    return value.detach().numpy(), gradient.numpy()


def module(s: Any, _b: Any, a: Any, g: Any) -> tuple[Any, ...]:
    it = s()
    return it(*a), it.backward(g)


def delta_by_logits(s: Any, _b: Any, a: Any, _g: Any) -> tuple[Any, ...]:
    z, target = a
    y = 1 / (1 + np.exp(-z))
    return s.fn(y, target), s.delta(z, y, target)


# What a call returns holds for an upstream gradient of 1.
LOSS_CALLS: dict[str, Call] = {
    "value": lambda s, b, a, g: (s(*a),),
    "value, target first": lambda s, b, a, g: (s(a[1], a[0]),),
    "forward": lambda s, b, a, g: (s().forward(*a),),
    "fn": lambda s, b, a, g: (s.fn(*a),),
    "loss and gradient": lambda s, b, a, g: s(*a),
    "loss, gradient": lambda s, b, a, g: (s(*a), b(*a)),
    "loss, gradient, target first": lambda s, b, a, g: (s(a[1], a[0]), b(a[1], a[0])),
    "fn, derivative": lambda s, b, a, g: (s.fn(*a), s.derivative(*a)),
    "fn, delta": delta_by_logits,
    "class": lambda s, b, a, g: (s().loss(*a), s().gradient(*a)),
    "class, target first": lambda s, b, a, g: (s().loss(a[1], a[0]), s().gradient(a[1], a[0])),
    "module without upstream": unit_layer,
    "layer of predictions": prediction_layer,
}
# These take any upstream gradient, or give a derivative to be multiplied with it.
CALLS: dict[str, Call] = {
    "derivative": lambda s, b, a, g: (s(*a), g * b(*a)),
    "class of functions": lambda s, b, a, g: (s.function(*a), g * s.derivative(*a)),
    "derivative by output": lambda s, b, a, g: (s.function(*a), g * s.derivative(s.function(*a))),
    "upstream first": lambda s, b, a, g: (s(*a), b(g, *a)),
    "upstream first, all": lambda s, b, a, g: (s(*a), *b(g, *a)),
    "upstream last": lambda s, b, a, g: (s(*a), b(*a, g)),
    "layer": layer,
    "module": module,
    "layer with output": output_layer,
    "layer with dW": affine_layer,
    "layer with parameters": parameter_layer,
    "layer with drawn weights": drawn_layer,
    "cache": cached,
    "tensors": tensors,
}


def call(entry: dict[str, Any], how: str, arrays: tuple[Any, ...], g: Any) -> tuple[Any, ...]:
    """The value and the gradients (as many as the fixture gives) of one call."""
    backward = load(entry["backward"]) if "backward" in entry else None
    return (CALLS | LOSS_CALLS)[how](load(entry["subject"]), backward, arrays, g)
