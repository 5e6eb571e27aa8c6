"""The committed search for errors beyond the bounds is of the table as it is."""

import json
from pathlib import Path

import pytest

from parity.ops import OPS
from parity.search import ROWS

RESULTS = Path(__file__).parents[2] / "docs/results"
FILES = {"mixed": "ops.json", "probabilistic": "ops-probabilistic.json"}


@pytest.mark.parametrize("kind", FILES)
def test_saved_cells_are_all_and_hold(kind):
    found = json.loads((RESULTS / FILES[kind]).read_text(encoding="utf-8"))
    cells = {(cell["op"], cell["dtype"]): cell for cell in found["results"]}
    wanted = {(op.name, d) for op in OPS.values() for d in ROWS if d != "tf32" or op.products}
    assert cells.keys() == wanted
    assert found["settings"]["bounds"] == kind
    assert sum(cell["cases"] for cell in cells.values()) >= 100_000
    assert all(cell["holds"] for cell in cells.values())
    for op in (op for op in OPS.values() if op.products):
        products = [op.name, *(f"{op.name}, d{name}" for name in op.inputs if name != "b")]
        seen = cells[op.name, "tf32"]["refusals"]
        assert set(seen) == {f"torch cpu: {product}" for product in products}
    assert not found["environment"]["commit"].endswith("-dirty")
