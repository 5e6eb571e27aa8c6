"""A run's results while it goes on: how long it takes, what is kept, and how it is taken up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.backends import Backend
from benchmarks.cases import JSON, Case
from benchmarks.results import Key, Results, Row
from scratchnn.data import DataError

SAME = ("cpu", "gpu", "commit", "numpy", "blas", "torch")  # in all parts of a run
GUESS = {  # seconds for a backend, where there are no earlier results to go by
    "op": 3,
    "step": 3,
    "epoch": 40,
    "inference": 3,
    "loading": 40,
    "memory": 40,
    "import": 15,
}
CHECKING = 1.5  # seconds: of a row that does not say what it took
RESTING = 0.1


class Record:
    """The rows of a run, in a file from the first one on.

    During the run it is FILE.part. Only at the end does it take the place of FILE. So a run that
    is interrupted replaces nothing, and can be taken up.
    """

    def __init__(self, path: Path | None, facts: JSON) -> None:
        self.path, self.facts = path, facts
        self.rows: dict[Key, Row] = {}

    @property
    def part(self) -> Path | None:
        """The file of the run so far."""
        return self.path.with_name(f"{self.path.name}.part") if self.path else None

    def take_up(self, *, resume: bool) -> None:
        """Read what an interrupted run has measured, if that is wanted.

        Raises   DataError for a file of another machine or version; ValueError where there is a
                 file that would be lost, or none to take up
        """
        if not self.part or not self.part.exists():
            if resume:
                raise ValueError(
                    f"--resume takes up {self.part or 'a run with --json FILE'}, which is not there"
                )
            return
        if not resume:
            raise ValueError(
                f"{self.part} has an interrupted run: --resume goes on with it; to begin anew, "
                "delete the file"
            )
        found = Results.load(self.part)
        for name in SAME:
            if found.environment.get(name) != self.facts.get(name):
                raise DataError(
                    f"{self.part} must be of the same {name} to go on, {self.facts.get(name)}, got "
                    f"{found.environment.get(name)}: delete the file and begin anew"
                )
        self.rows = {row.key: row for row in found.rows}
        self.facts = found.environment | {"resumed": self.facts["date"]}

    def has(self, case: Case, threads: int) -> bool:
        """Return whether a case was measured, and nothing was wrong."""
        rows = [r for r in self.rows.values() if (r.case, r.threads) == (case, threads)]
        return any(row.values for row in rows) and not any(row.wrong for row in rows)

    def add(self, row: Row) -> None:
        """Take a row, or one that replaces it."""
        self.rows[row.key] = row

    def results(self) -> Results:
        """Return all rows so far."""
        return Results(self.facts, list(self.rows.values()))

    def keep(self) -> None:
        """Write the run so far."""
        if self.part and self.rows:
            self.results().save(self.part)

    def finish(self) -> None:
        """Write the results, and let them take their place."""
        if self.path and self.part:
            self.results().save(self.part)
            self.part.replace(self.path)


def duration(work: Iterable[tuple[Case, Backend, int]], last: Sequence[Row]) -> float:
    """Estimate the seconds that cases take on backends with a number of threads.

    Options  last   the rows of earlier results; what is not in them is guessed
    """
    known = {row.key: _cost(row) for row in last if row.values}
    return sum(
        known.get((case, backend.name, threads), GUESS[case.kind])
        for case, backend, threads in work
    )


def _cost(row: Row) -> float:
    if row.cost or row.unit != "s":
        return row.cost or GUESS[row.case.kind]
    turn = row.number * row.summary.median
    return CHECKING + 2 * row.summary.median + len(row.values) * (turn + RESTING)


def in_words(seconds: float) -> str:
    """Return "about 50 minutes", or in seconds or hours."""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
