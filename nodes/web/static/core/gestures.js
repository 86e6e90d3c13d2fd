/** Pointer events in, intents out: a state machine that knows no page and no picture.
 *
 * Positions are [x, y] in stage px. An intent is one of
 *   {kind: "hold"}                       a gesture begins: the picture must stay
 *   {kind: "point", at, label}           1 on the object, 0 not on it
 *   {kind: "box-preview", from, to}, {kind: "box", from, to}
 *   {kind: "thin-box"}                   what was drawn has no height or no width
 *   {kind: "stroke", from, to, erase}    a stretch of a brush stroke
 *   {kind: "corner-down", at}, {kind: "corner-move", at}, {kind: "corner-up", at}   of a zone
 *   {kind: "release"}                    the gesture is over: the picture may go on
 */

const DRAG_PX = { mouse: 4, pen: 6, touch: 10 }; // a press that moves less is a click
const LONG_PRESS_MS = 550; // of a finger: what the right button is to a mouse

export class Gestures {
  constructor() {
    this.tool = "point"; // point, brush, zone
    this.negative = false; // a click without another meaning says "not this"
    this._press = null; // {id, pointer, from, to, button, since, dragging, spent}
  }

  get active() {
    return this._press !== null;
  }

  /** A pointer went down: `pointer` is mouse, pen or touch, `button` 0 or 2, `now` ms. */
  down({ id, pointer, button, at, now }) {
    if (this._press) return this.cancel(); // a second finger: somebody zooms
    if (button !== 0 && button !== 2) return [];
    this._press = { id, pointer, button, from: at, to: at, since: now, dragging: false, spent: false };
    if (this.tool === "zone") return [{ kind: "corner-down", at }]; // zones belong to no frame: none is held
    const intents = [{ kind: "hold" }];
    if (this.tool === "brush") intents.push(this._stroke(at, at));
    return intents;
  }

  move({ id, at }) {
    const press = this._press;
    if (!press || press.id !== id || press.spent) return [];
    const before = press.to;
    press.to = at;
    if (this.tool === "zone") return [{ kind: "corner-move", at }];
    if (this.tool === "brush") return [this._stroke(before, at)];
    press.dragging ||= distance(press.from, at) >= (DRAG_PX[press.pointer] ?? DRAG_PX.mouse);
    return press.dragging && press.button === 0 ? [{ kind: "box-preview", from: press.from, to: at }] : [];
  }

  up({ id, at }) {
    const press = this._press;
    if (!press || press.id !== id) return [];
    if (this.tool === "zone") {
      this._press = null;
      return [{ kind: "corner-up", at }];
    }
    const last = this.move({ id, at }).filter((intent) => intent.kind === "stroke");
    this._press = null;
    const intents = [...last];
    if (this.tool === "point" && !press.spent) {
      if (!press.dragging) intents.push({ kind: "point", at: press.from, label: this._label(press) });
      else if (press.button === 0) intents.push(isBox(press.from, at) ? { kind: "box", from: press.from, to: at } : { kind: "thin-box" });
    }
    return [...intents, { kind: "release" }];
  }

  /** Time went by: a finger that rests becomes a negative point. */
  tick(now) {
    const press = this._press;
    if (!press || press.spent || press.dragging || press.pointer !== "touch" || this.tool !== "point") return [];
    if (now - press.since < LONG_PRESS_MS) return [];
    press.spent = true;
    return [{ kind: "point", at: press.from, label: this.negative ? 1 : 0 }];
  }

  /** The gesture is given up; nothing is sent. */
  cancel() {
    if (!this._press) return [];
    this._press = null;
    return [{ kind: "box-preview", from: null, to: null }, { kind: "release" }];
  }

  _label(press) {
    return press.button === 2 || this.negative ? 0 : 1;
  }

  _stroke(from, to) {
    return { kind: "stroke", from, to, erase: this._press.button === 2 || this.negative };
  }
}

/** Wheel events in, whole steps out: a mouse gives a step a notch, a trackpad one every few movements. */
export class WheelSteps {
  constructor(pxPerStep = 60) {
    this.pxPerStep = pxPerStep;
    this._left = 0;
    this._at = 0;
  }

  /** +1 for up (larger), -1 for down, 0 for not yet. */
  take({ deltaY, deltaMode, now }) {
    if (now - this._at > 400) this._left = 0;
    this._at = now;
    this._left -= deltaMode === 0 ? deltaY : Math.sign(deltaY) * this.pxPerStep;
    if (Math.abs(this._left) < this.pxPerStep) return 0;
    const step = Math.sign(this._left);
    this._left = 0;
    return step;
  }
}

function distance([ax, ay], [bx, by]) {
  return Math.hypot(ax - bx, ay - by);
}

function isBox([ax, ay], [bx, by]) {
  return Math.min(Math.abs(ax - bx), Math.abs(ay - by)) >= 3;
}
