/** A scene, a place and what to show in; the overlay's pixels out: tints, outlines, trails, points, captions.
 *
 * The rules are those of stream/drawing/painter.py, drawn as lines in device px instead of frame px: an uncertain outline is
 * dashed, a reacquired one has a second line around it, a caption bears its state's sign and word.
 */

import { frameToPicture } from "./core/geometry.js";
import { INK, PAPER, TINT, colourOf, css, mixed } from "./core/palette.js";

const VISIBLE = 0.5;
const FADED_AT_ONCE = 3; // steps of a trail
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const DIM = [110, 112, 118];

/** Draw a scene's objects; `layers` {masks, outlines, points, trails, labels: 0..1}, `selected` an id or null. */
export function drawScene(context, place, scene, trails, { layers, selected, unit }) {
  const objects = scene.header.objects;
  const seen = objects.filter((object) => object.area > 0);
  const paths = new Map(seen.map((object) => [object.id, pathOf(scene.outlines(object.id), place)]));
  layer(context, layers.masks, () => {
    for (const object of seen) {
      const share = TINT[object.state] + (object.id === selected ? 0.08 : 0);
      context.fillStyle = css(colourOf(object.id), share);
      context.fill(paths.get(object.id), "evenodd");
    }
  });
  layer(context, layers.outlines, () => {
    for (const object of seen) drawOutline(context, paths.get(object.id), object, selected, unit);
  });
  layer(context, layers.trails, () => {
    for (const object of objects) drawTrail(context, place, trails.steps.get(object.id) ?? [], object, unit);
  });
  layer(context, layers.points, () => {
    for (const object of objects) drawPoints(context, place, object, unit);
  });
  layer(context, layers.labels, () => drawCaptions(context, place, seen, selected, unit));
}

function layer(context, opacity, draw) {
  if (opacity <= 0) return;
  context.save();
  context.globalAlpha = opacity;
  draw();
  context.restore();
}

/** One path of all outlines of an object, px of the picture. */
export function pathOf(lines, place) {
  const path = new Path2D();
  const { scaleX, scaleY } = place;
  for (const line of lines) {
    path.moveTo((line[0] + 0.5) * scaleX, (line[1] + 0.5) * scaleY);
    for (let i = 2; i < line.length; i += 2) path.lineTo((line[i] + 0.5) * scaleX, (line[i + 1] + 0.5) * scaleY);
    path.closePath();
  }
  return path;
}

function drawOutline(context, path, object, selected, unit) {
  const colour = colourOf(object.id);
  const width = (object.id === selected ? 2.6 : 1.7) * unit;
  context.lineJoin = "round";
  if (object.state === "reacquired") strokeWith(context, path, css(PAPER, 0.9), width + 5 * unit);
  if (object.state === "uncertain") context.setLineDash([7 * unit, 5 * unit]);
  strokeWith(context, path, css(mixed(colour, INK, 0.75), 0.85), width + 1.8 * unit); // a rim: crisp on any background
  strokeWith(context, path, css(object.id === selected ? mixed(colour, PAPER, 0.25) : colour), width);
  context.setLineDash([]);
}

function strokeWith(context, path, style, width) {
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke(path);
}

/** Each stroke costs its own round of edges, so that the steps of a trail fade by a few at a time. */
function drawTrail(context, place, steps, object, unit) {
  context.lineWidth = 1.4 * unit;
  for (let end = steps.length; end > 0; end -= FADED_AT_ONCE) {
    const lines = steps.slice(Math.max(0, end - FADED_AT_ONCE), end).flat();
    if (lines.length === 0) continue;
    context.strokeStyle = css(colourOf(object.id), (0.9 * end) / steps.length);
    context.beginPath();
    for (const [x1, y1, x2, y2] of lines) {
      context.moveTo(...frameToPicture(place, [x1, y1]));
      context.lineTo(...frameToPicture(place, [x2, y2]));
    }
    context.stroke();
  }
}

/** Discs on the object, crosses off it; those that are hidden are dim and hollow. All of a kind are drawn at once. */
function drawPoints(context, place, object, unit) {
  const colour = colourOf(object.id);
  const bright = css(mixed(colour, PAPER, 0.35));
  const dim = css(mixed(colour, DIM, 0.45));
  const radius = 3.1 * unit;
  const kinds = { discs: [], rings: [], crosses: [], dimCrosses: [] };
  for (const [x, y, label, visibility] of object.points) {
    const [px, py] = frameToPicture(place, [x, y]);
    if (px < -radius || py < -radius || px > place.width + radius || py > place.height + radius) continue;
    const visible = visibility > VISIBLE;
    if (label === 1) kinds[visible ? "discs" : "rings"].push([px, py]);
    else kinds[visible ? "crosses" : "dimCrosses"].push([px, py]);
  }
  const path = (places, one) => {
    context.beginPath();
    for (const [x, y] of places) one(x, y);
    return places.length > 0;
  };
  const disc = (x, y) => {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  };
  const cross = (x, y) => addCross(context, x, y, radius);
  if (path(kinds.rings, disc)) strokeLine(context, dim, 1.2 * unit);
  if (path(kinds.dimCrosses, cross)) strokeLine(context, dim, 1.5 * unit);
  if (path(kinds.discs, disc)) {
    strokeLine(context, css(INK), 2 * unit);
    context.fillStyle = bright;
    context.fill();
  }
  if (path(kinds.crosses, cross)) {
    strokeLine(context, css(INK), 3.4 * unit);
    strokeLine(context, bright, 1.5 * unit);
  }
}

function strokeLine(context, style, width) {
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke();
}

function addCross(context, x, y, r) {
  context.moveTo(x - r, y - r);
  context.lineTo(x + r, y + r);
  context.moveTo(x - r, y + r);
  context.lineTo(x + r, y - r);
}

// --- captions --------------------------------------------------------------------------------------------------------

/** A plate at each mask: the id on the object's colour, the state's sign, its label or its state's word. */
function drawCaptions(context, place, objects, selected, unit) {
  const size = 12 * unit;
  const height = 20 * unit;
  context.font = `600 ${size}px ${FONT}`;
  context.textBaseline = "middle";
  const taken = [];
  for (const object of [...objects].sort((a, b) => a.id - b.id)) {
    const name = String(object.id);
    const words = object.label || object.state;
    const badge = Math.max(height, context.measureText(name).width + 10 * unit);
    const width = badge + height + context.measureText(words).width + 8 * unit;
    const [left, top] = frameToPicture(place, [object.bbox[0] - 0.5, object.bbox[1] - 0.5]);
    const box = { x: left, y: top, width: object.bbox[2] * place.scaleX, height: object.bbox[3] * place.scaleY };
    const corner = freePlace(box, { width, height }, taken, place, 6 * unit);
    taken.push({ ...corner, width, height });
    drawCaption(context, corner, { name, words, badge, width, height, object, selected: object.id === selected }, unit);
  }
}

function drawCaption(context, { x, y }, { name, words, badge, width, height, object, selected }, unit) {
  const colour = colourOf(object.id);
  const middle = y + height / 2 + 0.5 * unit;
  roundedBox(context, x, y, width, height, 6 * unit, css(INK, 0.78));
  roundedBox(context, x, y, badge, height, 6 * unit, css(colour));
  if (selected) {
    context.beginPath();
    context.roundRect(x, y, width, height, 6 * unit);
    strokeLine(context, css(PAPER), 1.5 * unit);
  }
  context.textAlign = "center";
  context.fillStyle = css(INK);
  context.fillText(name, x + badge / 2, middle);
  drawSign(context, object.state, x + badge + height / 2, y + height / 2, 4.6 * unit, css(colour), unit);
  context.textAlign = "left";
  context.fillStyle = css(object.state === "uncertain" ? [190, 194, 202] : PAPER);
  context.fillText(words, x + badge + height, middle);
}

function roundedBox(context, x, y, width, height, radius, style) {
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
  context.fillStyle = style;
  context.fill();
}

/** A state's sign: disc, dashed ring, cross, or a ring that opens to an arrow. */
export function drawSign(context, state, x, y, r, style, unit) {
  context.save();
  context.strokeStyle = context.fillStyle = style;
  context.lineWidth = 1.7 * unit;
  context.beginPath();
  if (state === "tracked") {
    context.arc(x, y, r * 0.85, 0, 2 * Math.PI);
    context.fill();
  } else if (state === "lost") {
    addCross(context, x, y, r * 0.8);
    context.stroke();
  } else if (state === "reacquired") {
    context.arc(x, y, r * 0.9, 0.2, 1.6 * Math.PI);
    context.stroke();
    context.beginPath();
    context.moveTo(x + r * 1.2, y - r * 0.95);
    context.lineTo(x + r * 0.1, y - r * 1.45);
    context.lineTo(x + r * 0.1, y - r * 0.25);
    context.fill();
  } else {
    context.setLineDash([r * 0.62, r * 0.44]);
    context.arc(x, y, r * 0.9, 0, 2 * Math.PI);
    context.stroke();
  }
  context.restore();
}

/** Above the mask, below it, inside, or the first free line of the picture. */
function freePlace(box, size, taken, place, gap) {
  const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
  const x = clamp(box.x + (box.width - size.width) / 2, gap, place.width - size.width - gap);
  const lowest = place.height - size.height - gap;
  const wanted = [box.y - size.height - gap, box.y + box.height + gap, box.y + gap, box.y + box.height / 2];
  for (let y = gap; y <= lowest; y += size.height + 2) wanted.push(y);
  const free = wanted.find(
    (y) => y >= gap && y <= lowest && !taken.some((other) => overlap({ x, y, ...size }, other)),
  );
  return { x, y: free ?? clamp(wanted[0], gap, lowest) };
}

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
