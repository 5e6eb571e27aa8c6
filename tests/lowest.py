"""Print the lowest versions that pyproject.toml promises, as constraints for pip: make test-lowest.

Of the packages that the tests are about: NumPy, torch, torchvision, Hypothesis and pytest. The
others may be any that these get along with.
"""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

PACKAGES = ("numpy", "torch", "torchvision", "hypothesis", "pytest")


def main() -> None:
    """Print name==version, a line per package."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    promised = chain(project["dependencies"], *project["optional-dependencies"].values())
    lowest = {
        match[1]: match[2] for line in promised if (match := re.match(r"([\w-]+)>=([\d.]+)", line))
    }
    for package in PACKAGES:
        print(f"{package}=={lowest[package]}")


if __name__ == "__main__":
    main()
