"""What the site takes from code, in the language of the page.

English is the code's own. docs/zh/words.toml has the Chinese text beside each English one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "zh/words.toml"
COMMENT = re.compile(r"(?<=# )\S.*")


@cache
def table() -> dict[str, dict[str, str]]:
    """Return the Chinese texts by their kind and their English text."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def sayer(language: str, *kinds: str) -> Callable[[str], str]:
    """Return the function that turns a text of these kinds into the language."""
    return partial(say, kinds) if language.startswith("zh") else str


def say(kinds: tuple[str, ...], english: str) -> str:
    """Return a text in Chinese."""
    for kind in kinds:
        if english in table()[kind]:
            return table()[kind][english]
    raise ValueError(f"docs/zh/words.toml has no [{kinds[0]}] {english!r}: add it")


def with_comments(code: str, language: str) -> str:
    """Return code with its comments in the language."""
    speak = sayer(language, "comments")
    return COMMENT.sub(lambda comment: speak(comment[0]), code)
