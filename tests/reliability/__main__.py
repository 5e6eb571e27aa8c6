"""Try the faults, and say what was found.

python -m tests.reliability                       the short form, as `make test` does: 20 s
python -m tests.reliability --long --json docs/results/reliability.json        half an hour
python -m tests.reliability --only "kill -9" --cases 100
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from scratchnn.run import record
from tests.reliability.faults import FAULTS


def main() -> int:
    """Try them, one after the other; return 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--long", action="store_true", help="many cases of each")
    parser.add_argument("--only", default="", metavar="WORDS", help="faults with these words")
    parser.add_argument("--cases", type=int, metavar="N", help="how many of each")
    parser.add_argument("--json", metavar="FILE", help="write the results, or renew some of them")
    given = parser.parse_args()
    wrong = 0
    for name in (name for name in FAULTS if given.only in name):
        fault, short, long = FAULTS[name]
        start, found = time.monotonic(), fault(given.cases or (long if given.long else short))
        seconds = round(time.monotonic() - start, 1)
        print(f"{name}: {found.cases:,} cases, {len(found.wrong)} wrong, {seconds} s", flush=True)
        if found.said:
            print(f"    {found.said}", flush=True)
        for words in found.wrong[:20]:
            print(f"    {words}", flush=True)
        wrong += len(found.wrong)
        if given.json:
            row = {"fault": name, "cases": found.cases, "wrong": found.wrong, "seconds": seconds}
            said = {"said": found.said} if found.said else {}
            measured = {"date": date.today().isoformat(), "environment": record.environment()}
            write(Path(given.json), row | said | measured)
    return int(wrong > 0)


def write(path: Path, row: dict[str, Any]) -> None:
    """Put a row in the place of an older one of the same fault."""
    rows = json.loads(path.read_text("utf-8"))["faults"] if path.exists() else []
    found = {known["fault"]: known for known in [*rows, row] if known["fault"] in FAULTS}
    results = {"faults": [found[name] for name in FAULTS if name in found]}
    path.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
