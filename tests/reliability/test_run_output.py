"""`scratchnn train` where its output fails, or its process ends: the run is kept."""

import io
import os
import signal
import subprocess
import sys

import pytest

from scratchnn import checkpoint, plots
from scratchnn.history import Batch
from scratchnn.run import record, terminal, train_command, watch
from scratchnn.run.cli import main
from tests.reliability.test_run_command import QUICK, ROOT, reached
from tests.test_cli import assert_one_line, usage_error


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    """They would take most of the time."""
    monkeypatch.setattr(train_command, "_has_plots", lambda: False)


# What is shown may fail


def test_watcher_that_fails_costs_a_warning_and_rests(capsys):
    def broken(step):
        seen.append(step)
        raise OSError(28, "No space left on device")

    seen = []
    watcher = watch.tolerant(broken)
    watcher(Batch(1, 1, 2, 0.5, 4))
    watcher(Batch(1, 2, 2, 0.5, 4))
    assert len(seen) == 1
    assert_one_line(capsys, "the training goes on without function: [Errno 28] No space")
    assert watch.tolerant(None) is None


def test_watcher_that_cannot_be_closed_costs_a_warning(capsys):
    class Board:
        def close(self):
            raise OSError("planted")

    watch.close(Board())
    assert_one_line(capsys, "Board could not be closed: planted")
    watch.close(None)


def test_curves_that_cannot_be_drawn_cost_a_warning(capsys, monkeypatch, tmp_path):
    def draw(*_):
        raise OSError("planted")

    pytest.importorskip("matplotlib")
    monkeypatch.setattr(train_command, "_has_plots", lambda: True)
    monkeypatch.setattr(plots, "save", draw)
    assert main([*QUICK, "--out", str(tmp_path)]) == 0
    assert_one_line(capsys, "the curves could not be drawn: planted", stdout=None)


def test_lines_that_cannot_be_printed_cost_a_warning(capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

        def flush(self):
            raise AssertionError("not asked any more")

    lines = terminal.Lines(Full())
    print("one", file=lines, flush=True)
    assert_one_line(capsys, "cannot be printed any more: No space left on device")
    print("nowhere", file=terminal.Lines(None), flush=True)


def test_streams_that_cannot_be_flushed_are_silenced(tmp_path, monkeypatch):
    """What they hold goes nowhere, and not to the file: at exit Python would fail to flush it."""

    class Full(io.StringIO):
        def flush(self):
            raise OSError(28, "No space left on device")

        def fileno(self):
            return file.fileno()

    with (tmp_path / "output").open("w+b", buffering=0) as file:
        monkeypatch.setattr(sys, "stdout", Full())
        monkeypatch.setattr(sys, "stderr", None)
        terminal.let_out()
        file.write(b"nowhere")
    assert (tmp_path / "output").read_bytes() == b""


def test_closed_streams_are_opened_to_nowhere():
    """Else the next file that is opened would get their number."""
    before = os.dup(0)
    try:
        os.close(0)
        terminal.prepare()
        assert os.fstat(0).st_rdev == os.stat(os.devnull).st_rdev
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_pipe_that_ends_is_not_swallowed():
    class Ended(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        print("one", file=terminal.Lines(Ended()))


def test_unexpected_error_is_one_line_that_names_its_kind(capsys, monkeypatch, tmp_path):
    def load(*_):
        raise RuntimeError("planted")

    monkeypatch.setattr(checkpoint, "load", load)
    assert main(["evaluate", str(tmp_path)]) == 1
    assert_one_line(capsys, "RuntimeError: planted (--debug shows where)")


def test_data_folder_goes_with_data_from_a_folder(capsys):
    assert main([*QUICK, "--data-dir", "x"]) == 2
    assert_one_line(capsys, "--data-dir goes with --data", "got --data digits")


def test_ctrl_c_outside_of_a_command(monkeypatch):
    def parser():
        raise KeyboardInterrupt

    monkeypatch.setattr("scratchnn.run.cli._parser", parser)
    assert main([]) == 130


def test_warning_where_there_is_no_standard_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    terminal.warn("nobody hears")
    terminal.let_out()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain θ é 日本", "plain θ é 日本"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\tc\x9bd", r"a\rb\tc\x9bd"),
        ("right\u202eleft", r"right\u202eleft"),
        ("\udce9", r"\udce9"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_escaped_shows_control_characters(text, shown):
    assert terminal.escaped(text) == shown


def test_control_characters_of_names_do_not_reach_the_terminal(capsys, tmp_path):
    assert main(["evaluate", "\x1b]0;x\x07"]) == 3
    assert_one_line(capsys, r"\x1b]0;x\x07")
    assert usage_error(["train", "mlp", "\x1b[31m"]) == 2
    assert_one_line(capsys, r"\x1b[31m")
    assert main([*QUICK, "--out", str(tmp_path / "\x1b[31m")]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err


def test_locale_without_the_letters_of_a_folder(tmp_path):
    command = [sys.executable, "-m", "scratchnn", *QUICK, "--out", str(tmp_path / "é")]
    environment = os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"saved in" in done.stdout


# The command's process


@pytest.mark.parametrize(
    ("start", "module"),
    [
        ([ROOT / "scratchnn_command.py"], "numpy._core.multiarray"),
        ([ROOT / "scratchnn_command.py"], "numpy.random"),
        ([ROOT / "scratchnn_command.py"], "scratchnn.mlp"),
        ([ROOT / "scratchnn_command.py"], "scratchnn.run.cli"),
        (["-m", "scratchnn"], "scratchnn.run.arguments"),  # the package came first
        (["-m", "scratchnn"], "scratchnn.run.cli"),
    ],
)
def test_ctrl_c_while_the_command_imports_leaves_no_traceback(start, module):
    """Python says which module it has imported, and Ctrl-C comes then."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits "ignore"
    command = [sys.executable, "-X", "importtime", *start, "recipes"]
    process = subprocess.Popen(command, stdout=-1, stderr=-1, text=True, cwd=ROOT)
    signal.signal(signal.SIGINT, before)
    with process:
        while not process.stderr.readline().rstrip().endswith(f" {module}"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    # the last: the command was done, and Python gives up its handlers when it ends
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert "Traceback" not in err


def test_closed_terminal_stops_the_training_and_keeps_it(tmp_path):
    """The terminal is a pseudo-terminal, and this process closes it."""
    pty = pytest.importorskip("pty")
    main_end, terminal_end = pty.openpty()
    code = "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    code += "from scratchnn.run.cli import main; sys.exit(main())"
    arguments = [*QUICK, "--epochs", "3000", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=terminal_end, stdout=terminal_end, stderr=terminal_end, cwd=ROOT,
        start_new_session=True,
    )  # fmt: skip
    os.close(terminal_end)
    shown = b""
    while b"    3  " not in shown:
        shown += os.read(main_end, 4096)
    os.close(main_end)
    assert process.wait(60) == 129
    found = record.read(tmp_path)
    assert found["status"] == "interrupted"
    assert "SIGHUP" in found["error"]
    epochs = str(len(found["history"]) + 2)
    assert main(["train", "--resume", str(tmp_path), "--epochs", epochs]) == 0
    assert main([*QUICK, "--epochs", epochs, "--out", str(tmp_path / "whole")]) == 0
    assert reached(tmp_path) == reached(tmp_path / "whole")


def test_pipe_that_ends_before_the_first_line_leaves_a_whole_run(tmp_path, monkeypatch, capsys):
    class Ended(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Ended())
        assert main([*QUICK, "--out", str(tmp_path / "run")]) == 141
    assert record.read(tmp_path / "run")["status"] == "interrupted"
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert main([*QUICK, "--out", str(tmp_path / "whole")]) == 0
    assert reached(tmp_path / "run") == reached(tmp_path / "whole")


def test_full_disk_behind_standard_output_is_named(monkeypatch, capsys):
    """Where Python holds no lines back, print itself fails."""

    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["recipes"]) == 3
    assert capsys.readouterr().err == ("scratchnn: standard output: No space left on device\n")
