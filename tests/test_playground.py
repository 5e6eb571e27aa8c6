"""The playground's JavaScript computes what scratchnn does; it runs in headless Chromium."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn import SGD, data, evaluate, mlp
from scratchnn.data import minibatches
from scratchnn.objectives import CrossEntropy
from scratchnn.train import backpropagate
from tests import chromium

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/playground"
SCRIPTS = ("maths", "network", "drawing", "scores", "training", "pad", "page")
STEPS = 100
RUNS = [  # sizes, activation, momentum, steps; the first is the recipe softmax-regression
    ([64, 10], "relu", 0.0, 460),
    ([64, 30, 10], "relu", 0.5, STEPS),
    ([64, 20, 15, 10], "tanh", 0.0, STEPS),
    ([64, 10, 10], "sigmoid", 0.9, STEPS),
]
RATE, BATCH = 0.5, 64

PAGE = """<!doctype html><meta charset="utf-8"><div id="scratchnn-playground"></div>
<script>const GIVEN = %s;</script>
%s
<script>
window.addEventListener("DOMContentLoaded", () => {
  const train = unpack(DIGITS.train), test = unpack(DIGITS.test);
  const runs = GIVEN.runs.map(({ sizes, activation, momentum, theta, batches }) => {
    const run = newRun({ sizes, activation, learningRate: GIVEN.rate, momentum,
      theta: Float64Array.from(theta) });
    const losses = batches.map((rows) => {
      const { X, targets } = batchOf(train, rows);
      return trainStep(run, X, targets);
    });
    return { theta: Array.from(run.theta), losses, ...evaluate(run, test), run };
  });
  const values = (round) => GIVEN.cases.map(({ z, t }) =>
    ({ p: softmax(z, round), ...crossEntropy(z, t, round) }));
  const pixels = new Uint8Array(test.pixels.length);
  test.labels.forEach((_, n) =>
    pixels.set(prepare(replay(test.pixels.subarray(64 * n, 64 * n + 64))), 64 * n));
  const replayed = evaluate(runs[0].run, { pixels, labels: test.labels }).accuracy;

  // the page's own training: a step, and everything drawn, as each frame does
  const click = (text) => [...document.querySelectorAll("button")]
    .find((button) => button.textContent === text).click();
  const began = performance.now();
  for (let i = 0; i < 100; i++) click("One step");
  const rate = 100 / ((performance.now() - began) / 1000);
  for (let i = 0; i < 360; i++) click("One step");
  const shown = Number(document.querySelector(".status").dataset.accuracy);
  click("A test digit");
  const bars = document.querySelectorAll("#drawing .bar").length;

  const out = document.createElement("pre");
  out.id = "out";
  out.textContent = JSON.stringify({ runs: runs.map(({ run, ...rest }) => rest), replayed, rate,
    shown, bars, float64: values(), float32: values(Math.fround) });
  document.body.append(out);
});
</script>"""


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(5)
    runs = []
    for sizes, activation, momentum, steps in RUNS:
        std = 0.01 if len(sizes) == 2 else None
        network = mlp.init(sizes, activation=activation, std=std, rng=rng, dtype=np.float64)
        batches = []
        while len(batches) < steps:
            batches += [rows.tolist() for rows in minibatches(1437, BATCH, rng)]
        run = {"sizes": sizes, "activation": activation, "momentum": momentum}
        runs.append(run | {"theta": network.theta.tolist(), "batches": batches[:steps]})
    cases = []
    for C in (2, 3, 10):
        for scale in (1e-30, 0.1, 1.0, 30.0, 300.0):
            z = (scale * rng.normal(size=(20, C))).astype(np.float32).astype(np.float64)
            cases += [{"z": row.tolist(), "t": int(rng.integers(C))} for row in z]
    return {"rate": RATE, "runs": runs, "cases": cases}


@pytest.fixture(scope="module")
def page(given, tmp_path_factory):
    """What the page computed: everything in one start of the browser."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "digits.js").write_text(digits_js())
    sources = [folder / "digits.js", *(FOLDER / f"{name}.js" for name in SCRIPTS)]
    scripts = "\n".join(f'<script src="{path.as_uri()}"></script>' for path in sources)
    file = folder / "page.html"
    file.write_text(PAGE % (json.dumps(given), scripts))
    dom = chromium.dump(file.as_uri(), folder / "profile")
    return json.loads(chromium.written(dom, "out"))


def digits_js():
    """Return the digits as the site's build writes them. Sphinx may be missing here."""
    names = ("sphinx", "sphinx.application")
    stubs = {name: types.ModuleType(name) for name in names}
    stubs["sphinx.application"].Sphinx = object
    missing = importlib.util.find_spec("sphinx") is None
    if missing:
        sys.modules.update(stubs)
    try:
        spec = importlib.util.spec_from_file_location("assets", ROOT / "docs/_ext/assets.py")
        assets = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(assets)
    finally:
        if missing:
            for name in names:
                del sys.modules[name]
    return assets.digits_js()


@pytest.mark.parametrize("k", range(len(RUNS)), ids=lambda k: f"{RUNS[k][0]}-{RUNS[k][1]}")
def test_javascript_trains_as_scratchnn_does(k, given, page):
    run, (train, test) = given["runs"][k], data.digits()
    layers = mlp.layers(run["sizes"], activation=run["activation"])
    network = mlp.Parameters(layers, np.array(run["theta"]))
    grad = network.copy()
    optimizer, losses = SGD(RATE, momentum=run["momentum"]), []
    for rows in run["batches"]:
        X, target = train.batch(np.array(rows), np.float64)
        losses.append(backpropagate(network, X, target, CrossEntropy(), out=grad)[0])
        optimizer.step(network.theta, grad.theta)
    found = page["runs"][k]
    np.testing.assert_allclose(found["theta"], network.theta, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["losses"], losses, rtol=0, atol=1e-12)
    score = evaluate(network, test)
    assert found["accuracy"] == score.accuracy
    assert abs(found["loss"] - score.loss) < 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_within_the_bounds_of_the_operations(dtype, given, page):
    pytest.importorskip("mpmath")
    from parity import bounds, loss_bounds

    u = bounds.unit_roundoff(dtype)
    for case, found in zip(given["cases"], page[np.dtype(dtype).name], strict=True):
        z, target = np.array([case["z"]], dtype), np.array([case["t"]])
        for name, right, bound in (
            ("p", F.softmax(z), bounds.softmax(z, u=u)),
            ("loss", F.cross_entropy(z, target), loss_bounds.cross_entropy(z, target, u=u)),
            (
                "dz",
                F.cross_entropy_backward(1.0, z, target),
                loss_bounds.cross_entropy_backward(np.array(1.0, dtype), z, target, u=u),
            ),
        ):
            apart = abs(np.array(found[name]).reshape(right.shape) - right.astype(np.float64))
            assert (apart <= bounds.tolerance(bound, dtype)).all(), (name, case)


def test_test_digits_drawn_on_the_pad_reach_the_test_accuracy(page):
    """Replayed through the pad, a digit loses less than chance moves: 1 % is 4 digits of 360."""
    assert abs(page["replayed"] - page["runs"][0]["accuracy"]) <= 0.02


def test_the_page_trains_to_the_accuracy_of_the_recipe(page):
    """20 epochs of the page's own batches, as `scratchnn train softmax-regression` on digits."""
    results = json.loads((ROOT / "docs/results/reference.json").read_text())
    reached = results["train"][0]["history"][-1]["test_accuracy"]
    assert page["shown"] >= reached - 0.02
    assert page["bars"] == 10


def test_thirty_steps_a_second(page):
    assert page["rate"] >= 30, page["rate"]
