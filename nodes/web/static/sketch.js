/** What a person is doing right now, drawn over the scene: a box, brush strokes, sent clicks, the keyboard's crosshair. */

import { outlines } from "./core/contours.js";
import { frameToPicture } from "./core/geometry.js";
import { pathOf } from "./drawing.js";
import { INK, PAPER, css } from "./core/palette.js";

const RING_MS = 900; // one pulse of the ring at a click that waits for its mask

/** `state`: {pending: [{xy, label, since}], box: [from, to] | null, brush: BrushMask | null, cursor: {xy, radius} | null,
 *  crosshair: xy | null}, all in frame px. */
export function drawSketch(context, place, state, unit, now) {
  for (const click of state.pending) drawClick(context, place, click, unit, now);
  if (state.box) drawBox(context, place, state.box, unit);
  if (state.brush?.area) drawBrush(context, place, state.brush, unit);
  if (state.cursor) drawCursor(context, place, state.cursor, unit);
  if (state.crosshair) drawCrosshair(context, place, state.crosshair, unit);
}

function twice(context, unit, draw) {
  for (const [style, width] of [[css(INK, 0.8), 3.4], [css(PAPER), 1.6]]) {
    context.strokeStyle = style;
    context.lineWidth = width * unit;
    draw();
  }
}

function drawClick(context, place, { xy, label, since }, unit, now) {
  const [x, y] = frameToPicture(place, xy);
  const share = ((now - since) % RING_MS) / RING_MS;
  context.save();
  context.globalAlpha = 1 - share;
  twice(context, unit, () => {
    context.beginPath();
    context.arc(x, y, (5 + 17 * share) * unit, 0, 2 * Math.PI);
    context.stroke();
  });
  context.restore();
  drawMark(context, x, y, label, unit);
}

function drawMark(context, x, y, label, unit) {
  const r = 5 * unit;
  twice(context, unit, () => {
    context.beginPath();
    context.moveTo(x - r, y);
    context.lineTo(x + r, y);
    if (label === 1) {
      context.moveTo(x, y - r);
      context.lineTo(x, y + r);
    }
    context.stroke();
  });
}

function drawBox(context, place, [from, to], unit) {
  const [ax, ay] = frameToPicture(place, from);
  const [bx, by] = frameToPicture(place, to);
  context.fillStyle = css(PAPER, 0.1);
  context.fillRect(ax, ay, bx - ax, by - ay);
  twice(context, unit, () => context.strokeRect(ax, ay, bx - ax, by - ay));
}

function drawBrush(context, place, brush, unit) {
  const path = pathOf(outlines(brush.crop()), place);
  context.fillStyle = css(PAPER, 0.32);
  context.fill(path, "evenodd");
  context.setLineDash([5 * unit, 4 * unit]);
  twice(context, unit, () => context.stroke(path));
  context.setLineDash([]);
}

function drawCursor(context, place, { xy, radius }, unit) {
  const [x, y] = frameToPicture(place, xy);
  twice(context, unit, () => {
    context.beginPath();
    context.ellipse(x, y, radius * place.scaleX, radius * place.scaleY, 0, 0, 2 * Math.PI);
    context.stroke();
  });
}

function drawCrosshair(context, place, xy, unit) {
  const [x, y] = frameToPicture(place, xy);
  const [gap, reach] = [5 * unit, 24 * unit];
  twice(context, unit, () => {
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * gap, y + dy * gap);
      context.lineTo(x + dx * reach, y + dy * reach);
    }
    context.stroke();
  });
}
