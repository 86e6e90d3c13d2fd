/** An object's id or state in, its colours out: the tables of stream/drawing/ink.py and painter.py (a test compares). */

// Okabe and Ito's colours, distinct with every common colour blindness; the order keeps neighbours far apart.
export const PALETTE = [
  [86, 180, 233],
  [230, 159, 0],
  [0, 178, 130],
  [229, 124, 180],
  [240, 228, 66],
  [225, 98, 20],
  [40, 120, 220],
];
export const INK = [16, 18, 22];
export const PAPER = [246, 247, 249];

// Share of the colour in the mask.
export const TINT = { tracked: 0.42, reacquired: 0.42, uncertain: 0.22, lost: 0.12 };

// A state is never shown by colour alone: each has its sign and its word.
export const STATES = ["tracked", "uncertain", "lost", "reacquired", "starting"];

/** An object's colour [r, g, b]: the same in every frame and every run. */
export function colourOf(objectId) {
  return PALETTE[(objectId - 1) % PALETTE.length];
}

/** `one` with a share of `other` in it. */
export function mixed(one, other, share) {
  return one.map((value, i) => Math.round(value + (other[i] - value) * share));
}

/** The colour as CSS and canvas take it. */
export function css([r, g, b], alpha = 1) {
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}
