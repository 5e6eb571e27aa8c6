"""Text that came from elsewhere, made safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return a text with control characters written out, as \x1b: a terminal would obey them.

    Line ends are written out, too, so that a line remains one.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
