"use strict";
/* The network and its training, as scratchnn/mlp.py, optim/sgd.py and train.py have them. */

/* All parameters are one vector θ = [W_1, b_1, W_2, b_2, ...]; W and b are views into it. */
function views(theta, sizes) {
  const found = [];
  let start = 0;
  const take = (length) => theta.subarray(start, (start += length));
  for (let l = 0; l + 1 < sizes.length; l++) {
    const W = take(sizes[l] * sizes[l + 1]);
    found.push({ W, b: take(sizes[l + 1]) });
  }
  return found;
}

function count(sizes) {
  let parameters = 0;
  for (let l = 0; l + 1 < sizes.length; l++) parameters += (sizes[l] + 1) * sizes[l + 1];
  return parameters;
}

/* Return the input and the output of every layer, down to the logits      X (N, D) */
function forward(theta, sizes, activation, X, N) {
  const outputs = [X];
  const layers = views(theta, sizes);
  layers.forEach(({ W, b }, l) => {
    const z = linear(outputs[l], W, b, N, sizes[l], sizes[l + 1]);
    const last = l === layers.length - 1;
    outputs.push(last ? z : z.map(ACTIVATIONS[activation].value));
  });
  return outputs;
}

/* Backpropagation: from the gradient of the logits to that of θ, the last layer first. */
function backward(theta, sizes, activation, outputs, dz, grad, N) {
  const layers = views(theta, sizes);
  const gradients = views(grad, sizes);
  const { slope } = ACTIVATIONS[activation];
  let dy = dz;
  for (let l = layers.length - 1; l >= 0; l--) {
    const [D, H] = [sizes[l], sizes[l + 1]];
    linearGradients(dy, outputs[l], gradients[l].W, gradients[l].b, N, D, H);
    if (l === 0) return; // nobody asks for the gradient of the data
    const dx = inputGradient(dy, layers[l].W, N, D, H);
    dy = dx.map((d, i) => d * slope(outputs[l][i]));
  }
}

/* v = g at first, then momentum v + g;  θ = θ - learningRate v, as torch's SGD */
function sgdStep(theta, grad, state, learningRate, momentum) {
  let v = grad;
  if (momentum) {
    state.velocity = state.velocity
      ? state.velocity.map((x, i) => momentum * x + grad[i])
      : grad.slice();
    v = state.velocity;
  }
  for (let i = 0; i < theta.length; i++) theta[i] -= learningRate * v[i];
}

/* One step of training on a batch; returns its mean loss. */
function trainStep(run, X, targets) {
  const N = targets.length;
  const C = run.sizes[run.sizes.length - 1];
  const outputs = forward(run.theta, run.sizes, run.activation, X, N);
  const { loss, dz } = meanCrossEntropy(outputs[outputs.length - 1], targets, N, C);
  backward(run.theta, run.sizes, run.activation, outputs, dz, run.grad, N);
  sgdStep(run.theta, run.grad, run.state, run.learningRate, run.momentum);
  return loss;
}

/* A run: the network, and what its training needs. */
function newRun({ sizes, activation = "relu", learningRate, momentum = 0, theta }) {
  return {
    ...{ sizes, activation, learningRate, momentum, theta, state: {} },
    grad: new Float64Array(theta.length),
  };
}

/* Random numbers that are the same with the same seed (mulberry32). */
function generator(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/* W, b ~ U(-1/√D, 1/√D), torch's default. */
function initial(sizes, random) {
  const theta = new Float64Array(count(sizes));
  views(theta, sizes).forEach(({ W, b }, l) => {
    const bound = 1 / Math.sqrt(sizes[l]);
    for (const part of [W, b]) for (let i = 0; i < part.length; i++) part[i] = bound * (2 * random() - 1);
  });
  return theta;
}

/* The order of an epoch: every example once. */
function shuffled(length, random) {
  const order = Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/* The rows of a batch, scaled to [0, 1]. */
function batchOf(part, rows) {
  const X = new Float64Array(rows.length * 64);
  rows.forEach((row, n) => {
    for (let k = 0; k < 64; k++) X[n * 64 + k] = part.pixels[row * 64 + k] / 16;
  });
  return { X, targets: rows.map((row) => part.labels[row]) };
}

/* Loss and accuracy on a whole part of the data. */
function evaluate(run, part) {
  const N = part.labels.length;
  const C = run.sizes[run.sizes.length - 1];
  const { X, targets } = batchOf(part, Array.from({ length: N }, (_, i) => i));
  const z = forward(run.theta, run.sizes, run.activation, X, N).pop();
  let right = 0;
  for (let n = 0; n < N; n++) if (largest(z.subarray(n * C, n * C + C)) === targets[n]) right++;
  return { loss: meanCrossEntropy(z, targets, N, C).loss, accuracy: right / N };
}

/* The index of the largest number; of equal ones the first. */
function largest(row) {
  let best = 0;
  for (let k = 1; k < row.length; k++) if (row[k] > row[best]) best = k;
  return best;
}

/* The digits, unpacked from the base64 of digits.js. */
function unpack({ pixels, labels }) {
  return {
    pixels: Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0)),
    labels: Array.from(labels, Number),
  };
}
