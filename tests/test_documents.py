"""What the README and the examples show is what the code does and what was measured."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratchnn.cli import main
from scratchnn.recipes import RECIPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def load_results_script():
    spec = importlib.util.spec_from_file_location("results", ROOT / "docs/results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


results = load_results_script()


@pytest.mark.parametrize("page", results.PAGES)
def test_tables_are_those_of_the_results_files(page):
    text = (ROOT / page).read_text()
    assert results.with_tables(page, text) == text
    wrong = re.sub(r"^(\| .*)\|$", r"\1, improved |", text, flags=re.MULTILINE)
    assert results.with_tables(page, wrong) != wrong


def test_readme_python_runs(capsys):
    (code,) = re.findall(r"```python\n(import scratchnn.*?)```", README, re.DOTALL)
    exec(code.replace("batch_size=64", "batch_size=64, epochs=1"), {})
    assert 0 < float(capsys.readouterr().out) < 1


def test_gradcheck_example_runs(capsys):
    page = (ROOT / "docs/gradcheck.md").read_text()
    (code,) = re.findall(r"```python\n(import numpy.*?)```", page, re.DOTALL)
    exec(code, {})
    said = f"# {capsys.readouterr().out.splitlines()[0]}"
    assert said in code.splitlines()


def test_data_page_python_runs(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    code = "".join(
        re.findall(r"```python\n(.*?)```", (ROOT / "docs/data.md").read_text(), re.DOTALL)
    )
    names, rng = {}, np.random.default_rng(1)
    exec(code, names)
    assert (tmp_path / "runs" / "digits.png").exists()
    assert names["large"].features == 64 * 64
    assert names["augmented"].batch(slice(3), float, rng)[0].shape == (3, 64)


def test_readme_shows_softmax_as_it_is():
    """But for the parts of the docstrings that say shapes and sources."""
    (shown,) = re.findall(r"```python\n(def softmax.*?)```", README, re.DOTALL)
    source = (ROOT / "scratchnn/softmax.py").read_text().replace("    check_float(z=z)\n", "")
    source = source.replace(": Array = np.subtract", " = np.subtract")
    for line in shown.splitlines():
        assert line in source, line


@pytest.mark.parametrize("name", RECIPES)
def test_documents_name_every_recipe(name, capsys):
    assert f"`{name}`" in README
    assert f"`{name}`" in (ROOT / "docs/reference.md").read_text()
    assert main(["recipes"]) == 0
    assert name in capsys.readouterr().out.splitlines()


def test_reference_page_names_every_correction():
    page = (ROOT / "docs/reference.md").read_text()
    source = (ROOT / "tests/test_corrections.py").read_text()
    tests = re.findall(r"^def (test_r\d\w+)", source, re.MULTILINE)
    assert re.findall(r"`(test_r\d\w+)`", page) == tests


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_example_runs(example):
    done = subprocess.run(
        [sys.executable, "-W", "error", example], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
