/** Objects with their points in, frame after frame; out come the short lines along which the points came.
 *
 * The rules are those of stream/drawing/trails.py: points are sampled again every few frames and nothing in a message
 * says so, so a step counts as motion when the points moved together.
 */

const VISIBLE = 0.5;
const MOVED_TOGETHER = 0.3; // of the points' own spread: a larger disagreement between them is a new sampling
const LEAP = 0.12; // of the frame's longer side: no single point moves so far in one step

export class Trails {
  constructor(length = 14) {
    this.length = length; // steps
    this.steps = new Map(); // object id -> array of steps, oldest first; a step is an array of [x1, y1, x2, y2]
    this._last = new Map(); // object id -> points
    this._feed = "";
    this._frameId = -1;
  }

  /** Take the next frame's objects; another feed or size begins afresh. */
  take(header) {
    const feed = [header.camera, header.session, header.epoch, header.width, header.height].join();
    if (feed !== this._feed || header.frame_id < this._frameId) {
      this.steps.clear();
      this._last.clear();
    } else if (header.frame_id === this._frameId) {
      return;
    }
    this._feed = feed;
    this._frameId = header.frame_id;
    const side = Math.max(header.width, header.height);
    const steps = new Map();
    for (const object of header.objects) {
      const before = this._last.get(object.id);
      const lines = before ? moved(before, object.points, side) : [];
      steps.set(object.id, [...(this.steps.get(object.id) ?? []), lines].slice(-this.length));
    }
    this.steps = steps;
    this._last = new Map(header.objects.map((object) => [object.id, object.points]));
  }
}

/** The lines of the points that are the same ones as before and were seen both times. */
function moved(before, now, longerSide) {
  if (before.length !== now.length || before.some((point, i) => point[2] !== now[i][2])) return [];
  const lines = [];
  before.forEach(([x1, y1, label, visibility], i) => {
    const [x2, y2, , visibilityNow] = now[i];
    const near = [x1, y1, x2, y2].every((value) => Math.abs(value) < 4 * longerSide);
    if (label === 1 && visibility > VISIBLE && visibilityNow > VISIBLE && near) lines.push([x1, y1, x2, y2]);
  });
  if (lines.length === 0) return [];
  const middleX = median(lines.map(([x1, , x2]) => x2 - x1));
  const middleY = median(lines.map(([, y1, , y2]) => y2 - y1));
  const disagreement = median(lines.map(([x1, y1, x2, y2]) => Math.hypot(x2 - x1 - middleX, y2 - y1 - middleY)));
  const meanX = lines.reduce((sum, line) => sum + line[0], 0) / lines.length;
  const meanY = lines.reduce((sum, line) => sum + line[1], 0) / lines.length;
  const spread = lines.reduce((sum, [x, y]) => sum + Math.hypot(x - meanX, y - meanY), 0) / lines.length;
  if (disagreement > Math.max(1.5, MOVED_TOGETHER * spread)) return [];
  return lines.filter(([x1, y1, x2, y2]) => Math.hypot(x2 - x1, y2 - y1) < LEAP * longerSide);
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}
