/** Presses on the picture and the strip's buttons in, a zone or a line that the run keeps out. */

import { clamped } from "../core/geometry.js";
import { ZoneDraft, freeName } from "../core/zones.js";
import { find, setAttribute, show } from "../dom.js";

const REACH_PX = 12; // of the stage: a press so near to a corner takes it

/** Events: "change"; "done" (detail: message); "problem" (detail: message); "finished": the tool is no longer needed. */
export class ZoneEditor extends EventTarget {
  constructor(book) {
    super();
    this.book = book;
    this.frame = null; // {width, height} of the pictures; the stage writes it
    this.draft = null; // a ZoneDraft while the tool is on
    this._name = find("zone-name");
    find("zone-strip").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === this._name) this.save();
      if (event.target === this._name && event.key !== "Escape") event.stopPropagation();
    });
  }

  /** Turn the tool on or off; with a name, that zone is drawn anew. */
  use(on, name = "") {
    const shape = this.book.shapes.get(name);
    this.draft = null;
    if (on && shape && this.frame) {
      const { kind, options } = shape;
      this.draft = new ZoneDraft(kind, { name, options, points: this.book.corners(name, this.frame) });
    } else if (on) this.draft = new ZoneDraft("polygon");
    this._name.value = this.draft ? name || freeName(this.draft.kind, [...this.book.shapes.keys()]) : "";
    this.update();
  }

  /** An area or a line; what was drawn is wiped. */
  setKind(kind) {
    if (!this.draft || this.draft.kind === kind) return;
    this.draft = new ZoneDraft(kind);
    this._name.value = freeName(kind, [...this.book.shapes.keys()]);
    this.update();
  }

  /** `what` is down, move or up, at frame px; `scale` is how many px of the stage a frame px has. */
  corner(what, xy, scale) {
    if (!this.draft) return;
    if (what === "down") this.draft.down(clamped(this.frame, xy), REACH_PX / scale);
    else if (what === "move") this.draft.move(clamped(this.frame, xy));
    else this.draft.up();
    this.update();
  }

  undo() {
    this.draft?.undo();
    this.update();
  }

  async save() {
    const { draft } = this;
    const name = this._name.value.trim();
    if (!draft?.complete) return this._say("problem", "Click the corners of the area first, or the two ends of the line.");
    if (draft.name !== name && this.book.shapes.has(name)) return this._say("problem", `There is a ${name} already. Choose another name.`);
    try {
      await this.book.save(name, draft, this.frame);
      if (draft.name && draft.name !== name) await this.book.remove(draft.name);
    } catch (error) {
      return this._say("problem", error.message);
    }
    this._say("done", `${name} is watched`);
    return this.dispatchEvent(new Event("finished"));
  }

  update() {
    const { draft } = this;
    show(find("zone-strip"), draft !== null);
    for (const kind of ["polygon", "line"]) setAttribute(find(`zone-${kind}`), "aria-pressed", draft?.kind === kind);
    find("zone-save").disabled = !draft?.complete;
    find("zone-undo").disabled = !draft?.points.length;
    this.dispatchEvent(new Event("change"));
  }

  _say(kind, message) {
    this.dispatchEvent(new CustomEvent(kind, { detail: message }));
  }
}
