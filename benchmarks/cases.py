"""What is timed. A case is a description; inputs.py makes arrays of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

SOFTMAX_REGRESSION, MLP = "softmax regression", "MLP"
HIDDEN: dict[str, tuple[int, ...]] = {SOFTMAX_REGRESSION: (), MLP: (512, 256, 128, 64)}
PIXELS = {"mnist": 784, "digits": 64}
CLASSES = 10

LINEAR_SHAPES = ((64, 784, 512), (256, 784, 10), (512, 1000, 1000))  # N, D, H
SHAPES = ((256, 10), (4096, 10), (512, 1000))
OPS = (
    "cross_entropy", "cross_entropy_with_gradient", "linear", "softmax", "log_softmax",
    "logsumexp", "nll_loss", "binary_cross_entropy_with_logits", "relu", "sigmoid",
    "squared_loss", "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "kl_div",
)  # fmt: skip

MAP_BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
MAP_WIDTHS = (16, 64, 256, 1024)
MAP_DEPTHS = (1, 2, 3, 4, 5)


class NotRunError(Exception):
    """A backend cannot do a case here; the message says why."""


@dataclass(frozen=True)
class Case:
    """One piece of work. `kind` says what a backend does, `group` where the figure is shown.

    Shapes   shape: of an operation's input; sizes: of a network; examples: rows of the data, or 0
             for all of them
    """

    group: str
    kind: str  # op, step, epoch, inference, loading, memory, import
    name: str
    shape: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    batch: int = 0
    learning_rate: float = 0.1
    momentum: float = 0.0
    examples: int = 0
    data: str = ""  # or random numbers
    axis: str = ""  # of a scaling case: which size varies
    value: int = 0

    @property
    def title(self) -> str:
        """A line for people."""
        return f"{self.group}: {self.name}"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Case":
        """Return the case that `asdict` and JSON made lists of."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that say something, ready for JSON."""
        always = ("group", "kind", "name")
        return {k: v for k, v in asdict(self).items() if v or k in always}


def cases(data: str, *, quick: bool = False) -> list[Case]:
    """Return all cases in the order in which they are run; few and small ones if `quick`."""
    both = [*_networks(data, "epoch", quick), *_networks(data, "step", quick)]
    return [
        *_ops(quick),
        *both,
        *_inference(data, quick),
        Case(
            "loading", "loading", "all batches of 256, as floats", sizes=(PIXELS[data], CLASSES),
            batch=256, data=data, examples=_few(quick),
        ),
        *(case for case in _networks(data, "memory", quick) if case.name.startswith(MLP)),
        Case("import", "import", "all that training needs"),
        *_crossover(quick),
        *_scaling(quick),
    ]  # fmt: skip


def _few(quick: bool) -> int:
    return 1000 if quick else 0


def _ops(quick: bool) -> Iterator[Case]:
    for op in OPS:
        shapes = LINEAR_SHAPES if op == "linear" else SHAPES
        for shape in shapes[:1] if quick else shapes:
            yield Case("op", "op", f"{op} {shape}", shape=shape)


def _networks(data: str, kind: str, quick: bool) -> Iterator[Case]:
    for name, hidden in HIDDEN.items():
        batch, rate, momentum = (256, 0.1, 0.0) if name == SOFTMAX_REGRESSION else (64, 0.01, 0.5)
        yield Case(
            kind, kind, f"{name}, batch {batch}", sizes=(PIXELS[data], *hidden, CLASSES),
            batch=batch, learning_rate=rate, momentum=momentum, data=data,
            examples=batch if kind == "step" else _few(quick),
        )  # fmt: skip


def _inference(data: str, quick: bool) -> Iterator[Case]:
    for (name, hidden), rows in product(HIDDEN.items(), (64,) if quick else (1, 64, 1024)):
        yield Case(
            "inference", "inference", f"{name}, {rows} rows", data=data, examples=rows, batch=rows,
            sizes=(PIXELS[data], *hidden, CLASSES),
        )  # fmt: skip


def _crossover(quick: bool) -> Iterator[Case]:
    """Networks width-width-...-10: depth 1 is softmax regression with `width` inputs."""
    grid = product(
        (1, 5) if quick else MAP_DEPTHS,
        (16, 64) if quick else MAP_WIDTHS,
        (1, 64) if quick else MAP_BATCHES,
    )
    for depth, width, batch in grid:
        yield _step(
            "crossover", f"depth {depth}, width {width}, batch {batch}",
            (*[width] * depth, CLASSES), batch,
        )  # fmt: skip


def _scaling(quick: bool) -> Iterator[Case]:
    def powers(base: int, first: int, count: int) -> list[int]:
        return [first * base**i for i in range(2 if quick else count)]

    for N in powers(2, 1000, 7):
        yield Case(
            "scaling", "epoch", f"N = {N}", sizes=(784, CLASSES), batch=256, examples=N,
            axis="N", value=N,
        )  # fmt: skip
    for axis, values in (
        ("D", powers(4, 64, 5)),
        ("C", powers(4, 4, 5)),
        ("H", powers(4, 16, 5)),
        ("batch", powers(4, 4, 6)),
    ):
        for value in values:
            sizes = {"D": (value, CLASSES), "C": (784, value), "H": (784, value, CLASSES)}.get(
                axis, (784, CLASSES)
            )
            yield _step(
                "scaling", f"{axis} = {value}", sizes, value if axis == "batch" else 256,
                axis=axis, value=value,
            )  # fmt: skip


def _step(group: str, name: str, sizes: tuple[int, ...], batch: int, **scale: Any) -> Case:
    return Case(group, "step", name, sizes=sizes, batch=batch, examples=batch, **scale)
