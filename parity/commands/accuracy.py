"""python -m parity accuracy: errors of every operation in ulps, beside other libraries'."""

import argparse
from pathlib import Path
from typing import Any

from parity.commands import DTYPES
from scratchnn.extras import need


def add(commands: Any) -> None:
    """Declare the command."""
    sub = commands.add_parser("accuracy", help="measure errors in ulps, beside other libraries'")
    sub.add_argument("--quick", action="store_true", help="fewer rows: half a minute")
    sub.add_argument("--json", metavar="FILE", help="save every cell as JSON")
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure every operation's errors, print the tables, and judge them."""
    need("torch", "torch")
    need("mpmath", "accuracy")
    from parity import accuracy, devices
    from parity.accuracy import libraries
    from parity.oracle import digits

    versions = libraries.versions()
    for name, package in libraries.PACKAGES.items():
        print(f"{name} {versions.get(package, 'not installed')}", end=", ")
    print(f"against {digits.DIGITS} digits")
    found = list(accuracy.measure(arguments.quick))
    for dtype in DTYPES:
        print(f"\n{accuracy.table(found, dtype)}", end="")
    broken = [cell for cell in found if not cell.holds]
    print(f"\n{accuracy.summary(found)}")
    for cell in broken:
        print(f"  broken: {cell}")
    if arguments.json:
        facts = devices.environment(devices.prepare("cpu")) | versions
        facts |= {"quick": arguments.quick, "digits": digits.DIGITS}
        accuracy.save(Path(arguments.json), found, facts)
        print(f"saved {arguments.json}")
    return 1 if broken else 0
