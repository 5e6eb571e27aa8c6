"""A failure names the side, the element and the way to see it; a ReLU at 0 is nobody's fault."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import chain, islice
from textwrap import dedent

import numpy as np
import pytest
import torch

from parity.__main__ import main
from parity.judge import OURS
from parity.training import lockstep, step
from parity.training.torch_side import TorchSide
from parity.training.trace import Call, Settings, batches
from scratchnn import data, mlp, recipes
from scratchnn.layers import ACTIVATIONS, Dense
from scratchnn.optim import SGD
from scratchnn.run.recipes import RECIPES, Run

CPU = torch.device("cpu")
OFF = 1 + 1e-2  # what is planted
DTYPES = ("float32", "float64")


def prepared(name, dtype, **changes):
    recipe = recipes.get(name)
    if recipe.hidden:
        changes = {"hidden": (24, 16)} | changes  # small, and fast
    return recipes.prepare(recipe.on(recipe.default_data, **changes), dtype=dtype)


def culprit_of(name, dtype="float32", taken=2, **options):
    *_, (result, _) = lockstep.train(prepared(name, dtype), CPU, max_steps=taken, **options)
    return result.culprit


@cache
def second_step(name, dtype, **changes):
    """Return a run and torch's second step: there momentum is on."""
    run = prepared(name, dtype, batch_size=8, **changes)
    side = TorchSide(run, CPU)
    first, second = islice(batches(run), 2)
    side.step(*first)
    return side.step(*second), Settings.of(run)


def quantities(trace, settings):
    return chain(step.operations(trace, settings), step.whole_step(trace, settings))


def printed(found, *side):
    """Run the Python lines that a report prints; return what stands before, and the verdicts."""
    text = "\n".join(lockstep.alone(found, *side))
    words, _, code = text.partition("in Python, this element alone:\n")
    seen = []
    exec(dedent(code), {"print": seen.append})
    return words, seen


def test_reproduction_shows_that_torch_is_wrong():
    found = culprit_of("linear-regression", precision="tf32")
    _, (verdict, *_) = printed(found, "cpu", "tf32", "ieee")
    assert verdict.guilty == ("torch cpu",)
    for shown, error in zip(verdict.errors, found.verdict.errors, strict=True):
        assert shown.exact == pytest.approx(error.exact, abs=error.tolerance)
        assert shown.value == pytest.approx(error.value, abs=error.tolerance)


@pytest.mark.parametrize(
    "quantity", ["layer 1 z", "layer 1 dW", "network layer 1 z", "network layer 1 dW"]
)
def test_judged_as_tf32_loosens_the_bound_of_torch_alone(quantity):
    run = prepared("softmax-regression", "float32")
    trace = TorchSide(run, CPU).step(*run.train.batch(np.arange(8), "float32"))
    found = {q.name: q for q in quantities(trace, Settings.of(run, "tf32"))}[quantity]
    for share, holds in ((0.9, True), (1.5, False)):
        off = (found.torch + share * found.bound).astype("float32")
        moved = replace(found, ours=off)
        assert moved.difference().holds is holds
        assert lockstep.find(1, moved).verdict.guilty == ("NumPy",)


def test_main_prints_the_command_with_all_that_was_given(capsys, tmp_path):
    given = ["--device", "cpu", "--precision", "tf32", "--judged-as", "ieee", "--threads", "1"]
    names = [str(tmp_path / f"train.{kind}") for kind in ("json", "html")]
    given += ["--momentum", "0.0", "--seed", "0"]
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


def test_an_element_of_many_numbers_is_no_program():
    assert lockstep.alone(culprit_of("mlp", precision="tf32")) == []


def test_culprit_is_torch_where_torch_is_wrong():
    found = culprit_of("softmax-regression", precision="tf32")
    assert found.verdict.guilty == ("torch",)
    assert (found.step, found.verdict.quantity) == (1, "layer 1 z")
    assert "torch[" in str(found)
    assert "LEFT its bound" in str(found)
    assert found.verdict.errors[0].ulps < found.verdict.errors[1].ulps


def plant(monkeypatch, part):
    """Make one of our operations wrong by a hundredth: in the layer, not in its operation."""
    if part == "update":
        right = SGD.step
        wrong = lambda self, theta, grad: right(self, theta, grad * grad.dtype.type(OFF))  # noqa: E731
        monkeypatch.setattr(SGD, "step", wrong)
        return
    right = Dense.gradients

    def wrong(self, dY, X, W, b, *, out):
        right(self, dY, X, W, b, out=out)
        for array in out:
            array *= array.dtype.type(OFF)

    monkeypatch.setattr(Dense, "gradients", wrong)


@pytest.mark.parametrize("dtype", DTYPES)
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
    words, verdicts = printed(found)
    assert ("what is wrong is the code that calls it" in words) is (part == "dW")
    if not verdicts:  # of more than a few numbers
        return
    verdict = next(v for v in verdicts if v.quantity in ("θ", "linear, dW"))
    assert (OURS in verdict.guilty) is (part == "update")
    right = found.verdict.errors[1].exact
    assert verdict.errors[1].exact == pytest.approx(right, rel=1e-3)  # a tenth of what is off


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RECIPES)
def test_every_element_is_what_both_sides_computed(name, dtype):
    """The right answer of an element of every operation agrees with both sides, anywhere."""
    rng = np.random.default_rng(0)
    for quantity in step.operations(*second_step(name, dtype)):
        index = tuple(int(rng.integers(size)) for size in quantity.torch.shape)
        source, verdict = lockstep.blame(quantity, index)
        assert verdict.holds, str(verdict)
        for alone in source.judge():
            assert alone.holds, str(alone)


@pytest.mark.parametrize("name", ["mlp", "mlp-kronecker"])
def test_elements_of_layers_are_made_of_fewer_numbers(name):
    trace, settings = second_step(name, "float32")
    for quantity in step.operations(trace, settings):
        source, place = quantity.source.element(quantity.part, (0,) * quantity.torch.ndim)
        if isinstance(source, Call) and source.op.function == "linear":
            assert source.numbers < quantity.source.numbers / 2
            assert source.right()[quantity.part].shape > place
        if quantity.name in ("layer 1 z", "layer 2 dX"):
            assert len(source.case["X"]) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["mlp", "mlp-kronecker"])
def test_right_network_is_what_both_sides_computed(name, activation, dtype):
    trace, settings = second_step(name, dtype, activation=activation)
    whole = [q for q in quantities(trace, settings) if q.name.startswith("network ")]
    right = whole[0].source.right()
    assert len(whole) == len(right)
    for quantity in whole:
        for side in (quantity.ours, quantity.torch):
            error = abs(side - right[quantity.part])
            assert (error <= quantity.bound + np.finfo(dtype).tiny).all(), quantity.name


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
        theta.views[0][1][:] = b
    return run, trace


def test_flip_of_a_relu_within_rounding_is_counted_and_holds():
    run, trace = almost_off(1e-9)
    result = step.check_step(1, trace, Settings.of(run))
    assert result.flips == 1
    assert result.worst.holds, str(result.worst)


def test_flip_of_a_relu_beyond_rounding_fails():
    run, trace = almost_off(1e-3)
    result = step.check_step(1, trace, Settings.of(run))
    assert not result.worst.holds


def test_flip_excuses_only_the_gradient_behind_it():
    run, trace = almost_off(1e-9)
    trace.grad.views[2][0][0, 1] += 1e-3
    assert step.check_step(1, trace, Settings.of(run)).broken.name == "layer 2 dW"


def test_bound_that_says_nothing_judges_nobody():
    trace, settings = second_step("softmax-regression", "float32")
    (theta,) = (q for q in step.operations(trace, settings) if q.name == "θ")
    for nothing in (np.inf, np.nan):
        bound = theta.bound.copy()
        bound[3] = nothing
        ours = theta.ours.copy()
        ours[3] = np.inf
        vague = replace(theta, bound=bound, ours=ours)
        assert vague.unbounded
        assert vague.difference().holds
        ours[4] += 1
        assert not vague.difference().holds


def test_main_refuses_tf32_as_float32_and_takes_it_as_tf32(capsys):
    arguments = ["train", "mlp", "--dtype", "float32", "--precision", "tf32", "--steps", "5"]
    assert main(arguments) == 1
    out = capsys.readouterr().out
    assert "wrong is torch: layer 1 z" in out
    assert "reproduce:  python -m parity train mlp --data digits --seed 1 --device " in out
    assert main([*arguments, "--judged-as", "tf32"]) == 0


def test_main_saves_what_was_reached_at_an_interrupt(monkeypatch, tmp_path, capsys):
    right, calls = step.check_step, []

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
