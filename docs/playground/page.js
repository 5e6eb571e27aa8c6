"use strict";
/* Small helpers to build the page, and the page itself. */

/* The text in the language of the page: chinese.js has WORDS. */
const say = (text) => (typeof WORDS === "undefined" ? text : (WORDS[text] ?? text));

/* make("p", {class: "note"}, "text", child) returns a new element. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, key === "aria-label" ? say(value) : value);
  }
  element.append(...children.map((child) => (typeof child === "string" ? say(child) : child)));
  return element;
}

/* A slider with its name and its value; `shown` turns its position into text. */
function slider(name, { min, max, step, value, shown, changed }) {
  const output = make("output", {}, shown(value));
  const input = make("input", { type: "range", min, max, step, value, "aria-label": name });
  input.addEventListener("input", () => {
    output.textContent = shown(Number(input.value));
    changed(Number(input.value));
  });
  const element = make("label", { class: "slider" }, make("span", {}, name), input, output);
  const set = (position) => {
    input.value = position;
    output.textContent = shown(Number(input.value));
  };
  return { element, set, get: () => Number(input.value) };
}

/* A choice of one out of several. */
function choice(name, options, value, changed) {
  const select = make("select", { "aria-label": name, onchange: () => changed(select.value) });
  for (const option of options) {
    const [key, text] = Array.isArray(option) ? option : [option, option];
    select.append(make("option", key === value ? { value: key, selected: "" } : { value: key }, text));
  }
  return { element: make("label", { class: "choice" }, make("span", {}, name), select), select };
}

function button(text, clicked) {
  return make("button", { type: "button", onclick: clicked }, text);
}

/* A number as short as it can be without hiding what it is. */
function short(x) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return "0";
  const size = Math.abs(x);
  return size < 1e-3 || size >= 1e5 ? x.toExponential(3) : x.toPrecision(5);
}

/* A canvas that is as sharp as the screen. */
function canvas(width, height, label) {
  const element = make("canvas", { role: "img", "aria-label": label });
  element.style.width = `${width}px`;
  const board = { element, context: element.getContext("2d") };
  resize(board, width, height);
  return board;
}

/* Give a canvas another size; nothing is on it then. */
function resize(board, width, height) {
  if (board.width === width && board.height === height) return;
  const scale = Math.ceil(window.devicePixelRatio || 1);
  Object.assign(board, { width, height });
  Object.assign(board.element, { width: width * scale, height: height * scale });
  board.element.style.aspectRatio = `${width} / ${height}`;
  board.context.scale(scale, scale);
}

/* The width that a canvas has on the page: on a phone less than it asked for. */
function shownWidth(board) {
  return board.element.clientWidth || board.width;
}

/* The colour of text around an element: drawings follow light and dark. */
function ink(element) {
  return getComputedStyle(element).color;
}

const BLUE = "#3b8fd9";
const ORANGE = "#e0691f";
const FONT = "12px system-ui, sans-serif";

window.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("scratchnn-playground");
  if (!place) return;
  // The pad asks the network that is training; what is drawn follows the width and the colours.
  const shared = { run: null, changed: [], redraw: [] };
  place.append(scores(), training(shared), pad(shared));
  const draw = () => shared.redraw.forEach((part) => part());
  const redraw = () => requestAnimationFrame(draw);
  let width = place.clientWidth;
  draw();
  new ResizeObserver(() => {
    if (place.clientWidth !== width) redraw();
    width = place.clientWidth;
  }).observe(place);
  new MutationObserver(redraw).observe(document.body, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
});
