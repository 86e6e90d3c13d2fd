/** Zones and lines as plain values: their corners in frame px or in the run's own unit, one being drawn, and words. */

export const MIN_CORNERS = { polygon: 3, line: 2 };
const MAX_CORNERS = { polygon: 64, line: 2 };

/** Corners in frame px -> as `set_zone` wants them: fractions of the frame, or px. Fractions 0 and 1 are its edges. */
export function toUnit(points, unit, { width, height }) {
  if (unit === "px") return points;
  return points.map(([x, y]) => [rounded((x + 0.5) / width), rounded((y + 0.5) / height)]);
}

/** The opposite of `toUnit`. */
export function toFrame(points, unit, { width, height }) {
  if (unit === "px") return points;
  return points.map(([x, y]) => [x * width - 0.5, y * height - 0.5]);
}

function rounded(value) {
  return Math.round(1e5 * Math.min(1, Math.max(0, value))) / 1e5;
}

/** A zone or a line while it is drawn; corners in frame px. */
export class ZoneDraft {
  constructor(kind, { name = "", points = [], options = {} } = {}) {
    this.kind = kind; // polygon, line
    this.name = name; // of the one that is drawn anew; "" for a new one
    this.points = points.map((point) => [...point]);
    this.options = options; // what it has beside its corners
    this._held = null; // index of the corner that is being moved
  }

  get complete() {
    return this.points.length >= MIN_CORNERS[this.kind];
  }

  /** A button or finger went down: take the corner within `reach` px, or make a new one. */
  down(xy, reach) {
    const near = this.points.findIndex(([x, y]) => Math.hypot(x - xy[0], y - xy[1]) <= reach);
    if (near >= 0) this._held = near;
    else if (this.points.length < MAX_CORNERS[this.kind]) this._held = this.points.push(xy) - 1;
  }

  move(xy) {
    if (this._held !== null) this.points[this._held] = xy;
  }

  up() {
    this._held = null;
  }

  undo() {
    this.points.pop();
  }
}

/** A name that none of `names` is: "area 1", "line 2". */
export function freeName(kind, names) {
  const word = kind === "polygon" ? "area" : "line";
  let number = 1;
  while (names.includes(`${word} ${number}`)) number += 1;
  return `${word} ${number}`;
}

/** "2 inside, 5 entered" of a zone's counts, "3 to the right, 1 to the left" of a line's; "" before the first. */
export function countWords(counts) {
  if (!counts) return "";
  if (counts.inside) return `${counts.inside.length} inside, ${counts.entered} entered`;
  return `${counts.to_right} to the right, ${counts.to_left} to the left`;
}

/** What happened, in words; null for what the list of objects says anyway. */
export function eventWords(event, nameOf) {
  const who = event.label || nameOf(event.object);
  const doubt = event.state === "uncertain" ? " (uncertain)" : "";
  const after = event.inside_s === undefined ? "" : ` after ${event.inside_s.toFixed(1)} s`;
  switch (event.kind) {
    case "enter": return `${who} entered ${event.zone}${doubt}`;
    case "leave": return `${who} left ${event.zone}${after}${event.reason ? ` (${event.reason})` : doubt}`;
    case "dwell": return `${who} stays in ${event.zone}`;
    case "crossing": return `${who} crossed ${event.line} to the ${event.direction === "to_right" ? "right" : "left"}${doubt}`;
    case "appeared": return `${who} appeared`;
    case "lost": return `${who} is lost${event.reason ? `: ${event.reason}` : ""}`;
    case "reacquired": return `${who} is back`;
    case "removed": return `${who} was removed`;
    default: return null;
  }
}
