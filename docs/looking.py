"""Make the outputs and the pictures of docs/looking.md anew.

    python docs/looking.py

It trains two small networks on the bundled digits, and needs the extras plots and data. Where
Chromium is installed, it takes the picture of the report, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw

from benchmarks.report import fill
from scratchnn import SGD, data, fit, mlp, plots
from scratchnn.run.look import saved

ROOT = Path(__file__).resolve().parents[1]
PAGE, IMAGES = ROOT / "docs/looking.md", ROOT / "docs/images/looking"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Write the page and its pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        work = Path(folder)
        for recipe, out in (("mlp", "mlp"), ("softmax-regression", "softmax")):
            command(work, f"train {recipe} --epochs 10 --gradients --out runs/{out}")
        draw_a_seven(work / "seven.png")
        shutil.copy(work / "seven.png", IMAGES / "seven.png")
        made = {
            "show": command(work, "show runs/mlp"),
            "compare": command(work, "compare runs/mlp runs/softmax"),
            "predict": command(work, "predict runs/mlp seven.png"),
        }
        command(work, "report runs/mlp")
        take_picture(work / "runs/mlp/report.html", IMAGES / "report.png")
        draw(saved.read(work / "runs/mlp"), saved.read(work / "runs/softmax"))
    blocks = {name: f"```text\n{text.rstrip()}\n```\n" for name, text in made.items()}
    PAGE.write_text(fill(PAGE.read_text("utf-8"), blocks), "utf-8")


def command(folder: Path, arguments: str) -> str:
    """Run a command of scratchnn in a folder, and return what it prints."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "80",
    }
    done = subprocess.run(
        [sys.executable, "-m", "scratchnn", *arguments.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def draw_a_seven(path: Path) -> None:
    """Draw a 7 in blue on grey paper, off the middle."""
    paper = Image.new("RGB", (300, 260), (215, 215, 210))
    points = [(90, 60), (190, 60), (140, 200)]
    ImageDraw.Draw(paper).line(points, fill=(30, 40, 120), width=26, joint="curve")
    paper.save(path)


def draw(run: saved.Saved, other: saved.Saved) -> None:
    """Draw every picture of the page."""
    answers = run.answers()
    line = data.synthetic_line()
    fitted = mlp.init([2, 1], rng=0)
    options = {"objective": "squared_loss", "batch_size": 10, "epochs": 2, "rng": 0}
    fit(fitted, line, optimizer=SGD(0.03), **options)
    figures = {
        "curves": plots.curves(run.history),
        "compare": plots.compare({"mlp": run.history, "softmax": other.history}),
        "gradients": plots.gradients(run.gradients),
        "confusion": plots.confusion(answers.confusion, answers.data.classes),
        "reliability": plots.reliability(answers.reliability),
        "mistakes": plots.mistakes(answers),
        "weights": plots.weights(other.network),
        "losses": plots.losses(),
        "temperature": plots.temperature(),
        "scatter": plots.scatter(line, network=fitted),
    }
    for name, figure in figures.items():
        (IMAGES / f"{name}.png").write_bytes(plots.png(figure))


def take_picture(page: Path, path: Path) -> None:
    """Take a picture of a page's first screen, where there is a browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("no Chromium: the picture of the report stays as it is")
        return
    options = "--headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=900,1150"
    quiet = "--disable-background-networking --no-first-run --disable-component-update"
    subprocess.run(
        [browser, *options.split(), *quiet.split(), f"--screenshot={path}", page.as_uri()],
        capture_output=True,
        check=True,
    )


if __name__ == "__main__":
    main()
