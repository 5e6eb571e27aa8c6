"""A headless Chromium for tests of pages: run(html) returns what a page wrote into its body."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def find() -> str:
    """Return the path of Chromium; skip the test where there is none."""
    for name in (os.environ.get("CHROMIUM", ""), *NAMES):
        if name and (path := shutil.which(name)):
            return path
    pytest.skip("there is no Chromium: install it, or set CHROMIUM to its path")


def dump(url: str, folder: Path, *flags: str, seconds: int = 120) -> str:
    """Return the document of a page once its scripts have run."""
    return dump_with_log(url, folder, *flags, seconds=seconds)[0]


def dump_with_log(url: str, folder: Path, *flags: str, seconds: int) -> tuple[str, str]:
    """Return the document, and what the browser wrote to its log."""
    command = [find(), *FLAGS, f"--user-data-dir={folder}", *flags, "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    return done.stdout, done.stderr


def written(dom: str, name: str) -> str:
    """Return the text of the element <pre id=name>."""
    found = re.search(rf'<pre id="{name}">(.*?)</pre>', dom, re.DOTALL)
    assert found, f"the page wrote no {name}: {dom[-2000:]}"
    return unescape(found[1])
