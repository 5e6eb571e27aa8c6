"""python -m benchmarks: measure, or make the README's tables and the pictures, or compare.

    python -m benchmarks [--quick] [--cases G,...] [--backends B,...] [--threads 1,2] ...
    python -m benchmarks report
    python -m benchmarks compare BEFORE AFTER

Exit status: 0 done, 1 a result was wrong or a worker failed, 2 usage, 3 files.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import environment, report, results, runner
from benchmarks.backends import BACKENDS, Backend
from benchmarks.cases import PIXELS, cases
from benchmarks.results import Results, Row
from scratchnn.run.arguments import Parser, positive_int
from scratchnn.run.cli import run_command

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
EVERY_THREADS = ("epoch",)  # the groups that are measured with every number of threads
QUICK = runner.Plan(rounds=2, seconds=0.002)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Options  argv   the arguments; default: those of the process
    """
    arguments = _parser().parse_args(argv)
    return run_command(arguments.run, arguments, program="benchmarks")


def measure(arguments: argparse.Namespace) -> int:
    """Check and time everything; save and draw the results, also where Ctrl-C ends the run."""
    data = arguments.data or ("mnist" if has_mnist() else "digits")
    rows: list[Row] = []

    def say(row: Row) -> None:
        rows.append(row)
        print(row, flush=True)

    load = environment.Load()
    plan = QUICK if arguments.quick else runner.Plan(rounds=arguments.rounds)
    plan = replace(plan, before=load.look, say=say)
    chosen = [c for c in cases(data, quick=arguments.quick) if c.group in arguments.cases]
    counts = sorted(arguments.threads, reverse=True)
    facts, workers = environment.environment(counts, plan.seed), {}
    try:
        for threads in counts:
            some = [c for c in chosen if threads == counts[0] or c.group in EVERY_THREADS]
            _, workers[threads] = runner.run(some, _backends(arguments), threads, plan)
    finally:
        load.look()
        ended = {"load": load.facts(), "workers": workers}
        _save(Results(facts | ended, rows), arguments)
    return _verdict(rows)


def write_report(_: argparse.Namespace) -> int:
    """Write the README's tables and the pictures from the results files."""
    for path in report.write():
        print(path)
    return 0


def has_mnist() -> bool:
    """Tell whether SCRATCHNN_DATA names a folder that holds MNIST."""
    return (Path(os.environ.get("SCRATCHNN_DATA", "")) / "MNIST/raw").is_dir()


def compare(arguments: argparse.Namespace) -> int:
    """Print the figures of two files, and their ratios."""
    print(results.compare(Results.load(arguments.before), Results.load(arguments.after)))
    return 0


def _backends(arguments: argparse.Namespace) -> list[Backend]:
    """Return the backends that were named, or all; a quick run leaves compilers out."""
    all_of_them = [name for name, b in BACKENDS.items() if not (arguments.quick and b.compiles)]
    wanted = [BACKENDS[name] for name in arguments.backends or all_of_them]
    return [b for b in wanted if arguments.device in (None, "cuda" if b.is_cuda else "cpu")]


def _verdict(rows: list[Row]) -> int:
    wrong = [row for row in rows if row.wrong]
    for row in wrong:
        print(f"wrong: {row}", file=sys.stderr)
    print(f"{len(rows)} rows, {sum(not row.not_run for row in rows)} measured, {len(wrong)} wrong")
    return 1 if wrong else 0


def _save(found: Results, arguments: argparse.Namespace) -> None:
    default = None if arguments.quick else results.FOLDER / f"{environment.machine()}.json"
    path = arguments.json or default
    if path:
        found.save(path)
        print(f"saved {path}")
    if arguments.plots:
        for picture in report.draw(found, arguments.plots):
            print(picture)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("benchmarks", description="NumPy compared with torch, JAX and scikit-learn.")
    parser.set_defaults(run=measure)
    parser.add_argument("--quick", action="store_true", help="small sizes, to check the results")
    words = f"what to measure, of {', '.join(GROUPS)}; default: all"
    parser.add_argument("--cases", type=_names(GROUPS), default=GROUPS, metavar="G,...", help=words)
    words = f"who takes part, of {', '.join(BACKENDS)}; default: all"
    parser.add_argument("--backends", type=_names(BACKENDS), metavar="B,...", help=words)
    words = "only the backends on this device; default: both"
    parser.add_argument("--device", choices=("cpu", "cuda"), help=words)
    words = "numbers of threads to measure with; default: all cores"
    parser.add_argument(
        "--threads", type=_counts, default=[environment.cores()], metavar="N,...", help=words
    )
    words = "how often each backend has a turn; default: %(default)s"
    parser.add_argument(
        "--rounds", type=positive_int, default=runner.Plan.rounds, metavar="N", help=words
    )
    words = "pixels to train on; default: mnist where SCRATCHNN_DATA has it, else digits"
    parser.add_argument("--data", choices=PIXELS, help=words)
    words = "save the results in it; default: a file in benchmarks/results, none with --quick"
    parser.add_argument("--json", type=Path, metavar="FILE", help=words)
    words = "draw pictures into this folder; default: draw none"
    parser.add_argument("--plots", type=Path, metavar="DIR", help=words)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(metavar="COMMAND")
    sub = commands.add_parser("report", help="write the README's tables and the pictures")
    sub.set_defaults(run=write_report)
    sub = commands.add_parser("compare", help="print what changed from one results file to another")
    sub.add_argument("before", type=Path, help="the older results file")
    sub.add_argument("after", type=Path, help="the newer one")
    sub.set_defaults(run=compare)
    return parser


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = text.split(",")
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"must be among {', '.join(known)}, got {name!r}")
        return found

    return names


def _counts(text: str) -> list[int]:
    counts = [positive_int(count) for count in text.split(",")]
    available = environment.cores()
    if max(counts) > available:
        raise argparse.ArgumentTypeError(f"must be at most the {available} cores, got {text}")
    return counts


if __name__ == "__main__":
    sys.exit(main())
