"""The Chinese edition says what the English one says: the same blocks, formulas and state."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_course import BLOCK, CHAPTERS, typed_numbers

ROOT = Path(__file__).parents[2]
CHINESE = ROOT / "docs/zh"
SHOWN = CHINESE / "readme.md"  # shows README.zh.md
PAGES = {ROOT / "README.zh.md": ROOT / "README.md"} | {
    page: ROOT / "docs" / page.relative_to(CHINESE)
    for page in sorted(CHINESE.rglob("*.md"))
    if page != SHOWN
}
README = (ROOT / "README.md").read_text(encoding="utf-8")
FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)
HAN = re.compile(r"[\u4e00-\u9fff]")
OPTION = ":without-docstring:\n"
DIRECTIVE = re.compile(r"(```\{\w+\}\n(?::.*\n)*)(.*)\n```", re.DOTALL)


def chinese(chapter: Path) -> str:
    return (CHINESE / "course" / chapter.name).read_text(encoding="utf-8")


def stale(chinese: str, english: bytes) -> str:
    """Return the state that a Chinese text should name, if it names another or none."""
    state = hashlib.sha256(english).hexdigest()[:12]
    heads = (f"---\ntranslates: {state}\n---\n", f"<!-- translates: {state} -->\n")
    return "" if chinese.startswith(heads) else state


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page_is_translated_as_it_is_now(page):
    """Its head has the SHA-256 of the English page that it says in Chinese."""
    english = PAGES[page]
    state = stale(page.read_text(encoding="utf-8"), english.read_bytes())
    assert not state, (
        f"{english.relative_to(ROOT)} has changed: say the same in {page.relative_to(ROOT)}, "
        f"and write translates: {state}"
    )


def test_a_changed_page_is_seen():
    head = f"---\ntranslates: {hashlib.sha256(b'One line.').hexdigest()[:12]}\n---\n"
    assert not stale(head + "一行。", b"One line.")
    assert stale(head + "一行。", b"One line more.")
    assert stale("一行。", b"One line.")


@pytest.mark.parametrize("name", ["README.zh.md", "maps/glossary.md", "playground.md", "index.md"])
def test_these_pages_are_there(name):
    assert {ROOT / name, CHINESE / name} & PAGES.keys()
    assert {f"docs/zh/course/{chapter.name}" for chapter in CHAPTERS} <= {
        page.relative_to(ROOT).as_posix() for page in PAGES
    }


def blocks(text: str) -> list[str]:
    """Return the blocks of a chapter but for answers, and of pictures the name alone."""
    found = [block for block in BLOCK.findall(text) if not block.startswith("```{answer}")]
    return [b.splitlines()[0] if b.startswith("```{picture}") else b for b in found]


def same(english: str, other: str) -> bool:
    """Tell whether two blocks are the same, but for comments and Chinese words in strings."""
    if not english.startswith(("```{run}", "```{torch}")):
        return other.replace(OPTION, "") == english.replace(OPTION, "")
    (head, code), (other_head, other_code) = (DIRECTIVE.match(b).groups() for b in (english, other))
    if head != other_head:
        return False
    return same_code(code, other_code)


def same_code(english: str, other: str) -> bool:
    """Tell whether Python is the same, but for comments and Chinese words in strings."""
    trees = [ast.parse(english), ast.parse(other)]
    nodes = [list(ast.walk(tree)) for tree in trees]
    for a, b in zip(*nodes, strict=False):
        texts = [getattr(node, "value", None) for node in (a, b)]
        if all(isinstance(text, str) for text in texts) and HAN.search(texts[1]):
            a.value = b.value = ""
    return ast.dump(trees[0]) == ast.dump(trees[1])


def test_other_code_is_seen():
    assert same("```{run}\nf(1)  # one\n```", "```{run}\nf(1)  # 一\n```")
    assert same('```{run}\nprint(f"one {x}")\n```', '```{run}\nprint(f"一 {x}")\n```')
    assert not same("```{run}\nf(1)\n```", "```{run}\nf(2)\n```")
    assert not same('```{run}\nf("sum")\n```', '```{run}\nf("mean")\n```')


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_blocks_and_formulas_are_the_same(chapter):
    english, other = chapter.read_text(encoding="utf-8"), chinese(chapter)
    pairs = list(zip(blocks(english), blocks(other), strict=True))
    assert not [b for a, b in pairs if not same(a, b)]
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


NO_TEXT = {"use strict", "DOMContentLoaded", "bar right", "12px system-ui, sans-serif"}


def test_the_playground_says_everything_in_chinese():
    """Every string of a script that begins a sentence, or has two words."""
    folder = ROOT / "docs/playground"
    words = (folder / "chinese.js").read_text(encoding="utf-8")
    keys = {a or b for a, b in re.findall(r'^  (?:"([^"]+)"|(\w+)):', words, re.MULTILINE)}
    for name in ("page", "scores", "training", "pad"):
        script = (folder / f"{name}.js").read_text(encoding="utf-8")
        script = re.sub(r"/\*(?:.|\n)*?\*/", "", script)
        texts = re.findall(r'"([^"\n]*)"', re.sub(r'" \+\n\s*"', "", script))
        said = {text for text in texts if re.search(r"[A-Z][a-z]+|[a-z] [a-z]", text)}
        assert not said - keys - NO_TEXT


def readme_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", text, re.MULTILINE | re.DOTALL)


def test_the_readmes_show_the_same():
    """The same commands, results, code, links to the outside, and numbers in tables."""
    english, other = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md")
    )
    assert readme_blocks(other, "text") == readme_blocks(english, "text")
    commands = [
        [re.sub(r" *# .*", "", block) for block in readme_blocks(text, "sh")]
        for text in (english, other)
    ]
    assert commands[0] == commands[1]
    code = [readme_blocks(text, "python") for text in (english, other)]
    assert all(same_code(a, b) for a, b in zip(*code, strict=True))
    outside, tables = (
        [re.findall(pattern, text, re.MULTILINE) for text in (english, other)]
        for pattern in (r"\]\((https?:[^)]*)\)", r"^\|.*\|$")
    )
    assert outside[0] == outside[1]
    numbers = [[re.findall(r"(?<=\| )[\d.,e%-]+(?= \|)", row) for row in rows] for rows in tables]
    assert numbers[0] == numbers[1]
    assert any(numbers[0])


LINK = re.compile(r"\]\((?![a-z]+:)([^)#]+\.md)[^)]*\)(.{0,6})")


def test_a_link_to_an_english_page_says_so():
    """Right after it, or in the head of the table where it stands."""
    for page in PAGES:
        head = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            head = (head or line) if line.startswith("|") else ""
            for link, after in LINK.findall(line):
                target = (page.parent / link).resolve()
                english = target not in PAGES and target != PAGES[page]
                said = after.lstrip("*").startswith("（英文）")
                assert said == (english and "（英文）" not in head), (page.name, link)


MAPS = [page for page in PAGES if page.parent == CHINESE / "maps"]


@pytest.mark.parametrize("page", MAPS, ids=lambda path: path.stem)
def test_maps_name_the_same_code(page):
    """The same blocks, code and formulas in tables, and links to the same files."""
    texts = [p.read_text(encoding="utf-8") for p in (PAGES[page], page)]
    pairs = zip(*map(blocks, texts), strict=True)
    assert not [b for a, b in pairs if not same(a, b)]
    english, other = (sorted(re.findall(r"`[^`\n]+`", BLOCK.sub("", text))) for text in texts)
    assert other == english
    english, other = (
        sorted(Path(link).name for link in re.findall(r"\]\(([^)#]+)", text)) for text in texts
    )
    assert other == english


@pytest.mark.parametrize("name", re.findall(r"docs/images/([^)]+)", README))
def test_pictures_of_the_readme_are_translated_as_they_are_now(name):
    """The Chinese picture holds the SHA-256 of the English one, and the Chinese README shows it."""
    english, other = ROOT / "docs/images" / name, ROOT / "docs/images/zh" / Path(name).name
    state = hashlib.sha256(english.read_bytes()).hexdigest()[:12]
    drawn = f"Translates\0{state}".encode() in other.read_bytes()
    assert drawn, f"{name} has changed: run python docs/zh/pictures.py"
    assert f"({other.relative_to(ROOT)})" in (ROOT / "README.zh.md").read_text(encoding="utf-8")


def terms(page: Path, row: str) -> set[tuple[str, ...]]:
    found = re.findall(row, page.read_text(encoding="utf-8"), re.MULTILINE)
    return {pair for pair in found if "English" not in pair}


def test_the_glossaries_have_the_same_terms():
    english = terms(ROOT / "docs/maps/glossary.md", r"^\| ([^|]+) \| ([^|]+) \|.*\|$")
    other = terms(CHINESE / "maps/glossary.md", r"^\| ([^|]+) \| ([^|]+) \|.*\|$")
    assert {(chinese, english) for english, chinese in english} == other


def test_every_word_of_the_code_has_its_chinese(monkeypatch):
    """And docs/zh/words.toml has no other: labels of pictures, planted bugs, comments."""
    pytest.importorskip("sphinx")
    pytest.importorskip("matplotlib")
    for folder in ("_ext", "course"):
        monkeypatch.syspath_prepend(ROOT / "docs" / folder)
    import lessons
    import pictures
    import wording

    said: dict[str, set[str]] = {kind: set() for kind in wording.table()}
    texts = [chapter.read_text(encoding="utf-8") for chapter in CHAPTERS]
    for text in texts:
        for name in re.findall(r"^```\{picture\} (\w+)", text, re.MULTILINE):
            getattr(pictures, name)(lambda label: said["labels"].add(label) or label)
        for block in re.findall(r"^```\{mistakes\}\n(.*?)\n```", text, re.MULTILINE | re.DOTALL):
            for flaw in (lessons.flaw_of(*bug) for bug in lessons.bugs(block.splitlines())):
                said["flaws"] |= {flaw.name, flaw.cause}
                said["checks"] |= set(lessons.found_by(flaw))
        for name in re.findall(r"^```\{code-of\} (\S+)$", text, re.MULTILINE):
            code = lessons.without_docstring(lessons.source_of(lessons.named(name)))
            said["comments"] |= set(wording.COMMENT.findall(code))
    said["errata"] = {lessons.believed(test) for test in lessons.corrections()}
    labels = wording.table()["labels"].keys()
    said["checks"] |= said["labels"] - labels  # a picture names them
    said["labels"] &= labels
    for kind in ("labels", "checks", "flaws", "comments", "errata"):
        assert said[kind] == wording.table()[kind].keys(), kind


SENTENCE = re.compile(r"(?:[A-Za-z][a-z'-]*[ ,;:]+){4,}[a-z]+")


def prose(site: Path) -> Iterator[tuple[str, str]]:
    """Yield the Chinese pages and what they say outside code, formulas and the menus."""
    for page in sorted((site / "zh").rglob("*.html")):
        if page.name in ("genindex.html", "search.html"):
            continue
        article = (
            page.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
        )
        for kind in ("pre", "math", "code", "script", "style"):
            article = re.sub(rf"<{kind}\b.*?</{kind}>", "。", article, flags=re.DOTALL)
        yield page.name, re.sub(r"<[^>]+>", "。", article)


def test_no_english_sentence_is_left(site):
    for page, text in prose(site):
        assert not SENTENCE.search(text), (page, SENTENCE.search(text)[0])


def test_no_markup_is_left(site):
    """Such as **, which is no bold between a bracket and a Chinese sign."""
    for page, text in prose(site):
        found = re.search(r".{0,20}(?:\*\*|\]\(|\{\w+\}|`).{0,20}", text)
        assert not found, (page, found[0])


def test_the_search_knows_chinese_words(site):
    index = (site / "zh/searchindex.js").read_text(encoding="utf-8")
    index = json.dumps(json.loads(index[index.index("{") : -1]), ensure_ascii=False)
    for word in ("交叉熵", "反向", "梯度", "softmax"):
        assert f'"{word}"' in index, word
