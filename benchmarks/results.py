"""The results file: what was measured, on what, and how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.cases import JSON, Case
from benchmarks.checks import Check
from benchmarks.statistics import Summary, ratios, summary
from scratchnn.data import DataError

FOLDER = Path(__file__).with_name("results")
OURS = "scratchnn"
FLOORS = ("floor products", "floor bytes", "floor float bytes")
BOTH_FLOORS = "floor products + bytes"
FLOAT_FLOORS = "floor products + float bytes"  # of our backend whose data are floats


@dataclass
class Row:
    """One case on one backend: a figure for each round, or why there is none.

    wrong    there is none because of a wrong result or a failure, not because something is missing

    Units    values: seconds of one run (the mean of `number` runs), or bytes
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

    @property
    def summary(self) -> Summary:
        """The median of the rounds, and the quartiles."""
        return summary(self.values)

    def times(self, other: Row) -> Summary:
        """Return how many times the figure of `other` this is, in the rounds that both have."""
        rounds = min(len(self.values), len(other.values))
        return summary(ratios(self.values[:rounds], other.values[:rounds]))

    def __str__(self) -> str:
        line = f"{self.case.title:<48} {self.backend:<36} "
        if self.not_run:
            return f"{line}not run: {self.not_run}"
        return f"{line}{quantity(self.summary.median, self.unit):>9}"

    def as_dict(self) -> JSON:
        """Return the row, ready for JSON; `from_dict` reads it."""
        values = [float(f"{value:.4g}") for value in self.values]
        return {**asdict(self), "case": self.case.as_dict(), "values": values}

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

    def of(self, group: str, *, threads: int | None = None) -> list[Row]:
        """Return the rows of a group of cases, of one number of threads."""
        wanted = threads or self.threads
        return [row for row in self.rows if row.case.group == group and row.threads == wanted]

    def save(self, path: Path) -> None:
        """Write the file, each row in a line."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(json.dumps(row.as_dict()) for row in self.rows)
        head = json.dumps(self.environment, indent=1)
        path.write_text(f'{{"environment": {head},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")

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
    """Return the row of a floor, or of the sum of two, as BOTH_FLOORS, round by round."""
    products, _, moving = which.partition(" + ")
    one, other = rows.get(products), rows.get(f"floor {moving}")
    if not moving or one is None or other is None:
        return None if moving else one
    pairs = zip(one.values, other.values, strict=False)  # of rounds that both have
    return Row(one.case, which, one.threads, [a + b for a, b in pairs])


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


def compare(before: Results, after: Results) -> str:
    """Return a table of the figures of two files, with after / before, for the cases of both.

    Different runs have no rounds in common, so the range is that of the quartiles.
    """
    old = {(row.case, row.backend, row.threads): row for row in before.rows if not row.not_run}
    lines = [f"{'case':<48} {'backend':<36} {'before':>9} {'after':>9}  after / before"]
    for row in after.rows:
        key = (row.case, row.backend, row.threads)
        if key not in old or row.not_run:
            continue
        a, b = old[key].summary, row.summary
        lines.append(
            f"{row.case.title:<48} {row.backend:<36} {quantity(a.median, row.unit):>9} "
            f"{quantity(b.median, row.unit):>9}  {b.median / a.median:.2f} "
            f"({b.low / a.high:.2f} to {b.high / a.low:.2f})"
        )
    return "\n".join(lines)
