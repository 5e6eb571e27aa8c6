"""The inputs of the checks, in groups: ordinary ones, options, extremes, and special ones.

They are few and chosen, so that a check takes a moment and finds the same each time. Within a group
the smaller ones come first: they make the better examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from parity import cases
from parity.cases import Case, Draw, Dtype
from parity.checking.conventions import kind
from parity.checking.readings import Reading
from parity.ops import Op
from scratchnn.ops.shared import AnyArray, Array

T = TypeVar("T")
DTYPES: tuple[Dtype, ...] = (np.float64, np.float32)
SMALL = ((1, 2), (2, 2), (2, 3), (3, 2), (4, 3))
SMALL_LAYERS = ((1, 2, 1), (1, 1, 2), (2, 1, 2), (2, 3, 2), (3, 2, 4))
LARGER = ((6, 4), (3, 5), (7, 3))
LARGER_LAYERS = ((6, 4, 7), (3, 5, 2))
SCALES = (10.0, 20.0, 40.0, 100.0, 1000.0, 1e8, 1e30)
FEWER = (10.0, 20.0, 100.0, 1e8)  # left out in float64
KINKED = ("relu", "l1_loss")
PRETTY = {
    1: [[1.0]],
    2: [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.125, 0.875]],
    3: [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.125, 0.75], [0.25, 0.25, 0.5]],
}


@dataclass(frozen=True)
class Input:
    """A case of a row, what is special about it, and how large its numbers are."""

    case: Case
    words: str = ""
    scale: float = 1.0


class RandomDraw(Draw):
    """The choices of generated cases, by a random generator and not by Hypothesis."""

    def __init__(self, rng: np.random.Generator, families: Sequence[str]) -> None:
        self.rng, self.families = rng, families

    def integer(self, low: int, high: int) -> int:
        low = 2 if low == 1 and high > 3 else low  # a single class is a check of its own
        return int(self.rng.integers(low, high, endpoint=True))

    def one_of(self, options: Sequence[T]) -> T:
        allowed = [o for o in options if not isinstance(o, str) or o in self.families]
        named = any(isinstance(o, str) and o in cases.FAMILIES for o in options)
        among = allowed if named and allowed else options
        return among[int(self.rng.integers(len(among)))]

    def sizes(self, largest: int, at_least: int, at_most: int) -> tuple[int, ...]:
        count = min(max(2, at_least), at_most) if at_most > 1 else at_most
        return tuple(self.integer(2, largest) for _ in range(count))


def generated(
    op: Op, dtype: Dtype, families: Sequence[str], count: int, seed: int = 0
) -> Iterator[Input]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield Input(op.generate(RandomDraw(rng, families), dtype))


def ordinary(op: Op, small: bool = False) -> Iterator[Input]:
    """Yield cases at default options: standard normal numbers, or whole ones where it is small."""
    small_shapes, shapes = _shapes(op)
    if small:
        for shape in small_shapes:
            for seed in range(4):
                case = op.plain(shape, np.float64, seed)
                if all(x.size for x in case.values()):
                    yield Input(simple(op, case, seed))
        return
    for dtype in DTYPES:
        for seed, shape in enumerate(shapes):
            case = op.plain(shape, dtype, seed + 1)
            yield Input(case)
        if op.name.startswith("binary"):
            case = op.plain(shapes[0], dtype, 9)
            yield Input(case | {"target": np.rint(case["target"])})
    if op.name == "softplus":
        for dtype in DTYPES:
            yield Input({"z": np.array([[20.5, 21, 23], [19, 20.0, 25]], dtype)})


def _shapes(op: Op) -> tuple[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]]:
    """Return small and larger shapes: (N, C), or (N, D, H) of a layer."""
    return (SMALL_LAYERS, LARGER_LAYERS) if kind(op) == "layer" else (SMALL, LARGER)


def simple(op: Op, case: Case, seed: int) -> Case:
    """Return a case with few digits: whole numbers, and fractions of 8 for probabilities."""
    found = {}
    for name, x in case.items():
        if x.dtype.kind != "f":
            found[name] = x
        elif name in ("p", "q") or (name == "target" and _of_shares(op)):
            found[name] = _pretty(x, seed + (name == "target"))
        elif name == "log_p":
            found[name] = np.rint(2 * x) / 2 - 0.5
        elif name == "log_q":
            found[name] = np.log(_pretty(x, seed))
        else:
            found[name] = np.rint(2 * x) + 0.0  # no -0
            if op.name in KINKED and name == op.inputs[0]:
                found[name] += 0.5
    return found


def _of_shares(op: Op) -> bool:
    return op.name.startswith(("binary", "kl", "cross_entropy"))


def _pretty(x: Array, seed: int) -> Array:
    if x.ndim != 2 or x.shape[1] not in PRETTY:
        return np.clip(np.rint(8 * x) / 8, 0.125, 0.875)
    rows = PRETTY[x.shape[1]]
    return np.array([rows[(n + seed) % len(rows)] for n in range(len(x))], x.dtype)


def options(reading: Reading, small: bool = False) -> Iterator[Input]:
    """Yield cases that vary the options that a function takes, one by one and all at once."""
    op, taken = reading.row, [o for o in reading.row.options if o in reading.varied]
    few, larger = _shapes(op)
    shapes = few if small else larger[:1]
    for shape in shapes:
        for seed in range(3 if small else 1):
            plain = op.plain(shape, np.float64, seed)
            plain = simple(op, plain, seed) if small else plain
            typical = op.typical(np.float64, *shape[:2])
            for option in taken:
                for value in _values(option, op, typical):
                    if option == "ignore_index":
                        yield Input(_ignoring(plain, value), f"with {option}={value}")
                    elif option == "log_target":
                        logs = {"target": np.log(plain["target"])}
                        yield Input(plain | {option: True} | logs, f"with {option}=True")
                    else:
                        shown = f"={value!r}" if np.ndim(value) == 0 else ""
                        yield Input(plain | {option: value}, f"with {option}{shown}")
            if len(taken) > 1 and len(plain[op.inputs[0]]) > 1:
                both = {o: typical[o] for o in taken}
                both |= {"target": typical["target"]} if "ignore_index" in taken else {}
                rows = len(typical["target"]) == len(plain["target"]) if "target" in both else True
                yield Input(plain | both if rows else plain, "with several options")
    if taken and not small:
        for dtype in DTYPES:
            yield from generated(op, dtype, ("standard normal", "positive"), 12)


def _values(option: str, op: Op, typical: Case) -> list[Any]:
    if option == "reduction":
        more = ["batchmean"] if op.function == "kl_div" else []
        return ["none", "sum", *more]
    if option == "axis":
        return [0, 1]
    if option == "dtype":
        return ["float32"]
    if option == "ignore_index":
        return [0, -100]
    return [typical[option]]


def _ignoring(case: Case, label: int) -> Case:
    target = case["target"].copy()
    target[-1] = label
    return case | {"target": target, "ignore_index": label}


# Extremes

PATTERNS: dict[str, list[list[float]]] = {
    "far below": [[-1, 0]],
    "far above": [[1, 0]],
    "both": [[1, -1]],
    "ties": [[1, 1]],
    "two rows": [[1, 0], [-1, -1]],
    "three classes": [[1, 0.5, -1], [-1, 0, 1]],
}


def extremes(reading: Reading) -> Iterator[Input]:
    """Yield cases of large numbers, near ties, masks and shares of 0, the smaller first."""
    op = reading.row
    if kind(op) in ("layer",):
        for dtype in DTYPES:
            yield from generated(op, dtype, ("wide", "tiny", "near ties"), 8)
        return
    for words, z in _patterns(op):
        for dtype in DTYPES:
            for scale in _scales(op, dtype):
                yield from _labelled(op, (np.array(z) * scale + 0.0).astype(dtype), words, scale)
    for dtype in DTYPES:
        for name in op.extremes:
            if name not in ("one class", "one row", MASKS):
                yield Input(op.extreme(name, dtype), name)
        families = ("wide", "near ties", "one dominant", "tiny", "positive")
        yield from generated(op, dtype, families, 8 if dtype is np.float32 else 4, 5)
    yield from _special_shares(op)


def _scales(op: Op, dtype: Dtype) -> tuple[float, ...]:
    """Return how large the numbers are: fewer in float64, whose right answers take long."""
    if op.inputs[0] == "prediction":
        return (10.0, 1000.0, 1e-6)
    few = dtype is np.float64
    return tuple(
        s for s in SCALES if not (few and s in FEWER) and (s < 1e9 or kind(op) != "entries")
    )


def _patterns(op: Op) -> Iterator[tuple[str, list[list[float]]]]:
    yield from PATTERNS.items()
    if kind(op) == "activation":
        yield "all below", [[-1, -1]]
    if op.inputs[0] == "z":
        yield "near each other", [[1, 0.999]]
        yield "near each other", [[1, 0.9], [0.95, 1]]


def _labelled(op: Op, z: Array, words: str, scale: float) -> Iterator[Input]:
    """Yield a case around logits z, with each of two targets."""
    if op.name == "log_q" or op.inputs[0] in ("log_q", "log_p"):
        z = 0 - abs(z)
        case = simple(op, op.plain(z.shape, z.dtype), 0) | {op.inputs[0]: z}
        yield Input(case, words, scale)
        return
    other = np.random.default_rng(0).normal(size=z.shape).astype(z.dtype)
    example = op.example(z, other, np.random.default_rng(0))
    case = {name: example[name] for name in op.arguments}
    if "target" not in case:
        yield Input(case, words, scale)
    elif op.labelled:
        for first in range(min(2, z.shape[1])):
            target = (np.arange(len(z)) + first) % z.shape[1]
            yield Input(case | {"target": target}, words, scale)
    elif op.inputs[0] == "prediction":
        yield Input(case, words, scale)
    else:
        one_hot = np.eye(len(z), z.shape[1], dtype=z.dtype)
        yield Input(case | {"target": one_hot}, words, scale)
        yield Input(case | {"target": one_hot[:, ::-1].copy()}, words, scale)


def _special_shares(op: Op) -> Iterator[Input]:
    """Yield what is special of one row: log q down to -1000, shares that are small or 0."""
    for dtype in DTYPES:
        if op.inputs[0] == "log_q":
            for low in (-30.0, -100.0, -800.0, -1000.0):
                log_q = np.array([[low, 0]], dtype)
                for target in ([[0.5, 0.5]], [[1.0, 0]], [[0.25, 0.75]]):
                    yield Input({"log_q": log_q, "target": np.array(target, dtype)}, "log q", -low)
        if op.inputs[0] == "q":
            for target in ([[1.0, 0]], [[0, 1.0]]):
                case = {"q": np.array([[0.25, 0.75]], dtype), "target": np.array(target, dtype)}
                yield Input(case, "a target of 0")
    if op.inputs[0] in ("p", "q"):
        yield from shares(op)


def shares(op: Op) -> Iterator[Input]:
    """Yield smaller and smaller probabilities of the target."""
    for k in range(1, 31):
        p = share(op, 10.0**-k)
        target = np.array([0]) if op.labelled else np.array([[1.0, 0]])
        yield Input({op.inputs[0]: p, "target": target}, "a small probability", 10.0**-k)


def share(op: Op, p: float) -> Array:
    """Return a row with a small probability. Entries of yes or no do not add up to 1."""
    return np.array([[p, 0.5 if op.name.startswith("binary") else 1 - p]])


# Special inputs: where torch has an answer, and textbooks may not


def special(reading: Reading) -> Iterator[Input]:
    op = reading.row
    if reading.layout.each or reading.layout.narrow:
        return
    names = [n for n in ("one row", "one class") if n in op.extremes] or ["one row"]
    for name in names if kind(op) != "layer" else ():
        case = op.extreme(name, np.float64)
        if op.name in KINKED[1:]:
            case = case | {"target": case["target"] + 0.25}
        yield Input({n: case[n] for n in op.arguments}, WORDS[name])
    if MASKS in op.extremes:
        case = op.extreme(MASKS, np.float64)
        yield Input({n: case[n] for n in op.arguments}, MASKS)
    shape = (4, 3, 2) if kind(op) == "layer" else (4, 3)
    plain = op.plain(shape, np.float64, 1)
    first = op.inputs[0]
    empty = {n: plain[n][:0] for n in (first, "target") if n in plain}
    if reading.settings.get("axis") not in (0, -2):
        yield Input(plain | empty, "an empty batch")
    if "ignore_index" in reading.taken and kind(op) == "classes":
        yield Input(plain | {"target": np.full(4, -100), "ignore_index": -100}, NOTHING)


MASKS = "-inf masks"
NOTHING = "the mean of nothing: all targets ignored"
WORDS = {"one row": "a single row", "one class": "a single class"}


def at_the_kink(op: Op) -> Case | None:
    """Return a case at a kink of relu or |r|, where torch's slope is 0."""
    if op.name == "relu":
        return {"z": np.array([[-1.0, 0.0, 2.0]])}
    if op.name == "l1_loss":
        return {"prediction": np.array([[1.0, 2.0]]), "target": np.array([[1.0, 1.0]])}
    return None


def off_the_kink(op: Op, case: Case) -> Case:
    """Move numbers away from a kink: that is a check of its own."""
    first = op.inputs[0]
    if op.name == "relu":
        return case | {first: np.where(case[first] == 0, case[first].dtype.type(1), case[first])}
    if op.name in KINKED:
        same = case[first] == case["target"]
        return case | {first: np.where(same, case[first] + 1, case[first])}
    return case


Make = Callable[[Any, DTypeLike], AnyArray]
