"""Signals that stop a training, and how a file takes its place."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from scratchnn import RunFolder, resume
from scratchnn.data import files
from scratchnn.run import record, signals
from tests.reliability.training import stop_at, train

# Signals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU"])
def test_signal_stops_after_a_whole_step_and_handlers_are_back(tmp_path, name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(signals.Stopped, match=f"stopped by {name}") as caught:
        train(RunFolder(tmp_path), on_batch=stop_at(2, 1, number))
    assert caught.value.status == 128 + number
    assert signal.getsignal(number) is before
    assert record.read(tmp_path)["status"] == "interrupted"


def test_second_interrupt_quits_at_once_and_writes_nothing(tmp_path):
    """The run can go on from the checkpoint of before."""

    def press_twice(batch):
        if batch.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            written.update({path: path.read_bytes() for path in tmp_path.iterdir()})
            os.kill(os.getpid(), signal.SIGINT)

    written = {}
    with pytest.raises(KeyboardInterrupt) as caught:
        train(RunFolder(tmp_path), on_batch=press_twice)
    assert not isinstance(caught.value, signals.Stopped)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == written
    assert train(resume(tmp_path)) == train()


def test_signal_at_the_end_is_not_lost():
    def stopped_twice():
        with signals.held():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)  # a second one changes nothing

    with pytest.raises(signals.Stopped):
        stopped_twice()


def test_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with signals.held() as held:
            os.kill(os.getpid(), signal.SIGHUP)
            assert held.first is None
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_run_in_a_thread_leaves_the_signals_alone(tmp_path):
    before, reached = signal.getsignal(signal.SIGINT), []

    def run():
        keep = RunFolder(tmp_path)
        reached.append(train(keep, on_batch=lambda _: held.add(signal.getsignal(signal.SIGINT))))

    held = set()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert reached == [train()]
    assert held == {before}


def test_ranks_but_the_first_ignore_what_asks_them_to_stop():
    code = "import signal; from scratchnn.run import signals; signals.ignore(); "
    code += "print({signal.getsignal(getattr(signal, name)) for name in signals.NAMES})"
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{<Handlers.SIG_IGN: 1>}"


# Files


def test_place_leaves_nothing_behind_and_names_the_file(tmp_path):
    def write(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "f").write_text("old")
    with pytest.raises(OSError, match=r"\[Errno 28\] No space left on device: '.*f'"):
        files.place(tmp_path / "f", write)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "old"


def test_place_from_many_threads_is_always_one_whole_file(tmp_path):
    """Each has a temporary name of its own."""
    from concurrent.futures import ThreadPoolExecutor

    def place(n):
        files.place_text(tmp_path / "f", str(n) * 1000)
        return len(set((tmp_path / "f").read_text()))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(place, [1, 2, 3, 4] * 25)) == {1}
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_previous_is_a_copy_where_there_are_no_links(tmp_path, monkeypatch):
    def link(*_):
        raise OSError(1, "no links here")

    monkeypatch.setattr(os, "link", link)
    for text in ("1", "2", "3"):
        files.place(
            tmp_path / "f", lambda file, t=text: file.write(t.encode()), previous=tmp_path / "p"
        )
    assert [(tmp_path / name).read_text() for name in "fp"] == ["3", "2"]


@pytest.mark.parametrize(("number", "raises"), [(22, False), (5, True)])
def test_folder_that_cannot_be_synced(tmp_path, monkeypatch, number, raises):
    """Some file systems do not know it; an error of the disk is one."""

    def fsync(_):
        raise OSError(number, "planted")

    monkeypatch.setattr(os, "fsync", fsync)
    if not raises:
        files.sync_folder(tmp_path)
        return
    with pytest.raises(OSError, match=f"planted: '{tmp_path}'"):
        files.sync_folder(tmp_path)


def test_error_without_a_number_is_left_as_it_is():
    with pytest.raises(OSError, match=r"^planted$"), files.naming(Path("f")):
        raise OSError("planted")


def test_folder_that_was_made_for_nothing_is_removed(tmp_path):
    made, found = RunFolder(tmp_path / "new"), RunFolder(tmp_path)
    for folder in (made, found):
        folder.discard()
    assert tmp_path.exists()
    assert not (tmp_path / "new").exists()


def test_page_shows_code_that_runs(tmp_path, monkeypatch):
    import re

    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs/reliability.md").read_text()
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, {})
