"use strict";
/* Three logits and a temperature: softmax, loss and gradient at once, in two precisions. */

const EXAMPLES = [
  ["the start", [0.2, 0.1, -0.1], 1, 0],
  ["sure and right", [25, 3, 1], 1, 0],
  ["sure and wrong", [25, 3, 1], 1, 2],
  ["overflow in float32", [90, 88, 60], 1, 0],
  ["overflow in float64", [80, 70, 60], 0.1, 0],
];

function scores() {
  const state = { z: [0.2, 0.1, -0.1], T: 1, t: 0 };
  const bars = make("div", { class: "bars" });
  const table = make("div", { class: "scroll" });
  const verdict = make("p", { class: "verdict", "aria-live": "polite" });
  const draw = () => drawScores(state, bars, table, verdict);

  const sliders = state.z.map((value, k) =>
    slider(`z${k + 1}`, {
      ...{ min: -100, max: 100, step: 0.1, value, shown: (x) => x.toFixed(1) },
      changed: (x) => {
        state.z[k] = x;
        draw();
      },
    }),
  );
  const temperature = slider("temperature T", {
    ...{ min: -1.3, max: 1.3, step: 0.01, value: 0 },
    shown: (x) => (10 ** x).toFixed(2),
    changed: (x) => {
      state.T = 10 ** x;
      draw();
    },
  });
  const target = choice("right class", [["0", "1"], ["1", "2"], ["2", "3"]], "0", (value) => {
    state.t = Number(value);
    draw();
  });
  const examples = make("p", { class: "buttons" });
  for (const [name, z, T, t] of EXAMPLES) {
    const show = () => {
      Object.assign(state, { z: [...z], T, t });
      z.forEach((x, k) => sliders[k].set(x));
      temperature.set(Math.log10(T));
      target.select.value = String(t);
      draw();
    };
    examples.append(button(name, show));
  }
  draw();
  const controls = make("div", { class: "controls" });
  controls.append(...sliders.map((s) => s.element), temperature.element, target.element);
  const section = make("section", { id: "scores" }, make("h2", {}, "Three logits"));
  const says =
    "Move the logits z and the temperature T. The network says p = softmax(z / T). " +
    "The loss is -log p of the right class, and the gradient is p - onehot.";
  section.append(make("p", {}, says), examples, controls, bars, table, verdict);
  return section;
}

/* Compute everything anew: by the code of scratchnn, and by the formulas of many tutorials. */
function computeScores({ z, T, t }) {
  const x = z.map((value) => value / T);
  const single = x.map(Math.fround);
  return {
    "scratchnn, float64": { p: softmax(x), ...crossEntropy(x, t) },
    "scratchnn, float32": { p: softmax(single, Math.fround), ...crossEntropy(single, t, Math.fround) },
    "textbook, float64": textbook(x, t),
    "textbook, float32": textbook(single, t, Math.fround),
  };
}

function drawScores(state, bars, table, verdict) {
  const columns = computeScores(state);
  const right = columns["scratchnn, float64"];
  bars.replaceChildren(
    ...right.p.map((p, k) => {
      const filled = make("div", { class: k === state.t ? "bar right" : "bar" });
      filled.style.width = `${100 * p}%`;
      return make("div", { class: "bar-row" }, `p${k + 1}`, make("div", { class: "track" }, filled));
    }),
  );
  const rows = [
    ...[0, 1, 2].map((k) => [`p${k + 1}`, (c) => c.p[k]]),
    ["loss", (c) => c.loss],
    ...[0, 1, 2].map((k) => [`∂loss/∂z${k + 1}`, (c) => c.dz[k]]),
  ];
  const head = make("tr", {}, make("th", {}, ""));
  for (const name of Object.keys(columns)) head.append(make("th", {}, name));
  const body = rows.map(([name, of]) => {
    const row = make("tr", {}, make("th", {}, name));
    for (const column of Object.values(columns)) {
      row.append(make("td", { class: quality(of(column), of(right)) }, short(of(column))));
    }
    return row;
  });
  table.replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  verdict.textContent = explain(columns, state);
}

/* "undefined" for nan and inf, "lost" where no digit is right, or "". */
function quality(found, right) {
  if (!Number.isFinite(found)) return "undefined";
  if (Math.abs(found - right) > 0.5 * Math.abs(right) && Math.abs(right) > 1e-44) return "lost";
  return "";
}

/* Say in words what went wrong with the formulas of tutorials. */
function explain(columns, { z, T }) {
  const largestLogit = Math.max(...z) / T;
  const right = columns["scratchnn, float64"];
  const bad = (name) =>
    [...columns[name].dz, columns[name].loss].map((x, i) =>
      quality(x, i < 3 ? right.dz[i] : right.loss),
    );
  const [double, single] = [bad("textbook, float64"), bad("textbook, float32")];
  const top = largestLogit.toFixed(1);
  if (double.includes("undefined")) {
    if (largestLogit > 709.7) return say("exp({z}) is above the largest float64: inf / inf is nan.").replace("{z}", top);
    return say("Even in float64 the exponential of the right class is rounded to 0, and log 0 is infinite.");
  }
  if (single.includes("undefined")) {
    if (largestLogit > 88.7) return say("exp({z}) is above the largest float32: inf / inf is nan.").replace("{z}", top);
    return say("In float32 the exponential of the right class is rounded to 0, and log 0 is infinite.");
  }
  if (single.includes("lost") || double.includes("lost")) {
    return say("One class dominates. What is marked has cancelled: none of its digits is right.");
  }
  return say("Here all four agree. Try the buttons above.");
}
