"""A run from the command line: what is measured, how long it takes, what is said and saved."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import environment, results, runner
from benchmarks.backends import BACKENDS, Backend
from benchmarks.cases import CROSS_ENTROPY, GROUPS, JSON, Case, cases
from benchmarks.noise import BUSY, mark
from benchmarks.results import Key, Results, Row, counted
from scratchnn import data
from scratchnn.data import DataError

QUICK = runner.Plan(rounds=1, seconds=0.0, retries=0)
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


@dataclass(frozen=True)
class Wanted:
    """What to measure.

    threads    from the most to the least
    restricted whether anything was left out, so that these are not all results of the machine
    """

    groups: tuple[str, ...]
    backends: tuple[Backend, ...]
    threads: tuple[int, ...]
    data: str
    plan: runner.Plan
    quick: bool
    restricted: bool
    json: Path | None
    plots: Path | None
    resume: bool

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Wanted:
        """Return what the arguments ask for.

        Raises   ValueError for a GPU that is not there
        """
        quick, default = arguments.quick, "mnist" if has_mnist() else "digits"
        plan = QUICK if quick else runner.Plan()
        usual = {1} if quick else {environment.cores(), 1}
        threads = set(arguments.threads or usual)
        named = (arguments.backends, arguments.device)
        chosen = set(arguments.cases) == set(GROUPS) and named == (None, None)
        rounds, pixels = arguments.rounds or plan.rounds, arguments.data or default
        return cls(
            groups=tuple(arguments.cases),
            backends=_backends(arguments),
            threads=tuple(sorted(threads, reverse=True)),
            data=pixels,
            plan=replace(plan, rounds=rounds),
            quick=quick,
            restricted=not (
                chosen and threads >= usual and rounds >= plan.rounds and pixels == default
            ),
            json=arguments.json,
            plots=arguments.plots,
            resume=arguments.resume,
        )

    @property
    def path(self) -> Path | None:
        """Where the results go; None: nowhere."""
        if self.json or self.quick or self.restricted:
            return self.json
        return results.FOLDER / f"{environment.machine()}.json"

    def cases(self, threads: int) -> list[Case]:
        """Return what is measured with a number of threads: with fewer than the most, less."""
        most = threads == self.threads[0]
        found = [c for c in cases(self.data, quick=self.quick) if c.group in self.groups]
        return [c for c in found if most or c.group == "epoch" or c.op in CROSS_ENTROPY]


# What is kept while it goes on


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
                 file that would be lost, or none to take up; OSError where none can be written
        """
        if not self.part or not self.part.exists():
            if resume:
                raise ValueError(
                    f"--resume takes up {self.part or 'a run with --json FILE'}, which is not there"
                )
            self._try_to_write()
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

    def _try_to_write(self) -> None:
        """Find out before an hour's work whether it can be kept."""
        if self.part:
            self.results().save(self.part)
            self.part.unlink()

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


# The run


def has_mnist() -> bool:
    """Tell whether SCRATCHNN_DATA names a folder that holds MNIST."""
    return (Path(os.environ.get("SCRATCHNN_DATA", "")) / "MNIST/raw").is_dir()


def measure(wanted: Wanted) -> int:
    """Check and time everything; save and draw the results. Return the exit status."""
    data.load(wanted.data)  # says what to do where the files are missing
    facts = environment.environment(list(wanted.threads), wanted.plan.seed)
    if not wanted.quick:
        facts["others at the beginning"] = environment.others_now()
    kept = Record(wanted.path, facts)
    kept.take_up(resume=wanted.resume)
    todo = {n: [c for c in wanted.cases(n) if not kept.has(c, n)] for n in wanted.threads}
    _say_first(wanted, todo, kept.facts)
    start = time.perf_counter()
    try:
        _run(wanted, todo, kept)
    except BaseException:
        kept.keep()
        if kept.part and kept.rows:
            print(f"kept {kept.part}: the same command with --resume goes on", file=sys.stderr)
        raise
    kept.finish()
    _say_last(wanted, kept, time.perf_counter() - start)
    return 1 if any(row.wrong for row in kept.rows.values()) else 0


def _run(wanted: Wanted, todo: dict[int, list[Case]], kept: Record) -> None:
    load, say = environment.Load(), _quiet if wanted.quick else print

    def before() -> None:
        load.look()
        kept.keep()

    def add(row: Row) -> None:
        kept.add(row)
        say(row, flush=True)

    plan = replace(wanted.plan, before=before, say=add)
    workers = kept.facts.setdefault("workers", {})
    try:
        for threads, chosen in todo.items():
            rows, found = runner.run(chosen, wanted.backends, threads, plan)
            kept.rows |= {row.key: row for row in rows}
            workers[str(threads)] = workers.get(str(threads), {}) | found
    finally:
        load.look()
        kept.facts["load"] = load.facts()


def _quiet(row: Row, *, flush: bool) -> None:
    """Say of a quick run what went wrong, and no times, which mean nothing."""
    if row.wrong:
        print(row, flush=flush)


def _say_first(wanted: Wanted, todo: dict[int, list[Case]], facts: JSON) -> None:
    """Say what will be measured, how long it takes, and where it will be."""
    work = list(_work(wanted, todo))
    *more, last_count = wanted.threads
    counts = " and ".join([*map(str, more), counted(last_count, "thread")])
    names = {backend.name for _, backend, _ in work}
    what = counted(len({case for case, _, _ in work}), "case")
    what += f" on {counted(len(names), 'backend')}"
    if wanted.quick:
        print(f"checking {what}, in a minute or two", flush=True)
        return
    file = results.FOLDER / f"{environment.machine()}.json"
    last = Results.load(file).rows if file.exists() else []
    seconds = duration(work, last) * wanted.plan.rounds / runner.Plan.rounds
    print(f"{what} with {counts}: {in_words(seconds)}, longer where it must be repeated")
    if not wanted.path:
        print("not saved: only a run that leaves out nothing is; --json FILE saves this one")
    others = facts.get("others at the beginning")
    if isinstance(others, float) and others > BUSY:
        print(
            f"the machine is busy: other processes take {others:.1f} cores; figures will be noisy"
        )
    sys.stdout.flush()


def _work(wanted: Wanted, todo: dict[int, list[Case]]) -> Iterator[tuple[Case, Backend, int]]:
    has_gpu = environment.gpu() is not None
    for threads, chosen in todo.items():
        for case in chosen:
            for backend in wanted.backends:
                if backend.does(case.group, case.kind) and (has_gpu or not backend.is_cuda):
                    yield case, backend, threads


def _say_last(wanted: Wanted, kept: Record, seconds: float) -> None:
    found = kept.results()
    mark(found.rows)
    if wanted.quick:
        print(_groups(found.rows))
    rows = found.rows
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"wrong: {row}", file=sys.stderr)
    figures = "" if wanted.quick else f", {sum(bool(row.noisy) for row in rows)} noisy"
    right = sum(not row.not_run for row in rows)
    print(f"{len(rows)} rows, {right} right{figures}, {len(wrong)} wrong; {seconds:.0f} s")
    if kept.path:
        print(f"saved {kept.path}")
    if wanted.plots:
        from benchmarks import report

        print(*report.draw(found, wanted.plots), sep="\n")


def _groups(rows: list[Row]) -> str:
    """Return a line for each group, and one for each reason why something did not run."""
    lines, reasons = [], dict[str, dict[str, None]]()
    for row in rows:
        if row.not_run and not row.wrong:
            reasons.setdefault(row.not_run, {})[row.backend] = None
    for group in dict.fromkeys(row.case.group for row in rows):
        ran = [row for row in rows if row.case.group == group and not row.not_run]
        number = counted(len({row.case for row in ran}), "case")
        kinds = f"{number}, {counted(len(ran), 'result')} right"
        counts = ", ".join(counted(n, "thread") for n in sorted({row.threads for row in ran}))
        lines.append(f"{group:<10} {kinds}" + (f", {counts}" if counts else ""))
    lines += [f"not run: {', '.join(names)} ({why})" for why, names in reasons.items()]
    return "\n".join(lines)


def _backends(arguments: argparse.Namespace) -> tuple[Backend, ...]:
    """Return the backends that were named, or all; a quick run leaves compilers out.

    Raises   ValueError for CUDA that was asked for, where it is missing, or for none of both
    """
    all_of_them = [name for name, b in BACKENDS.items() if not (arguments.quick and b.compiles)]
    named = [BACKENDS[name] for name in arguments.backends or all_of_them]
    found = [b for b in named if arguments.device in (None, "cuda" if b.is_cuda else "cpu")]
    asked = arguments.device == "cuda" or any(b.is_cuda for b in named if arguments.backends)
    if asked and not environment.gpu():
        raise ValueError("CUDA was asked for, and there is no GPU here: nvidia-smi finds none")
    if not found:
        names = ", ".join(b.name for b in named)
        raise ValueError(f"--backends must have one on --device {arguments.device}, got {names}")
    return tuple(found)
