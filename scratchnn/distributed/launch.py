"""Being one of the processes that mpiexec started: who they are, who speaks, and how all end."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from typing import Any

from scratchnn.distributed.ranks import ALONE, Ranks
from scratchnn.extras import MissingExtraError, need

# What launchers tell the processes that they start: MPICH, Intel, Cray; Open MPI; PMIx; MVAPICH.
LAUNCHERS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK")
FORWARDING = 0.2  # seconds that mpiexec has to pass on what was said, before it ends the ranks
PATIENCE = 2.0  # seconds that a failing rank leaves to the first one, which may fail likewise


def launched() -> bool:
    """Tell whether mpiexec, or another launcher, started this process."""
    return any(name in os.environ for name in LAUNCHERS)


@cache
def world() -> Ranks:
    """Return all ranks that were launched together, or ALONE where there was no launcher.

    From here on, an exception that nobody catches ends all of them, and not this one alone.

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
    """Run a command on all ranks: the first alone speaks, and where one fails, all end."""
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
    """End every rank now: those that wait for this one would wait for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(FORWARDING)
    ranks.comm.Abort(status)


def _silently(command: Callable[[], int], ranks: Ranks) -> int:
    """Run a command, and show what it had to say if it fails and the first rank does not.

    An interrupt is for the first rank to answer.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        status = _status(command)
    if status:
        time.sleep(PATIENCE)  # a first rank that failed likewise ends this one here
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
