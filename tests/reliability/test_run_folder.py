"""A run's folder from Python: kept, gone on with bit for bit, and refused where that cannot be."""

import hashlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from scratchnn import SGD, Adam, History, RunFolder, checkpoint, data, fit, mlp, resume
from scratchnn.data import DataError, Dataset, hflip
from scratchnn.history import Totals
from scratchnn.run import files, history, keeping, record, signals
from tests.helpers import C, D, H

CLASSES = tuple("abcd")
FILES = ["best.npz", "checkpoint.npz", "history.jsonl", "previous.npz", "run.json"]


def dataset(n=20, seed=0, **more):
    rng = np.random.default_rng(seed)
    return Dataset("t", rng.normal(size=(n, D)), rng.integers(C, size=n), CLASSES, **more)


def train(keep=None, *, epochs=4, optimizer=None, network=None, rng=1, on_batch=None, **more):
    """Train a small network; return it, and its history without the times."""
    network = network or mlp.init([D, H, C], rng=3)
    reached = fit(
        network, more.pop("train", dataset()), more.pop("test", dataset(10, seed=2)),
        optimizer=optimizer or SGD(0.1, 0.5), epochs=epochs, batch_size=8, rng=rng,
        checkpoint=keep, on_batch=on_batch, **more,
    )  # fmt: skip
    rows = [{n: v for n, v in row.items() if "seconds" not in n} for row in reached.as_dicts()]
    return network.theta.tobytes(), rows


def stop_at(epoch, number, sent=signal.SIGTERM):
    """Return an on_batch that lets a signal come after a batch; the step after it is the last."""

    def on_batch(batch):
        if (batch.epoch, batch.number) == (epoch, number):
            os.kill(os.getpid(), sent)

    return on_batch


def stop(path, epoch=2, number=1, **options):
    """Train until a signal comes."""
    with pytest.raises(signals.Stopped):
        train(RunFolder(path), on_batch=stop_at(epoch, number), **options)


# Going on


@pytest.mark.parametrize("optimizer", [SGD, Adam])
@pytest.mark.parametrize(("epoch", "number"), [(1, 1), (2, 1), (2, 3), (4, 2)])
def test_resume_reaches_the_same_bits(tmp_path, optimizer, epoch, number):
    """Number 3 is the last batch of an epoch: then the evaluation and its row are whole, too."""
    stop(tmp_path, epoch, number, optimizer=optimizer(0.1))
    theta, rows = train(resume(tmp_path), optimizer=optimizer(0.1))
    assert (theta, rows) == train(optimizer=optimizer(0.1))
    assert record.read(tmp_path)["status"] == "done"
    assert [row["test_loss"] for row in record.read(tmp_path)["history"]] == [
        row["test_loss"] for row in rows
    ]
    assert record.read(tmp_path)["theta"] == hashlib.sha256(theta).hexdigest()


def test_resume_with_augmentation_draws_the_same_numbers(tmp_path):
    def flipped(images, rng):
        return np.where(rng.random(len(images))[:, None, None] < 0.5, hflip(images), images)

    images = dataset(image_size=(1, D), augment=flipped)
    stop(tmp_path, train=images)
    assert train(resume(tmp_path), train=images) == train(train=images)


def test_resume_of_a_streamed_data_set(tmp_path):
    source = dataset(40)
    np.save(tmp_path / "X.npy", source.X)
    np.save(tmp_path / "y.npy", source.target)
    X, target = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("X", "y"))
    stream = data.Stream("s", X, target, CLASSES, block=4, window=2)
    stop(tmp_path / "run", number=3, train=stream)
    assert train(resume(tmp_path / "run"), train=stream) == train(train=stream)


def test_resume_for_more_epochs(tmp_path):
    train(RunFolder(tmp_path), epochs=2)
    assert train(resume(tmp_path), epochs=4) == train(epochs=4)


def test_resume_of_a_run_that_is_done_changes_nothing(tmp_path):
    done = train(RunFolder(tmp_path))
    content = (tmp_path / "history.jsonl").read_bytes()
    assert train(resume(tmp_path)) == done
    assert (tmp_path / "history.jsonl").read_bytes() == content


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937"])
def test_generators_survive_as_json_with_the_children_they_spawn(kind):
    rng = np.random.Generator(getattr(np.random, kind)(np.random.SeedSequence([1, 2])))
    rng.spawn(2)
    rng.integers(9, size=3, dtype=np.int32)  # leaves half a number in the state
    written = json.dumps(history.of_begun(history.Begun(rng, 2, Totals(0.1, 3, 5.0, 7), 1.5)))
    begun = history.to_begun(json.loads(written))
    assert (begun.batches, begun.running, begun.seconds) == (2, Totals(0.1, 3, 5.0, 7), 1.5)
    np.testing.assert_array_equal(begun.rng.random(5), rng.random(5))
    assert begun.rng.spawn(1)[0].random() == rng.spawn(1)[0].random()


def test_generator_of_a_seed_of_ones_own_keeps_its_state():
    class Seed(np.random.bit_generator.ISeedSequence):
        def generate_state(self, n_words, dtype=np.uint32):
            return np.arange(1, n_words + 1, dtype=dtype)

    rng = np.random.Generator(np.random.PCG64(Seed()))
    begun = history.to_begun(json.loads(json.dumps(history.of_begun(history.Begun(rng)))))
    assert begun.rng.random() == rng.random()


def test_fit_goes_on_in_the_middle_of_an_epoch_without_a_folder():
    """A history knows where its training stands."""
    network, optimizer, begun = mlp.init([D, H, C], rng=3), SGD(0.1, 0.5), History()

    def interrupt(batch):
        if (batch.epoch, batch.number) == (2, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network=network, optimizer=optimizer, history=begun, on_batch=interrupt)
    assert (len(begun.epochs), begun.begun.batches) == (1, 2)
    again = train(network=network, optimizer=optimizer, history=begun, epochs=3, rng=99)
    assert again == train()


def test_fit_refuses_to_go_on_with_batches_of_another_size(tmp_path):
    stop(tmp_path)
    network = mlp.init([D, H, C], rng=3)
    with pytest.raises(ValueError, match=r"after 2 batches with 16 examples.*got 4 of 30"):
        fit(network, dataset(30), optimizer=SGD(0.1), batch_size=4, checkpoint=resume(tmp_path))


def test_resume_of_a_run_that_was_killed_before_its_first_checkpoint_begins_it(tmp_path):
    train(RunFolder(tmp_path))
    for name in ("checkpoint.npz", "previous.npz", "best.npz"):
        (tmp_path / name).unlink()
    assert train(resume(tmp_path)) == train()


def test_resume_cuts_the_history_back_to_the_checkpoint(tmp_path):
    """A kill may leave rows beyond it, and half a row."""
    stop(tmp_path)
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write((tmp_path / "history.jsonl").read_bytes() + b'{"epoch": 3, "runn')
    assert train(resume(tmp_path)) == train()
    assert [row["epoch"] for row in record.read(tmp_path)["history"]] == [1, 2, 3, 4]


def test_resume_takes_the_previous_checkpoint_where_the_last_is_damaged(tmp_path, capsys):
    train(RunFolder(tmp_path, every="epoch"), epochs=3)
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert train(resume(tmp_path)) == train()
    assert "going on from previous.npz" in capsys.readouterr().err


def test_resume_says_what_differs_and_goes_on(tmp_path, capsys, monkeypatch):
    stop(tmp_path)
    there = record.environment() | {"numpy": "1.0"}
    monkeypatch.setattr(record, "environment", lambda: there)
    train(resume(tmp_path), optimizer=SGD(0.2, 0.5))
    (line,) = capsys.readouterr().err.splitlines()
    assert f"numpy {np.__version__}, now 1.0" in line
    assert "optimizer SGD(learning_rate=0.1" in line
    assert "numbers may differ" in line
    assert len(record.read(tmp_path)["resumed"][0]["differs"]) == 2


def test_record_holds_names_that_are_no_text(tmp_path):
    """A file's name may have bytes that no letter has."""
    train(RunFolder(tmp_path, facts={"data_dir": "d\udce9"}))
    assert record.read(tmp_path)["data_dir"] == "d\udce9"


# What is refused


def test_folder_with_a_run_is_refused_and_stays_as_it_is(tmp_path):
    train(RunFolder(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match=r"holds a run .*resume.*overwrite=True"):
        RunFolder(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folder_of_version_0_1_is_refused(tmp_path):
    (tmp_path / "parameters.npz").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"holds a run \(parameters\.npz\)"):
        RunFolder(tmp_path)


def test_overwrite_removes_all_of_the_old_run(tmp_path):
    train(RunFolder(tmp_path, every="epoch"))
    for name in ("parameters.npz", "history.json", "curves.svg", ".run.json.1-ab.partial", "mine"):
        (tmp_path / name).write_text("old")
    train(RunFolder(tmp_path, overwrite=True), epochs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "mine"])
    assert len(record.read(tmp_path)["history"]) == 1


def test_folder_that_another_run_took_since_is_refused(tmp_path):
    late = RunFolder(tmp_path)
    train(RunFolder(tmp_path))
    with pytest.raises(FileExistsError, match="holds a run"):
        train(late)


def test_folder_in_use_is_refused(tmp_path):
    def second(batch):
        for make in (resume, lambda path: RunFolder(path, overwrite=True)):
            with pytest.raises(BlockingIOError, match=f"{tmp_path} is in use: another process"):
                make(tmp_path)

    train(RunFolder(tmp_path), epochs=1, on_batch=second)
    resume(tmp_path)  # the lock is gone


def test_folder_where_files_cannot_be_locked_is_taken(tmp_path, monkeypatch):
    def lock(*_):
        raise OSError(keeping.files.errno.ENOLCK, "no locks here")

    monkeypatch.setattr("fcntl.flock", lock)
    assert train(RunFolder(tmp_path)) == train()


@pytest.mark.parametrize("every", [0, -1, "step", 1.5])
def test_every_must_be_steps_or_epoch(tmp_path, every):
    with pytest.raises(ValueError, match="every must be a number of steps from 1 up or 'epoch'"):
        RunFolder(tmp_path, every=every)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_folder_must_have_a_name(name):
    with pytest.raises(ValueError, match="must have a name, got '"):
        RunFolder(name)


@pytest.mark.parametrize("name", [*FILES, "curves.svg", "curves.png"])
def test_folder_in_the_place_of_a_file_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(IsADirectoryError, match=f"where the run needs a file: .*{name}"):
        RunFolder(tmp_path)


def test_resume_without_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run\.json is missing"):
        resume(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "{}", '{"run": 1}', '{"run": "a"}', "[" * 9999]
)
def test_resume_of_something_else(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=r"run\.json: expected the record of a run"):
        resume(tmp_path)


def test_resume_with_another_network(tmp_path):
    stop(tmp_path)
    with pytest.raises(ValueError, match=r"holds a run of Parameters\(.*got Parameters\("):
        train(resume(tmp_path), network=mlp.init([D, C], rng=1))


def test_resume_with_another_optimizer(tmp_path):
    stop(tmp_path)
    with pytest.raises(DataError, match="the state saved is SGD's, not Adam's"):
        train(resume(tmp_path), optimizer=Adam())


def altered(path, **changes):
    """Save a checkpoint with another description."""
    network, said = checkpoint.load(path)
    checkpoint.save(path, network, **{**said, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run": "another"}, "a checkpoint of the run in run.json, got another's"),
        ({"history": None}, "expected the place in a training, got TypeError"),
        ({"history": {}}, "expected the place in a training, got KeyError"),
        ({"begun": {"batches": 1}}, "expected the place in a training, got KeyError"),
        ({"begun": []}, "expected the place"),
        ({"history": {"bytes": 3, "sha256": "0"}}, "the history that checkpoint.npz goes on from"),
    ],
)
def test_resume_from_altered_checkpoints(tmp_path, changes, words):
    train(RunFolder(tmp_path), epochs=1)
    (tmp_path / "previous.npz").unlink()
    altered(tmp_path / "checkpoint.npz", **changes)
    with pytest.raises(DataError, match=words):
        train(resume(tmp_path))


def test_resume_from_an_unknown_generator(tmp_path):
    train(RunFolder(tmp_path), epochs=1)
    (tmp_path / "previous.npz").unlink()
    _, said = checkpoint.load(tmp_path / "checkpoint.npz")
    said["begun"]["rng"]["kind"] = "System"
    altered(tmp_path / "checkpoint.npz", **said)
    with pytest.raises(DataError, match="a generator of an unknown kind: System"):
        train(resume(tmp_path))


@pytest.mark.parametrize("line", [b"{", b"[]", b"5", b"{}", b'{"epoch": 1}', b"\xff", b"[" * 9999])
def test_history_names_the_line_that_is_damaged(tmp_path, line):
    content = b'{"epoch": 1, "batch": 2, "running_loss": null}\n' + line + b"\n"
    (tmp_path / "h").write_bytes(content)
    with pytest.raises(DataError, match="h, line 2: expected a row of a history"):
        history.read(tmp_path / "h")


def test_fingerprint_of_a_mapped_file_looks_at_rows_of_all_of_it(tmp_path):
    X = np.zeros((5000, 2))
    np.save(tmp_path / "X.npy", X)
    target = np.zeros(5000, int)

    def found():
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        return record.fingerprint(data.Stream("s", mapped, target, CLASSES))

    first = found()
    assert (first["examples"], first["features"]) == (5000, 2)
    X[-1] = 1
    np.save(tmp_path / "X.npy", X)
    assert found() != first
    assert record.fingerprint(None) is None


def test_environment_names_the_processor_where_the_system_tells(monkeypatch):
    assert record.environment()["processor"]
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert isinstance(record.environment()["processor"], str)


# What is written when


def lines(path):
    return [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]


def test_history_has_a_line_per_epoch_and_per_so_many_batches(tmp_path):
    stop(tmp_path, epoch=1, number=1, test=None)  # of 3 batches an epoch
    (tmp_path / "whole").mkdir()
    train(RunFolder(tmp_path / "whole", log_every=2), test=None, epochs=2)
    written = lines(tmp_path / "whole")
    assert [(row["epoch"], row.get("batch")) for row in written] == [
        (1, 2), (1, None), (2, 2), (2, None),
    ]  # fmt: skip
    assert history.read(tmp_path / "whole" / "history.jsonl").column("test_loss") == [None, None]


def test_running_loss_that_has_no_value_is_null(tmp_path):
    from scratchnn.objectives import CrossEntropy

    none = Dataset("none", np.ones((4, D)), np.zeros(4, int), CLASSES)
    objective = {"objective": CrossEntropy(ignore_index=0), "test": None, "evaluation": False}
    train(RunFolder(tmp_path, log_every=1), train=none, epochs=2, **objective)
    assert [row["running_loss"] for row in lines(tmp_path)] == [None] * 4
    train(resume(tmp_path), train=none, epochs=3, **objective)
    assert np.isnan(history.read(tmp_path / "history.jsonl").column("running_loss")).all()


def test_best_is_the_epoch_with_the_lowest_loss_on_the_test_data(tmp_path):
    _, rows = train(RunFolder(tmp_path), epochs=6, optimizer=SGD(2.0, 0.9))
    losses = [row["test_loss"] for row in rows]
    _, said = checkpoint.load(tmp_path / "best.npz")
    assert losses.index(min(losses)) < 5
    assert (said["epoch"], said["loss"]) == (1 + losses.index(min(losses)), min(losses))


@pytest.mark.parametrize(
    ("every", "saves"), [(1, 14), (2, 8), (5, 4), (100, 2), ("epoch", 5), (None, 2)]
)
def test_checkpoints_come_as_often_as_asked(tmp_path, monkeypatch, every, saves):
    """Four epochs of three batches; the first is of the initial θ, and the last of the end."""
    saved = []
    save = checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda path, *a, **o: (saved.append(path.name), save(path, *a, **o))
    )
    train(RunFolder(tmp_path, every=every))
    assert saved.count("checkpoint.npz") == saves


def test_checkpoint_after_a_second_where_nothing_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "PATIENCE", 0.0)
    train(RunFolder(tmp_path))
    _, said = checkpoint.load(tmp_path / "previous.npz")
    assert said["epoch"] == 3


def test_an_error_of_a_callback_saves_what_was_reached(tmp_path):
    def fail(batch):
        if (batch.epoch, batch.number) == (2, 2):
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        train(RunFolder(tmp_path), on_batch=fail)
    found = record.read(tmp_path)
    assert (found["status"], found["error"]) == ("failed", "RuntimeError: planted")
    assert train(resume(tmp_path)) == train()


@pytest.mark.parametrize("error", [MemoryError, FloatingPointError])
def test_half_a_step_is_not_saved(tmp_path, error):
    class Half(SGD):
        def step(self, theta, grad):
            if len(steps) == 5:
                theta[: len(theta) // 2] = 0
                raise error
            steps.append(1)
            super().step(theta, grad)

    steps = []
    Half.__name__ = Half.__qualname__ = "SGD"
    with pytest.raises(error):
        train(RunFolder(tmp_path, every=1), optimizer=Half(0.1, 0.5))
    assert train(resume(tmp_path)) == train()


def test_diverged_run_keeps_the_last_checkpoint(tmp_path):
    with pytest.raises(FloatingPointError):
        train(RunFolder(tmp_path), optimizer=SGD(1e200), epochs=50)
    assert record.read(tmp_path)["status"] == "diverged"
    assert np.isfinite(checkpoint.load(tmp_path)[0].theta).all()


# A disk that fails


class FullDisk:
    """A disk on which no checkpoint has room while it is full."""

    def __init__(self, monkeypatch):
        self.full, self.place = False, files.place
        monkeypatch.setattr(files, "place", self)

    def __call__(self, path, write, **options):
        if self.full:
            raise OSError(28, "No space left on device", str(path))
        self.place(path, write, **options)


def test_full_disk_costs_one_warning_and_no_training(tmp_path, monkeypatch, capsys):
    disk = FullDisk(monkeypatch)

    def on_batch(batch):
        disk.full = batch.epoch < 4

    assert train(RunFolder(tmp_path, every=1), on_batch=on_batch) == train()
    (line,) = capsys.readouterr().err.splitlines()
    assert "no checkpoint could be saved, the training goes on: [Errno 28] No space" in line
    assert record.read(tmp_path)["status"] == "done"


def test_disk_that_is_full_at_the_end_is_an_error(tmp_path, monkeypatch, capsys):
    disk = FullDisk(monkeypatch)

    def on_batch(batch):
        disk.full = True

    with pytest.raises(OSError, match=r"No space left on device: .*\.npz"):
        train(RunFolder(tmp_path), on_batch=on_batch)
    disk.full = False
    assert train(resume(tmp_path)) == train()


def test_error_on_a_full_disk_stays_that_error(tmp_path, monkeypatch, capsys):
    disk = FullDisk(monkeypatch)

    def on_batch(batch):
        disk.full = True
        if batch.epoch == 2:
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        train(RunFolder(tmp_path), on_batch=on_batch)
    assert "since the last checkpoint could not be saved" in capsys.readouterr().err


def test_row_that_cannot_be_written_waits(tmp_path):
    """Half of it is cut off before the next."""

    class Disk:
        full = True

        def write(self, content):
            if not self.full:
                return file.write(content[:3])
            file.write(content[:5])
            raise OSError(28, "No space left on device")

        def fileno(self):
            return file.fileno()

    with (tmp_path / "h").open("ab", buffering=0) as file:
        disk = Disk()
        rows = history.HistoryFile(disk, tmp_path / "h")
        with pytest.raises(OSError, match=r"No space left on device: .*h'"):
            rows.add({"epoch": 1})
        disk.full = False
        rows.add({"epoch": 2})
    assert (tmp_path / "h").read_text() == '{"epoch": 1}\n{"epoch": 2}\n'
    assert rows.length == 26


def test_row_that_waits_is_written_with_the_next_checkpoint(tmp_path, monkeypatch, capsys):
    write = history.HistoryFile.write

    def fail_once(rows):
        if b'"epoch": 4' in rows.waiting and not failed:
            failed.append(1)
            raise OSError(28, "No space left on device")
        write(rows)

    failed = []
    monkeypatch.setattr(history.HistoryFile, "write", fail_once)
    train(RunFolder(tmp_path))
    assert "a row of the history waits, the training goes on" in capsys.readouterr().err
    assert [row["epoch"] for row in record.read(tmp_path)["history"]] == [1, 2, 3, 4]
    assert train(resume(tmp_path)) == train()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the names of open files")
def test_what_is_renamed_is_on_the_disk_before_and_its_name_after(tmp_path, monkeypatch):
    """A power cut then leaves the old file or the new one, and the history that belongs to it."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        fsync(descriptor)
        calls.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))

    def renamed(old, new):
        replace(old, new)
        calls.append(("rename", old.name, new.name))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    train(RunFolder(tmp_path, every="epoch"))
    last = 0
    for at, call in enumerate(calls):
        if call[0] == "rename" and call[2] != "previous.npz":
            assert ("sync", call[1]) in calls[last:at], call
            assert ("sync", tmp_path.name) in calls[at:], call
            if call[2] == "checkpoint.npz":
                assert ("sync", "history.jsonl") in calls[last:at], call
                last = at
    assert last > 0


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
