/** Zones and lines drawn over the picture, and the one that is being drawn. */

import { frameToPicture } from "../core/geometry.js";
import { INK, PAPER, css } from "../core/palette.js";

const COLOUR = [255, 214, 102];
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const ARROW_PX = 14;

/** Draw the zones of a book on a frame, each with its name and how many objects it has. */
export function drawZones(context, place, book, frame, unit) {
  for (const [name, { kind }] of book.shapes) {
    const corners = book.corners(name, frame).map((xy) => frameToPicture(place, xy));
    const counts = book.counts.get(name);
    outline(context, corners, kind, unit, css(COLOUR, 0.95));
    if (kind === "line") drawArrow(context, corners, unit);
    const number = counts?.inside ? `  ${counts.inside.length}` : counts ? `  ${counts.to_right} → ← ${counts.to_left}` : "";
    caption(context, place, corners, name + number, unit);
  }
}

/** Draw what is being drawn; `cursor` is where the next corner would be, or null. */
export function drawDraft(context, place, { kind, points, complete }, cursor, unit) {
  const corners = [...points, ...(cursor && !(kind === "line" && complete) ? [cursor] : [])].map((xy) => frameToPicture(place, xy));
  context.setLineDash([6 * unit, 4 * unit]);
  outline(context, corners, kind, unit, css(PAPER));
  context.setLineDash([]);
  context.beginPath();
  for (const xy of points) {
    const [x, y] = frameToPicture(place, xy);
    context.moveTo(x + 5 * unit, y);
    context.arc(x, y, 5 * unit, 0, 2 * Math.PI);
  }
  context.fillStyle = css(COLOUR);
  context.strokeStyle = css(INK);
  context.lineWidth = 1.5 * unit;
  context.fill();
  context.stroke();
}

function outline(context, corners, kind, unit, style) {
  if (corners.length === 0) return;
  context.beginPath();
  corners.forEach(([x, y], i) => (i === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
  if (kind === "polygon") {
    context.closePath();
    context.fillStyle = css(COLOUR, 0.1);
    context.fill("evenodd");
  }
  context.lineJoin = "round";
  for (const [colour, width] of [[css(INK, 0.7), 3.4], [style, 1.6]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * unit;
    context.stroke();
  }
}

/** From the middle of a line to its right-hand side, as seen from its first point to its second. */
function drawArrow(context, [[ax, ay], [bx, by]], unit) {
  const length = Math.hypot(bx - ax, by - ay) || 1;
  const [ux, uy] = [(bx - ax) / length, (by - ay) / length];
  const [x, y] = [(ax + bx) / 2, (ay + by) / 2];
  const reach = ARROW_PX * unit;
  context.beginPath();
  context.moveTo(x + ux * reach * 0.4, y + uy * reach * 0.4);
  context.lineTo(x - uy * reach, y + ux * reach);
  context.lineTo(x - ux * reach * 0.4, y - uy * reach * 0.4);
  context.fillStyle = css(COLOUR, 0.95);
  context.fill();
}

function caption(context, place, corners, text, unit) {
  const height = 18 * unit;
  context.font = `600 ${11.5 * unit}px ${FONT}`;
  const width = context.measureText(text).width + 12 * unit;
  const [left, top] = corners.reduce(([x, y], [cx, cy]) => (cy < y || (cy === y && cx < x) ? [cx, cy] : [x, y]));
  const x = Math.min(Math.max(left, 2), Math.max(2, place.width - width - 2));
  const y = Math.min(Math.max(top - height - 3 * unit, 2), place.height - height - 2);
  context.beginPath();
  context.roundRect(x, y, width, height, 4 * unit);
  context.fillStyle = css(INK, 0.78);
  context.fill();
  context.fillStyle = css(COLOUR);
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, x + 6 * unit, y + height / 2 + 0.5 * unit);
}
