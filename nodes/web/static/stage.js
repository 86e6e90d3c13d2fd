/** The picture on the page: canvases, pointer and crosshair in; scenes painted, and the person's intents acted on. */

import { BrushMask } from "./core/brush.js";
import { boxOf, clamped, fit, inside, stageToFrame, wantedWidth } from "./core/geometry.js";
import { Gestures, WheelSteps } from "./core/gestures.js";
import { Trails } from "./core/trails.js";
import { find, setData } from "./dom.js";
import { drawScene } from "./drawing.js";
import { drawSketch } from "./sketch.js";
import { drawDraft, drawZones } from "./zones/drawing.js";

export class Stage {
  /** `onPlace` hears of a changed size on screen; `mayAct()` says whether this person's clicks do anything. */
  constructor({ player, prompter, objects, layers, zones, onPlace, mayAct }) {
    Object.assign(this, { player, prompter, objects, layers, zones, onPlace, mayAct }); // `zones`: a ZoneEditor
    this.element = find("stage");
    this.screen = find("screen");
    this.picture = find("picture");
    this.overlay = find("overlay");
    this.place = null; // see geometry.fit
    this.brush = null; // a BrushMask while one paints
    this.brushRadius = 14; // frame px
    this.crosshair = null; // frame px, while the keyboard aims
    this._corner = null; // frame px, the first corner of a box by keyboard
    this._box = null; // [from, to], frame px
    this._hover = null; // frame px
    this._pressed = null; // where stage and frame lay when the button went down: the page may be laid out anew meanwhile
    this._frame = null; // {width, height} of the newest scene
    this._animating = false;
    this._gestures = new Gestures();
    this._wheel = new WheelSteps();
    this._trails = new Trails();
    this._pictureContext = this.picture.getContext("2d", { alpha: false });
    this._overlayContext = this.overlay.getContext("2d");
    new ResizeObserver(() => this._layOut()).observe(this.element);
    this._listen();
  }

  get tool() {
    return this._gestures.tool;
  }

  get negative() {
    return this._gestures.negative;
  }

  setTool(tool) {
    if (tool !== this.tool) this.giveUp();
    this._gestures.tool = tool;
    setData(this.element, "tool", tool);
    this.zones.use(tool === "zone");
    this.redraw();
  }

  setNegative(negative) {
    this._gestures.negative = negative;
    setData(this.element, "negative", negative);
  }

  // --- painting ---------------------------------------------------------------------------------------------------------

  paint(scene) {
    const { bitmap, header } = scene;
    if (this.picture.width !== bitmap.width || this.picture.height !== bitmap.height) {
      this.picture.width = bitmap.width;
      this.picture.height = bitmap.height;
    }
    this._pictureContext.drawImage(bitmap, 0, 0);
    if (this._frame?.width !== header.width || this._frame?.height !== header.height) {
      this._frame = this.zones.frame = { width: header.width, height: header.height };
      this.element.style.setProperty("--frame-shape", header.width / header.height);
      this._layOut();
    }
    this._trails.take(header);
    this.redraw();
  }

  redraw() {
    const context = this._overlayContext;
    const density = devicePixelRatio;
    const { place } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    if (!place || !this.player.shown) return;
    context.setTransform(density, 0, 0, density, 0, 0);
    const unit = Math.min(2.2, Math.max(0.85, place.height / 620)); // what is written grows with the picture, but slower
    drawScene(context, place, this.player.shown, this._trails, {
      layers: this.layers.opacity,
      selected: this.objects.selected,
      unit,
    });
    this._drawZones(context, unit);
    const now = performance.now();
    drawSketch(context, place, this._sketch(), unit, now);
    if (this.prompter.pending.length > 0) this._animate();
  }

  _drawZones(context, unit) {
    const { draft, book } = this.zones;
    context.globalAlpha = this.layers.opacity.zones;
    if (this.layers.opacity.zones > 0) drawZones(context, this.place, book, this._frame, unit);
    context.globalAlpha = 1;
    if (draft) drawDraft(context, this.place, draft, this.crosshair ?? this._hover, unit);
  }

  _sketch() {
    const aiming = this.crosshair ?? this._hover;
    const painting = this.tool === "brush" && this.mayAct() && aiming;
    return {
      pending: this.prompter.pending,
      box: this._box,
      brush: this.brush,
      cursor: painting ? { xy: aiming, radius: this.brushRadius } : null,
      crosshair: this.crosshair,
    };
  }

  _animate() {
    if (this._animating) return;
    this._animating = true;
    requestAnimationFrame(() => {
      this._animating = false;
      this.redraw();
    });
  }

  _layOut() {
    const { width, height } = this.element.getBoundingClientRect();
    const frame = this._frame ?? { width: 16, height: 9 };
    if (width < 1 || height < 1) return;
    const density = devicePixelRatio;
    this.place = fit(frame, { width, height }, density);
    const { x, y } = this.place;
    this.screen.style.left = `${x}px`;
    this.screen.style.top = `${y}px`;
    this.screen.style.width = `${this.place.width}px`;
    this.screen.style.height = `${this.place.height}px`;
    this.overlay.width = Math.round(this.place.width * density);
    this.overlay.height = Math.round(this.place.height * density);
    this.redraw();
    if (this._frame) this.onPlace(wantedWidth(frame, this.place, density));
  }

  // --- pointer ----------------------------------------------------------------------------------------------------------

  _listen() {
    const { element } = this;
    const handle = (name, act) => element.addEventListener(name, act);
    handle("contextmenu", (event) => event.preventDefault());
    handle("pointerdown", (event) => this._down(event));
    handle("pointermove", (event) => this._move(event));
    handle("pointerup", (event) => this._run(this._gestures.up({ id: event.pointerId, at: this._at(event) }), event));
    handle("pointercancel", () => this._run(this._gestures.cancel()));
    handle("pointerleave", () => this._setHover(null));
    element.addEventListener("wheel", (event) => this._turn(event), { passive: false });
  }

  /** CSS px from the corner of the stage: of a point or a box, from where that was when the button went down. */
  _at(event) {
    const pointing = this._gestures.active && this.tool === "point";
    const { left, top } = pointing ? this._pressed.corner : this.element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  _down(event) {
    if (event.target.closest("button, a") || !this.place || !this._frame || !this.mayAct()) return;
    const at = this._at(event);
    if (!this._gestures.active && !inside(this._frame, stageToFrame(this.place, at))) return;
    this._fresh = event.shiftKey;
    if (!this._gestures.active) this._pressed = { corner: this.element.getBoundingClientRect(), place: this.place };
    this.crosshair = this._corner = null;
    const { pointerId: id, pointerType: pointer, button } = event;
    this._run(this._gestures.down({ id, pointer, button, at, now: performance.now() }));
    this.element.setPointerCapture(id);
    this._watchPress();
  }

  /** A finger that rests sends no events; look at the clock while it is down. */
  _watchPress() {
    if (!this._gestures.active) return;
    this._run(this._gestures.tick(performance.now()));
    setTimeout(() => this._watchPress(), 60);
  }

  _move(event) {
    const at = this._at(event);
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      this._run(this._gestures.move({ id: event.pointerId, at: this._at(each) }));
    }
    if (event.pointerType !== "touch" && this.place) this._setHover(stageToFrame(this.place, at));
  }

  _setHover(xy) {
    this._hover = xy && this._frame && inside(this._frame, xy) ? xy : null;
    if (this.tool !== "point") this._animate();
  }

  _turn(event) {
    event.preventDefault();
    const step = this._wheel.take({ deltaY: event.deltaY, deltaMode: event.deltaMode, now: performance.now() });
    if (step === 0 || !this.mayAct()) return;
    if (this.tool === "brush") this.element.dispatchEvent(new CustomEvent("brush-size", { detail: step }));
    else if (this.prompter.justPrompted) this.prompter.choose(step);
  }

  _run(intents) {
    for (const intent of intents) this._act(intent);
    if (intents.length > 0) this._animate();
  }

  _act(intent) {
    const frame = this._frame;
    const toFrame = (at) => stageToFrame(this.place, at);
    const pressed = (at) => stageToFrame(this._pressed.place, at);
    if (intent.kind === "hold") this.prompter.hold();
    else if (intent.kind === "point") this.prompter.click(pressed(intent.at), intent.label, { fresh: this._fresh });
    else if (intent.kind === "box-preview") {
      this._box = intent.from && [clamped(frame, pressed(intent.from)), clamped(frame, pressed(intent.to))];
    } else if (intent.kind === "box") this.prompter.box(boxOf(frame, pressed(intent.from), pressed(intent.to)));
    else if (intent.kind === "thin-box") this.prompter.refuseThinBox();
    else if (intent.kind === "stroke") this._stroke(toFrame(intent.from), toFrame(intent.to), intent.erase);
    else if (intent.kind === "release") this._endGesture();
    else this.zones.corner(intent.kind.replace("corner-", ""), toFrame(intent.at), this.place.scaleX);
  }

  _endGesture() {
    this._box = null;
    if (!this.brush) this.prompter.release(); // what is being painted belongs to the held picture
  }

  // --- brush ------------------------------------------------------------------------------------------------------------

  _stroke(from, to, erase) {
    this.brush ??= new BrushMask(this._frame);
    this.brush.stroke(from, to, this.brushRadius, erase);
    this.element.dispatchEvent(new Event("brush"));
  }

  /** Follow what is painted. */
  commitBrush() {
    const mask = this.brush?.toParams();
    if (mask) this.prompter.mask(mask);
    this.giveUp();
    return Boolean(mask);
  }

  /** Wipe what is painted or aimed at, and let the picture go on; true if there was something. */
  giveUp() {
    const something = this.brush !== null || this.crosshair !== null || this._gestures.active || this._box !== null;
    this._gestures.cancel();
    this.brush = this.crosshair = this._corner = this._box = null;
    this.prompter.release();
    this.element.dispatchEvent(new Event("brush"));
    this._animate();
    return something;
  }

  // --- keyboard ---------------------------------------------------------------------------------------------------------

  /** Move the crosshair by frame px; the first move holds the picture. */
  aim(dx, dy) {
    if (!this._frame || !this.mayAct() || (!this.crosshair && !this.prompter.hold())) return;
    const [x, y] = this.crosshair ?? [this._frame.width / 2, this._frame.height / 2];
    this.crosshair = clamped(this._frame, [x + dx, y + dy]);
    if (this._corner) this._box = [this._corner, this.crosshair];
    this._animate();
  }

  /** Click where the crosshair is: a point, the second corner of a box, or a dab of the brush. */
  press(label) {
    if (!this.crosshair) return;
    if (this.tool === "brush") {
      this._stroke(this.crosshair, this.crosshair, label === 0);
      return;
    }
    if (this.tool === "zone") {
      this.zones.corner("down", this.crosshair, this.place.scaleX);
      this.zones.corner("up", this.crosshair, this.place.scaleX);
      return;
    }
    if (this._corner) this.prompter.box(boxOf(this._frame, this._corner, this.crosshair));
    else this.prompter.click(this.crosshair, label);
    this.giveUp();
  }

  /** Put the first corner of a box where the crosshair is. */
  startBox() {
    if (this.tool === "point" && this.crosshair) this._corner = this.crosshair;
  }
}
