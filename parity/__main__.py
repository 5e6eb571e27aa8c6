"""NumPy beside the others, from the command line.

    python -m parity ops             every operation and its gradients, on generated inputs
    python -m parity train RECIPE    train in NumPy and in torch, and compare each step
    python -m parity record          record trainings of torch
    python -m parity replay          check scratchnn against recordings, without torch
    python -m parity accuracy        errors of every operation in ulps, beside other libraries'
    python -m parity check FILE.py:FUNCTION --op OP    is an implementation of your own right?
    python -m parity mutants         plant bugs, and see which check finds which

Exit status: 0 parity, or the criterion of accuracy, holds, 1 it fails, 2 usage, 3 data,
130 interrupted.
"""

import sys
from collections.abc import Sequence

from parity.commands import accuracy, check, mutants, ops, record, replay, train
from scratchnn import cli
from scratchnn.arguments import Parser

COMMANDS = (ops, train, record, replay, accuracy, check, mutants)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = Parser("python -m parity", description="NumPy against PyTorch, step by step.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    arguments = parser.parse_args(argv)
    return cli.run_command(arguments.command, arguments, program="parity")


if __name__ == "__main__":
    sys.exit(main())
