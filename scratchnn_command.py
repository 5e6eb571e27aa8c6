"""The `scratchnn` command: it imports the package, which takes a moment, and runs it.

Ctrl-C in that moment, or while Python ends, leaves no traceback.
"""

import os
import signal
from types import FrameType


def main() -> int:
    """Run the command, and return its exit status."""
    try:
        return _run()
    except KeyboardInterrupt:  # it came while the handlers changed
        return 130


def _run() -> int:
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)
    from scratchnn.run.cli import main as command

    try:
        signal.signal(signal.SIGINT, before)
        return command()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(*_: int | FrameType | None) -> None:
    os._exit(130)


if __name__ == "__main__":
    raise SystemExit(main())
