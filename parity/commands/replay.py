"""python -m parity replay: check scratchnn against recorded trainings, with NumPy alone."""

import argparse
import platform
from typing import Any

import numpy as np

import scratchnn
from parity import golden
from parity.commands import PRECISIONS
from parity.golden.replay import replay


def add(commands: Any) -> None:
    """Declare the command."""
    sub = commands.add_parser("replay", help="check scratchnn against recordings, without torch")
    sub.add_argument("files", nargs="*", metavar="FILE", help="default: the package's own")
    sub.add_argument(
        "--judged-as", choices=PRECISIONS, help="the bounds of float32; default: as recorded"
    )
    sub.add_argument("--debug", action="store_true", help="show tracebacks")
    sub.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay each file and report; 1 where one fails."""
    files = arguments.files or sorted(golden.FOLDER.glob("*.npz"))
    if not files:
        raise FileNotFoundError(f"{golden.FOLDER} has no recordings: `python -m parity record`")
    print(f"scratchnn {scratchnn.__version__}, numpy {np.__version__}, {platform.platform()}")
    failed = 0
    for file in files:
        result = replay(golden.load(file), arguments.judged_as)
        failed += not result.holds
        print(result, flush=True)
    print(f"{len(files) - failed} of {len(files)} recordings hold")
    return 1 if failed else 0
