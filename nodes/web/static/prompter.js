/** What a person means in, control requests about the very frame that was on screen out.
 *
 * While a gesture lasts, the picture is held and the server keeps its frame (`hold_frame`); after a prompt the frame stays
 * kept for a while, so that the next larger or smaller mask can still be found on it.
 */

import { clamped } from "./core/geometry.js";

const RECENT_MS = 20_000; // how long after a prompt it can be corrected without selecting the object
const RING_MS = 4000; // how long a click waits visibly for its mask
const HOLD_AGAIN_MS = 10_000; // the server keeps a frame for 30 s at a time
const DOUBLE_CLICK_MS = 350;
const DOUBLE_CLICK_PX = 6; // frame px

/** Events: "change"; "gone" (detail: {message, again}; without `again` it was not a
 *  prompt that failed, but the holding of the frame); "problem" (detail: message); "done" (detail: message). */
export class Prompter extends EventTarget {
  /** `serverNowS()` is the server's unix clock, s; `now()` the page's own, ms. */
  constructor({ request, player, objects, serverNowS, now = () => performance.now() }) {
    super();
    this.request = request; // (method, params) -> promise
    this.player = player;
    this.objects = objects;
    this.serverNowS = serverNowS;
    this.now = now;
    this.pending = []; // [{xy, label, since, objectId}]: clicks whose mask is not on screen yet
    this.candidate = null; // {objectId, index, count} once one was chosen
    this._recent = null; // {objectId, until}
    this._replied = Promise.resolve(); // once no prompt waits for its reply
    this._sending = 0; // prompts that wait for their reply
    this._pin = null; // the frame that the server keeps for us
    this._pinNeeded = false; // a prompt was made on it
    this._lastClick = null;
    this._again = 0; // timer
  }

  /** The object that a correction is for: the selected one, or the one prompted just now. */
  get target() {
    if (this.objects.selected !== null) return this.objects.selected;
    return this.recent;
  }

  /** Whether a prompt was made just now, be it that its object is not named yet. */
  get justPrompted() {
    return this._sending > 0 || this.recent !== null;
  }

  /** The object prompted just now; null later. */
  get recent() {
    const recent = this._recent;
    return recent && this.now() < recent.until && this.objects.objects.has(recent.objectId) ? recent.objectId : null;
  }

  // --- holding ----------------------------------------------------------------------------------------------------------

  /** Hold the picture on screen; false before the first one. */
  hold() {
    this.player.hold();
    if (!this.player.held) return false;
    this._pinFrame(this.player.shown.frame);
    this._changed();
    return true;
  }

  release() {
    this.player.release();
    if (!this._pinNeeded) this._unpin();
    this._changed();
  }

  _pinFrame(frame) {
    if (this._pin && sameFrame(this._pin, frame)) return;
    this._unpin();
    this._pin = frame;
    this._holdFrame(frame);
  }

  _holdFrame(frame) {
    clearTimeout(this._again);
    this._again = setTimeout(() => {
      if (this.player.held && this._pin === frame) this._holdFrame(frame);
    }, HOLD_AGAIN_MS);
    this.request("hold_frame", { frame }).catch((error) => {
      if (error.code !== "frame_gone" || this._pin !== frame) return;
      this._pin = null;
      this._tellGone(error, null);
    });
  }

  _unpin() {
    if (this._pin) this.request("release_frame", { frame: this._pin }).catch(() => {}); // it ends by itself, too
    this._pin = null;
    this._pinNeeded = false;
  }

  // --- prompts ----------------------------------------------------------------------------------------------------------

  /** A click at frame px: selects, or begins an object, or adds a point to the target; `fresh` always begins one. */
  click(xy, label, { fresh = false } = {}) {
    const scene = this.player.shown;
    if (!scene || this._isDoubleClick(xy, label)) return null;
    const point = [...clamped(scene.header, xy), label];
    const { selected } = this.objects;
    if (label === 0) {
      if (this._sending === 0) return this._refine(this.target, point, scene);
      this._pinNeeded = true; // the gesture is over before the object has a name
      return this._replied.then(() => this._refine(this.target, point, scene));
    }
    if (selected !== null && !fresh) return this._refine(selected, point, scene);
    const under = fresh ? null : scene.objectAt(xy);
    if (under !== null && this.objects.objects.has(under)) { // one that was removed may still be on the picture
      this.select(under);
      return null;
    }
    return this._send("add_object", { points: [point] }, scene);
  }

  _refine(target, point, scene) {
    if (target !== null) return this._send("refine_object", { object_id: target, points: [point] }, scene, target);
    this._say("problem", "Select an object first: click it, or press its number.");
    return null;
  }

  box(box) {
    return this._send("add_object", { box }, this.player.shown);
  }

  refuseThinBox() {
    this._say("problem", "That box has no width or no height. Drag round the object, or just click it.");
  }

  mask(mask) {
    return this._send("add_object", { mask }, this.player.shown);
  }

  _send(...prompt) {
    this._sending += 1;
    const reply = this._ask(...prompt).finally(() => (this._sending -= 1));
    this._replied = Promise.all([this._replied, reply]);
    return reply;
  }

  async _ask(method, params, scene, objectId = null) {
    const click = params.points && { xy: params.points[0], label: params.points[0][2], since: this.now(), objectId };
    if (click) this.pending.push(click);
    this.candidate = null;
    this._pinNeeded = true;
    this._changed();
    try {
      const result = await this.request(method, { ...params, frame: scene.frame });
      this.objects.await(result.object_id, this.serverNowS());
      this._recent = { objectId: result.object_id, until: this.now() + RECENT_MS };
      if (click) click.objectId = result.object_id;
      else this._say("done", `${this.objects.nameOf(result.object_id)} begins`);
    } catch (error) {
      this.pending = this.pending.filter((other) => other !== click);
      const again = () => this._send(method, params, this.player.shown, objectId);
      if (error.code === "frame_gone") this._tellGone(error, again);
      else this._say("problem", error.message);
    }
    this._changed();
  }

  _tellGone(error, again) {
    this.dispatchEvent(new CustomEvent("gone", { detail: { message: error.message, again } }));
  }

  _isDoubleClick([x, y], label) {
    const last = this._lastClick;
    this._lastClick = { x, y, label, at: this.now() };
    if (!last || last.label !== label || this.now() - last.at > DOUBLE_CLICK_MS) return false;
    return Math.hypot(x - last.x, y - last.y) < DOUBLE_CLICK_PX;
  }

  // --- corrections ------------------------------------------------------------------------------------------------------

  // Whoever presses a key right after a click means the object that the click has begun: its reply is waited for.

  /** The next larger (+1) or smaller (-1) mask of the target's newest prompt. */
  async choose(step) {
    await this._replied;
    const objectId = this.target;
    if (objectId === null) return this._say("problem", "Click an object first; then choose a smaller or larger mask.");
    const result = await this._act("choose_candidate", { object_id: objectId, step });
    if (!result) return undefined;
    this.candidate = { objectId, index: result.candidate, count: result.candidates };
    this._recent = { objectId, until: this.now() + RECENT_MS };
    this._say("done", `Mask ${result.candidate + 1} of ${result.candidates}`);
    return this._changed();
  }

  async undo() {
    await this._replied;
    const objectId = this.target;
    if (objectId === null) return this._say("problem", "Select the object whose last point is to be taken back.");
    if (await this._act("undo_point", { object_id: objectId })) this._say("done", "Took back the last point");
    return undefined;
  }

  async remove(id = null) {
    await this._replied;
    const objectId = id ?? this.target;
    if (objectId === null) return this._say("problem", "Select the object to remove first.");
    const name = this.objects.nameOf(objectId);
    if (await this._act("remove_object", { object_id: objectId })) {
      this.objects.remove(objectId);
      this._say("done", `${name} removed`);
    }
    return this._changed();
  }

  async rename(objectId, label) {
    const result = await this._act("rename_object", { object_id: objectId, label });
    if (result) this._say("done", label ? `Object ${objectId} is called ${label}` : `Object ${objectId} has no name`);
    return Boolean(result);
  }

  /** Select an object, or unselect it where it is selected already. */
  select(objectId) {
    if (objectId !== null && !this.objects.objects.has(objectId)) {
      return this._say("problem", `There is no object ${objectId}.`);
    }
    this.objects.select(objectId === this.objects.selected ? null : objectId);
    return this._changed();
  }

  /** Forget the prompt made just now, and let its frame go. */
  settle() {
    this._recent = null;
    this.candidate = null;
    this._unpin();
    this._changed();
  }

  /** A scene was painted: clicks whose mask it shows, or that have waited long enough, are done. */
  takeScene(header) {
    const shown = new Map(header.objects.map((object) => [object.id, object]));
    const now = this.now();
    this.pending = this.pending.filter(({ objectId, since }) => {
      const arrived = objectId !== null && (shown.get(objectId)?.area ?? 0) > 0 && now - since > 300;
      return !arrived && now - since < RING_MS;
    });
    if (this._recent && now >= this._recent.until) this.settle();
  }

  async _act(method, params) {
    try {
      return await this.request(method, params);
    } catch (error) {
      this._say("problem", error.message);
      return null;
    }
  }

  _say(kind, message) {
    this.dispatchEvent(new CustomEvent(kind, { detail: message }));
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }
}

function sameFrame(one, other) {
  return one.session === other.session && one.frame_id === other.frame_id && one.epoch === other.epoch;
}
