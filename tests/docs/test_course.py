"""The course: each chapter has its parts, and each number in it is computed."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COURSE = ROOT / "docs/course"
CHAPTERS = sorted(COURSE.glob("[0-9]*.md"))
PARTS = ["## The formula", "## The derivation", "## The code", "## What torch computes"]
PARTS += ["## Check yourself", "## Common mistakes"]
BLOCK = re.compile(r"^```\{.*?^```$", re.DOTALL | re.MULTILINE)
# What is not prose: blocks, formulas, code, computed values, and the targets of links.
NOT_PROSE = re.compile(
    r"^```\{?(?!answer).*?^```$|\$\$.*?\$\$|\$[^$]+\$|\{value\}`[^`]*`|`[^`]*`|\]\([^)]*\)",
    re.DOTALL | re.MULTILINE,
)
EXACT = {"1e9", "1e-9", "1e-6", "3e38"}  # meant as they are, or a power of ten


def typed_numbers(text: str) -> set[str]:
    """Return the numbers with a decimal point, or an exponent, that stand in the prose."""
    text = re.sub(r"^```\{answer\}\n(.*?)^```$", r"\1", text, flags=re.DOTALL | re.MULTILINE)
    text = NOT_PROSE.sub(" ", text)
    return set(re.findall(r"(?<![A-Za-z0-9./])\d+\.\d+|\d+e-?\d+", text)) - EXACT


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_numbers_are_computed(chapter):
    """A number with a decimal point stands in no sentence, unless {value} computes it."""
    assert not typed_numbers(chapter.read_text(encoding="utf-8"))


def test_a_typed_number_is_seen():
    assert typed_numbers("It is 0.9729, {value}`x:.2f` and `1.5`, $0.5$.") == {"0.9729"}
    assert typed_numbers("```{answer}\n是0.5。\n```") == {"0.5"}


@pytest.mark.parametrize("chapter", CHAPTERS[:-1], ids=lambda path: path.stem)
def test_chapter_has_its_parts(chapter):
    text = chapter.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if line.startswith("## ")]
    at = [next((i for i, h in enumerate(found) if h.startswith(part)), None) for part in PARTS]
    assert None not in at, [part for part, i in zip(PARTS, at, strict=True) if i is None]
    assert at == sorted(at)
    assert "```{code-of}" in text
    assert "```{picture}" in text
    assert text.count("```{answer}") == 3
    assert "**The proof**" in text


def test_there_are_twelve_chapters():
    assert [path.name[:2] for path in CHAPTERS] == [f"{k:02}" for k in range(1, 13)]


def test_torch_says_what_the_course_shows():
    pytest.importorskip("torch")
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("with_torch", COURSE / "with_torch.py")
    with_torch = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    try:
        spec.loader.exec_module(with_torch)
        found = with_torch.results()["blocks"]
    finally:
        sys.path[:] = path
    kept = json.loads((ROOT / "docs/results/course-torch.json").read_text())["blocks"]
    assert kept.keys() == found.keys(), "run docs/course/with_torch.py again"
    for code, steps in found.items():
        assert [tuple(step) for step in kept[code]] == steps, code
