"""Anyone's implementation: each flaw is named, a right one passes, bad calls say what is wrong."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

import parity
import scratchnn.functional as F
from parity.checking.laws import LAWS
from parity.checking.report import code
from parity.cli import main
from parity.ops import OPS

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples/flawed/implementations.py"
FEW = 15  # examples


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


@cache
def checked(name, op, backward=None):
    """Check one of the flawed implementations, with its gradient."""
    pair = backward and getattr(FLAWED, backward)
    return parity.check(getattr(FLAWED, name), op, pair, examples=FEW)


def found(report, name):
    """Return one finding of a report."""
    return next(finding for finding in report.findings if finding.check == name)


@pytest.mark.parametrize("name", NAMED)
def test_check_names_the_flaw(name):
    op, cause = NAMED[name]
    report = checked(name, op)
    assert not report.ok
    assert any(cause in told for told in report.causes), str(report)


def test_check_names_the_flaw_of_a_gradient():
    report = checked("cross_entropy", "cross_entropy", "gradient_of_the_sum")
    assert report.failed == ("gradient", "own slopes")
    assert report.causes == ("1/N is missing: the gradient of the mean is (p - onehot) / N.",)


def test_check_shows_the_smallest_overflow():
    text = str(parity.check(FLAWED.overflowing, "softmax", examples=100))
    assert "z = np.array([[89.0]], np.float32)\n      overflowing(z)\n" in text


def test_check_shows_the_smallest_input_to_its_last_bit():
    z = np.array([[1 / 3 + 2**-54]])
    program, names = code("np.copy", {"z": z}, {}), {"np": np}
    exec(program, names)
    assert (names["z"] == z).all()


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

    told = parity.check(losses, "cross_entropy", skip=["labels"], examples=FEW).causes
    assert any("This is each row's loss" in cause for cause in told)
    report = parity.check(losses, "cross_entropy", settings={"reduction": "none"})
    assert {"extremes", "oracle", "torch"} <= {*report.failed}  # properties, as the cases fall
    assert "skip  hand values: they are known of the default options alone" in str(report)


def test_check_warns_of_labels_that_are_read_silently():
    def cross_entropy(z, target):
        return F.nll_loss(F.log_softmax(z), np.where(target == -1, 0, target))

    report = parity.check(cross_entropy, "cross_entropy", examples=FEW)
    assert (report.ok, report.failed, report.warned) == (True, (), ("labels",))
    assert "it is right, with a WARNING (labels)\n" in str(report)
    assert "  WARN  labels: label -1 is no class, and nothing is said\n" in str(report)


def test_check_takes_the_ignored_label_for_no_wrong_one():
    def ignoring(z, target):
        return F.cross_entropy(z, target, ignore_index=-1)

    report = parity.check(ignoring, "cross_entropy", settings={"ignore_index": -1}, examples=FEW)
    assert (report.ok, report.warned) == (True, ())


def test_check_works_without_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import parity, parity.theirs\n"
        "parity.theirs.has_torch = lambda: False\n"
        f"sys.path.insert(0, {str(FILE.parent)!r})\n"
        "import implementations as ours\n"
        "gradient = ours.cross_entropy_gradient\n"
        "report = parity.check(ours.cross_entropy, 'cross_entropy', gradient, examples=5)\n"
        "print(report.ok, report)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert output.startswith("True")
    assert "skip  torch: torch is not installed" in output
    assert "torch's" not in output.partition("accuracy:")[2].partition("\n")[0]


def test_check_says_which_of_two_is_wrong():
    def twice(z):
        return 2 * FLAWED.softmax(z)

    def twice_backward(dp, p):
        return p * (dp - (dp * p).sum(axis=1, keepdims=True) / 2)

    report = parity.check(twice, "softmax", twice_backward, examples=FEW)
    assert "your backward is right for your function, which is not softmax" in report.causes
    with pytest.raises(AssertionError, match="it is WRONG"):
        report.raise_if_failed()


def test_check_says_that_the_function_is_another_one():
    def twice(z):
        return 2 * FLAWED.softmax(z)

    report = parity.check(twice, "softmax", F.softmax_backward, examples=FEW)
    assert found(report, "gradient").ok
    cause = "your backward is right for softmax; your function is another one"
    assert found(report, "own slopes").cause == cause


def test_check_reports_what_a_function_raises():
    def broken(z):
        return z[:, 5]

    (finding, *_) = parity.check(broken, "softmax", examples=FEW).findings
    assert finding.got.startswith("IndexError: index 5 is out of bounds")
    assert "z[:, 5]" in finding.got


def test_check_of_a_random_function_says_that_it_is_random():
    rng = np.random.default_rng(0)

    def noisy(z):
        return FLAWED.softmax(z) * rng.uniform(1, 1.5)

    report = parity.check(noisy, "softmax", examples=FEW)
    assert found(report, "inputs").cause == "it keeps something from the last call, or is random"


def test_check_gives_options_by_the_names_of_torch():
    def logsumexp(z, dim=-1, keepdim=False):
        m = z.max(axis=dim, keepdims=True)
        shape = m.shape if keepdim else np.delete(m.shape, dim)
        return (m + np.log(np.exp(z - m).sum(axis=dim, keepdims=True))).reshape(shape)

    report = parity.check(logsumexp, "logsumexp", examples=FEW)
    assert report.ok, str(report)
    assert not report.not_tested


def test_check_tries_an_option_that_is_wrong():
    def softmax(z, axis=-1, dtype=None):
        return F.softmax(z, axis).astype(dtype or z.dtype)

    report = parity.check(softmax, "softmax", examples=100)
    assert report.failed == ("oracle", "torch"), str(report)
    assert "dtype=" in found(report, "oracle").code


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

    report = parity.check(kl_div, "kl_div", examples=FEW)
    assert "extremes" in report.failed
    assert any("0 · log 0 is 0 · (-inf) = nan" in cause for cause in report.causes), str(report)


# Rows that lack something


SIDES = {
    "oracle": ["parity.oracle.sigmoid", "parity.oracle.sigmoid_backward"],
    "bounds": ["parity.bounds.sigmoid", "parity.bounds.sigmoid_backward"],
    "torch": ["torch.nn.functional.sigmoid"],
}
SKIPPED = {  # which checks are skipped without a part of the row, and the word that says so
    "hand": {"hand values": "hand values"},
    "extremes": {"extremes": "extremes"},
    "laws": {"properties": "properties"},
    "oracle": {
        **dict.fromkeys(["extremes", "properties", "oracle", "accuracy"], "right answers"),
        "gradient": "right gradients",
    },
    "bounds": {
        **dict.fromkeys(["hand values", "extremes", "properties", "oracle"], "error bounds"),
        **dict.fromkeys(["torch", "accuracy"], "error bounds"),
        "gradient": "error bounds of gradients",
    },
    "torch": {"torch": "functions of torch"},
}


@pytest.mark.parametrize("part", SKIPPED)
def test_check_skips_with_a_word_what_a_row_lacks(part, monkeypatch):
    content = {part: ()} if part in ("hand", "extremes") else {}
    row = replace(OPS["sigmoid"], name="sigmoid, as ever", **content)
    monkeypatch.setitem(OPS, row.name, row)
    if part == "laws":
        monkeypatch.delitem(LAWS, "sigmoid")
    for name in SIDES.get(part, ()):
        monkeypatch.delattr(name)
    report = parity.check(F.sigmoid, row.name, F.sigmoid_backward, examples=5)
    assert report.ok, str(report)
    words = {check: f"no {what} are known of it" for check, what in SKIPPED[part].items()}
    skipped = {f.check: f.skipped for f in report.findings if f.skipped}
    assert skipped == {"labels": "it takes no class indices", **words}


def test_check_of_an_operation_of_which_nothing_is_known(monkeypatch):
    """What needs no right answer is checked all the same."""
    monkeypatch.setattr(F, "logistic", F.sigmoid, raising=False)
    row = replace(OPS["sigmoid"], name="logistic", hand=(), extremes=())
    monkeypatch.setitem(OPS, row.name, row)
    report = parity.check(F.sigmoid, "logistic", F.sigmoid_backward, examples=5)
    assert report.ok
    run = [finding.check for finding in report.findings if not finding.skipped]
    assert run == ["dtype", "inputs", "gradient's dtype and inputs", "own slopes"]
    assert "skip  hand values: no hand values are known of it\n" in str(report)
    wrong = parity.check(F.sigmoid, "logistic", F.relu_backward, examples=5)
    assert wrong.failed == ("own slopes",)


def test_check_says_the_convention_of_the_operation():
    report = parity.check(OPS["mse_loss"].ours, "mse_loss", examples=5)
    assert "  convention: it has no 1/2: that is squared_loss\n" in f"{report}\n"
