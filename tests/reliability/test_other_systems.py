"""What runs do on other systems: on Windows, without some signals, on a nameless processor."""

import errno
import sys
from types import SimpleNamespace

import pytest

from scratchnn.data import files
from scratchnn.run import record, signals


def test_windows_syncs_no_folder(monkeypatch, tmp_path):
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError):
        files.sync_folder(missing)
    monkeypatch.setattr(files.os, "name", "nt")
    files.sync_folder(missing)


@pytest.mark.parametrize("free", [True, False])
def test_windows_locks_a_byte_behind_the_content(monkeypatch, tmp_path, free):
    def locking(descriptor, mode, count):
        assert (mode, count) == ("now", 1)
        if not free:
            raise OSError(errno.EAGAIN, "locked")

    windows = SimpleNamespace(locking=locking, LK_NBLCK="now")
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    with (tmp_path / "lock").open("wb") as file:
        monkeypatch.setattr(files.sys, "platform", "win32")
        assert files.lock(file) == free
        assert file.tell() == 1 << 30


def test_a_processor_may_have_no_name(monkeypatch):
    monkeypatch.setattr(record.Path, "exists", lambda _: True)
    monkeypatch.setattr(record.Path, "read_text", lambda *_, **__: "Hardware\t: a board\n")
    assert isinstance(record.environment()["processor"], str)


def test_signals_that_a_system_lacks_are_left_out(monkeypatch):
    monkeypatch.setattr(signals, "NAMES", ("SIGNONE",))
    signals.ignore()
