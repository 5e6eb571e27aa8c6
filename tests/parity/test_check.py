"""Anyone's implementation: what it is, its grade, its cause, and an example that shows it."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import parity
import scratchnn.functional as F
from parity.cli import main
from parity.ops import OPS
from tests.parity import check_faults as faults

ROOT = Path(__file__).parents[2]
FLAWED = ROOT / "examples/flawed/implementations.py"
FAULTS = Path(__file__).with_name("check_faults.py")

# ---- every case that an earlier checker misjudged -----------------------------------------------

# name, operation, backward: the grade of the value, of the gradient, and what the report says
CASES = {
    ("mse", "mse_loss", "mse_gradient"): ("right", "right", "y_true = target, y_pred = prediction"),
    ("mse", "mse_loss", "mse_gradient_wrong"): ("right", "wrong", "the sign is wrong"),
    ("eps", "cross_entropy", None): ("unstable", None, "log(p + ε), ε ≈ 1e-12,"),
    ("far", "cross_entropy", None): ("unstable", None, "digits cancel where logits are large"),
    ("relu", "relu", "relu_backward_float64"): ("right", "differs", "float32 in, float64 out (dz)"),
    ("sigmoid", "sigmoid", "sigmoid_backward_in_place"): (
        "unstable",
        "differs",
        "exp(-z) overflows for z below -88.7",
    ),
    ("kl", "kl_div", None): ("right", None, "it is right\n"),
    ("kl_of_exp", "kl_div", None): ("unstable", None, "got inf, right is 124.7"),
    ("loss_and_gradient", "cross_entropy", None): ("right", "right", "what it returns second"),
    ("no_keepdims", "softmax", None): ("wrong", None, "keepdims is missing"),
    ("objects", "sigmoid", None): ("differs", None, "an array of Python objects comes back"),
    ("relu", "relu", "relu_backward_mask"): ("right", "right", "it is right\n"),
    ("mse_2d", "mse_loss", None): ("right", None, "it is right\n"),
    ("popular", "softmax", None): ("wrong", None, "It divides by the sum of all rows"),
    ("mse_over_rows", "mse_loss", None): ("right", None, "it is right, as the mean over rows;"),
    ("of_probabilities", "cross_entropy", None): (
        "right",
        None,
        "mean over rows of cross-entropy of probabilities, class indices\n",
    ),
    ("of_one_hot", "cross_entropy", None): ("right", None, "logits, one-hot targets\n"),
    ("affine", "linear", None): ("differs", None, "differs from torch: value: an empty batch:"),
    ("squeezed", "cross_entropy", "squeezed_backward"): (
        "differs",
        "wrong",
        "The upstream gradient is taken for 1",
    ),
    ("exp_of_log_sigmoid", "sigmoid", None): ("right", None, "it is right\n"),
    ("none_is_zero", "cross_entropy", None): ("differs", None, "The mean of nothing is 0 here"),
}


@cache
def of_fault(name, op, backward=None):
    return parity.check(getattr(faults, name), op, backward and getattr(faults, backward))


@pytest.mark.parametrize(("name", "op", "backward"), CASES)
def test_check_judges_each_fault(name, op, backward):
    value, gradient, words = CASES[name, op, backward]
    report = of_fault(name, op, backward)
    text = str(report)
    assert report.of("value") == value, text
    assert (report.of("gradient") if report.backward else None) == gradient, text
    assert words in text
    assert len(text.splitlines()) <= (40 if report.ok else 80)


def test_check_takes_columns_by_a_setting():
    report = parity.check(faults.softmax_of_columns, "softmax", settings={"axis": 0})
    assert (report.grade, report.taken_for) == ("right", "softmax of each column")


def test_check_says_what_is_right_for_one_example():
    assert "right for one example per call, and wrong for a batch" in str(
        of_fault("popular", "softmax")
    )


def test_check_writes_into_dy_and_says_so():
    report = of_fault("sigmoid", "sigmoid", "sigmoid_backward_in_place")
    assert "it writes into its argument dy" in str(report)


def test_check_of_another_order_of_arguments():
    """2 (t - p) / N is the gradient of p where t comes second, and of t where it comes first."""
    order = ("prediction", "target")
    report = parity.check(faults.mse, "mse_loss", faults.mse_gradient_wrong, order=order)
    assert "(by --order)" in str(report)
    assert report.of("gradient") == "right"


def test_check_tries_both_orders_where_names_do_not_tell():
    def loss(first, second):
        return ((first - second) ** 2).mean()

    def gradient(first, second):
        return 2 * (second - first) / first.size

    report = parity.check(loss, "mse_loss", gradient)
    assert report.ok, str(report)
    assert "first = target, second = prediction (found by trying both orders)" in report.orders


# ---- flawed implementations, by name ------------------------------------------------------------

NAMED = {
    "overflowing": ("softmax", "exp overflows above 88.7 in float32"),
    "global_maximum": ("softmax", "The maximum of all rows is subtracted"),
    "wrong_axis": ("softmax", "It normalises over the wrong axis"),
    "in_place": ("softmax", "an in-place operation"),
    "in_double": ("softmax", "float64 came in on the way"),
    "clipped": ("cross_entropy", "The probability is clipped at 1e-7 before its logarithm"),
    "summed": ("cross_entropy", "This is the sum of the losses, not their mean"),
    "of_probabilities": ("cross_entropy", "The softmax is taken twice"),
    "bits": ("cross_entropy", "The logarithm has base 2"),
}


def run(*arguments):
    return main(["check", *map(str, arguments)])


@pytest.mark.parametrize("name", NAMED)
def test_main_check_names_the_flaw(name, capsys):
    op, cause = NAMED[name]
    run(f"{FLAWED}:{name}", "--op", op, "--as-torch")
    assert cause in capsys.readouterr().out


@pytest.mark.parametrize("name", ["summed", "bits"])
def test_main_check_takes_a_convention_unless_it_must_be_torchs(name, capsys):
    assert run(f"{FLAWED}:{name}", "--op", "cross_entropy") == 0
    assert run(f"{FLAWED}:{name}", "--op", "cross_entropy", "--as-torch") == 1


def test_main_check_shows_the_users_line_and_a_mended_one(capsys):
    run(f"{FLAWED}:global_maximum", "--op", "softmax")
    output = capsys.readouterr().out
    assert "line 42: e = np.exp(z - np.max(z))\n" in output
    assert "mended:  e = np.exp(z - z.max(axis=-1, keepdims=True))\n" in output


def test_check_shows_no_line_that_does_not_mend():
    """np.max(z) has the form of a known flaw, and is not the one here."""

    def softmax(z):
        e = np.exp(z - np.max(z)) * (z > -5)
        return np.tanh(e / e.sum(axis=1, keepdims=True))

    report = parity.check(softmax, "softmax")
    assert report.of("value") == "wrong"
    assert "mended" not in str(report)
    assert "the cause is unknown: no known flaw gives these answers" in str(report)


def test_check_names_two_flaws_that_come_together():
    def gradient(dloss, z, target):
        return -F.cross_entropy_backward(dloss, z, target, reduction="sum")

    report = parity.check(F.cross_entropy, "cross_entropy", gradient)
    (cause,) = {f.cause for f in report.findings if f.grade == "wrong"}
    assert "times too large: N, the length of axis 0" in cause
    assert "the sign is wrong" in cause


def test_check_never_blames_a_flaw_that_is_right_on_the_example():
    for case in (("eps", "cross_entropy"), ("far", "cross_entropy")):
        causes = of_fault(*case).causes
        assert not [cause for cause in causes if "the sum of the losses" in cause]


def test_check_says_that_a_gradient_is_that_of_another_function():
    def leaky(z):
        return np.where(z > 0, z, z * z.dtype.type(0.01))

    def leaky_backward(dy, z):
        return np.where(z > 0, dy, dy * z.dtype.type(0.01))

    report = parity.check(leaky, "relu", leaky_backward)
    assert [f.cause for f in report.findings if f.place == "gradient" and f.grade == "wrong"] == [
        "the backward is right for your function, which is another one"
    ]


# ---- what the report shows ----------------------------------------------------------------------


def test_check_shows_an_example_that_convinces():
    text = str(of_fault("eps", "cross_entropy"))
    assert "z = np.array([[-1000.0, 0.0]])" in text
    assert "got 27.63, right is 1000" in text


def test_check_blames_nothing_for_an_answer_of_another_kind():
    for answer, words in (("hello", "but str"), (None, "but NoneType"), ({"p": 1}, "but dict")):
        report = parity.check(lambda z, answer=answer: answer, "softmax")
        (finding,) = (f for f in report.findings if f.grade == "wrong")
        assert finding.what == f"the result is no array of numbers, {words}"
        assert not report.causes


def test_check_of_integers_blames_no_float64():
    assert not parity.check(lambda z: np.rint(z).astype(int), "softmax").causes


def test_check_prints_no_large_array():
    def noisy(X, W, b):
        return (X @ W + b) * (1 + (len(X) > 4))

    text = str(parity.check(noisy, "linear"))
    assert "for example with X (6, 4)" in text
    assert "[[" not in text


def test_check_shows_the_line_that_raised():
    def broken(z):
        return z[:, 5]

    text = str(parity.check(broken, "softmax"))
    assert "it raises IndexError: index 5 is out of bounds" in text
    assert "return z[:, 5]" in text


def test_check_survives_an_exit():
    def leaving(z):
        raise SystemExit(3)

    assert "it raises SystemExit: 3" in str(parity.check(leaving, "softmax"))


def test_check_of_a_random_function_says_that_it_is_random():
    rng = np.random.default_rng(0)

    def noisy(z):
        return F.softmax(z) * rng.uniform(1, 1 + 1e-9)

    report = parity.check(noisy, "softmax")
    assert "it keeps something from the last call, or is random" in report.causes


def test_check_measures_accuracy():
    assert "more accurate than torch" in str(of_fault("kl", "kl_div"))


def test_check_says_the_convention_of_the_operation():
    text = str(parity.check(F.mse_loss, "mse_loss"))
    assert "  convention: it has no 1/2: that is squared_loss" in text


def test_check_of_softplus_without_a_threshold_is_right():
    report = parity.check(lambda z: np.logaddexp(0, z), "softplus")
    assert (report.grade, report.taken_for) == ("right", "softplus, without torch's threshold")


# ---- the page for a class -----------------------------------------------------------------------

PAGE = (ROOT / "docs/check.md").read_text(encoding="utf-8")
SHOWN = re.findall(
    r"```sh\npython -m parity check (examples.*?)\n```\n\n```text\n(.*?)```", PAGE, re.S
)


def test_page_has_five_wrong_implementations():
    assert len(SHOWN) == 5


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=lambda text: text.split(" ")[0])
def test_page_shows_what_the_checker_says(command, output, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run(*command.split()) == 1
    assert capsys.readouterr().out == output


def test_page_mends_the_third_by_hand():
    (code,) = re.findall(r"```python\n(def cross_entropy.*?)    e = ", PAGE, re.S)
    (mended,) = re.findall(r"lines become\n\n```python\n(.*?)```", PAGE, re.S)
    names = {"np": np}
    exec(code + mended, names)
    assert parity.check(names["cross_entropy"], "cross_entropy").grade == "right"


# ---- as a helper in tests, and from the command line --------------------------------------------


def test_check_asserts_in_one_line():
    parity.check(F.cross_entropy, "cross_entropy", F.cross_entropy_backward).assert_right()
    parity.check(faults.affine, "linear").assert_right()
    with pytest.raises(AssertionError, match="it is right, and differs"):
        parity.check(faults.affine, "linear").assert_right("differs")
    with pytest.raises(AssertionError, match="it is WRONG"):
        of_fault("popular", "softmax").assert_right()


@pytest.mark.parametrize(
    ("name", "op", "fail_on", "status"),
    [
        ("popular", "softmax", "wrong", 1),
        ("eps", "cross_entropy", "wrong", 0),
        ("eps", "cross_entropy", "unstable", 1),
        ("affine", "linear", "unstable", 0),
        ("affine", "linear", "differs", 1),
        ("kl", "kl_div", "differs", 0),
    ],
)
def test_main_check_fails_from_a_grade_on(name, op, fail_on, status):
    assert run(f"{FAULTS}:{name}", "--op", op, "--fail-on", fail_on) == status


def test_main_check_saves_json_and_a_page(tmp_path):
    files = [tmp_path / name for name in ("report.json", "report.html")]
    saved = ["--json", files[0], "--html", files[1]]
    arguments = [f"{FAULTS}:mse", "--op", "mse_loss", "--backward", f"{FAULTS}:mse_gradient"]
    assert run(*arguments, *saved) == 0
    report = json.loads(files[0].read_text())
    assert report["holds"]
    assert report["results"]["grade"] == "right"
    assert report["environment"]["numpy"] == np.__version__
    assert "mse as mse_loss: it is right" in files[1].read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["/nowhere.py:f", "--op", "softmax"], 2, "there is no file /nowhere.py"),
        ([FLAWED, "--op", "softmax"], 2, "what to check is named FILE.py:NAME"),
        ([f"{FLAWED}:sofmax", "--op", "softmax"], 2, "sofmax: did you mean softmax?"),
        ([f"{FLAWED}:softmax", "--op", "sofmax"], 2, "op must be one of 'linear'"),
        ([f"{FLAWED}:softmax", "--op", "cross_entropy"], 2, "softmax must take (z, target)"),
        ([f"{FLAWED}:softmax", "--op", "softmax", "--set", "reduction=none"], 2, "has the options"),
        (["no.such.module:f", "--op", "softmax"], 2, "there is no file or module no.such.module"),
    ],
)
def test_main_check_says_what_is_wrong_with_its_arguments(arguments, status, message, capsys):
    assert run(*arguments) == status
    assert message in capsys.readouterr().err


def test_a_check_takes_six_seconds_at_most():
    """Imports of torch included; measured in processor time, as other work may go on."""
    command = [sys.executable, "-m", "parity", "check", f"{FAULTS}:loss_and_gradient"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--op", "cross_entropy"], cwd=ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 6


def test_check_works_without_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import parity, parity.theirs\n"
        "parity.theirs.has_torch = lambda: False\n"
        "from tests.parity import check_faults as f\n"
        "report = parity.check(f.squeezed, 'cross_entropy', f.squeezed_backward)\n"
        "print(report.grade, report)\n"
    )
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.startswith("wrong ")
    assert "The upstream gradient is taken for 1" in output


# ---- code as it is ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


RELU = "def relu(z):\n    print('it runs', end=' ')\n    return neighbour.maximum(z, 0)\n"


def test_main_check_runs_a_file_once_with_its_neighbours(folder, capsys):
    (folder / "neighbour.py").write_text("from numpy import maximum\n")
    (folder / "mine.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "import neighbour\n"
        "print('it loads')\n"
        "@dataclass\nclass Settings:\n    slope: float = 0\n"
        f"{RELU}"
        "def relu_backward(dy, z):\n    return dy * (z > 0)\n"
    )
    before, modules = list(sys.path), set(sys.modules)
    pair = ["mine.py:relu", "--op", "relu", "--backward", "mine.py:relu_backward"]
    assert run(*pair) == 0
    assert "it loads" not in capsys.readouterr().out
    assert run(*pair, "--show-output") == 0
    output = capsys.readouterr().out
    assert output.count("it loads") == 1
    assert output.count("it runs") > 1
    assert sys.path == before
    assert not {name for name in set(sys.modules) - modules if "mine" in name or "neigh" in name}
    assert not (folder / ".hypothesis").exists()


def test_main_check_of_packages_with_relative_imports(folder):
    (folder / "package").mkdir()
    (folder / "package/__init__.py").touch()
    (folder / "package/shift.py").write_text("def shift(z):\n    return z - z.max(1)[:, None]\n")
    (folder / "package/mine.py").write_text(
        "import numpy as np\nfrom .shift import shift\n"
        "def softmax(z):\n    e = np.exp(shift(z))\n    return e / e.sum(1)[:, None]\n"
    )
    assert run("package.mine:softmax", "--op", "softmax", "--fail-on", "differs") == 0
    assert run("package/mine.py:softmax", "--op", "softmax", "--fail-on", "differs") == 0
    assert not [name for name in sys.modules if name.startswith("package")]


def test_main_check_of_a_notebook(folder, capsys):
    cells = [
        ["%matplotlib inline\n", "import numpy as np\n", "import nothing_of_this_name\n"],
        ["rate = 0.1\n", "data = open('missing.csv')\n", "!ls\n"],
        ["def softmax(z):\n", "    e = np.exp(z)\n", "    return e / e.sum(1, keepdims=True)\n"],
        ["%%time\n", "train(\n"],
    ]
    code = [{"cell_type": "code", "source": source} for source in cells]
    (folder / "mine.ipynb").write_text(json.dumps({"cells": code}))
    assert run("mine.ipynb:softmax", "--op", "softmax") == 1
    output = capsys.readouterr().out
    assert "exp overflows above 88.7" in output
    assert "mended:" in output


def test_main_check_reports_a_file_that_does_not_run(folder, capsys):
    (folder / "broken.py").write_text("import nothing_of_this_name\n")
    assert run("broken.py:f", "--op", "softmax") == 3
    assert "does not run: ModuleNotFoundError" in capsys.readouterr().err


class Dense:
    """A layer that keeps its parameters, and leaves the gradients in attributes."""

    def __init__(self, n_inputs, n_neurons):
        self.weights = np.zeros((n_inputs, n_neurons))
        self.biases = np.zeros((1, n_neurons))

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T


class Forgetful(Dense):
    def backward(self, dvalues):
        super().backward(dvalues)
        self.dbiases = self.dbiases / len(dvalues)


def test_check_takes_a_class_with_state():
    assert parity.check(Dense, "linear").grade == "right"
    report = parity.check(Forgetful, "linear")
    assert report.of("gradient") == "wrong"
    assert "The bias's gradient is averaged over the rows" in report.causes[0]


class Costs:
    def fn(self, a, y):
        return 0.5 * np.linalg.norm(a - y) ** 2

    def delta(self, a, y):
        return a - y


def test_check_takes_methods_by_name():
    report = parity.check(Costs.fn, "mse_loss", Costs.delta)
    assert report.ok, str(report)
    assert report.taken_for == "sum of the squared error, with a factor 1/2"


def test_check_gives_arrays_by_keyword_where_it_must():
    def relu(*, z):
        return np.maximum(z, 0)

    assert parity.check(relu, "relu").grade == "right"


def test_check_takes_parameters_from_dictionaries_and_weights_as_torchs():
    class Layer:
        def __init__(self, in_features, out_features):
            self.params = {"W": np.zeros((out_features, in_features)), "b": np.zeros(out_features)}
            self.grads = {}

        def __call__(self, x):
            self.x = x
            return x @ self.params["W"].T + self.params["b"]

        def backward(self, grad):
            self.grads = {"W": grad.T @ self.x, "b": grad.sum(axis=0)}
            return grad @ self.params["W"]

    report = parity.check(Layer, "linear")
    assert (report.grade, report.taken_for) == ("right", "X W + b, weight (H, D)")


def test_check_says_what_a_constructor_needs():
    class Scaled:
        def __init__(self, scale):
            self.scale = scale

        def forward(self, z):
            return self.scale * np.maximum(z, 0)

    with pytest.raises(ValueError, match="Scaled needs scale: give --set scale="):
        parity.check(Scaled, "relu")
    assert parity.check(Scaled, "relu", settings={"scale": 1}).grade == "right"


def test_check_says_that_it_cannot_call_a_backward():
    class Odd(Costs):
        def delta(self, a, y, what, ever, else_):
            return a - y

    report = parity.check(Odd, "mse_loss")
    assert report.not_tested == ("delta(a, y, what, ever, else_): these arguments are not known",)


def test_check_takes_functions_of_tensors():
    torch = pytest.importorskip("torch")

    def log_softmax(x):
        x = x - x.max(dim=1, keepdim=True).values
        return x - x.exp().sum(dim=1, keepdim=True).log()

    for function, op in [
        (torch.softmax, "softmax"),
        (torch.nn.functional.cross_entropy, "cross_entropy"),
        (torch.nn.ReLU, "relu"),
        (log_softmax, "log_softmax"),
    ]:
        report = parity.check(function, op)
        assert report.grade == "right", str(report)


def test_dir_of_parity_has_check_and_the_modules():
    assert {"check", "judge", "oracle", "training"} <= set(dir(parity))


# ---- scratchnn's own pairs, and rows that lack something ----------------------------------------


@pytest.mark.parametrize("name", OPS)
def test_check_passes_the_public_pair(name):
    op = OPS[name]
    report = parity.check(op.ours, name, op.backward)
    assert report.ok, str(report)
    assert not [words for words in report.not_tested if "the gradient of" in words]


def test_check_lists_a_missing_gradient_as_not_tested():
    def backward(dloss, prediction, target):
        return dloss * 2 * (prediction - target) / prediction.dtype.type(target.size)

    report = parity.check(F.mse_loss, "mse_loss", backward)
    assert report.ok
    assert "the gradient of target: none is returned" in report.not_tested


def test_check_takes_options_by_the_names_of_torch():
    def logsumexp(z, dim=-1, keepdim=False):
        m = z.max(axis=dim, keepdims=True)
        lse = m + np.log(np.exp(z - m).sum(axis=dim, keepdims=True))
        return lse if keepdim else lse.squeeze(dim)

    report = parity.check(logsumexp, "logsumexp")
    assert report.ok, str(report)
    assert not report.not_tested


def test_check_tries_an_option_that_is_wrong():
    def cross_entropy(z, target, label_smoothing=0.0):
        return F.cross_entropy(z, target, label_smoothing=label_smoothing / 2)

    report = parity.check(cross_entropy, "cross_entropy")
    assert report.failed[0] == "options"
    assert "with label_smoothing=0.1" in str(report)
    assert "label_smoothing=0.1)" in str(report)


def test_check_leaves_nothing_in_the_working_folder(folder):
    with contextlib.chdir(folder):
        parity.check(F.relu, "relu")
    assert not list(folder.iterdir())
