"""Fetching from servers that misbehave, by processes that are killed: what is there is whole."""

import signal
import time

import numpy as np
import pytest

from scratchnn.data import DataError, published
from scratchnn.data.download import LEFTOVER, fetch
from tests import serving
from tests.reliability.damage import damaged

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signals here")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of tiny files on two mirrors, which are taken for MNIST's."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving.serving(tmp_path) as server:
        monkeypatch.setitem(published.MIRRORS, "mnist", server.mirrors)
        monkeypatch.setitem(published.FILES, "mnist", server.published)
        yield server


def cases(short, long):
    """Let a test run with a few cases, or with many where it may take minutes."""
    return pytest.mark.parametrize("cases", [short, pytest.param(long, marks=pytest.mark.long)])


def contents(raw):
    """Return what is in a folder, by name."""
    return {path.name: path.read_bytes() for path in raw.glob("*")} if raw.exists() else {}


def behaviours(rng):
    """Yield behaviours of a server: half of the answers are right."""
    bad = (
        *map(serving.status, (403, 404, 500, 503)),
        lambda handler, content: serving.send(handler, content[: len(content) // 2], len(content)),
        lambda handler, content: serving.send(handler, damaged(content, rng)),
        lambda handler, content: serving.send(handler, content, pause=0.01),
        lambda handler, content: None,
        serving.redirect("/other/{file}"),
        serving.redirect("http://127.0.0.1:1/{file}"),
        serving.endless,
        serving.silent,
    )
    while True:
        yield serving.send if rng.random() < 0.5 else bad[rng.integers(len(bad))]


@cases(12, 200)
def test_servers_that_misbehave_leave_whole_files(server, tmp_path, cases):
    rng, failed = np.random.default_rng(cases), 0
    next_behaviour = behaviours(rng)

    def behave(handler, content):
        next(next_behaviour)(handler, content)

    for case in range(cases):
        folder = tmp_path / str(case)
        server.behaviour = dict.fromkeys(serving.MIRRORS, behave)
        try:
            fetch("mnist", folder, patience=0.2)
        except DataError:
            failed += 1
        assert contents(folder / "MNIST/raw").items() <= server.files.items()
        server.behaviour = {}
        fetch("mnist", folder)
        assert contents(folder / "MNIST/raw") == server.files
    print(f"{cases} fetched, {failed} failed at first")  # pytest -rP shows it
    assert 0 < failed < cases


@cases(12, 200)
def test_processes_that_are_killed_leave_whole_files(server, tmp_path, cases):
    """At a random moment, by a random signal; what SIGKILL may leave, the next one sweeps."""
    rng, ended = np.random.default_rng(cases), []
    server.behaviour = {"good": lambda handler, content: serving.send(handler, content, pause=2e-4)}
    start = time.monotonic()
    with serving.fetching(server, tmp_path / "whole") as process:
        process.wait()
    seconds = time.monotonic() - start
    for case in range(cases):
        number = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)[case % 4]
        raw = tmp_path / str(case) / "MNIST/raw"
        with serving.fetching(server, tmp_path / str(case)) as process:
            time.sleep(rng.random() * seconds)
            process.send_signal(number)
            ended.append(process.wait())
        found = contents(raw)
        if number == signal.SIGKILL:
            found = {name: of for name, of in found.items() if not name.endswith(LEFTOVER)}
        assert found.items() <= server.files.items()
        fetch("mnist", tmp_path / str(case))
        assert contents(raw) == server.files
    print(f"{cases} killed, {sum(map(bool, ended))} before they were done")  # pytest -rP shows it
    assert any(ended)


@cases(4, 20)
def test_processes_side_by_side_fetch_each_file_once(server, tmp_path, cases):
    processes = [serving.fetching(server, tmp_path / "data") for _ in range(cases)]
    for process in processes:
        with process:
            out, err = process.communicate()
            assert (process.returncode, err) == (0, "")
            assert out.endswith(f"all 4 files are in {tmp_path / 'data/MNIST/raw'}\n")
    assert contents(tmp_path / "data/MNIST/raw") == server.files
    assert len(server.requested) == len(server.files)
