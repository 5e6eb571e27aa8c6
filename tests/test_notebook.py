"""The notebook of the examples runs from the top, and shows its pictures and tables."""

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples/06_train_look_predict.ipynb"


@pytest.fixture(scope="module")
def cells():
    """The code cells after they ran in a kernel of their own."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    for package in ("ipykernel", "matplotlib", "PIL.Image"):
        pytest.importorskip(package)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute(
        cwd=str(NOTEBOOK.parent)
    )
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell):
    """Return the kinds of what a cell shows."""
    return {kind for output in cell.outputs for kind in output.get("data", {})}


def test_every_picture_is_shown_inline(cells):
    drawn = [cell for cell in cells if cell.source.splitlines()[-1].startswith("plots.")]
    assert len(drawn) == 9
    for cell in drawn:
        assert "image/png" in shown(cell), cell.source


def test_the_history_is_shown_as_a_table(cells):
    (cell,) = (cell for cell in cells if cell.source.endswith("\nhistory"))
    assert "<td>10</td>" in cell.outputs[0].data["text/html"]


def test_the_drawn_seven_is_a_seven(cells):
    (cell,) = (cell for cell in cells if cell.source.startswith("X = seven"))
    assert cell.outputs[0].text.startswith("{7: ")


def test_nothing_is_saved_in_the_notebook_but_its_text():
    """Outputs would be those of another version."""
    import json

    for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
