"""python -m benchmarks: measure, or make tables and pictures, or compare.

    python -m benchmarks [--quick] [--cases G,...] [--backends B,...] [--threads 1,2] ...
    python -m benchmarks report [FILE ...]
    python -m benchmarks compare BEFORE AFTER

Exit status: 0 done, 1 a result was wrong, a worker failed, or nothing can be compared, 2 usage,
3 files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import environment, results
from benchmarks.backends import ALIASES, BACKENDS
from benchmarks.cases import GROUPS, PIXELS
from benchmarks.noise import marked
from benchmarks.results import Results
from scratchnn.extras import need
from scratchnn.run.arguments import Parser, positive_int
from scratchnn.run.cli import run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Options  argv   the arguments; default: those of the process
    """
    arguments = _parser().parse_args(argv)
    return run_command(arguments.run, arguments, program="benchmarks")


def measure(arguments: argparse.Namespace) -> int:
    """Check and time what was asked for."""
    for package in ("mpmath", "threadpoolctl"):
        need(package, "benchmarks")
    from benchmarks import session

    return session.measure(session.Wanted.of(arguments))


def report(arguments: argparse.Namespace) -> int:
    """Write the pages and pictures of the committed results, or print the tables of some files."""
    from benchmarks import report

    if not arguments.files:
        print(*report.write(), sep="\n")
        return 0
    machines = [marked(Results.load(file)) for file in arguments.files]
    print(report.text(machines))
    if arguments.plots:
        for file, machine in zip(arguments.files, machines, strict=True):
            folder = arguments.plots / file.stem if len(machines) > 1 else arguments.plots
            print(*report.draw(machine, folder), sep="\n")
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Print the figures of two files, and their ratios."""
    before, after = (marked(Results.load(file)) for file in (arguments.before, arguments.after))
    if not results.in_common(before, after):
        print(f"benchmarks: {results.nothing_in_common(before, after)}", file=sys.stderr)
        return 1
    print(results.compare(before, after))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser("benchmarks", description="NumPy compared with torch, JAX and scikit-learn.")
    parser.set_defaults(run=measure)
    parser.add_argument("--quick", action="store_true", help="small sizes, to check the results")
    _add_choices(parser)
    words = "how often each backend has a turn; default: 9, with --quick 1"
    parser.add_argument("--rounds", type=positive_int, metavar="N", help=words)
    words = "save the results in it; default: in benchmarks/results, where nothing was left out"
    parser.add_argument("--json", type=Path, metavar="FILE", help=words)
    words = "go on with the run that was interrupted"
    parser.add_argument("--resume", action="store_true", help=words)
    words = "draw pictures into this folder; default: draw none"
    parser.add_argument("--plots", type=Path, metavar="DIR", help=words)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(metavar="COMMAND")
    sub = commands.add_parser("report", help="make tables and pictures of results")
    words = "results to print; default: put those of benchmarks/results into README and docs"
    sub.add_argument("files", nargs="*", type=Path, metavar="FILE", help=words)
    sub.add_argument("--plots", type=Path, metavar="DIR", help="and draw their pictures into it")
    sub.set_defaults(run=report)
    sub = commands.add_parser("compare", help="print what changed from one results file to another")
    sub.add_argument("before", type=Path, help="the older results file")
    sub.add_argument("after", type=Path, help="the newer one")
    sub.set_defaults(run=compare)
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is measured."""
    words = f"what to measure, of {', '.join(GROUPS)}; default: all"
    parser.add_argument("--cases", type=_names(GROUPS), default=GROUPS, metavar="G,...", help=words)
    words = f"who takes part, of {', '.join(BACKENDS)}; default: all"
    names = _names(BACKENDS, ALIASES)
    parser.add_argument("--backends", type=names, metavar="B,...", help=words)
    words = "only the backends on this device; default: both"
    parser.add_argument("--device", choices=("cpu", "cuda"), help=words)
    words = "numbers of threads; default: all cores, and 1 for epochs; with --quick 1"
    parser.add_argument("--threads", type=_counts, metavar="N,...", help=words)
    words = "pixels to train on; default: mnist where SCRATCHNN_DATA has it, else digits"
    parser.add_argument("--data", choices=PIXELS, help=words)


def _names(
    known: Iterable[str], aliases: dict[str, str] | None = None
) -> Callable[[str], list[str]]:
    """Return a parser of names in a list with commas, whatever their case, blanks around them."""
    meant = {name.lower(): name for name in known} | (aliases or {})

    def names(text: str) -> list[str]:
        asked = [" ".join(name.split()).lower() for name in text.split(",")]
        for name in asked:
            if name not in meant:
                raise argparse.ArgumentTypeError(f"must be among {', '.join(known)}, got {name!r}")
        return list(dict.fromkeys(meant[name] for name in asked))

    return names


def _counts(text: str) -> list[int]:
    counts = [positive_int(count.strip()) for count in text.split(",")]
    available = environment.cores()
    if max(counts) > available:
        raise argparse.ArgumentTypeError(f"must be at most the {available} cores, got {text}")
    return counts


if __name__ == "__main__":
    sys.exit(main())
