"""One of several processes that mpiexec started: finding the others, output, ending all."""

from __future__ import annotations

import io
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from typing import Any

from scratchnn.distributed.ranks import ALONE, Ranks
from scratchnn.extras import MissingExtraError, need
from scratchnn.run import signals

# What launchers tell the processes that they start: MPICH, Intel, Cray; Open MPI; PMIx; MVAPICH.
LAUNCHERS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK")
FORWARDING = 0.2  # seconds that mpiexec has to pass on the output, before it ends the ranks
PATIENCE = 2.0  # seconds that a failing rank waits: the first rank may report the same failure


def launched() -> bool:
    """Tell whether mpiexec, or another launcher, started this process."""
    return any(name in os.environ for name in LAUNCHERS)


@cache
def world() -> Ranks:
    """Return all ranks that were launched together, or ALONE where there was no launcher.

    After this call, an exception that is not caught ends all of them, and not this one alone.

    Raises   MissingExtraError
    """
    if not launched():
        return ALONE
    ranks = Ranks(need("mpi4py.MPI", "mpi").COMM_WORLD)

    def end_all(*error: Any) -> None:
        print(f"rank {ranks.rank} of {ranks.size}:", file=sys.stderr)
        sys.__excepthook__(*error)
        abort(ranks, 1)

    if ranks.size > 1:
        sys.excepthook = end_all
    return ranks


def together(command: Callable[[], int]) -> int:
    """Run a command on all ranks and return its exit status.

    Only the first rank prints. If one fails, all end.

    Options  command   returns an exit status
    """
    try:
        ranks = world()
    except MissingExtraError as error:
        print(f"scratchnn under mpiexec: {error}", file=sys.stderr)
        return 2
    if ranks.size == 1:
        return command()
    status = _status(command) if ranks.rank == 0 else _silently(command, ranks)
    if status:
        abort(ranks, status)
    return status


def abort(ranks: Ranks, status: int) -> None:
    """End every rank now: those that wait for this one would wait for ever.

    Options  ranks    all of them
             status   the exit status
    """
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(FORWARDING)
    ranks.comm.Abort(status)


def _silently(command: Callable[[], int], ranks: Ranks) -> int:
    """Run a command without output; print its errors if it fails and the first rank does not.

    Ctrl-C and the other signals that ask to stop are left to the first rank.
    """
    signals.ignore()
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        status = _status(command)
    if status:
        time.sleep(PATIENCE)  # a first rank that failed, too, ends this one here
        print(f"rank {ranks.rank} of {ranks.size}: {said.getvalue()}", file=sys.stderr, end="")
    return status


def _status(command: Callable[[], int]) -> int:
    try:
        return command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
