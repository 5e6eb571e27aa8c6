"""The search of the Chinese edition: jieba cuts text into words; the glossary adds its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from sphinx.application import Sphinx
from sphinx.search.zh import SearchChinese

GLOSSARY = Path(__file__).resolve().parents[1] / "maps/glossary.md"


def terms() -> set[str]:
    """Return the Chinese terms of the glossary."""
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|", GLOSSARY.read_text(encoding="utf-8"), re.M)
    return {term for row in rows for term in re.findall(r"[\u4e00-\u9fff-]{1,}", row)}


class Chinese(SearchChinese):
    """Sphinx's own, which names a stemmer of Latin words that does not exist: ChineseStemmer."""

    lang: ClassVar[str] = "zh"
    language_name: ClassVar[str] = "English"  # window.Stemmer = EnglishStemmer

    def __init__(self, options: dict[str, str]) -> None:
        import jieba

        jieba.setLogLevel("WARNING")
        super().__init__(options)
        self.terms = terms()
        for term in self.terms:
            jieba.add_word(term)

    def word_filter(self, word: str) -> bool:
        """Keep words, and terms of a single sign such as 熵."""
        return len(word) > 1 or word in self.terms


def setup(app: Sphinx) -> dict[str, bool]:
    """Search Chinese by this."""
    app.add_search_language(Chinese)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
