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
from pathlib import Path

from scratchnn.run import record
from tests.reliability.faults import FAULTS


def main() -> int:
    """Try them, one after the other; return 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--long", action="store_true", help="many cases of each")
    parser.add_argument("--only", default="", metavar="WORDS", help="faults with these words")
    parser.add_argument("--cases", type=int, metavar="N", help="how many of each")
    parser.add_argument("--json", metavar="FILE", help="write the results")
    given = parser.parse_args()
    rows = []
    for name, (fault, short, long) in FAULTS.items():
        if given.only not in name:
            continue
        start, found = time.monotonic(), fault(given.cases or (long if given.long else short))
        seconds = round(time.monotonic() - start, 1)
        rows.append({"fault": name, "cases": found.cases, "wrong": found.wrong, "seconds": seconds})
        print(f"{name}: {found.cases:,} cases, {len(found.wrong)} wrong, {seconds} s", flush=True)
        for words in found.wrong[:20]:
            print(f"    {words}", flush=True)
    if given.json:
        results = {"environment": record.environment(), "faults": rows}
        Path(given.json).write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return int(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
