/** A mask in, its outlines as smooth closed lines out: sharp at any size of the screen. */

// Directions along the edges between pixels: east, south, west, north. The mask is always to the right of the way.
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];
const SHORTEST_SMOOTHED = 24; // edges; a smaller outline would shrink away

/** Closed outlines of {x, y, width, height, bits}: each a Float32Array x0, y0, x1, y1, ... in frame px. */
export function outlines(mask, { reach = 2, stride = 2 } = {}) {
  return trace(mask).map((line) => smoothed(line, reach, stride));
}

/** The exact outlines: the middle of each edge between mask and background, in the order of walking round. */
export function trace({ x: left, y: top, width, height, bits }) {
  const across = width + 1;
  const leaving = new Uint8Array(across * (height + 1)); // for each corner, bit d: an edge leaves in direction d
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!bits[i]) continue;
      const corner = y * across + x;
      if (y === 0 || !bits[i - width]) leaving[corner] |= 1;
      if (x === width - 1 || !bits[i + 1]) leaving[corner + 1] |= 2;
      if (y === height - 1 || !bits[i + width]) leaving[corner + across + 1] |= 4;
      if (x === 0 || !bits[i - 1]) leaving[corner + across] |= 8;
    }
  }
  const lines = [];
  for (let start = 0; start < leaving.length; start++) {
    while (leaving[start]) lines.push(walk(leaving, across, start, left, top));
  }
  return lines;
}

function walk(leaving, across, start, left, top) {
  const line = [];
  let corner = start;
  let direction = 31 - Math.clz32(leaving[corner]);
  do {
    leaving[corner] &= ~(1 << direction);
    // Corners lie half a pixel off the pixels' centres.
    line.push(left - 0.5 + (corner % across) + STEP_X[direction] / 2);
    line.push(top - 0.5 + Math.floor(corner / across) + STEP_Y[direction] / 2);
    corner += STEP_X[direction] + STEP_Y[direction] * across;
    // Right turn first: pixels that touch at a corner only belong to two outlines.
    for (const turn of [1, 0, 3]) {
      const next = (direction + turn) % 4;
      if (leaving[corner] & (1 << next)) {
        direction = next;
        break;
      }
    }
  } while (corner !== start || leaving[corner] & (1 << direction));
  return line;
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
