"""Put the playground into the site, with the digits that it trains on."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

from sphinx.application import Sphinx

from scratchnn import data

FOLDER = Path(__file__).resolve().parents[1] / "playground"


def digits_js() -> str:
    """Return the bundled digits as a script: pixels from 0 to 16, a byte each, in base64."""
    parts = {}
    for name, part in zip(("train", "test"), data.digits(), strict=True):
        pixels = base64.b64encode(part.images.astype("uint8").tobytes()).decode()
        parts[name] = f'{{pixels: "{pixels}", labels: "{"".join(map(str, part.target))}"}}'
    return f"const DIGITS = {{train: {parts['train']},\n  test: {parts['test']}}};\n"


def write(folder: Path) -> None:
    """Write the playground as a page of its own."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    (folder / "digits.js").write_text(digits_js())


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Write it where the site is."""
    if exception is None and app.builder.format == "html" and not app.config.english_site:
        write(Path(app.outdir) / "playground")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the playground after the pages."""
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
