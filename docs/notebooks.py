"""Make the notebooks of examples/ from the Python files of the same names.

    python docs/notebooks.py

It needs the extra docs: sphinx-gallery makes the notebooks of the site in the same way.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
from sphinx_gallery.notebook import jupyter_notebook
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = ("02_train_on_digits", "04_calibration", "06_train_look_predict")


def notebook(name: str) -> str:
    """Return an example as a notebook without outputs, which would be those of another version."""
    _, blocks = split_code_and_text_blocks(str(EXAMPLES / f"{name}.py"))
    made = jupyter_notebook(blocks, copy.deepcopy(DEFAULT_GALLERY_CONF), str(EXAMPLES))
    cells = [clean(cell, number) for number, cell in enumerate(made["cells"], 1)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    facts = {"kernelspec": kernel, "language_info": {"name": "python"}}
    found = {"cells": cells, "metadata": facts, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def clean(cell: dict, number: int) -> dict:
    """Return a cell without settings, with a name, and with its text line by line."""
    cell = {"id": f"cell-{number}", **cell, "metadata": {}}
    cell["source"] = "".join(cell["source"]).strip("\n").splitlines(keepends=True)
    return cell


if __name__ == "__main__":
    for name in NAMES:
        (EXAMPLES / f"{name}.ipynb").write_text(notebook(name), encoding="utf-8")
