"""The Chinese edition says what the English one says: the same blocks, formulas and state."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.docs.test_course import BLOCK, CHAPTERS, typed_numbers

ROOT = Path(__file__).parents[2]
CHINESE = ROOT / "docs/zh/course"
FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)


def chinese(chapter: Path) -> str:
    return (CHINESE / chapter.name).read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    """Return the blocks of a chapter but for answers, and of pictures the name alone."""
    found = [block for block in BLOCK.findall(text) if not block.startswith("```{answer}")]
    return [b.splitlines()[0] if b.startswith("```{picture}") else b for b in found]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_is_translated_as_it_is_now(chapter):
    """Its head has the SHA-256 of the English chapter that it says in Chinese."""
    state = hashlib.sha256(chapter.read_bytes()).hexdigest()[:12]
    assert chinese(chapter).startswith(f"---\ntranslates: {state}\n---\n"), (
        f"{chapter.name} has changed: say the same in docs/zh/course, and write translates: {state}"
    )


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_blocks_and_formulas_are_the_same(chapter):
    english, other = chapter.read_text(encoding="utf-8"), chinese(chapter)
    assert blocks(other) == blocks(english)
    plain = [re.sub(r"\\text\{[^}]*\}", "", formula) for formula in FORMULA.findall(english)]
    assert [re.sub(r"\\text\{[^}]*\}", "", f) for f in FORMULA.findall(other)] == plain
    assert other.count("```{answer}") == english.count("```{answer}")
    assert other.count("\n## ") == english.count("\n## ")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_numbers_are_computed(chapter):
    _, _, text = chinese(chapter).split("---\n", 2)
    assert not typed_numbers(text)


def test_the_playground_says_nothing_that_has_no_english():
    """A key of chinese.js that no script says any more is a mistake."""
    folder = ROOT / "docs/playground"
    scripts = ("page", "scores", "training", "pad")
    said = "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in scripts)
    said = re.sub(r'" \+\n\s*"', "", said)
    words = (folder / "chinese.js").read_text(encoding="utf-8")
    keys = re.findall(r'^  (?:"([^"]+)"|(\w+)):', words, re.MULTILINE)
    assert len(keys) > 40
    computed = {"∂loss/∂z1", "∂loss/∂z2", "∂loss/∂z3"}  # written with their number
    stale = [a or b for a, b in keys if f'"{a or b}"' not in said and a not in computed]
    assert not stale


def test_the_search_knows_chinese_words(site):
    index = (site / "zh/searchindex.js").read_text(encoding="utf-8")
    index = json.dumps(json.loads(index[index.index("{") : -1]), ensure_ascii=False)
    for word in ("交叉熵", "反向", "梯度", "softmax"):
        assert f'"{word}"' in index, word
