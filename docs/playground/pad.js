"use strict";
/* Draw a digit, and see what the network that is training above says of it. */

function pad(shared) {
  const side = 256;
  const board = canvas(side, side, "draw a digit here");
  const seen = canvas(96, 96, "the digit as the network sees it, 8 x 8 pixels");
  const bars = make("div", { class: "bars" });
  const state = { dots: new Uint8Array(INK * INK), board, seen, bars, shared, last: null };
  const redraw = () => drawPad(state);
  const place = (event) => {
    const box = board.element.getBoundingClientRect();
    const of = (client, start, length) => ((client - start) / length) * INK;
    return { x: of(event.clientX, box.left, box.width), y: of(event.clientY, box.top, box.height) };
  };
  board.element.classList.add("pad");
  seen.element.classList.add("seen");
  board.element.addEventListener("pointerdown", (event) => {
    board.element.setPointerCapture(event.pointerId);
    state.last = place(event);
    stroke(state.dots, state.last, state.last, 6);
    redraw();
  });
  board.element.addEventListener("pointermove", (event) => {
    if (!state.last) return;
    const now = place(event);
    stroke(state.dots, state.last, now, 6);
    state.last = now;
    redraw();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    board.element.addEventListener(end, () => {
      state.last = null;
    });
  }
  const clear = button("Clear", () => {
    state.dots.fill(0);
    redraw();
  });
  const test = unpack(DIGITS.test);
  let next = 0;
  const example = button("A test digit", () => {
    const row = next++ % test.labels.length;
    state.dots.set(replay(test.pixels.subarray(row * 64, row * 64 + 64)));
    redraw();
  });
  shared.changed.push(redraw);
  shared.redraw.push(redraw);
  const says =
    "Draw a digit with the mouse or a finger. It is scaled to 32 x 32 dots and counted in blocks of 4 x 4, " +
    "as the digits of the data were. The network that is training above says what it sees.";
  const section = make("section", { id: "drawing" }, make("h2", {}, "Draw a digit"), make("p", {}, says));
  const boards = make("div", { class: "boards" }, board.element, seen.element, bars);
  section.append(make("p", { class: "buttons" }, clear, example), boards);
  return section;
}

function drawPad({ dots, board, seen, bars, shared }) {
  const image = prepare(dots);
  const c = board.context;
  c.clearRect(0, 0, board.width, board.height);
  c.fillStyle = ink(board.element);
  const size = board.width / INK;
  for (let i = 0; i < dots.length; i++) {
    if (dots[i]) c.fillRect((i % INK) * size, Math.floor(i / INK) * size, size, size);
  }
  const s = seen.context;
  s.clearRect(0, 0, seen.width, seen.height);
  s.fillStyle = ink(seen.element);
  const pixel = seen.width / 8;
  (image || []).forEach((value, k) => {
    s.globalAlpha = value / 16;
    s.fillRect((k % 8) * pixel, Math.floor(k / 8) * pixel, pixel, pixel);
  });
  s.globalAlpha = 1;
  const p = image ? probabilities(shared.run, image) : new Array(10).fill(0);
  const best = largest(p);
  bars.replaceChildren(
    ...Array.from(p, (value, k) => {
      const filled = make("div", { class: image && k === best ? "bar right" : "bar" });
      filled.style.width = `${100 * value}%`;
      const track = make("div", { class: "track" }, filled);
      return make("div", { class: "bar-row" }, String(k), track, image ? `${(100 * value).toFixed(1)} %` : "");
    }),
  );
}

/* p of an image of 64 numbers from 0 to 16. */
function probabilities(run, image) {
  const X = Float64Array.from(image, (value) => value / 16);
  const z = forward(run.theta, run.sizes, run.activation, X, 1).pop();
  return softmax(Array.from(z));
}
