"""The search of the Chinese edition: jieba cuts text into words; the glossary adds its own.

A term in bold is defined there, so a search for it shows that chapter first.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.search.zh import SearchChinese
from sphinx.transforms import SphinxTransform

GLOSSARY = Path(__file__).resolve().parents[1] / "maps/glossary.md"

# In the browser there is no jieba. The words of the index are those that it found.
SPLIT_QUERY = r"""
/* Cut each run of Chinese signs in a query into the longest words that the index has. */
function splitQuery(query) {
  const { terms, titleterms } = Search._index;
  const known = (word) => Object.hasOwn(terms, word) || Object.hasOwn(titleterms, word);
  const cut = (run) => {
    const words = [];
    for (let start = 0; start < run.length; ) {
      let end = run.length;
      while (end > start && !known(run.slice(start, end))) end--;
      if (end > start) words.push(run.slice(start, end));
      start = Math.max(end, start + 1);
    }
    return words.length ? words : [run];
  };
  const runs = query.match(/\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{L}\p{N}_])+/gu) ?? [];
  return runs.flatMap((run) => (/\p{Script=Han}/u.test(run) ? cut(run) : [run]));
}
"""


@cache
def terms() -> frozenset[str]:
    """Return the Chinese terms of the glossary."""
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|", GLOSSARY.read_text(encoding="utf-8"), re.M)
    return frozenset(term for row in rows for term in re.findall(r"[\u4e00-\u9fff-]+", row))


class Chinese(SearchChinese):
    """Sphinx's own, which names a stemmer of Latin words that does not exist: ChineseStemmer."""

    lang: ClassVar[str] = "zh"
    language_name: ClassVar[str] = "English"  # window.Stemmer = EnglishStemmer
    js_splitter_code: ClassVar[str] = SPLIT_QUERY

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


class Definitions(SphinxTransform):
    """An entry of the index for each term of the glossary that stands in bold."""

    default_priority = 700  # before the index is collected

    def apply(self, **_: Any) -> None:
        if not self.config.language.startswith("zh"):
            return
        for bold in list(self.document.findall(nodes.strong)):
            term = bold.astext().rstrip("。")
            if term in terms():
                place = f"index-{self.env.new_serialno('index')}"
                bold["ids"].append(place)
                entry = ("single", term, place, "main", None)
                bold.parent.insert(bold.parent.index(bold), addnodes.index(entries=[entry]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Search Chinese by this."""
    app.add_search_language(Chinese)
    app.add_transform(Definitions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
