"""The Python and the commands that the pages show work as they are."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import pytest

from parity.cli import main as parity
from scratchnn.run.cli import main as scratchnn

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
# Blocks that do not run by themselves, by how they begin. Another one needs MNIST.
NOT_ALONE = {
    "def softmax(\n": "an excerpt of the source, which tests/test_documents.py compares",
    "from scratchnn import gradcheck\n\nprint(gradcheck.check(f, ": "f stands for any function",
    "    ": "lines of a function, which the text names",
}


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def alone(code: str) -> bool:
    return not code.startswith(tuple(NOT_ALONE)) and 'data.stream("mnist"' not in code


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_python_runs(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other, with the names of those before."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in filter(alone, blocks(page, "python")):
        exec(compile(code, name(page), "exec"), names)


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Return the commands of a page: the program, and its words without comments."""
    found = []
    for code in blocks(page, "sh"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line.replace("[", " ").replace("]", " "), comments=True)
            if "scratchnn" in words:
                found.append(("scratchnn", words[words.index("scratchnn") + 1 :]))
            elif words[:3] == ["python", "-m", "parity"]:
                found.append(("parity", words[3:]))
    return found


def help_of(program: str, command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    main = {"scratchnn": scratchnn, "parity": parity}[program]
    with contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=name)
def test_commands_have_the_options_that_pages_show(page, capsys):
    for program, (command, *words) in commands(page):
        action = words[:1] if command == "data" and words[0].isalpha() else []  # data fetch
        said = help_of(program, [command, *action], capsys)
        assert said.startswith(f"usage: {'python -m ' * (program == 'parity')}{program} {command}")
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"{option}\b", said), f"{program} {command} has no {option}"
