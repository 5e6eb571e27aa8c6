"""The command line: what is measured, what is said, and what is kept."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import benchmarks.results
from benchmarks import environment, runner, session
from benchmarks.__main__ import main
from benchmarks.backends import BACKENDS
from benchmarks.cases import GROUPS, Case, cases
from benchmarks.results import Results, Row
from benchmarks.session import Record, duration, has_mnist, in_words
from scratchnn.data import DataError
from tests.benchmarks.test_report import FACTS, results

ROOT = Path(__file__).parents[2]
DIGITS = ["--data", "digits", "--threads", "1"]


class Runs:
    """Takes the place of runner.run: notes what it is asked, and has a row of each case."""

    def __init__(self):
        self.asked, self.stop_after = [], None

    def __call__(self, cases, backends, threads, plan):
        rows = []
        for case in cases:
            plan.before()
            if len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append((case, threads, [b.name for b in backends]))
            rows.append(Row(case, "scratchnn", threads, [1.0, 1.0], cost=60.0))
            plan.say(rows[-1])
        return rows, {"scratchnn": {"versions": {}}}

    @property
    def cases(self):
        return [(case.title, threads) for case, threads, _ in self.asked]


@pytest.fixture
def runs(monkeypatch, tmp_path):
    found = Runs()
    monkeypatch.setattr(runner, "run", found)
    monkeypatch.setattr(benchmarks.results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(environment, "others_now", lambda: 0.0)
    monkeypatch.setattr(session, "has_mnist", lambda: False)
    monkeypatch.setattr(environment, "cores", lambda: 2)
    monkeypatch.setattr(environment, "gpu", lambda: None)
    monkeypatch.setattr(session, "cases", lambda data, quick: cases(data, quick=True))
    return found


def test_main_refuses_what_it_does_not_know(capsys):
    for wrong in (["--cases", "epochs"], ["--backends", "tensorflow"], ["--threads", "0"]):
        with pytest.raises(SystemExit) as end:
            main(wrong)
        assert end.value.code == 2
        assert "must be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("scratchnn, torch", ["scratchnn", "torch"]),
        ("Scratchnn,JAX", ["scratchnn", "JAX"]),
        ("pytorch", ["torch"]),
        ("torch,PyTorch", ["torch"]),
        (" cuda  GRAPH ", ["CUDA graph"]),
        ("sklearn", ["scikit-learn"]),
    ],
)
def test_backends_may_have_blanks_capitals_and_other_names(runs, text, names, monkeypatch):
    monkeypatch.setattr(environment, "gpu", lambda: {"name": "abacus"})
    assert main(["--quick", *DIGITS, "--cases", "op", "--backends", text]) == 0
    assert runs.asked[0][2] == names


@pytest.mark.parametrize("asked", [["--device", "cuda"], ["--backends", "torch,cuda graph"]])
def test_cuda_without_a_gpu_is_one_sentence(runs, asked, capsys):
    assert main(["--quick", *DIGITS, *asked]) == 2
    assert "CUDA was asked for, and there is no GPU here" in capsys.readouterr().err
    assert not runs.asked


def test_backends_and_device_that_exclude_each_other(runs, monkeypatch, capsys):
    assert main([*DIGITS, "--device", "cpu", "--backends", "JAX", "--cases", "op"]) == 0
    assert main([*DIGITS, "--device", "cuda", "--backends", "JAX"]) == 2
    monkeypatch.setattr(environment, "gpu", lambda: {"name": "abacus"})
    assert main([*DIGITS, "--device", "cuda", "--backends", "JAX"]) == 2
    assert "--backends must have one on --device cuda, got JAX" in capsys.readouterr().err


def test_mnist_without_its_files_says_what_to_do(runs, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SCRATCHNN_DATA", str(tmp_path))
    assert main(["--quick", "--data", "mnist"]) == 3
    assert "scratchnn data fetch" in capsys.readouterr().err
    assert not runs.asked


def test_mnist_is_taken_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("SCRATCHNN_DATA", str(tmp_path))
    assert not has_mnist()
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    assert has_mnist()


@pytest.mark.parametrize(
    "less",
    [
        ["--cases", "op"],
        ["--backends", "scratchnn"],
        ["--device", "cpu"],
        ["--threads", "1"],
        ["--rounds", "1"],
        ["--data", "mnist"],
        ["--quick"],
    ],
)
def test_restricted_run_replaces_no_results(runs, less, capsys, monkeypatch):
    monkeypatch.setattr(session.data, "load", lambda name: None)
    file = benchmarks.results.FOLDER / f"{environment.machine()}.json"
    results().save(file)
    before = file.read_bytes()
    assert main(less) == 0
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    out = capsys.readouterr().out
    assert less == ["--quick"] or "not saved: only a run that leaves out nothing is" in out


def test_whole_run_takes_the_place_of_the_last_at_its_end(runs):
    file = benchmarks.results.FOLDER / f"{environment.machine()}.json"
    results().save(file)
    runs.stop_after = 3
    assert main([]) == 130
    assert Results.load(file).environment["cpu"] == FACTS["cpu"]
    runs.stop_after = None
    assert main(["--resume"]) == 0
    found = Results.load(file)
    assert found.environment["workers"].keys() == {"2", "1"}
    assert {row.case.group for row in found.rows} == set(GROUPS)
    assert {row.threads for row in found.rows} == {2, 1}
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_fewer_threads_are_for_epochs_and_cross_entropy(runs):
    assert main([]) == 0
    alone = {case.op for case, threads, _ in runs.asked if threads == 1 and case.kind == "op"}
    assert alone == {"cross_entropy", "cross_entropy_with_gradient"}
    assert {case.group for case, threads, _ in runs.asked if threads == 1} == {"op", "epoch"}


def test_run_that_is_interrupted_is_taken_up(runs, tmp_path, capsys):
    command = [*DIGITS, "--cases", "epoch,inference", "--json", str(tmp_path / "r.json")]
    runs.stop_after = 3
    assert main(command) == 130
    error = capsys.readouterr().err
    assert "r.json.part: the same command with --resume goes on" in error
    assert "interrupted" in error
    assert not (tmp_path / "r.json").exists()
    first, runs.stop_after = runs.cases, None
    assert main(command) == 2  # nothing is lost by mistake
    assert "--resume goes on with it; to begin anew, delete the file" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "1 case on 5 backends with 1 thread: about" in capsys.readouterr().out
    assert len(runs.cases) == len(set(runs.cases)) == 4
    assert runs.cases[:3] == first
    found = Results.load(tmp_path / "r.json")
    assert len(found.rows) == 4
    assert found.environment["resumed"]
    assert not (tmp_path / "r.json.part").exists()


def test_file_that_cannot_be_written_is_noticed_before_the_run(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([*DIGITS, "--json", str(tmp_path / "file/r.json")]) == 3
    assert str(tmp_path / "file") in capsys.readouterr().err
    assert not runs.asked


def test_resume_needs_something_to_take_up(runs, tmp_path, capsys):
    assert main([*DIGITS, "--cases", "op", "--resume"]) == 2
    assert main([*DIGITS, "--cases", "op", "--json", str(tmp_path / "r"), "--resume"]) == 2
    assert "r.part, which is not there" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cpu", "commit", "numpy"])
def test_resume_refuses_what_was_measured_on_something_else(tmp_path, name):
    facts = {"cpu": "Abacus", "commit": "abc", "numpy": "2.1", "date": "2026-01-01"}
    before = Record(tmp_path / "r.json", facts)
    before.add(results().rows[0])
    before.keep()
    same = Record(tmp_path / "r.json", facts)
    same.take_up(resume=True)
    assert list(same.rows) == list(before.rows)
    other = Record(tmp_path / "r.json", facts | {name: "other"})
    with pytest.raises(DataError, match=f"of the same {name} to go on, other, got {facts[name]}"):
        other.take_up(resume=True)


def test_record_measures_again_what_was_wrong():
    found, row = Record(None, {}), results().rows[0]
    assert not found.has(row.case, row.threads)
    found.add(row)
    assert found.has(row.case, row.threads)
    assert not found.has(row.case, row.threads + 1)
    found.add(replace(row, backend="torch", wrong=True))
    assert not found.has(row.case, row.threads)


def test_duration_is_that_of_the_last_results_or_a_guess():
    known, new = Case("op", "op", "known"), Case("op", "op", "new")
    ours, torch = BACKENDS["scratchnn"], BACKENDS["torch"]
    last = [Row(known, "scratchnn", 2, [1.0], cost=7.0), Row(known, "torch", 2, [0.5] * 4)]
    assert duration([(known, ours, 2)], last) == 7
    assert duration([(known, torch, 2)], last) == 1.5 + 1.0 + 4 * 0.6  # a file without costs
    guess = session.GUESS["op"]
    assert duration([(new, ours, 2), (known, ours, 1), (known, ours, 2)], last) == 2 * guess + 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "5 seconds"), (62, "60 seconds"), (3000, "50 minutes"), (7200, "2.0 hours")],
)
def test_durations_are_said_in_words(seconds, text):
    assert in_words(seconds) == f"about {text}"


def test_busy_machine_is_said_before(runs, monkeypatch, capsys):
    monkeypatch.setattr(environment, "others_now", lambda: 1.25)
    assert main([*DIGITS, "--cases", "op"]) == 0
    assert "other processes take 1.2 cores" in capsys.readouterr().out


def test_quick_run_checks_and_shows_no_times(tmp_path, capsys):
    file, pictures = tmp_path / "r.json", tmp_path / "pictures"
    arguments = ["--quick", *DIGITS, "--cases", "inference", "--backends", "scratchnn"]
    assert main([*arguments, "--json", str(file), "--plots", str(pictures)]) == 0
    found = Results.load(file)
    assert all(len(row.values) == 1 for row in found.rows)
    assert found.environment["seed of the turns"] == 0
    assert {"begin", "end", "largest"} == found.environment["load"].keys()
    out = capsys.readouterr().out
    assert "inference  2 cases, 2 results right, 1 thread" in out
    assert "2 rows, 2 right, 0 wrong" in out
    assert " ms" not in out
    assert " µs" not in out
    assert main(["compare", str(file), str(file)]) == 0
    assert "1.00" in capsys.readouterr().out
    assert main(["compare", str(file), str(tmp_path / "none.json")]) == 3


def test_quick_run_says_what_is_wrong_and_what_did_not_run(runs, monkeypatch, capsys):
    def run(cases, backends, threads, plan):
        rows = [
            Row(cases[0], "torch", 1, not_run="refused, its result is wrong: z", wrong=True),
            Row(cases[0], "JAX", 1, not_run="this needs jax"),
        ]
        for row in rows:
            plan.say(row)
        return rows, {}

    monkeypatch.setattr(runner, "run", run)
    assert main(["--quick", *DIGITS]) == 1
    out, error = capsys.readouterr()
    assert "not run: JAX (this needs jax)" in out
    assert "2 rows, 0 right, 1 wrong" in out
    assert "its result is wrong: z" in error


def test_quick_has_no_time_for_a_compiler_that_is_not_named(runs):
    for more in ([], ["--backends", "torch.compile"]):
        assert main(["--quick", *DIGITS, *more]) == 0
    assert "torch.compile" not in runs.asked[0][2]
    assert "scratchnn" in runs.asked[0][2]
    assert runs.asked[-1][2] == ["torch.compile"]


def test_compare_of_nothing_in_common_is_one_sentence(tmp_path, capsys):
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file, count in zip(files, (1, 2), strict=True):
        results(threads=(count,)).save(file)
    assert main(["compare", *map(str, files)]) == 1
    out, error = capsys.readouterr()
    assert not out
    assert "the two files have no case in common with the same backend and number of" in error
    assert "with 1 threads before" not in error
    assert "with 1 thread before" in error


@pytest.mark.parametrize("text", ["", '{"environment": {}}', '{"environment": {}, "rows": [{}]}'])
def test_main_says_what_a_results_file_must_be(text, tmp_path, capsys):
    file = tmp_path / "r.json"
    file.write_text(text)
    for command in (["compare", str(file), str(file)], ["report", str(file)]):
        assert main(command) == 3
        assert "must be a results file" in capsys.readouterr().err


def test_report_of_files_prints_and_changes_no_page(tmp_path, capsys):
    file, page = tmp_path / "r.json", ROOT / "README.md"
    epochs = [row for row in results().rows if row.case.group == "epoch"]
    Results(FACTS, epochs).save(file)
    before = page.stat().st_mtime_ns
    assert main(["report", str(file), "--plots", str(tmp_path / "pictures")]) == 0
    out = capsys.readouterr().out
    assert "| Softmax regression, batch 256, layers 64-10 | what it is | Abacus" in out
    assert (tmp_path / "pictures/epochs.svg").exists()
    assert page.stat().st_mtime_ns == before


NUMPY_ALONE = """
import runpy, sys
for name in ("mpmath", "torch", "jax", "sklearn", "matplotlib", "threadpoolctl", "hypothesis",
             "gmpy2", "scipy", "mpi4py", "tqdm"):
    sys.modules[name] = None
name, *sys.argv[1:] = sys.argv[1:]
if name.endswith(".py"):
    runpy.run_path(name, run_name="__main__")
runpy.run_module(name, run_name="__main__", alter_sys=True)
"""
FILE = str(ROOT / "benchmarks/results/amd-epyc-2-cores.json")


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (["benchmarks", "--quick"], 2, r"'.[benchmarks]'"),
        (["benchmarks", "report"], 2, r"'.[plots]'"),
        (["benchmarks", "report", FILE], 0, "| what it is |"),
        (["benchmarks", "compare", FILE, FILE], 0, "after / before"),
        (["docs/results.py", "pages"], 1, r"'.[all]'"),
    ],
)
def test_numpy_alone_is_enough_or_gets_a_sentence(command, status, says):
    done = subprocess.run(
        [sys.executable, "-c", NUMPY_ALONE, *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=None,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == status, done.stderr
    assert says in done.stdout + done.stderr
    assert status == 0 or len(done.stderr.splitlines()) == 1
