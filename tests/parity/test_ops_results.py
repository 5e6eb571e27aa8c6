"""The committed search for errors beyond the bounds is of operations of the table."""

import json
from pathlib import Path

from parity.ops import OPS
from parity.search import ROWS

RESULTS = Path(__file__).parents[2] / "docs/results/ops.json"


def test_saved_cells_are_of_the_table_and_hold():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    cells = {(cell["op"], cell["dtype"]): cell for cell in found["results"]}
    wanted = {(op.name, d) for op in OPS.values() for d in ROWS if d != "tf32" or op.products}
    assert cells.keys() <= wanted  # a new operation waits for the next search
    assert found["settings"]["bounds"] == "mixed"
    assert sum(cell["cases"] for cell in cells.values()) >= 100_000
    assert all(cell["holds"] for cell in cells.values())
    for op in (op for op in OPS.values() if op.products):
        products = [op.name, *(f"{op.name}, d{name}" for name in op.inputs if name != "b")]
        seen = cells[op.name, "tf32"]["refusals"]
        assert set(seen) == {f"torch cpu: {product}" for product in products}
    assert not found["environment"]["commit"].endswith("-dirty")
