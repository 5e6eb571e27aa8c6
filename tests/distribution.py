"""Build the wheel and the sdist, check them, and use each in an empty environment: make dist-test.

It runs where `build` and `packaging` are installed, and says what it did in a line per step.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

from packaging.metadata import Metadata

ROOT = Path(__file__).parents[1]
NEEDED = ("py.typed", "digits-images-idx3-ubyte.gz", "page.html", "LICENSE")

# What a user does first, with NumPy alone: each is a command, after the environment's bin/.
FIRST_STEPS = (
    ("scratchnn", "--version"),
    ("scratchnn", "recipes"),
    ("scratchnn", "data", "show", "digits"),
    ("scratchnn", "train", "mlp", "--epochs", "2", "--out", "run"),
    ("scratchnn", "train", "--resume", "run", "--epochs", "3"),
    ("scratchnn", "evaluate", "run"),
    ("python", "-c", "{predict}"),
    ("python", "-m", "parity", "--help"),
)
PREDICT = """
from scratchnn import checkpoint, data, mlp
network, _ = checkpoint.load("run/checkpoint.npz")
_, test = data.digits(normalize=True)
X, target = test.batch(slice(None), "float32")
assert (mlp.predict(network, X) == target).mean() > 0.5
"""


def main() -> None:
    """Do all of it, in a temporary folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
        (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
        check_wheel(wheel)
        check_sdist(sdist)
        for built in (wheel, sdist):
            try_out(built, folder / f"environment-{built.suffix[1:]}")


def check_wheel(wheel: Path) -> None:
    """Raise where the wheel lacks a file, has one too many, or its metadata are not valid."""
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        Metadata.from_email(content.read(metadata), validate=True)
    tops = {name.partition("/")[0] for name in names}
    info = {top for top in tops if top.endswith(".dist-info")}
    assert tops - info == {"scratchnn", "parity", "scratchnn_command.py"}, tops
    assert not [name for name in names if "tests" in name or "benchmarks" in name]
    for needed in NEEDED:
        assert any(name.endswith(f"/{needed}") for name in names), needed
    print(f"{wheel.name}: {len(names)} files, the metadata are valid")


def check_sdist(sdist: Path) -> None:
    """Raise where the sdist lacks what the wheel is built from, or its metadata are not valid."""
    with tarfile.open(sdist) as content:
        names = content.getnames()
        file = content.extractfile(f"{names[0].partition('/')[0]}/PKG-INFO")
        assert file is not None
        Metadata.from_email(file.read(), validate=True)
    for needed in (*NEEDED, "pyproject.toml", "README.md"):
        assert any(name.endswith(f"/{needed}") for name in names), needed
    print(f"{sdist.name}: {len(names)} files, the metadata are valid")


def try_out(built: Path, environment: Path) -> None:
    """Install a file into an empty environment, and take the first steps there."""
    venv.create(environment, with_pip=True)
    bin_ = environment / ("Scripts" if sys.platform == "win32" else "bin")
    run(bin_ / "python", "-m", "pip", "install", "--quiet", built)
    installed = run(bin_ / "python", "-m", "pip", "list", "--format", "freeze").split()
    packages = {line.partition("==")[0] for line in installed}
    assert packages - {"pip", "setuptools"} == {"numpy", "scratchnn"}, packages
    for program, *arguments in FIRST_STEPS:
        words = [argument.replace("{predict}", PREDICT) for argument in arguments]
        run(bin_ / program, *words, cwd=environment)
    print(f"{built.name}: installed with NumPy alone, trained and predicted")


def run(*command: object, cwd: Path | None = None) -> str:
    """Run a command and return its output; show it and exit where it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
