"""What is timed. A case is a description; inputs.py makes the arrays of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from typing import Any, TypeAlias

JSON: TypeAlias = dict[str, Any]

SOFTMAX_REGRESSION, MLP = "softmax regression", "MLP"
HIDDEN: dict[str, tuple[int, ...]] = {SOFTMAX_REGRESSION: (), MLP: (512, 256, 128, 64)}
PIXELS = {"mnist": 784, "digits": 64}
CLASSES = 10

GROUPS = (
    "op",
    "epoch",
    "step",
    "inference",
    "loading",
    "memory",
    "import",
    "crossover",
    "scaling",
)
CROSS_ENTROPY = ("cross_entropy", "cross_entropy_with_gradient")  # measured with 1 thread, too

LAYER_SHAPES = ((64, 784, 512), (256, 784, 10), (512, 1000, 1000))  # N, D, H
SHAPES = ((256, 10), (4096, 10), (512, 1000))

MAP_BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
MAP_WIDTHS = (16, 64, 256, 1024)
MAP_DEPTHS = (1, 2, 3, 4, 5)


class NotRunError(Exception):
    """A backend cannot do a case here; the message says why."""


@dataclass(frozen=True)
class Case:
    """One piece of work.

    group      where the figure is shown
    kind       what a backend does: op, step, epoch, inference, loading, memory or import
    shape      of an operation's input
    sizes      of a network
    examples   rows of the data; 0: all of them
    data       the data set; "": random numbers
    axis       which size varies, of a scaling case, and
    value      that size
    """

    group: str
    kind: str
    name: str
    shape: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    batch: int = 0
    learning_rate: float = 0.1
    momentum: float = 0.0
    examples: int = 0
    data: str = ""
    axis: str = ""
    value: int = 0

    @property
    def title(self) -> str:
        """A line for people."""
        return f"{self.group}: {self.name}"

    @property
    def op(self) -> str:
        """The operation's name: that of the case without the shape."""
        return self.name.partition(" (")[0]

    @property
    def multiplications(self) -> int:
        """How many multiplications the matrix products of an epoch or a step take.

        A layer has three products, Y = X W, dW = Xᵀ dY and dX = dY Wᵀ, of N D H multiplications
        each. The first layer needs no dX.
        """
        layers = [D * H for D, H in pairwise(self.sizes)]
        return self.examples * (3 * sum(layers) - layers[0])

    @classmethod
    def from_dict(cls, values: JSON) -> Case:
        """Return the case that `as_dict` and JSON made lists of."""
        fields: JSON = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)

    def as_dict(self) -> JSON:
        """Return the fields that say something, ready for JSON."""
        always = ("group", "kind", "name")
        return {k: v for k, v in asdict(self).items() if v or k in always}


def cases(data: str, *, quick: bool = False) -> list[Case]:
    """Return all cases in the order in which they are run.

    Options  data    the data set of the epochs: a name in PIXELS
             quick   a few small cases
    """
    return [
        *_ops(quick),
        *_networks(data, "epoch", quick),
        *_networks(data, "step", quick),
        *_inference(data, quick),
        _loading(data, quick),
        *(case for case in _networks(data, "memory", quick) if case.name.startswith(MLP)),
        Case("import", "import", "all that training needs"),
        *_crossover(quick),
        *_scaling(quick),
    ]


def _few(quick: bool) -> int:
    return 1000 if quick else 0


def _ops(quick: bool) -> Iterator[Case]:
    from benchmarks import ops  # reports need no table of operations, and so not what it needs

    for name in ops.NAMES:
        shapes = LAYER_SHAPES if ops.row(name).products else SHAPES
        for shape in shapes[:1] if quick else shapes:
            yield Case("op", "op", f"{name} {shape}", shape=shape)


def _networks(data: str, kind: str, quick: bool) -> Iterator[Case]:
    for name, hidden in HIDDEN.items():
        batch, rate, momentum = (256, 0.1, 0.0) if name == SOFTMAX_REGRESSION else (64, 0.01, 0.5)
        yield Case(
            kind,
            kind,
            f"{name}, batch {batch}",
            sizes=(PIXELS[data], *hidden, CLASSES),
            batch=batch,
            learning_rate=rate,
            momentum=momentum,
            data=data,
            examples=batch if kind == "step" else _few(quick),
        )


def _inference(data: str, quick: bool) -> Iterator[Case]:
    for (name, hidden), rows in product(HIDDEN.items(), (64,) if quick else (1, 64, 1024)):
        sizes, title = (PIXELS[data], *hidden, CLASSES), f"{name}, {rows} rows"
        yield Case(
            "inference", "inference", title, data=data, examples=rows, batch=rows, sizes=sizes
        )


def _loading(data: str, quick: bool) -> Case:
    sizes, title = (PIXELS[data], CLASSES), "all batches of 256, as floats"
    return Case(
        "loading", "loading", title, sizes=sizes, batch=256, data=data, examples=_few(quick)
    )


def _crossover(quick: bool) -> Iterator[Case]:
    """Networks width-width-...-10: depth 1 is softmax regression with `width` inputs."""
    grid = product(
        (1, 5) if quick else MAP_DEPTHS,
        (16, 64) if quick else MAP_WIDTHS,
        (1, 64) if quick else MAP_BATCHES,
    )
    for depth, width, batch in grid:
        name = f"depth {depth}, width {width}, batch {batch}"
        yield _step("crossover", name, (*[width] * depth, CLASSES), batch)


def _scaling(quick: bool) -> Iterator[Case]:
    """One size at a time, times a constant factor: N, D, C, H, batch."""

    def powers(base: int, first: int, count: int) -> list[int]:
        return [first * base**i for i in range(2 if quick else count)]

    for N in powers(2, 1000, 7):
        sizes, name = (784, CLASSES), f"N = {N}"
        yield Case("scaling", "epoch", name, sizes=sizes, batch=256, examples=N, axis="N", value=N)
    for D in powers(4, 64, 5):
        yield _step("scaling", f"D = {D}", (D, CLASSES), 256, "D", D)
    for C in powers(4, 4, 5):
        yield _step("scaling", f"C = {C}", (784, C), 256, "C", C)
    for H in powers(4, 16, 5):
        yield _step("scaling", f"H = {H}", (784, H, CLASSES), 256, "H", H)
    for batch in powers(4, 4, 6):
        yield _step("scaling", f"batch = {batch}", (784, CLASSES), batch, "batch", batch)


def _step(
    group: str, name: str, sizes: tuple[int, ...], batch: int, axis: str = "", value: int = 0
) -> Case:
    return Case(
        group, "step", name, sizes=sizes, batch=batch, examples=batch, axis=axis, value=value
    )
