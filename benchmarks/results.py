"""The results file: what was measured, on what, and how; medians, quartiles and ratios of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from benchmarks.cases import JSON, Case
from scratchnn.data import DataError

FOLDER = Path(__file__).with_name("results")
OURS = "scratchnn"
FLOORS = ("floor products", "floor bytes", "floor float bytes")
BOTH_FLOORS = "floor products + bytes"
FLOAT_FLOORS = "floor products + float bytes"  # of our backend whose data are floats
Key: TypeAlias = tuple[Case, str, int]


class Summary(NamedTuple):
    """The median of some figures, and the quartiles below and above it."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Return the median and the quartiles.

    Raises   ValueError for no values
    """
    if not len(values):
        raise ValueError("values must hold at least one figure, got none")
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Summary(float(median), float(low), float(high))


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> list[float]:
    """Divide the figures of each round. What slows down the whole machine cancels.

    Raises   ValueError for two different numbers of rounds
    """
    return [a / b for a, b in zip(numerator, denominator, strict=True)]


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Fit p of  time = c size^p  to the upper half of the sizes, by least squares on logarithms.

    At small sizes the time is that of the calls, whatever the size.

    Raises   ValueError for fewer than two sizes
    """
    if len(sizes) != len(times) or len(sizes) < 2:
        raise ValueError(
            f"sizes and times must be two or more pairs, got {len(sizes)} and {len(times)}"
        )
    order = np.argsort(sizes)[-max(2, (len(sizes) + 1) // 2) :]
    x, y = np.log(np.asarray(sizes, float)[order]), np.log(np.asarray(times, float)[order])
    x -= x.mean()
    return float((x * y).sum() / (x * x).sum())


@dataclass(frozen=True)
class Check:
    """What was compared, and the largest difference as a share of its tolerance."""

    what: str
    share: float
    holds: bool


@dataclass
class Row:
    """One case on one backend: a figure for each round, or why there is none.

    wrong      there is none because of a wrong result or a failure, not because something is
               missing
    others     how many cores worked for other processes meanwhile; None: unknown
    attempts   how often all rounds were measured, as the machine was busy
    cost       what the row took of the run, with its check
    noisy      why the figure is not to be relied on; noise.py says so, and no file holds it

    Units    values: seconds of one run (the mean of `number` runs), or bytes; cost: seconds
    """

    case: Case
    backend: str
    threads: int
    values: list[float] = field(default_factory=list)
    unit: str = "s"
    number: int = 1
    check: Check | None = None
    not_run: str | None = None
    wrong: bool = False
    others: float | None = None
    attempts: int = 1
    cost: float = 0.0
    noisy: str = ""

    @property
    def key(self) -> Key:
        """What it is a figure of."""
        return self.case, self.backend, self.threads

    @property
    def summary(self) -> Summary:
        """The median of the rounds, and the quartiles."""
        return summary(self.values)

    def times(self, other: Row) -> Summary:
        """Return how many times the figure of `other` this is, in the rounds that both have."""
        rounds = min(len(self.values), len(other.values))
        return summary(ratios(self.values[:rounds], other.values[:rounds]))

    def __str__(self) -> str:
        line = f"{self.case.title:<48} {self.backend:<24} {counted(self.threads, 'thread'):<10} "
        if self.not_run:
            return f"{line}not run: {self.not_run}"
        noisy = f"  noisy: {self.noisy}" if self.noisy else ""
        return f"{line}{quantity(self.summary.median, self.unit):>9}{noisy}"

    def as_dict(self) -> JSON:
        """Return the row, ready for JSON; `from_dict` reads it."""
        values = [float(f"{value:.4g}") for value in self.values]
        found = {**asdict(self), "case": self.case.as_dict(), "values": values}
        del found["noisy"]
        return {**found, "cost": round(self.cost, 2)}

    @classmethod
    def from_dict(cls, values: JSON) -> Row:
        """Return the row of a results file."""
        judged = Check(**values["check"]) if values["check"] else None
        return cls(**{**values, "case": Case.from_dict(values["case"]), "check": judged})


@dataclass
class Results:
    """All rows of a run, and the environment."""

    environment: JSON
    rows: list[Row]

    @property
    def threads(self) -> int:
        """The largest number of threads: the one that tables and pictures are about."""
        return max((row.threads for row in self.rows), default=0)

    @property
    def machine(self) -> str:
        """The processor, and the GPU where there is one."""
        gpu, cpu = self.environment["gpu"], self.environment["cpu"]
        short = " ".join(re.sub(r"\((R|TM)\)|\b(CPU|Processor)\b", " ", cpu).split())
        return short + (f" with {gpu['name']}" if gpu else "")

    @property
    def where(self) -> str:
        """Machine, threads and date, for a title."""
        return f"{self.machine}, {counted(self.threads, 'thread')}, {self.environment['date']}"

    def of(self, group: str, *, threads: int | None = None) -> list[Row]:
        """Return the rows of a group of cases, of one number of threads."""
        wanted = threads or self.threads
        return [row for row in self.rows if row.case.group == group and row.threads == wanted]

    def save(self, path: Path) -> None:
        """Write the file, each row in a line. The one that was there is whole until the end."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(json.dumps(row.as_dict()) for row in self.rows)
        head = json.dumps(self.environment, indent=1)
        new = path.with_name(f"{path.name}.new")
        new.write_text(f'{{"environment": {head},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read the file.

        Raises   FileNotFoundError, DataError
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(found["environment"], [Row.from_dict(row) for row in found["rows"]])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} must be a results file of `python -m benchmarks`, got {error!r}"
            ) from error


def by_backend(rows: Sequence[Row]) -> dict[Case, dict[str, Row]]:
    """Return the rows that ran, by case and backend."""
    found: dict[Case, dict[str, Row]] = {}
    for row in rows:
        if not row.not_run:
            found.setdefault(row.case, {})[row.backend] = row
    return found


def floor(rows: dict[str, Row], which: str) -> Row | None:
    """Return the row of a floor, or of the sum of two, as BOTH_FLOORS, round by round.

    The sum is as noisy as the noisier one.
    """
    products, _, moving = which.partition(" + ")
    one, other = rows.get(products), rows.get(f"floor {moving}")
    if not moving or one is None or other is None:
        return None if moving else one
    pairs = zip(one.values, other.values, strict=False)  # of rounds that both have
    noisy = one.noisy or other.noisy
    return Row(one.case, which, one.threads, [a + b for a, b in pairs], noisy=noisy)


def rivals(results: Results) -> list[str]:
    """Return the backends that the crossover map can compare with ours."""
    pairs = [rows for rows in by_backend(results.of("crossover")).values() if OURS in rows]
    return list(dict.fromkeys(name for rows in pairs for name in rows if name != OURS))


def quantity(value: float, unit: str) -> str:
    """Return a figure with three digits in a unit that suits it."""
    scales = {"s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")), "bytes": ((1e6, "MB"),)}[unit]
    scale, name = next((s for s in scales if value >= s[0]), scales[-1])
    scaled = value / scale
    return f"{scaled:.{max(0, 2 - len(str(int(abs(scaled)))) + 1)}f} {name}"


def counted(count: int, what: str) -> str:
    """Return "1 thread", "2 threads", ..."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def in_common(before: Results, after: Results) -> list[tuple[Row, Row]]:
    """Return the rows of both files with the same case, backend and number of threads."""
    old = {row.key: row for row in before.rows if not row.not_run}
    return [(old[row.key], row) for row in after.rows if row.key in old and not row.not_run]


def nothing_in_common(before: Results, after: Results) -> str:
    """Return a sentence on two files that cannot be compared."""
    return (
        "the two files have no case in common with the same backend and number of threads: "
        f"{_measured(before)} before, {_measured(after)} after"
    )


def compare(before: Results, after: Results) -> str:
    """Return a table of the figures of two files, with after / before, for the cases of both.

    Different runs have no rounds in common, so the range is that of the quartiles.
    """
    lines = [_what("before", before), _what("after", after)]
    if before.environment["cpu"] != after.environment["cpu"]:
        lines.append("Different processors: a ratio says more about them than about the code.")
    title = f"{'case':<48} {'backend':<24} {'threads':>7}"
    lines += ["", f"{title} {'before':>9} {'after':>9}  after / before"]
    for first, row in in_common(before, after):
        a, b = first.summary, row.summary
        noisy = "  noisy" if first.noisy or row.noisy else ""
        lines.append(
            f"{row.case.title:<48} {row.backend:<24} {row.threads:>7} "
            f"{quantity(a.median, row.unit):>9} {quantity(b.median, row.unit):>9}  "
            f"{b.median / a.median:.2f} ({b.low / a.high:.2f} to {b.high / a.low:.2f}){noisy}"
        )
    return "\n".join(lines)


def _what(when: str, results: Results) -> str:
    facts = results.environment
    return f"{when + ':':<8}{results.machine}, {facts['date']}, commit {facts.get('commit')}"


def _measured(results: Results) -> str:
    rows = [row for row in results.rows if not row.not_run]
    groups = ", ".join(dict.fromkeys(row.case.group for row in rows)) or "nothing"
    counts = " and ".join(counted(n, "thread") for n in sorted({row.threads for row in rows}))
    return groups + (f" with {counts}" if counts else "")
