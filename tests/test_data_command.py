"""`scratchnn data`: what is here, whether it is right, and a look at it (not: fetching it)."""

import re

import numpy as np
import pytest

from scratchnn.data import published, read_idx, write_idx
from scratchnn.data.idx import digest
from scratchnn.data.layout import STEMS
from scratchnn.data.printable import printable
from scratchnn.data.published import Published
from scratchnn.run.cli import main

SHAPES = dict(zip(STEMS, [(20, 8, 8), (20,), (10, 8, 8), (10,)], strict=True))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a tiny MNIST, which is taken for the one that was published."""
    raw, files = tmp_path / "MNIST" / "raw", {}
    raw.mkdir(parents=True)
    for stem, shape in SHAPES.items():
        values = np.resize(np.arange(10, dtype=np.uint8), shape)
        write_idx(raw / f"{stem}.gz", values)
        files[stem] = Published(0, digest(values))
    monkeypatch.setitem(published.FILES, "mnist", files)
    monkeypatch.delenv("SCRATCHNN_DATA", raising=False)
    return tmp_path


def run(capsys, *arguments):
    """Run `scratchnn data`; return exit status, output and errors."""
    status = main(["data", *map(str, arguments)])
    return status, *capsys.readouterr()


def test_list_says_what_is_here(folder, capsys):
    status, out, _ = run(capsys, "list", "--data-dir", folder)
    *lines, last = out.splitlines()
    said = dict(re.match(r"(\S+) +(.*?)  ", line).groups() for line in lines)
    assert status == 0
    assert said == {
        "digits": "here",
        "mnist": "here",
        "fashion-mnist": "0 of 4 files",
        "line": "here",
    }
    assert "does not read them: `scratchnn data verify` does" in last
    assert "no folder" in run(capsys, "list")[1]


def test_verify_knows_what_was_published(folder, capsys):
    expected = "mnist: all 4 files are those that were published\n"
    assert run(capsys, "verify", "--data-dir", folder) == (0, expected, "")
    assert run(capsys, "verify", "mnist", "--data-dir", folder) == (0, expected, "")


def test_verify_reports_replaced_labels_missing_and_damaged_files(folder, capsys):
    raw = folder / "MNIST" / "raw"
    labels, images = raw / "train-labels-idx1-ubyte.gz", raw / "t10k-images-idx3-ubyte.gz"
    write_idx(labels, read_idx(labels)[::-1].copy())
    images.write_bytes(images.read_bytes()[:-3])
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()
    status, out, _ = run(capsys, "verify", "--data-dir", folder)
    assert status == 3
    assert out.splitlines() == [
        f"mnist: {labels} is not the file that was published",
        f"mnist: {images}: the gzip file is damaged or cut short (Compressed file ended before the "
        "end-of-stream marker was reached)",
        f"mnist: {raw / 't10k-labels-idx1-ubyte'}[.gz] is missing",
        f"mnist: `scratchnn data fetch mnist --data-dir {folder}` fetches what differs anew",
    ]


def test_verify_without_any_data(tmp_path, capsys):
    status, out, err = run(capsys, "verify", "--data-dir", tmp_path)
    assert (status, out) == (3, "")
    assert err.endswith(f"{tmp_path} has no data set: `scratchnn data fetch DATA` fetches one\n")
    assert run(capsys, "verify", "mnist", "--data-dir", tmp_path)[0] == 3


def test_show_counts_and_draws(capsys):
    status, out, _ = run(capsys, "show", "digits")
    lines = out.splitlines()
    assert status == 0
    assert lines[:2] == [
        "digits train: 1,437 examples of 8 x 8 pixels, uint8",
        "digits test: 360 examples of 8 x 8 pixels, uint8",
    ]
    assert [line.split() for line in lines[2:5]] == [
        ["train", "test", "class"],
        ["143", "35", "0"],
        ["146", "36", "1"],
    ]
    drawn = lines[13:]
    assert len(drawn) == 2 * (1 + 12)
    assert drawn[0].split() == ["0", "1", "2"]
    assert max(map(len, drawn)) <= 80
    assert "@" in out  # the brightest pixels of all images


def test_show_of_numbers(capsys):
    status, out, _ = run(capsys, "show", "line")
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "line: 10,000 examples of 2 numbers, float64"
    assert len(lines) == 7
    assert re.fullmatch(r"X \[.+ .+\], target \[.+\]", lines[1])


def test_show_saves_a_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    status, out, _ = run(capsys, "show", "digits", "--out", tmp_path)
    assert status == 0
    assert out.endswith(f"saved in {tmp_path}: examples.svg, examples.png\n")
    assert (tmp_path / "examples.png").stat().st_size > 1000


def test_show_of_nothing(capsys):
    assert run(capsys, "show", "cifar")[0] == 2


def test_printable_writes_control_characters_out():
    assert printable("a\x1b[31m猫\n\udcff\x9b") == r"a\x1b[31m猫\n\udcff\x9b"
