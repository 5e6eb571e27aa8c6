"use strict";
/* A network that learns the digits while one watches. */

function training(shared) {
  const parts = { train: unpack(DIGITS.train), test: unpack(DIGITS.test) };
  const settings = { hidden: 30, activation: "relu", rate: 0.5, momentum: 0, batch: 64, perFrame: 1 };
  const chart = canvas(640, 220, "loss and accuracy over the steps");
  const images = canvas(640, 192, "the weights of the first layer as images");
  const status = make("p", { class: "status" });
  const state = { parts, settings, chart, images, status, shared, running: false };

  restart(state);
  const toggle = button("Train", () => {
    state.running = !state.running;
    toggle.textContent = say(state.running ? "Pause" : "Train");
    if (state.running) requestAnimationFrame(() => frame(state));
  });
  const step = button("One step", () => {
    takeStep(state);
    drawTraining(state);
  });
  const again = button("Start again", () => restart(state));
  const buttons = make("p", { class: "buttons" }, toggle, step, again);
  const section = make("section", { id: "training" }, make("h2", {}, "Train on digits"));
  const says =
    "1,437 handwritten digits of 8 x 8 pixels to learn from, 360 others to test on. Each step computes " +
    "the loss of a batch, its gradient by backpropagation, and moves θ. The images are the weights of the " +
    "first layer: blue pixels speak for a class or a hidden unit, orange ones against it.";
  section.append(make("p", {}, says), buttons, trainingControls(state), status);
  section.append(chart.element, images.element);
  shared.redraw.push(() => drawTraining(state)); // the colours are known once it is in the page
  return section;
}

function trainingControls(state) {
  const { settings } = state;
  const models = [["0", "softmax regression"], ["10", "10 hidden units"], ["30", "30 hidden units"]];
  const model = choice("network", models, "30", (value) => {
    settings.hidden = Number(value);
    restart(state);
  });
  const activation = choice("activation", Object.keys(ACTIVATIONS), "relu", (value) => {
    settings.activation = value;
    restart(state);
  });
  const batch = choice("batch size", ["1", "16", "64", "256"], "64", (value) => {
    settings.batch = Number(value);
    state.queue = [];
  });
  const speed = choice("steps per frame", ["1", "5", "20"], "1", (value) => {
    settings.perFrame = Number(value);
  });
  const rate = slider("learning rate", {
    ...{ min: -3, max: 1, step: 0.05, value: Math.log10(settings.rate) },
    shown: (x) => (10 ** x).toPrecision(2),
    changed: (x) => {
      state.run.learningRate = settings.rate = 10 ** x;
    },
  });
  const momentum = slider("momentum", {
    ...{ min: 0, max: 0.95, step: 0.05, value: 0, shown: (x) => x.toFixed(2) },
    changed: (x) => {
      state.run.momentum = settings.momentum = x;
    },
  });
  const controls = make("div", { class: "controls" });
  controls.append(rate.element, momentum.element, model.element, activation.element);
  controls.append(batch.element, speed.element);
  return controls;
}

function restart(state) {
  const { hidden, activation, rate, momentum } = state.settings;
  const sizes = hidden ? [64, hidden, 10] : [64, 10];
  state.random = generator(1);
  const theta = initial(sizes, state.random);
  state.run = newRun({ sizes, activation, learningRate: rate, momentum, theta });
  Object.assign(state, { queue: [], steps: 0, losses: [], tests: [], began: null, stepsThen: 0 });
  state.shared.run = state.run;
  measure(state);
  drawTraining(state);
  for (const tell of state.shared.changed) tell();
}

function takeStep(state) {
  if (!state.queue.length) state.queue = shuffled(state.parts.train.labels.length, state.random);
  const rows = state.queue.splice(0, state.settings.batch); // the last batch may be shorter
  const { X, targets } = batchOf(state.parts.train, rows);
  state.losses.push(trainStep(state.run, X, targets));
  state.steps++;
  if (state.steps % 10 === 0) measure(state);
}

function measure(state) {
  state.tests.push({ step: state.steps, ...evaluate(state.run, state.parts.test) });
}

function frame(state) {
  if (!state.running) {
    state.began = null;
    return;
  }
  if (state.began === null) [state.began, state.stepsThen] = [performance.now(), state.steps];
  for (let i = 0; i < state.settings.perFrame; i++) takeStep(state);
  drawTraining(state);
  for (const tell of state.shared.changed) tell();
  requestAnimationFrame(() => frame(state));
}

function drawTraining(state) {
  const last = state.tests[state.tests.length - 1];
  const seconds = state.began === null ? 0 : (performance.now() - state.began) / 1000;
  const rate = Math.round((state.steps - state.stepsThen) / seconds);
  const speed = seconds > 0.5 ? say(", {n} steps a second").replace("{n}", rate) : "";
  const epochs = (state.steps * state.settings.batch) / state.parts.train.labels.length;
  const loss = Number.isFinite(last.loss)
    ? say("test loss {l}, test accuracy {a} %")
        .replace("{l}", last.loss.toFixed(3))
        .replace("{a}", (100 * last.accuracy).toFixed(1))
    : say("the loss is no longer a number: start again with a smaller learning rate");
  const where = say("step {s} (epoch {e}): ").replace("{s}", state.steps).replace("{e}", epochs.toFixed(1));
  state.status.textContent = where + loss + speed;
  state.status.dataset.accuracy = last.accuracy;
  drawChart(state);
  drawWeights(state);
}

/* The loss of each batch, and loss and accuracy on the test digits. */
function drawChart({ chart, losses, tests, steps }) {
  resize(chart, shownWidth(chart), chart.height);
  const { context: c, width, height, element } = chart;
  const [left, right, top, bottom] = [30, width - 42, 30, height - 22];
  const highest = 2.5;
  const x = (step) => left + ((right - left) * step) / Math.max(steps, 50);
  const y = (share) => bottom - (bottom - top) * Math.min(Math.max(share, 0), 1);
  c.clearRect(0, 0, width, height);
  c.font = FONT;
  c.fillStyle = ink(element);
  c.globalAlpha = 0.75;
  for (const share of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    c.fillRect(left, y(share), right - left, 0.3);
    c.fillText((highest * share).toFixed(1), 4, y(share) + 4);
    c.fillText(`${Math.round(100 * share)} %`, right + 5, y(share) + 4);
  }
  if (!steps) c.fillText(say("press Train"), left + 8, y(0.5) - 6);
  const where = `${say("step")} ${steps}`;
  c.fillText(where, right - c.measureText(where).width, height - 5);
  c.globalAlpha = 1;
  let next = left;
  for (const [name, colour] of [["loss of a batch", ink(element)], ["test loss", ORANGE], ["test accuracy", BLUE]]) {
    c.fillStyle = colour;
    c.fillText(say(name), next, 14);
    next += c.measureText(say(name)).width + 16;
  }
  c.globalAlpha = 0.35;
  c.fillStyle = ink(element);
  losses.forEach((loss, i) => c.fillRect(x(i + 1), y(loss / highest) - 0.7, 1.4, 1.4));
  c.globalAlpha = 1;
  for (const [colour, of] of [[ORANGE, (t) => t.loss / highest], [BLUE, (t) => t.accuracy]]) {
    c.strokeStyle = colour;
    c.lineWidth = 1.8;
    c.beginPath();
    for (const test of tests) c.lineTo(x(test.step), y(of(test)));
    c.stroke();
  }
}

/* An image for each unit of the first layer. */
function drawWeights({ images, run }) {
  const { context: c, element } = images;
  const { W } = views(run.theta, run.sizes)[0];
  const H = run.sizes[1];
  const width = shownWidth(images);
  const columns = H <= 10 ? 5 : width < 480 ? 6 : 10;
  const classes = run.sizes.length === 2; // each image has its digit beside it
  const side = Math.min(width / columns - (classes ? 18 : 8), 92);
  const rows = Math.ceil(H / columns);
  resize(images, width, Math.ceil(rows * (side + 8)));
  const limit = W.reduce((most, w) => Math.max(most, Math.abs(w)), 1e-12);
  c.clearRect(0, 0, width, images.height);
  for (let h = 0; h < H; h++) {
    const left = (h % columns) * (width / columns) + 4;
    const top = Math.floor(h / columns) * (side + 8) + 4;
    for (let k = 0; k < 64; k++) {
      const w = W[k * H + h];
      c.globalAlpha = Math.min(1, Math.abs(w) / limit);
      c.fillStyle = w > 0 ? BLUE : ORANGE;
      c.fillRect(left + ((k % 8) * side) / 8, top + (Math.floor(k / 8) * side) / 8, side / 8, side / 8);
    }
    c.globalAlpha = 0.5;
    c.strokeStyle = ink(element);
    c.lineWidth = 0.5;
    c.strokeRect(left, top, side, side);
    if (classes) {
      c.globalAlpha = 0.8;
      c.fillStyle = ink(element);
      c.font = FONT;
      c.fillText(String(h), left + side + 3, top + 11);
    }
  }
  c.globalAlpha = 1;
}
