"""Fetching data sets: from servers on this machine that misbehave, never from the network."""

import gzip
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from scratchnn.data import DataError, files, mnist, published, read_idx, write_idx
from scratchnn.data.download import fetch
from scratchnn.data.layout import STEMS, raw_folder
from scratchnn.run import data_command
from scratchnn.run.cli import main
from tests import serving
from tests.helpers import torchvision

TRAIN_LABELS = "train-labels-idx1-ubyte"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of tiny files on two mirrors, which are taken for MNIST's."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving.serving(tmp_path) as server:
        monkeypatch.setitem(published.MIRRORS, "mnist", server.mirrors)
        monkeypatch.setitem(published.FILES, "mnist", server.published)
        yield server


@pytest.fixture
def raw(tmp_path):
    """The folder of the files in torchvision's layout, not made yet."""
    return tmp_path / "data" / "MNIST" / "raw"


def fetched(tmp_path, **options):
    """Fetch into tmp_path/data, and return what was said."""
    said = []
    fetch("mnist", tmp_path / "data", say=said.append, **options)
    return said


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def whole(server, raw):
    """Tell whether the folder holds the four files, and nothing else."""
    return names(raw) == sorted(server.files) and all(
        (raw / name).read_bytes() == content for name, content in server.files.items()
    )


# What is fetched, and what is left alone


def test_fetch_brings_what_mnist_reads(server, tmp_path, raw):
    said = fetched(tmp_path)
    assert whole(server, raw)
    assert said == [f"{raw / stem}.gz: fetched" for stem in STEMS]
    assert [part.X.shape for part in mnist(tmp_path / "data")] == [(7, 12), (5, 12)]
    assert server.requested == [f"/good/{stem}.gz" for stem in STEMS]


def test_fetch_goes_to_the_folder_of_the_variable(server, tmp_path, raw, monkeypatch):
    monkeypatch.setenv("SCRATCHNN_DATA", str(tmp_path / "data"))
    assert fetch("mnist") == raw
    assert whole(server, raw)


def test_fetch_asks_for_nothing_when_all_is_there(server, tmp_path, raw):
    fetched(tmp_path)
    server.requested.clear()
    assert fetched(tmp_path) == []
    assert server.requested == []


def test_fetch_reports_its_progress(server, tmp_path):
    steps = []
    fetched(tmp_path, progress=lambda *step: steps.append(step))
    assert [step for step in steps if step[1] == step[2]] == [
        (name, len(content), len(content)) for name, content in server.files.items()
    ]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda _: b"", lambda _: b"<html>"]
)
def test_fetch_replaces_a_damaged_file(server, tmp_path, raw, damage):
    fetched(tmp_path)
    path = raw / f"{TRAIN_LABELS}.gz"
    path.write_bytes(damage(path.read_bytes()))
    server.requested.clear()
    assert fetched(tmp_path) == [f"{path}: fetched anew, it was damaged"]
    assert whole(server, raw)
    assert len(server.requested) == 1


def test_fetch_replaces_a_damaged_file_that_was_unpacked(server, tmp_path, raw):
    """A file without .gz is found before one with it: the new one must take its place."""
    fetched(tmp_path)
    packed = raw / f"{TRAIN_LABELS}.gz"
    content = gzip.decompress(packed.read_bytes())
    (raw / TRAIN_LABELS).write_bytes(content[:-1])
    packed.unlink()
    fetched(tmp_path)
    assert (raw / TRAIN_LABELS).read_bytes() == content
    assert not packed.exists()


def test_fetch_keeps_what_may_be_somebodys_own(server, tmp_path, raw):
    fetched(tmp_path)
    path, own = raw / f"{TRAIN_LABELS}.gz", np.zeros(7, np.uint8)
    write_idx(path, own)
    (said,) = fetched(tmp_path)
    assert f"is now {path.name}.old" in said
    np.testing.assert_array_equal(read_idx(raw / f"{path.name}.old"), own)
    assert path.read_bytes() == server.files[path.name]


# Servers that misbehave


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (serving.status(403), "Forbidden"),
        (serving.status(404), "Not Found"),
        (serving.status(500), "Internal Server Error"),
        (lambda handler, content: None, "closed connection without response"),
        (lambda handler, content: handler.wfile.write(b"SSH-2.0\r\n"), "SSH-2.0"),
        (lambda handler, content: serving.send(handler, content[:-9], len(content)), "ended after"),
        (lambda handler, content: serving.send(handler, content[:-9]), "cut short"),
        (lambda handler, content: serving.send(handler, b""), "4 bytes of magic, got 0"),
        (lambda handler, content: serving.send(handler, b"<html>sorry</html>"), "magic number"),
        (lambda handler, content: serving.send(handler, another_file()), "not the file that was"),
        (lambda handler, content: serving.send(handler, bytes(999)), "larger than"),
        (lambda handler, content: serving.send(handler, content, 10**12), "larger than"),
        (lambda handler, content: serving.send(handler, gzip_bomb()), "got more"),
        (serving.endless, "larger than"),
        (serving.silent, "timed out"),
        (lambda handler, content: serving.send(handler, content, pause=0.05), "too slow"),
        (serving.redirect("/good/{file}"), "infinite loop"),
        (serving.redirect("file:///etc/passwd"), "file:///etc/passwd' is not allowed"),
        (serving.redirect("ftp://127.0.0.1/{file}"), "redirected from http to ftp"),
    ],
)
def test_fetch_goes_to_the_next_mirror(server, tmp_path, raw, behaviour, reason):
    """And where that one does the same, it says what it tried, and what to do."""
    server.behaviour["good"] = behaviour
    fetched(tmp_path, patience=0.2)
    assert whole(server, raw)
    (raw / f"{TRAIN_LABELS}.gz").unlink()
    server.behaviour["other"] = behaviour
    with pytest.raises(DataError, match=reason) as caught:
        fetched(tmp_path, patience=0.2)
    message = str(caught.value)
    assert message.startswith(f"{TRAIN_LABELS}.gz could not be fetched: tried http://127")
    assert all(mirror in message for mirror in server.mirrors)
    assert message.endswith(f"A copy from elsewhere can be put into {raw}, compressed or not")
    assert "\n" not in message
    assert names(raw) == sorted(set(server.files) - {f"{TRAIN_LABELS}.gz"})


def another_file():
    header = bytes.fromhex("00000801 00000007")
    return gzip.compress(header + bytes(7))


def gzip_bomb():
    """Return a file that says 7 labels, and unpacks to 50 kB: it fits the limit of what is sent."""
    return gzip.compress(bytes.fromhex("00000801 00000007") + bytes(50_000))


def test_fetch_follows_a_redirect(server, tmp_path, raw):
    server.behaviour["good"] = serving.redirect(server.mirror("other") + "{file}")
    fetched(tmp_path)
    assert whole(server, raw)


def test_fetch_without_connection(server, tmp_path, monkeypatch):
    monkeypatch.setitem(published.MIRRORS, "mnist", ("http://127.0.0.1:1/",))
    with pytest.raises(DataError, match=r"127\.0\.0\.1:1/.*Connection refused"):
        fetched(tmp_path)


# The folder


def test_fetch_into_a_folder_that_cannot_be_written(server, tmp_path, raw, monkeypatch):
    raw.mkdir(parents=True)

    def full(path, _):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=f"No space left on device: '{raw}'"):
        fetched(tmp_path)
    assert server.requested == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_fetch_on_a_disk_that_fails_leaves_nothing(server, tmp_path, raw, monkeypatch, step):
    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match=r"Input/output error: .*train-images-idx3-ubyte\.gz'"):
        fetched(tmp_path)
    assert names(raw) == []


def test_fetch_sweeps_what_a_killed_one_left(server, tmp_path, raw):
    raw.mkdir(parents=True)
    (raw / f".{TRAIN_LABELS}.gz.123-ab{files.PARTIAL}").write_bytes(b"half")
    fetched(tmp_path)
    assert whole(server, raw)


def test_fetch_without_locks(server, tmp_path, raw, monkeypatch):
    """As on Windows."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    fetched(tmp_path)
    assert whole(server, raw)


def test_fetch_waits_for_another(server, tmp_path, raw):
    """Two at once: the second finds all there."""
    pytest.importorskip("fcntl")
    asked, go_on, said = threading.Event(), threading.Event(), []

    def slowly(handler, content):
        asked.set()
        go_on.wait(10)
        serving.send(handler, content)

    def say(line):
        said.append(line)
        go_on.set()

    server.behaviour["good"] = slowly
    first = threading.Thread(target=fetch, args=("mnist", tmp_path / "data"))
    first.start()
    assert asked.wait(10)
    fetch("mnist", tmp_path / "data", say=say)
    first.join()
    assert said == [f"{raw}: another process is fetching; waiting for it"]
    assert len(server.requested) == len(STEMS)
    assert whole(server, raw)


# The command


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_fetch_command_that_is_ended_leaves_whole_files_alone(server, tmp_path, raw, number):
    reached = threading.Event()

    def stall(handler, content):
        if TRAIN_LABELS in handler.path:
            reached.set()
            time.sleep(1)
        else:
            serving.send(handler, content)

    server.behaviour["good"] = stall
    with serving.fetching(server, tmp_path / "data") as process:
        assert reached.wait(60)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in err
    assert names(raw) == ["train-images-idx3-ubyte.gz"]
    del server.behaviour["good"]
    fetched(tmp_path)
    assert whole(server, raw)


def test_fetch_command_prints_one_line_when_all_is_there(server, tmp_path, raw, capsys):
    fetched(tmp_path)
    assert main(["data", "fetch", "mnist", "--data-dir", str(tmp_path / "data")]) == 0
    assert capsys.readouterr() == (f"mnist: all 4 files are in {raw}\n", "")


def test_fetch_command_restores_the_signals(server, tmp_path, capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert main(["data", "fetch", "mnist", "--data-dir", str(tmp_path / "data")]) == 0
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_fetch_command_ends_as_by_an_exception(server, tmp_path, monkeypatch):
    """So that a file which is being written is removed."""
    synced = os.fsync

    def end(file):
        synced(file)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(os, "fsync", end)
    with pytest.raises(SystemExit) as caught:
        main(["data", "fetch", "mnist", "--data-dir", str(tmp_path / "data")])
    assert caught.value.code == 128 + signal.SIGTERM
    assert names(tmp_path / "data/MNIST/raw") == []


def test_fetch_command_that_fails_is_one_line(server, tmp_path, capsys):
    server.behaviour = {"good": serving.status(403), "other": serving.status(500)}
    assert main(["data", "fetch", "mnist", "--data-dir", str(tmp_path / "data")]) == 3
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Forbidden" in err
    assert "Internal Server Error" in err


@pytest.mark.parametrize("tqdm", [True, False])
def test_fetch_command_draws_a_bar_on_a_terminal(server, tmp_path, capsys, monkeypatch, tqdm):
    if tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["data", "fetch", "mnist", "--data-dir", str(tmp_path / "data")]) == 0
    err = capsys.readouterr().err
    assert all((f"{name}:   0%" in err) == tqdm for name in server.files)


def test_bar_grows_and_is_closed(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with data_command._bar() as draw:
        draw("a", 1, 4)
        draw("a", 4, 4)
        draw("b", 1, 0)  # of unknown length
        draw("b", 3, 0)
    err = capsys.readouterr().err
    assert "a:   0%" in err
    assert "b: 3.00B" in err or "b: 0.00B" in err


def test_fetch_command_without_standard_error(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["data", "fetch", "mnist", "--data-dir", str(tmp_path / "data")]) == 0


# What was published


def test_published_files_are_those_of_torchvision():
    datasets = torchvision().datasets
    for name, theirs in (("mnist", datasets.MNIST), ("fashion-mnist", datasets.FashionMNIST)):
        assert [f"{stem}.gz" for stem in published.FILES[name]] == [
            file for file, _ in theirs.resources
        ]
        assert raw_folder(name, "x") == Path("x", theirs.__name__, "raw")


def test_mirrors_are_two_and_safe():
    for mirrors in published.MIRRORS.values():
        assert len(set(mirrors)) >= 2
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in mirrors)


@pytest.mark.parametrize("name", published.FILES)
def test_real_data_are_what_was_published(name):
    """The sums of the contents; MD5 of compressed files: torchvision's, where they are the same."""
    root = os.environ.get("SCRATCHNN_DATA")
    states = published.verify(name, root) if root else []
    if not any(state.path for state in states):
        pytest.skip(f"SCRATCHNN_DATA has no {name}")
    assert [state.problem for state in states] == [""] * 4
    for state in states:
        size = read_idx(state.path).nbytes + 4 + 4 * (3 if "idx3" in state.stem else 1)
        assert size == published.FILES[name][state.stem].size
