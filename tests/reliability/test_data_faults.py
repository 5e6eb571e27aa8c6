"""Hostile data files: what fills the memory, or is no file. Damaged ones are in test_faults."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scratchnn.data import DataError, load_own, map_idx, read_idx

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts as it should on Linux")
def test_large_images_take_a_bounded_memory(tmp_path):
    """One that is allowed is read within 600 MB; a larger one is refused by its header."""
    pytest.importorskip("PIL.Image")
    program = (
        "import resource, sys; from PIL import Image; from scratchnn.data import image_folder\n"
        "side = int(sys.argv[1]); path = sys.argv[2] + '/class/picture.png'\n"
        "Image.new('1', (side, side)).save(path, compress_level=1)\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (600 * 2**20, 600 * 2**20))\n"
        "print(image_folder(sys.argv[2], size=28).images.shape)"
    )
    (tmp_path / "class").mkdir()
    said = []
    for side in (8192, 9000):
        command = [sys.executable, "-c", program, str(side), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        said.append((done.stdout + done.stderr).splitlines()[-1])
    assert said[0] == "(1, 28, 28)"
    assert "DataError" in said[1]
    assert "pixels are more than 67,108,864: make it smaller first" in said[1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("read", [read_idx, map_idx, load_own])
def test_pipes_devices_and_names_are_refused_at_once(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero"), "a\0b"):
        with pytest.raises(DataError, match=r"a pipe or a device|NUL"):
            read(path)
