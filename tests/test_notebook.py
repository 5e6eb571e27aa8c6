"""The notebooks of the examples run from the top, and show their pictures and tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


@pytest.fixture(scope="module")
def ran():
    """The code cells of each notebook after they ran in a kernel of their own, by its name."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    for package in ("ipykernel", "matplotlib", "PIL.Image"):
        pytest.importorskip(package)
    found = {}
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        client = nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3")
        client.execute(cwd=str(path.parent))
        found[path.stem] = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return found


@pytest.fixture
def cells(ran):
    """The cells of the notebook that trains, looks and predicts."""
    return ran["06_train_look_predict"]


def shown(cell):
    """Return the kinds of what a cell shows."""
    return {kind for output in cell.outputs for kind in output.get("data", {})}


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_every_picture_is_shown_inline(ran, name):
    drawn = [cell for cell in ran[name] if cell.source.splitlines()[-1].startswith("plots.")]
    assert len(drawn) >= 2
    for cell in drawn:
        assert "image/png" in shown(cell), cell.source


def test_the_history_is_shown_as_a_table(cells):
    (cell,) = (cell for cell in cells if cell.source.endswith("\nhistory"))
    assert "<td>10</td>" in cell.outputs[0].data["text/html"]


def test_the_drawn_seven_is_a_seven(cells):
    (cell,) = (cell for cell in cells if cell.source.startswith("X = seven"))
    assert cell.outputs[0].text.startswith("{7: ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_is_saved_in_the_notebook_but_its_text(path):
    """Outputs would be those of another version."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
