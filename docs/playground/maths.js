"use strict";
/* The operations of scratchnn/ops, line for line, in JavaScript. Its numbers are float64.

   A matrix is a Float64Array of its rows, one after the other. Shapes stand in the comments:
   X (N, D) has N rows of D numbers, and X[n * D + d] is the entry of row n and column d. */

/* Y = X W + b      X (N, D), W (D, H), b (H) → Y (N, H) */
function linear(X, W, b, N, D, H) {
  const Y = new Float64Array(N * H);
  for (let n = 0; n < N; n++) {
    const row = n * H;
    for (let h = 0; h < H; h++) Y[row + h] = b[h];
    for (let d = 0; d < D; d++) {
      const x = X[n * D + d];
      if (x === 0) continue; // most pixels are
      for (let h = 0; h < H; h++) Y[row + h] += x * W[d * H + h];
    }
  }
  return Y;
}

/* dW = Xᵀ dY, db = Σ_n dY_n, written into dW (D, H) and db (H) */
function linearGradients(dY, X, dW, db, N, D, H) {
  dW.fill(0);
  db.fill(0);
  for (let n = 0; n < N; n++) {
    for (let h = 0; h < H; h++) db[h] += dY[n * H + h];
    for (let d = 0; d < D; d++) {
      const x = X[n * D + d];
      if (x === 0) continue;
      for (let h = 0; h < H; h++) dW[d * H + h] += x * dY[n * H + h];
    }
  }
}

/* dX = dY Wᵀ      dY (N, H), W (D, H) → dX (N, D) */
function inputGradient(dY, W, N, D, H) {
  const dX = new Float64Array(N * D);
  for (let n = 0; n < N; n++) {
    for (let d = 0; d < D; d++) {
      let sum = 0;
      for (let h = 0; h < H; h++) sum += dY[n * H + h] * W[d * H + h];
      dX[n * D + d] = sum;
    }
  }
  return dX;
}

/* Each activation with its slope, which is written by means of the result y. */
const ACTIVATIONS = {
  relu: { value: (z) => Math.max(z, 0), slope: (y) => (y > 0 ? 1 : 0) },
  tanh: { value: Math.tanh, slope: (y) => (1 - y) * (1 + y) },
  sigmoid: {
    // e = exp(-|z|) never overflows
    value: (z) => {
      const e = Math.exp(-Math.abs(z));
      return (z >= 0 ? 1 : e) / (1 + e);
    },
    slope: (y) => y * (1 - y),
  },
};

/* p_k = exp(z_k - m) / Σ_j exp(z_j - m), m the maximum      z (C) → p (C)

   With `round` = Math.fround after each operation, the numbers are float32. */
function softmax(z, round = (x) => x) {
  const m = Math.max(...z);
  const e = z.map((x) => round(Math.exp(round(x - m))));
  let sum = 0;
  for (const x of e) sum = round(sum + x);
  return e.map((x) => round(x / sum));
}

/* loss = -log p_t, dz = p - onehot(t), as scratchnn computes them      z (C) → loss, dz (C)

   At the maximum, exp(z - m) is 1. It is left out of the sum q of the others, so that
   log1p(q) keeps the digits of a small q. At the target, p - 1 is expm1(log p), which does not
   cancel. */
function crossEntropy(z, t, round = (x) => x) {
  const m = Math.max(...z);
  const top = z.indexOf(m);
  const e = z.map((x, k) => (k === top ? 0 : round(Math.exp(round(x - m)))));
  let q = 0;
  for (const x of e) q = round(q + x);
  const logP = round(round(z[t] - m) - round(Math.log1p(q)));
  e[top] = 1;
  const share = round(1 / round(1 + q));
  const dz = e.map((x, k) => (k === t ? round(Math.expm1(logP)) : round(x * share)));
  return { loss: -logP, dz };
}

/* The same by the formulas of many tutorials: exp(z) / Σ exp(z), -log p, p - 1. */
function textbook(z, t, round = (x) => x) {
  const e = z.map((x) => round(Math.exp(x)));
  let sum = 0;
  for (const x of e) sum = round(sum + x);
  const p = e.map((x) => round(x / sum));
  return {
    p,
    loss: round(-Math.log(p[t])),
    dz: p.map((x, k) => (k === t ? round(x - 1) : x)),
  };
}

/* The mean loss of a batch and its gradient, row by row      z (N, C) → loss, dz (N, C) */
function meanCrossEntropy(z, targets, N, C) {
  const dz = new Float64Array(N * C);
  let loss = 0;
  for (let n = 0; n < N; n++) {
    const row = crossEntropy(Array.from(z.subarray(n * C, n * C + C)), targets[n]);
    loss += row.loss / N;
    for (let c = 0; c < C; c++) dz[n * C + c] = row.dz[c] / N;
  }
  return { loss, dz };
}
