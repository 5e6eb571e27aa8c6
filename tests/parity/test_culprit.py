"""A failure names the side, the element and the way to see it; a ReLU at 0 is nobody's fault."""

import json
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from parity import lockstep, steps
from parity.__main__ import main
from parity.lockstep import culprit
from parity.lockstep.torch_side import TorchSide
from parity.steps import formulas, network
from parity.steps.trace import Settings
from scratchnn import data, layers, mlp, recipes
from scratchnn.recipes import RECIPES, Run
from scratchnn.sgd import SGD

CPU = torch.device("cpu")
OFF = 1 + 1e-2  # what is planted


def prepared(name, dtype, **changes):
    recipe = recipes.get(name)
    if recipe.hidden:
        changes = {"hidden": (24, 16)} | changes  # small, and fast
    return recipes.prepare(recipe.on(recipe.default_data, **changes), dtype=dtype)


def culprit_of(name, dtype="float32", taken=2, **options):
    *_, (result, _) = lockstep.train(prepared(name, dtype), CPU, max_steps=taken, **options)
    return result.culprit


def printed(found, name, dtype, **options):
    """Run the Python lines that a report prints; return what they print, by side."""
    run = prepared(name, dtype)
    text = culprit.reproduction(found, run.recipe, dtype, {"seed": 1, **options})
    command, _, *code = text.splitlines()
    assert command.startswith(f"reproduce:  python -m parity train {name} --data ")
    seen = []
    exec("\n".join(line[4:] for line in code), {"print": lambda *words: seen.append(words)})
    return {side: float(np.squeeze(value)) for side, value in seen}


@pytest.mark.parametrize("name", ["softmax-regression", "linear-regression"])
def test_reproduction_shows_that_torch_is_wrong(name):
    """By training up to there, and from the numbers alone."""
    found = culprit_of(name, precision="tf32")
    numpy, torch = found.verdict.errors
    seen = printed(found, name, "float32", precision="tf32")
    assert abs(seen["NumPy"] - numpy.exact) <= numpy.tolerance
    assert abs(seen["torch"] - torch.value) <= torch.tolerance < abs(seen["torch"] - torch.exact)


def test_judged_as_tf32_loosens_the_bound_of_torch_alone():
    run = prepared("softmax-regression", "float32")
    trace = TorchSide(run, CPU).step(*run.train.batch(np.arange(8), "float32"))
    settings = Settings.of(run, "tf32")
    whole = network.whole_step(trace, settings, mlp.forward(trace.before, trace.X))
    checks = {c.quantity: c for c in chain(steps.operations(trace, settings), whole)}
    for quantity in ("layer 1 z", "layer 1 dW", "network a_1", "network layer 1 dW"):
        check = checks[quantity]
        for share, holds in ((0.9, True), (1.5, False)):
            off = (check.torch + share * check.bound).astype("float32")
            moved = replace(check, ours=off)
            assert moved.difference().holds is holds, quantity
            assert culprit.find(1, moved, trace, settings).verdict.guilty == ("NumPy",)


def test_main_prints_the_command_with_all_that_was_given(capsys, tmp_path):
    given = ["--device", "cpu", "--precision", "tf32", "--judged-as", "ieee", "--threads", "1"]
    names = [str(tmp_path / f"train.{kind}") for kind in ("json", "html")]
    arguments = ["train", "softmax-regression", "--dtype", "float32", "--steps", "2", *given]
    assert main([*arguments, "--json", names[0], "--html", names[1]]) == 1
    out = capsys.readouterr().out
    command = next(line for line in out.splitlines() if line.startswith("reproduce:  "))
    for pair in zip(given[::2], given[1::2], strict=True):
        assert " ".join(pair) in command
    (found,) = json.loads((tmp_path / "train.json").read_text())["results"]
    assert command in found["reproduction"]
    assert command in (tmp_path / "train.html").read_text()
    assert main(command.split()[4:]) == 1


def test_reproduction_names_the_folder_of_the_data():
    found = culprit_of("softmax-regression", precision="tf32")
    recipe = recipes.get("softmax-regression").on("mnist")
    text = culprit.reproduction(found, recipe, "float32", {"seed": 1, "data_dir": "a b"})
    assert "--data-dir 'a b'" in text
    assert "data_dir='a b')" in text


def test_culprit_is_torch_where_torch_is_wrong():
    found = culprit_of("softmax-regression", precision="tf32")
    assert found.verdict.guilty == ("torch",)
    assert (found.step, found.verdict.quantity) == (1, "layer 1 z")
    assert "torch[" in str(found)
    assert "LEFT its bound" in str(found)
    assert found.verdict.errors[0].ulps < found.verdict.errors[1].ulps


def plant(monkeypatch, part):
    """Make one of our operations wrong by a hundredth."""
    if part == "update":
        right = SGD.step
        wrong = lambda self, theta, grad: right(self, theta, grad * grad.dtype.type(OFF))  # noqa: E731
        monkeypatch.setattr(SGD, "step", wrong)
        return
    right = layers.linear_backward_parameters

    def wrong(dY, X, out):
        for array in right(dY, X, out=out):
            array *= array.dtype.type(OFF)

    monkeypatch.setattr(layers, "linear_backward_parameters", wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("part", "name", "quantity"),
    [
        ("dW", "softmax-regression", "layer 1 dW"),
        ("dW", "linear-regression", "layer 1 dW"),
        ("update", "linear-regression", "θ"),
        ("update", "softmax-regression", "θ"),
    ],
)
def test_culprit_is_numpy_and_its_element_can_be_seen(monkeypatch, part, name, quantity, dtype):
    plant(monkeypatch, part)
    found = culprit_of(name, dtype)
    assert found.verdict.guilty == ("NumPy",)
    assert found.verdict.quantity == quantity
    right = found.verdict.errors[1].exact
    for value in printed(found, name, dtype).values():
        assert value == pytest.approx(right, rel=1e-3)  # a tenth of what is off


ELEMENTS = [(name, dtype) for name in RECIPES for dtype in ("float32", "float64")]


@pytest.mark.parametrize(("name", "dtype"), ELEMENTS)
def test_every_element_is_what_both_sides_computed(name, dtype):
    """The oracle of one element of every operation agrees with both sides, anywhere."""
    run, rng = prepared(name, dtype), np.random.default_rng(0)
    side, settings = TorchSide(run, CPU), Settings.of(run)
    for rows in data.minibatches(len(run.train), run.recipe.batch_size, run.rng)[:2]:
        trace = side.step(*run.train.batch(rows, dtype))
    for check in steps.operations(trace, settings):
        index = tuple(int(rng.integers(size)) for size in check.torch.shape)
        verdict = culprit.find(2, at(check, index), trace, settings).verdict
        assert verdict.holds, str(verdict)
        assert_torch_has(check.element(index), verdict.errors[1])


def assert_torch_has(element, error):
    """Assert that torch's formula of one element is within the bound of torch's operation."""
    inputs = {
        name: torch.tensor(value) if hasattr(value, "dtype") else value
        for name, value in element.inputs.items()
    }
    value = formulas.IN_TORCH[element.formula](**inputs).item()
    value *= element.y is None or bool(element.y > 0)
    assert abs(value - error.exact) <= error.tolerance, element.formula.__name__


def at(check, index):
    """Return a check whose worst element is this one, and all right."""
    shown = type("Shown", (), {"index": index, "reason": None})
    return type("At", (), vars(check) | {"difference": lambda: shown})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["mlp", "mlp-kronecker", "linear-regression"])
def test_exact_network_is_what_both_sides_computed(name, dtype):
    run = prepared(name, dtype)
    side, settings = TorchSide(run, CPU), Settings.of(run)
    trace = side.step(*run.train.batch(np.arange(8), dtype))
    answers = network.exact(trace, settings)
    activations = mlp.forward(trace.before, trace.X)
    checks = list(network.whole_step(trace, settings, activations))
    assert {check.quantity for check in checks} == set(answers)
    for check in checks:
        for side in (check.ours, check.torch):
            assert (abs(side - answers[check.quantity]) <= check.bound + np.finfo(dtype).tiny).all()


def almost_off(b):
    """Return a run and torch's step where the one ReLU's input is -b, and ours is b."""
    parameters = mlp.Parameters.from_arrays(
        [
            (np.float32([[0.1], [-0.1]]), np.float32([-b])),
            (np.float32([[1, 2, 3]]), np.zeros(3, "f")),
        ]
    )
    digits, _ = data.digits()
    recipe = recipes.get("mlp").on("digits")
    run = Run(recipe, digits, None, parameters, SGD(0.1), np.random.default_rng(0))
    trace = TorchSide(run, CPU).step(np.ones((1, 2), np.float32), np.array([0]))
    for theta in (trace.before, trace.after):
        theta.layers[0].b[:] = b
    return run, trace


def test_flip_of_a_relu_within_rounding_is_counted_and_holds():
    run, trace = almost_off(1e-9)
    result = steps.check_step(1, trace, Settings.of(run))
    assert result.flips == 1
    assert result.worst.holds, str(result.worst)


def test_flip_of_a_relu_beyond_rounding_fails():
    run, trace = almost_off(1e-3)
    result = steps.check_step(1, trace, Settings.of(run))
    assert not result.worst.holds


def test_flip_excuses_only_the_gradient_behind_it():
    run, trace = almost_off(1e-9)
    trace.grad.layers[1].W[0, 1] += 1e-3
    assert steps.check_step(1, trace, Settings.of(run)).broken.quantity == "layer 2 dW"


def test_main_refuses_tf32_as_float32_and_takes_it_as_tf32(capsys):
    arguments = ["train", "mlp", "--dtype", "float32", "--precision", "tf32", "--steps", "20"]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "wrong is torch: layer 1 z" in out
    assert "reproduce:  python -m parity train mlp --data digits --dtype float32 --seed 1" in out
    assert main([*arguments, "--judged-as", "tf32"]) == 0


def test_main_saves_what_was_reached_at_an_interrupt(monkeypatch, tmp_path, capsys):
    right, calls = steps.check_step, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return right(*arguments)

    monkeypatch.setattr(lockstep, "check_step", interrupted)
    assert main(["train", "softmax-regression", "--out", str(tmp_path)]) == 130
    (found,) = json.loads((tmp_path / "parity.json").read_text())
    assert (found["steps"], found["interrupted"]) == (4, True)
    assert "interrupted" in capsys.readouterr().err


def test_divergence_is_a_verdict_and_no_warning():
    run = prepared("linear-regression", "float32", learning_rate=1e3, epochs=1)
    *_, (result, _) = lockstep.train(run, CPU, max_steps=40)
    assert len(result.steps) == 40
