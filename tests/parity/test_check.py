"""Anyone's implementation: each flaw is named, a right one passes, bad calls say what is wrong."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

import parity
import scratchnn.functional as F
from parity.__main__ import main
from parity.battery import CHECKS
from parity.battery.finding import code
from parity.ops import OPS

FILE = Path(__file__).parents[2] / "examples/flawed/implementations.py"


def load():
    spec = importlib.util.spec_from_file_location("implementations", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FLAWED = load()
NAMED = {
    "overflowing": ("softmax", "exp overflows above 88.7 in float32"),
    "global_maximum": ("softmax", "The maximum of all rows is subtracted"),
    "wrong_axis": ("softmax", "It normalises over the wrong axis"),
    "in_place": ("softmax", "an in-place operation"),
    "in_double": ("softmax", "float64 came in on the way"),
    "clipped": ("cross_entropy", "The probability is clipped before its logarithm"),
    "summed": ("cross_entropy", "This is the sum of the losses, not their mean"),
    "of_probabilities": ("cross_entropy", "The softmax is taken twice"),
    "bits": ("cross_entropy", "The logarithm has base 2"),
}


@pytest.mark.parametrize("name", NAMED)
def test_check_names_the_flaw(name):
    op, cause = NAMED[name]
    report = parity.check(getattr(FLAWED, name), op)
    assert not report.ok
    assert any(cause in told for told in report.causes), str(report)


def test_check_names_the_flaw_of_a_gradient():
    report = parity.check(FLAWED.cross_entropy, "cross_entropy", FLAWED.gradient_of_the_sum)
    assert report.failed == ("gradient", "own slopes")
    assert report.causes == ("1/N is missing: the gradient of the mean is (p - onehot) / N.",)


def test_check_shows_the_smallest_overflow():
    text = str(parity.check(FLAWED.overflowing, "softmax"))
    assert "z = np.array([[89.0]], np.float32)\n      overflowing(z)\n" in text


def test_check_shows_the_smallest_input_to_its_last_bit():
    z = np.array([[1 / 3 + 2**-54]])
    program, found = code("np.copy", {"z": z}, {}), {"np": np}
    exec(program, found)
    assert (found["z"] == z).all()


def test_check_passes_right_ones_within_20_seconds(tmp_path):
    start = perf_counter()
    assert main(["check", f"{FILE}:softmax", "--op", "softmax"]) == 0
    assert perf_counter() - start < 20
    arguments = [f"{FILE}:cross_entropy", "--backward", f"{FILE}:cross_entropy_gradient"]
    files = [str(tmp_path / name) for name in ("report.json", "report.html")]
    saved = ["--json", files[0], "--html", files[1]]
    assert main(["check", *arguments, "--op", "cross_entropy", *saved]) == 0
    report = json.loads(Path(files[0]).read_text())
    assert report["holds"]
    assert "weight" in report["results"]["not_tested"]
    assert report["environment"]["numpy"] == np.__version__
    assert "cross_entropy as cross_entropy: it is right" in Path(files[1]).read_text()


def test_check_takes_the_settings_of_a_function():
    def losses(z, target):
        return -(z - np.log(np.exp(z).sum(1, keepdims=True)))[np.arange(len(z)), target]

    told = parity.check(losses, "cross_entropy", skip=["labels"]).causes
    assert any("This is each row's loss" in cause for cause in told)
    assert parity.check(losses, "cross_entropy", settings={"reduction": "none"}).failed == (
        "extremes", "oracle", "torch"
    )  # fmt: skip


def test_check_warns_of_labels_that_are_read_silently(capsys):
    def cross_entropy(z, target):
        return F.nll_loss(F.log_softmax(z), np.where(target == -1, 0, target))

    report = parity.check(cross_entropy, "cross_entropy")
    assert (report.ok, report.failed, report.warned) == (True, (), ("labels",))
    assert "it is right, with a WARNING (labels)\n" in str(report)
    assert "  WARN  labels: label -1 is no class, and nothing is said\n" in str(report)


def test_check_takes_the_ignored_label_for_no_wrong_one():
    def ignoring(z, target):
        return F.cross_entropy(z, target, ignore_index=-1)

    report = parity.check(ignoring, "cross_entropy", settings={"ignore_index": -1})
    assert (report.ok, report.warned) == (True, ())


def test_check_works_without_torch(monkeypatch):
    monkeypatch.setattr("parity.later.has_torch", lambda: False)
    report = parity.check(FLAWED.softmax, "softmax")
    assert report.ok
    assert "skip  torch: torch is not installed" in str(report)


def test_check_says_which_of_two_is_wrong():
    def twice(z):
        return 2 * FLAWED.softmax(z)

    def twice_backward(dp, p):
        return p * (dp - (dp * p).sum(axis=1, keepdims=True) / 2)

    report = parity.check(twice, "softmax", twice_backward)
    assert "your backward is right for your function, which is not softmax" in report.causes
    with pytest.raises(AssertionError, match="it is WRONG"):
        report.raise_if_failed()


def test_check_reports_what_a_function_raises():
    def broken(z):
        return z[:, 5]

    (finding, *_) = parity.check(broken, "softmax").findings
    assert finding.problem.got.startswith("IndexError: index 5 is out of bounds")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["/nowhere.py:f", "--op", "softmax"], 2, "there is no file /nowhere.py"),
        ([str(FILE), "--op", "softmax"], 2, "a function is named FILE.py:FUNCTION"),
        ([f"{FILE}:sofmax", "--op", "softmax"], 2, "has no function sofmax"),
        ([f"{FILE}:softmax", "--op", "sofmax"], 2, "op must be one of 'linear'"),
        ([f"{FILE}:softmax", "--op", "cross_entropy"], 2, "softmax must take (z, target)"),
        ([f"{FILE}:softmax", "--op", "softmax", "--set", "reduction=none"], 2, "has the options"),
        ([f"{FILE}:softmax", "--op", "softmax", "--skip", "all"], 2, "skip must be among"),
        ([f"{FILE}:overflowing", "--op", "softmax"], 1, ""),
    ],
)
def test_main_check_status(arguments, status, message, capsys):
    assert main(["check", *arguments]) == status
    assert message in capsys.readouterr().err


def test_main_check_runs_a_file_once_with_its_neighbours(tmp_path, capsys):
    """A dataclass with annotations as text looks its module up; an import inside comes late."""
    (tmp_path / "neighbour.py").write_text("from scratchnn.functional import relu\n")
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "print('it runs')\n"
        "@dataclass\nclass Settings:\n    slope: float = 0\n"
        "def relu(z):\n    import neighbour\n    return neighbour.relu(z)\n"
        "def relu_backward(dy, z):\n    return dy * (z > 0)\n"
    )
    before, modules = list(sys.path), set(sys.modules)
    mine = f"{tmp_path}/mine.py"
    pair = [f"{mine}:relu", "--op", "relu", "--backward", f"{mine}:relu_backward"]
    assert main(["check", *pair]) == 0
    assert capsys.readouterr().out.count("it runs") == 1
    assert sys.path == before
    assert not [name for name in set(sys.modules) - modules if "mine" in name]


def test_main_check_reports_a_file_that_does_not_run(tmp_path, capsys):
    file = tmp_path / "broken.py"
    file.write_text("import nothing_of_this_name\n")
    assert main(["check", f"{file}:f", "--op", "softmax"]) == 3
    assert "does not run: ModuleNotFoundError" in capsys.readouterr().err
    assert str(tmp_path) not in sys.path


def test_check_names_zero_times_log_zero():
    def kl_div(log_q, target):
        return (target * (np.log(target) - log_q)).mean()

    report = parity.check(kl_div, "kl_div")
    assert "extremes" in report.failed
    assert any("0 · log 0 is 0 · (-inf) = nan" in cause for cause in report.causes), str(report)


@pytest.mark.parametrize("part", ["hand values", "properties", "extremes"])
def test_check_of_a_row_without_its_parts_fails_loudly(part, monkeypatch):
    row = replace(OPS["sigmoid"], name="logistic")
    monkeypatch.setitem(OPS, "logistic", row)
    with pytest.raises((KeyError, NotImplementedError), match="logistic"):
        parity.check(row.ours, "logistic", skip=set(CHECKS) - {part})


def test_check_says_the_convention_of_the_operation():
    report = parity.check(OPS["mse_loss"].ours, "mse_loss", examples=5)
    assert "  convention: it has no 1/2: that is squared_loss\n" in f"{report}\n"
