"use strict";
/* From a drawing to an image of 8 x 8 numbers, as the digits of the data were prepared: a bitmap
   of 32 x 32, filled by the digit from top to bottom, cut into blocks of 4 x 4, and each block
   counted: 0 to 16. (Alpaydin & Kaynak 1998; the bitmaps by NIST's programs, Garris et al. 1994.) */

const INK = 128; // the pad has 128 x 128 dots, each on or off
const BITMAP = 32;
const WIDEST = 26; // of the digits of the data, few are wider

/* Return the image (64 numbers from 0 to 16) of a drawing (INK x INK), or null of an empty one. */
function prepare(ink) {
  let [top, bottom, left, right] = [INK, -1, INK, -1];
  for (let y = 0; y < INK; y++) {
    for (let x = 0; x < INK; x++) {
      if (!ink[y * INK + x]) continue;
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      left = Math.min(left, x);
      right = Math.max(right, x);
    }
  }
  if (bottom < 0) return null;
  const height = bottom - top + 1;
  const width = right - left + 1;
  // The digit fills the height. Its width keeps the proportion, up to the widest of the data.
  const wide = Math.min(WIDEST, (BITMAP * width) / height);
  const start = (BITMAP - wide) / 2;
  const image = new Float64Array(64);
  for (let v = 0; v < BITMAP; v++) {
    for (let u = 0; u < BITMAP; u++) {
      const x = Math.floor(left + ((u + 0.5 - start) / wide) * width);
      const y = Math.floor(top + ((v + 0.5) / BITMAP) * height);
      if (x < left || x > right) continue;
      if (ink[y * INK + x]) image[(v >> 2) * 8 + (u >> 2)] += 1;
    }
  }
  return image;
}

/* Draw a digit of the data on the pad: in each block, as many of 4 x 4 dots as its number says,
   those first that are nearest to the ink of the blocks around it. */
function replay(image) {
  const ink = new Uint8Array(INK * INK);
  const at = (r, c) => (r < 0 || r > 7 || c < 0 || c > 7 ? 0 : image[r * 8 + c]);
  const step = INK / BITMAP;
  for (let r = 0; r < 8; r++) {
    for (let c = 0; c < 8; c++) {
      const dots = [];
      for (let i = 0; i < 4; i++) {
        for (let j = 0; j < 4; j++) {
          const [y, x] = [(i + 0.5) / 4 - 0.5, (j + 0.5) / 4 - 0.5];
          const [dr, dc] = [Math.sign(y), Math.sign(x)];
          const near = Math.abs(y) * at(r + dr, c) + Math.abs(x) * at(r, c + dc);
          const corner = Math.abs(x * y) * at(r + dr, c + dc);
          dots.push({ near: near + corner, v: 4 * r + i, u: 4 * c + j });
        }
      }
      dots.sort((a, b) => b.near - a.near);
      for (const { v, u } of dots.slice(0, at(r, c))) {
        for (let y = 0; y < step; y++) {
          for (let x = 0; x < step; x++) ink[(v * step + y) * INK + u * step + x] = 1;
        }
      }
    }
  }
  return ink;
}

/* Draw a line of round dots. */
function stroke(ink, from, to, radius) {
  const length = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)));
  for (let i = 0; i <= length; i++) {
    const cx = from.x + ((to.x - from.x) * i) / length;
    const cy = from.y + ((to.y - from.y) * i) / length;
    for (let y = Math.max(0, Math.floor(cy - radius)); y <= Math.min(INK - 1, cy + radius); y++) {
      for (let x = Math.max(0, Math.floor(cx - radius)); x <= Math.min(INK - 1, cx + radius); x++) {
        if (Math.hypot(x - cx, y - cy) <= radius) ink[y * INK + x] = 1;
      }
    }
  }
}
