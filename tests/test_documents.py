"""What the README, the pages and the examples show is what the code does and what was measured."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn import data, mlp
from scratchnn.run.cli import main
from scratchnn.run.recipes import RECIPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCSTRING = re.compile(r'^    """.*?"""\n', re.DOTALL | re.MULTILINE)


def python_of(page: str) -> list[str]:
    """Return the Python code that a page shows, block by block."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_tables_are_those_of_the_results_files():
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("results", ROOT / "docs/results.py")
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    for page in results.PAGES:
        text = (ROOT / page).read_text()
        assert results.with_tables(page, text) == text, page
        wrong = re.sub(r"^(\| .*)\|$", r"\1, improved |", text, flags=re.MULTILINE)
        assert results.with_tables(page, wrong) != wrong, page


def test_readme_shows_softmax_as_it_is():
    """The code is that of the file; the docstring leaves out the parts after the reason."""
    (shown,) = (code for code in python_of("README.md") if code.startswith("def softmax"))
    source = inspect.getsource(F.softmax)
    assert DOCSTRING.sub("", shown) == DOCSTRING.sub("", source)
    (ours,), (theirs,) = DOCSTRING.findall(shown), DOCSTRING.findall(source)
    assert theirs.startswith(ours.removesuffix('    """\n'))


def test_readme_shows_what_training_prints(capsys):
    """To three digits, as another BLAS rounds otherwise; the seconds are of one machine."""
    shown, _ = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    assert main(["train", "softmax-regression"]) == 0
    printed = capsys.readouterr().out.splitlines()
    head, columns, *rows = shown.replace("...\n", "").splitlines()
    assert printed[0].startswith(head.partition(", 1 thread")[0])
    assert printed[1] == columns
    for row in rows:
        epoch, *values = row.replace("%", "").split()
        found = printed[1 + int(epoch)].replace("%", "").split()
        assert found[0] == epoch
        np.testing.assert_allclose(
            np.array(found[1:-1], float), np.array(values[:-1], float), rtol=2e-3
        )


def test_readme_shows_the_verdicts_that_were_measured():
    _, shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    kept = json.loads((ROOT / "docs/results/reference.json").read_text())["parity"][0]
    for line, side in zip(shown.splitlines(), kept, strict=True):
        worst = side["worst"]
        assert side["holds"]
        assert line.startswith(
            f"parity holds in {side['dtype']} on cpu: {side['steps']} steps, "
            f"worst {worst['ratio']:.0%} of its tolerance ({worst['quantity']}, "
            f"step {worst['step']}); trained freely, the two θ are at most "
            f"{side['free_run']:.1e} apart"
        )


def test_readme_python_runs(capsys):
    names = {}
    for code in python_of("README.md"):
        if not code.startswith("def "):
            exec(code, names)
    said = float(capsys.readouterr().out)
    assert f"  # {said:.3f} after" in README
    np.testing.assert_allclose(names["dz"].sum(), 0, atol=1e-15)
    assert names["W"].shape == (64, 30)


def test_gradcheck_example_runs(capsys):
    (code,) = (code for code in python_of("docs/gradcheck.md") if "import numpy" in code)
    exec(code, {})
    said = f"# {capsys.readouterr().out.splitlines()[0]}"
    assert said in code.splitlines()


def test_data_page_python_runs(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    names, rng = {}, np.random.default_rng(1)
    exec("".join(python_of("docs/data.md")), names)
    assert (tmp_path / "runs" / "digits.png").exists()
    assert names["large"].features == 64 * 64
    assert names["augmented"].batch(slice(3), float, rng)[0].shape == (3, 64)


def shape_of(printed):
    """Return what was printed without its numbers, curves and images, which another run draws."""
    lines = (line for line in printed.splitlines() if not re.search("[┤└⠀-⣿]", line))
    words = re.sub(r"[\d·][\d.,:%TZ-]*", "#", " ".join(" ".join(lines).split()))
    return re.sub(" blas .* started ", " started ", words)


def test_looking_page_shows_what_the_commands_print(monkeypatch, tmp_path, capsys):
    """But for the numbers. `python docs/looking.py` writes it anew."""
    page = (ROOT / "docs/looking.md").read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    train = "train {} --epochs 10 --out runs/{}"
    small = " --hidden 16,16,16,16 --learning-rate 0.05"  # trains in no time, and is as deep
    assert main((train.format("mlp", "mlp") + small).split()) == 0
    assert main(train.format("softmax-regression", "softmax").split()) == 0
    commands = {"show": "show runs/mlp", "compare": "compare runs/mlp runs/softmax"}
    if importlib.util.find_spec("PIL"):
        shutil.copy(ROOT / "docs/images/looking/seven.png", tmp_path)
        commands["predict"] = "predict runs/mlp seven.png"
    for name, command in commands.items():
        capsys.readouterr()
        assert main(command.split()) == 0
        (shown,) = re.findall(rf"<!-- {name} -->\n```text\n(.*?)```", page, re.DOTALL)
        assert shape_of(capsys.readouterr().out) == shape_of(shown), (
            f"python docs/looking.py: {name}"
        )


def test_looking_page_python_runs_and_its_table_draws(monkeypatch, tmp_path):
    """Each line of the table is evaluated as it stands."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec("".join(python_of("docs/looking.md")), names)
    line = data.synthetic_line(examples=100)
    names |= {
        "other": names["history"],
        "line": line,
        "norms": SimpleNamespace(by_layer={"1": [1]}),
    }
    page = (ROOT / "docs/looking.md").read_text("utf-8")
    lines = re.findall(r"^\| `(plots\..*?)` \| !\[", page, re.MULTILINE)
    assert len(lines) == 10
    for shown in lines:
        on_line = {**names, "network": mlp.init([2, 1], rng=0)} if "line" in shown else names
        assert eval(shown, on_line).axes, shown


def test_information_page_says_what_its_python_gives():
    """A comment that begins with a number is the value of its line, to the digits shown."""
    (code,) = python_of("docs/information.md")
    names = {}
    for line in code.splitlines():
        expression, _, said = line.partition("  # ")
        number = re.match(r"-?\d[\d.]*", said)
        if number is None:
            exec(line, names)
            continue
        value = float(eval(expression, names))
        assert f"{value:.{len(number[0].partition('.')[2])}f}" == number[0], line


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_code_font_are_there(page):
    """`parity/ops.py` and `tests/parity/test_theirs.py`; a bare `train.py` is one of scratchnn."""
    for path in re.findall(r"`((?:[\w-]+/)*[\w-]+\.py)`", page.read_text()):
        assert (ROOT / path).exists() or (ROOT / "scratchnn" / path).exists(), path


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_example_runs(example, capsys):
    pytest.importorskip("matplotlib")
    if "from PIL" in example.read_text("utf-8"):
        pytest.importorskip("PIL.Image")
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out
