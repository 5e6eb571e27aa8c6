"""Signals that ask a training to stop: they are held until its step is whole and saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C; `kill` and schedulers; a closed terminal; a limit of processor time. Windows lacks some.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU")


class Stopped(KeyboardInterrupt):
    """A signal stopped the training after a whole step; `status` is the exit status for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.status = 128 + number


class Held:
    """The signals that came in a `held` block: the first of them, and whether SIGINT came again."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.again = False

    def __call__(self, number: int, _: FrameType | None = None) -> None:
        """Note a signal. A SIGINT after another signal raises KeyboardInterrupt at once."""
        if self.first is None:
            self.first = number
        elif number == signal.SIGINT:
            self.again = True
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise Stopped if a signal came."""
        if self.first is not None:
            raise Stopped(self.first)


@contextmanager
def held() -> Generator[Held]:
    """Hold signals in a block; the handlers of before are back after it.

    A signal that is ignored, as SIGHUP under nohup, stays ignored. Outside of the main thread
    nothing is held: signals do not reach it.

    Raises   Stopped at the end of the block, where a signal came that nobody checked for
    """
    signals, before = Held(), {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, signals)
    try:
        yield signals
        signals.check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stops(*_: object) -> Generator[Callable[[], None]]:
    """Stop `fit` between two steps: give it as `checkpoint` where nothing is to be saved."""
    with held() as signals:
        yield signals.check


def ignore() -> None:
    """Leave all these signals to another process from now on, as the first rank of mpiexec."""
    for name in NAMES:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
