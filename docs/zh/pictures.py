"""Draw the pictures of README.md with Chinese labels: python docs/zh/pictures.py.

Each is the figure of its own command, with its texts replaced by those of words.toml, and holds
the SHA-256 of the English picture, so that a test can tell when one of them is older.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from fontTools.ttLib import TTCollection
from matplotlib import font_manager
from matplotlib.text import Text

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "docs/_ext")]

import wording  # noqa: E402

from benchmarks import pictures, report  # noqa: E402
from parity import devices  # noqa: E402
from parity.training import lockstep  # noqa: E402
from scratchnn.run import recipes  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES = ROOT / "docs/images"
FONT, FILE = "Noto Sans CJK SC", "NotoSansCJK-Regular.ttc"  # Debian: fonts-noto-cjk
PARITY = "softmax-regression-digits-parity-float32.png"
EPOCHS = "benchmarks/epochs.png"


def parity() -> Figure:
    """Train softmax regression in NumPy and torch; draw both, and their differences."""
    run = recipes.prepare(recipes.get("softmax-regression").on("digits"), dtype="float32")
    with devices.threads(1):
        *_, (result, _) = lockstep.train(run, devices.prepare("cpu"))
    return result.picture("softmax-regression on digits, float32: NumPy and torch")


def epochs() -> Figure:
    """Draw the time of an epoch on each machine that was measured."""
    return pictures.epochs(report.load())


def translate(figure: Figure) -> set[str]:
    """Put Chinese in place of the figure's English words, and leave names; return the words."""
    words = wording.table()["readme"]
    english = re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))
    texts = figure.findobj(Text)
    found = {word for text in texts for word in english.findall(text.get_text())}
    for text in texts:
        text.set_text(english.sub(lambda match: words[match[0]], text.get_text()))
    return found


def add_font() -> None:
    """Give matplotlib the font for simplified Chinese; of a collection it reads the first alone."""
    path = next(path for path in font_manager.findSystemFonts() if path.endswith(FILE))
    faces = TTCollection(path).fonts
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/chinese.otf"
        next(face for face in faces if face["name"].getDebugName(1) == FONT).save(file)
        font_manager.fontManager.addfont(file)
        font_manager.get_font(file)  # keeps it open


def main() -> None:
    """Draw both pictures."""
    add_font()
    unsaid = set(wording.table()["readme"])
    with mpl.rc_context({"font.family": ["DejaVu Sans", FONT]}):
        for name, figure in ((PARITY, parity()), (EPOCHS, epochs())):
            state = hashlib.sha256((IMAGES / name).read_bytes()).hexdigest()[:12]
            unsaid -= translate(figure)
            path = IMAGES / "zh" / Path(name).name
            path.parent.mkdir(exist_ok=True)
            figure.savefig(path, dpi=150, metadata={"Translates": state})
            print(path.relative_to(ROOT))
    if unsaid:
        raise ValueError(f"no picture says {sorted(unsaid)}: mend [readme] of docs/zh/words.toml")


if __name__ == "__main__":
    main()
