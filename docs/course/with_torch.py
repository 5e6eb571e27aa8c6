"""Run the {torch} blocks of the course in torch, and keep what they print.

    python docs/course/with_torch.py          → docs/results/course-torch.json

So the site can be built without torch. tests/docs/test_course.py runs the blocks again.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent / "_ext"), str(FOLDER.parents[1])]
BLOCK = re.compile(r"^```\{torch\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def session(code: str, names: dict) -> list[tuple[str, str]]:
    """Run code as the lessons do. It is imported here, as it needs Sphinx."""
    from lessons import session

    return session(code, names)


def results() -> dict:
    """Return what every block prints, by its code. The blocks of a page share their names."""
    import torch

    blocks = {}
    for page in sorted([*FOLDER.glob("*.md"), *FOLDER.parent.glob("maps/*.md")]):
        names: dict = {}
        exec("import numpy as np\nimport torch\nimport torch.nn.functional as TF", names)
        for code in BLOCK.findall(page.read_text(encoding="utf-8")):
            code = code.rstrip("\n")
            blocks[code] = session(code, names)
    return {"torch": torch.__version__.partition("+")[0], "blocks": blocks}


if __name__ == "__main__":
    file = FOLDER.parent / "results/course-torch.json"
    file.write_text(json.dumps(results(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
