"""python -m parity mutants: plant every known bug, and see which check finds it."""

import argparse
from pathlib import Path
from typing import Any

from scratchnn.extras import need


def add(commands: Any) -> None:
    """Declare the command."""
    sub = commands.add_parser("mutants", help="plant bugs, and see which check finds which")
    sub.add_argument("--json", metavar="FILE", help="save the matrix")
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Plant every bug, print which check sees it, and fail if one is seen by none."""
    for package in ("torch", "hypothesis", "mpmath"):
        need(package, "tests")
    from parity import devices, mutants

    found = []
    for mutant in mutants.run():
        found.append(mutant)
        print(
            f"{mutant.where}: {mutant.bug}: {', '.join(mutant.killed_by) or 'SURVIVES'}", flush=True
        )
    print(f"\n{mutants.summary(found)}", end="")
    if arguments.json:
        facts = devices.environment(devices.prepare("cpu"))
        mutants.save(Path(arguments.json), found, facts)
        print(f"saved {arguments.json}")
    return 1 if any(mutant.survives for mutant in found) else 0
