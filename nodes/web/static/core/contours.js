/** A mask in, its outlines as smooth closed lines out: sharp at any size of the screen. */

// Directions along the edges between pixels: east, south, west, north. The mask is always to the right of the way.
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];
const TURNS = [1, 0, 3]; // right, straight on, left
const SHORTEST_SMOOTHED = 24; // edges; a smaller outline would shrink away
const STRAIGHT_PX = 0.2; // frame px that an outline may lie beside what was traced
const LONGEST_STEP = 16; // points that one straight piece may stand for: what it costs to find is bounded by that

/** Closed outlines of {x, y, width, height, bits}: each a Float32Array x0, y0, x1, y1, ... in frame px. */
export function outlines(mask, { reach = 2, stride = 2 } = {}) {
  return trace(mask).map((line) => straightened(smoothed(line, reach, stride)));
}

/** The exact outlines: the middle of each edge between mask and background, in the order of walking round. */
export function trace({ x: left, y: top, width, height, bits }) {
  const across = width + 1;
  const leaving = new Uint8Array(across * (height + 1)); // for each corner, bit d: an edge leaves in direction d
  const starts = []; // corners that an edge leaves eastwards: each closed line has one
  for (let y = 0, i = 0, corner = 0; y < height; y++, corner++) {
    let before = 0;
    for (let x = 0; x < width; x++, i++, corner++) {
      const bit = bits[i];
      const above = y > 0 ? bits[i - width] : 0;
      if (bit !== above) {
        if (bit) {
          leaving[corner] |= 1;
          starts.push(corner);
        } else leaving[corner + 1] |= 4;
      }
      if (bit !== before) {
        if (bit) leaving[corner + across] |= 8;
        else leaving[corner] |= 2;
        before = bit;
      }
    }
    if (before) leaving[corner] |= 2;
  }
  for (let x = 0, i = width * (height - 1); x < width && height > 0; x++, i++) {
    if (bits[i]) leaving[height * across + x + 1] |= 4;
  }
  const lines = [];
  for (const start of starts) if (leaving[start] & 1) lines.push(walk(leaving, across, start, left, top));
  return lines;
}

function walk(leaving, across, start, left, top) {
  const line = [];
  let corner = start;
  let direction = 0;
  for (;;) {
    leaving[corner] &= ~(1 << direction);
    // Corners lie half a pixel off the pixels' centres.
    line.push(left - 0.5 + (corner % across) + STEP_X[direction] / 2);
    line.push(top - 0.5 + Math.floor(corner / across) + STEP_Y[direction] / 2);
    corner += STEP_X[direction] + STEP_Y[direction] * across;
    const came = direction;
    // Right turn first: pixels that touch at a corner only belong to two outlines.
    const turn = TURNS.find((one) => {
      direction = (came + one) % 4;
      return (corner === start && direction === 0) || leaving[corner] & (1 << direction);
    });
    if (turn === undefined || (corner === start && direction === 0)) return line;
  }
}

/** Each point the mean of its neighbourhood, one of every `stride`: the steps from pixel to pixel are gone. */
function smoothed(line, reach, stride) {
  const count = line.length / 2;
  if (count < SHORTEST_SMOOTHED) return Float32Array.from(line);
  const result = new Float32Array(2 * Math.ceil(count / stride));
  const share = 1 / (2 * reach + 1);
  for (let i = 0, out = 0; i < count; i += stride) {
    let x = 0;
    let y = 0;
    for (let k = i - reach; k <= i + reach; k++) {
      const at = 2 * ((k + count) % count);
      x += line[at];
      y += line[at + 1];
    }
    result[out++] = x * share;
    result[out++] = y * share;
  }
  return result;
}

/** The same line without the points that a straight piece goes past by: a fifth of them, which are what drawing costs. */
function straightened(line) {
  const count = line.length / 2;
  if (count < 8) return line;
  const kept = [];
  for (let from = 0; from < count; ) {
    kept.push(line[2 * from], line[2 * from + 1]);
    let to = from + 1;
    while (to < count && to - from < LONGEST_STEP && isStraight(line, from, to + 1, count)) to += 1;
    from = to;
  }
  return Float32Array.from(kept);
}

/** Whether all points between two of a closed line lie beside the straight piece between them by at most STRAIGHT_PX. */
function isStraight(line, from, to, count) {
  const ax = line[2 * from];
  const ay = line[2 * from + 1];
  const dx = line[2 * (to % count)] - ax;
  const dy = line[2 * (to % count) + 1] - ay;
  const most = STRAIGHT_PX * Math.hypot(dx, dy);
  for (let i = from + 1; i < to; i++) {
    if (Math.abs(dx * (line[2 * i + 1] - ay) - dy * (line[2 * i] - ax)) > most) return false;
  }
  return true;
}
