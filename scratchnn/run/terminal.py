"""What is printed: harmless to the terminal, and no reason to lose a training when it cannot be."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

from scratchnn.data.printable import printable


class Writer(Protocol):
    """What `print(file=...)` needs."""

    def write(self, text: str, /) -> object:
        """Write a text."""

    def flush(self) -> None:
        """Let it out."""


def escaped(text: str) -> str:
    r"""Return a text without control characters: a file's name may hold some, as \x1b.

    Line feeds stay, and so does every letter of every language.
    """
    return "\n".join(map(printable, text.split("\n")))


def typed(path: str | Path) -> str:
    """Return a path as one types it in a shell: with quotes where it needs them."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def warn(text: str, program: str = "scratchnn") -> None:
    """Print a line on standard error, where that can be written."""
    with suppress(OSError, ValueError):
        print(f"{program}: {escaped(text)}", file=sys.stderr, flush=True)


class Lines:
    """A stream for lines that may be lost: one that cannot be written costs a warning, once.

    A pipe whose reader is gone is another matter: who piped the lines there wants no more of them.

    Options  stream   as sys.stdout; None, where a process has no such stream, prints nothing
    Raises   BrokenPipeError
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        """Write a text."""
        self._try("write", text)

    def flush(self) -> None:
        """Let it out."""
        self._try("flush")

    def _try(self, method: str, *text: str) -> None:
        if self.stream is None:
            return
        try:
            getattr(self.stream, method)(*text)
        except BrokenPipeError:
            raise
        except OSError as error:
            silence(self.stream)
            self.stream = None
            warn(f"the lines of the training cannot be printed any more: {error.strerror}")


def silence(stream: TextIO) -> None:
    """Send what a stream still holds, and all that follows, nowhere: at exit Python flushes it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def let_out() -> None:
    """Flush the standard streams; one that cannot be flushed is silenced."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            silence(stream)


def prepare() -> None:
    """Make the standard streams ready for a command, whatever the shell gave it.

    A closed one is opened to nowhere, or the next file would get its number, and what was meant
    for the stream. Letters that the locale lacks are printed as their codes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):  # a stream of another kind; one that cannot seek
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
