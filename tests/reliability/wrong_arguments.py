"""Public functions on arguments of wrong kinds, shapes and values, one or two at a time.

An outcome is right if it is the right result, or an error that names the argument: a TypeError or a
ValueError (DataError is one). Wrong are results that nobody asked for, and errors from inside:
AttributeError, IndexError, NumPy's own words.
"""

from __future__ import annotations

import array
import dataclasses
import datetime
import decimal
import fractions
import importlib
import random
import re
import sys
import warnings
from importlib.util import find_spec
from itertools import cycle
from typing import Any

import numpy as np

from scratchnn import SGD, mlp
from scratchnn.data import Dataset
from tests.reliability.calls import Call, calls
from tests.reliability.harness import Found
from tests.reliability.kinds import BY_ROLE, Kind, role

H = 1e-20  # the step of complex-step differentiation


TAKEN = {  # what the documentation says is taken
    "dloss": ("1.0",), "dlse": ("1.0",),  # a number
    "mean": ("[a]", "(a,)", "np.array([a])"), "std": ("[a]", "(a,)", "np.array([a])"),  # by column
    "confusion": ("a + 0.5",),  # shares
    "dtype": ("float",),  # NumPy's name of float64
}  # fmt: skip
NAN_PASSES = {  # where NaN does not matter, as the documentation says
    ("F.relu_backward", "z"), ("F.relu_backward", "y"), ("F.nll_loss_backward", "log_p"),
    ("F.linear_backward", "b"), ("F.kronecker_linear_backward", "b"),
}  # fmt: skip


def wrong_arguments(cases: int) -> Found:
    """Each argument in turn, in an order drawn at random; in each fifth case, another one too."""
    rng, found, names = random.Random(4), Found(), modules(real=cases > 10_000)
    every = [
        (call, name, kind)
        for call in calls()
        for name, value in call.arguments.items()
        for kind in BY_ROLE.get(role(name, value) or "", [])
    ]
    rng.shuffle(every)
    reference: dict[int, Any] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for call, name, kind in cycle(every):
            changes = {name: kind}
            if rng.random() < 0.2:
                other = rng.choice(list(call.arguments))
                of = BY_ROLE.get(role(other, call.arguments[other]) or "", [])
                changes |= {other: rng.choice(of)} if of and other != name else {}
            given = replaced(call, changes, names)
            if given is None:
                continue
            if id(call) not in reference:
                reference[id(call)] = outcome(call, call.fresh())
            words = judged(call, changes, given, outcome(call, given), reference[id(call)])
            if words:
                found.wrong.append(f"{words}\n{as_code(call, changes)}")
            found.cases += 1
            if found.cases == cases:
                return found
    return found


def modules(real: bool) -> dict[str, Any]:
    """Return what the code of the kinds needs. To import the real torch takes seconds."""
    names = {"np": np, "array": array, "datetime": datetime, "SGD": SGD}
    names |= {"decimal": decimal, "fractions": fractions}
    if real and find_spec("torch"):
        return names | {"torch": importlib.import_module("torch")}
    return names | {"torch": type("torch", (), {"tensor": staticmethod(lambda a: Tensor())})}


class Tensor:
    """Stands for torch.Tensor, which has a dtype of its own kind."""

    dtype = object()
    shape = (5, 4)


Tensor.__module__ = "torch"


def replaced(call: Call, changes: dict[str, Kind], names: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments with some of them replaced; None where they have no such kind."""
    given = call.fresh()
    for name, kind in changes.items():
        try:
            given[name] = eval(kind.code, {**names, "a": given[name]})
        except Exception:
            return None
        if kind.right == "shape" and np.shape(given[name]) == np.shape(call.arguments[name]):
            return None
    return given


def outcome(call: Call, given: dict[str, Any]) -> Any:
    """Return the result of a call, or its error."""
    try:
        return call.function(**given)
    except Exception as error:
        return error


SAID = {  # other names by which messages call a part of an argument
    "train": r"X|y|train|data|target|your data", "test": r"X|y|test|data|target|your data",
    "data": r"X|y|data|target|your data", "pairs": r"pairs|W of|b of", "layers": r"layers?|H|D",
    "network": r"network|sizes|layer", "betas": r"betas|beta", "out": "out", "sizes": "sizes|layer",
    "size": "size|height|width", "theta": "theta|parameters", "images": "images|X|target",
    "classes": r"classes|target", "dy": "dy|y", "weight": "weight|the loss",
}  # fmt: skip

INSIDE = re.compile(  # NumPy's and Python's own words
    "UFunc|matmul|operand|truth value|cannot reshape|between instances|has no attribute|unhashable|"
    "could not convert|interpreted as|inhomogeneous|not subscriptable|not iterable"
)


def judged(
    call: Call, changes: dict[str, Kind], given: dict[str, Any], got: Any, reference: Any
) -> str:
    """Return what is wrong with an outcome, in words; empty: nothing."""
    if isinstance(got, Exception):
        proper = isinstance(got, (TypeError, ValueError, FloatingPointError))
        proper = proper and not INSIDE.search(f"{type(got).__name__}: {got}")
        tied = any(kind.right not in ("refused", "nan") for kind in changes.values())
        said = "|".join(SAID.get(n, re.escape(n)) for n in (call.arguments if tied else changes))
        if proper and re.search(rf"(?<!\w)({said})(?!\w)", str(got)):
            return ""
        return f"{type(got).__name__}: {got}"
    rights = {right_of(call, name, kind) for name, kind in changes.items()}
    if "refused" in rights:
        return f"taken silently: {short(got)}"
    if len(changes) > 1:
        return ""
    ((name, kind),) = changes.items()
    match right_of(call, name, kind):
        case "same" if not equal(got, reference, 1e-12):
            return f"another result: {short(got)}"
        case "close" if not equal(got, reference, 2e-2):
            return f"another result: {short(got)}"
        case "nan" if not any(np.isnan(x).any() for x in numbers_of(got)):
            return f"no NaN in the result: {short(got)}"
        case "analytic" if not analytic(call, name, given, got):
            return f"not the derivative: {short(got)}"
        case "shape" if not allowed(call, name, given, got, reference):
            return f"another shape is taken: {short(got)}"
    return ""


def right_of(call: Call, name: str, kind: Kind) -> str:
    """Return what is right of a kind for this argument: what the documentation says is taken."""
    one_number = kind.code == "a.tolist()" and np.ndim(call.arguments[name]) == 0
    converts = "dtype" in call.arguments or call.name == "data.Dataset"
    taken = (
        (kind.code == "None" and call.optional(name))
        or kind.code in TAKEN.get(name, ())
        or (one_number and name != "target")
        or (converts and kind.code in ("a.astype(int)", "a.astype(np.uint8)", "a.astype(bool)"))
        or (name in ("out", "undefined") and kind.right in ("nan", "analytic"))
        or (kind.right == "nan" and (call.name, name) in NAN_PASSES)
    )
    return "any" if taken else kind.right


def analytic(call: Call, name: str, given: dict[str, Any], got: Any) -> bool:
    """Whether the imaginary parts are the derivatives, by differences."""
    value, e = given[name], 1e-6
    sides = [
        outcome(call, {**call.fresh(), name: value.real + sign * e * value.imag / H})
        for sign in (1, -1)
    ]
    if any(isinstance(side, Exception) for side in sides):
        return False
    for x, up, down in zip(numbers_of(got), *map(numbers_of, sides), strict=True):
        if not np.allclose(x.imag / H, (up - down) / (2 * e), atol=1e-5, rtol=1e-5):
            return False
    return True


def allowed(call: Call, name: str, given: dict[str, Any], got: Any, reference: Any) -> bool:
    """Whether an array of another shape has the result that the documentation says."""
    value = given[name]
    if call.name == "data.Dataset":
        return np.shape(value)[:1] == np.shape(call.arguments[name])[:1]  # features, real targets
    alone = sum(isinstance(v, np.ndarray) for v in call.arguments.values()) == 1
    if name in ("weight", "pos_weight") and call.name.startswith("F.binary"):
        whole = {**call.fresh(), name: np.broadcast_to(value, given["z"].shape).copy()}
        return equal(got, outcome(call, whole), 1e-15)  # it broadcasts
    if name in ("dloss", "dlse") and np.ndim(value) == 0:
        full = np.full(np.shape(call.arguments[name]), value)
        return equal(got, outcome(call, {**call.fresh(), name: full}), 1e-15)
    if name in ("W", "S") and given.get("b") is None:
        return numbers_of(got)[0].shape[-1] == value.shape[-1] * (len(value) if name == "S" else 1)
    if call.name == "F.logsumexp_backward":
        return np.shape(got) == value.shape  # more or fewer classes
    if name == "X" and call.name in ("F.linear", "F.kronecker_linear"):
        return np.shape(got)[:-1] == value.shape[:-1]
    if name == "X" and call.name.startswith("mlp."):
        return value.ndim == 2 and len(numbers_of(got)[-1]) == len(value)
    if name in ("z", "log_p") and value.ndim == 1 and call.name.startswith("F."):
        return True  # more classes
    return alone


def numbers_of(result: Any) -> list[Any]:
    """Return the arrays in a result."""
    if isinstance(result, mlp.Parameters):
        return [result.theta]
    if isinstance(result, Dataset):
        return [*numbers_of(result.X), *numbers_of(result.target)]
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return numbers_of([getattr(result, f.name) for f in dataclasses.fields(result)])
    if isinstance(result, (tuple, list)):
        return [x for part in result for x in numbers_of(part)]
    array = np.asarray(result)
    return [array] if array.dtype.kind in "biufc" else []


def equal(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two results have the same numbers."""
    pairs = list(zip(numbers_of(one), numbers_of(other), strict=False))
    return len(numbers_of(one)) == len(numbers_of(other)) and all(
        x.shape == y.shape
        and np.allclose(x.astype(float), y.astype(float), tolerance, tolerance, equal_nan=True)
        for x, y in pairs
    )


def short(value: Any) -> str:
    return re.sub(r"\s+", " ", repr(value))[:200]


def as_code(call: Call, changes: dict[str, Kind]) -> str:
    """Return the call as code."""
    lines, arguments = [], []
    for name, value in call.arguments.items():
        code = repr(value)
        if isinstance(value, np.ndarray):
            with np.printoptions(threshold=sys.maxsize, precision=17):
                code = re.sub(r"\s+", " ", f"np.{value!r}").replace("dtype=", "dtype=np.")
        if name in changes:
            lines.append(f"    {name} = {code}")
            code = re.sub(r"\ba\b", name, changes[name].code)
        arguments.append(f"{name}={code if len(code) < 60 else '...'}")
    return "\n".join([*lines, f"    {call.name}({', '.join(arguments)})"])
