"""A run's folder from Python: kept, gone on with bit for bit, and refused where that cannot be."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from scratchnn import SGD, Adam, History, RunFolder, checkpoint, data, fit, mlp, resume
from scratchnn.data import DataError, hflip
from scratchnn.history import Totals
from scratchnn.run import history, keeping, record
from tests.helpers import C, D, H
from tests.reliability.training import CLASSES, FILES, dataset, stop, train

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


def test_fit_refuses_to_go_on_with_batches_of_another_size():
    network = mlp.init([D, H, C], rng=3)
    half = History(begun=history.Begun(np.random.default_rng(1), 2, Totals(examples=16)))
    with pytest.raises(ValueError, match=r"after 2 batches with 16 examples.*got 4 of 30"):
        fit(network, dataset(30), optimizer=SGD(0.1), batch_size=4, history=half)


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
    words = r"of scratchnn 0\.1, which cannot go on \(parameters\.npz\): replace it \(--overwrite"
    with pytest.raises(FileExistsError, match=words):
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
    found = record.read_record(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**found, "status": "running"}))
    assert record.read(tmp_path)["status"] == "running"  # for all that anybody knows


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


def test_folder_that_is_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="run is a link to something that is missing"):
        RunFolder(tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"facts": {"run": 3}}, ValueError, "facts must have other names than 'run'"),
        ({"description": {"epoch": 3}}, ValueError, "description must have other names"),
        ({"facts": {"w": np.arange(3)}}, TypeError, "w must be a number, a text"),
        ({"description": {"w": {1, 2}}}, TypeError, "w must be a number, a text"),
    ],
)
def test_what_is_said_besides_is_checked_before_the_folder_is_made(tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        RunFolder(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_names_of_the_record_are_those_that_it_has(tmp_path):
    train(RunFolder(tmp_path, facts={"share": np.float32(0.5)}))
    train(resume(tmp_path))
    assert {"history", "share", *record.RECORDED} == set(record.read(tmp_path))
    assert record.read(tmp_path)["share"] == 0.5


def test_resume_without_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run\.json is missing"):
        resume(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[1]", "{}", '{"run": 1}', '{"run": "a"}', "[" * 9999),
        '{"run": "a", "environment": {}, "data": []}',
        '{"run": "a", "environment": {}, "resumed": 1}',
    ],
)
def test_resume_of_something_else(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=r"run\.json: expected the record of a run"):
        resume(tmp_path)


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
    with pytest.raises(DataError, match=f"{words}.*; no checkpoint is left to go on from. Train"):
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
