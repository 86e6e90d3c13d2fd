/** The tools under the picture: buttons in, calls of stage, prompter and run out; and what is pressed or can't be. */

import { colourOf, css } from "./core/palette.js";
import { find, setAttribute, setData, setText, show } from "./dom.js";
import { notify } from "./notices.js";

const STATUS_LAGS_MS = 4000; // so long a status may still say what was before a reply
const FIND_COUNT = 8; // objects that "find objects" looks for at most

export class Dock {
  constructor({ stage, prompter, objects, zones, request }) {
    Object.assign(this, { stage, prompter, objects, zones, request });
    this.paused = false;
    this.recording = false;
    this._repliedAt = { pause: -Infinity, record: -Infinity }; // ms of the page's clock
    this.acts = {
      point: () => this.setTool("point"),
      brush: () => this.setTool(stage.tool === "brush" ? "point" : "brush"),
      zone: () => this.setTool(stage.tool === "zone" ? "point" : "zone"),
      negative: () => this.setNegative(!stage.negative),
      smaller: () => prompter.choose(-1),
      larger: () => prompter.choose(+1),
      undo: () => prompter.undo(),
      remove: () => prompter.remove(),
      settle: () => this.settle(),
      find: () => this.findObjects(),
      pause: () => this.pause(!this.paused),
      record: () => this.record(!this.recording),
      "brush-commit": () => this.commitBrush(),
      "brush-cancel": () => stage.giveUp(),
      "zone-polygon": () => zones.setKind("polygon"),
      "zone-line": () => zones.setKind("line"),
      "zone-undo": () => zones.undo(),
      "zone-save": () => zones.save(),
      "zone-cancel": () => this.setTool("point"),
    };
    for (const button of document.querySelectorAll("button[data-act]")) {
      if (this.acts[button.dataset.act]) button.onclick = () => this.acts[button.dataset.act]();
    }
    find("context-name").onclick = () => prompter.select(prompter.target);
    find("brush-size").oninput = ({ target }) => this.setBrush(Number(target.value));
    stage.element.addEventListener("brush-size", ({ detail }) => this.setBrush(stage.brushRadius * (detail > 0 ? 1.15 : 0.87)));
    stage.element.addEventListener("brush", () => this.update());
    zones.addEventListener("finished", () => this.setTool("point"));
  }

  setTool(tool) {
    this.stage.setTool(tool);
    this.update();
  }

  /** Draw a zone anew. */
  editZone(name) {
    this.setTool("zone");
    this.zones.use(true, name);
  }

  setNegative(negative) {
    this.stage.setNegative(negative);
    this.update();
  }

  /** The brush's radius, frame px. */
  setBrush(radius) {
    this.stage.brushRadius = Math.min(80, Math.max(2, radius));
    find("brush-size").value = this.stage.brushRadius;
    this.stage.redraw();
  }

  commitBrush() {
    if (this.stage.commitBrush()) this.setTool("point");
    else notify("Paint over the object first.");
  }

  /** Done with this object: nothing is selected, nothing is being corrected. */
  settle() {
    this.objects.select(null);
    this.prompter.settle();
  }

  async pause(on) {
    const result = await this._ask(on ? "pause" : "resume");
    if (result) {
      this.paused = result.paused ?? on;
      this._repliedAt.pause = performance.now();
    }
    this.update();
  }

  async record(on) {
    const result = await this._ask("record", { on });
    if (result) {
      this.recording = result.recording ?? on;
      this._repliedAt.record = performance.now();
      if (this.recording) notify(`Recording to ${result.path}`);
      else notify(result.path ? `Recorded ${result.path}` : "Nothing was recorded: no picture came meanwhile");
    }
    this.update();
  }

  async findObjects() {
    const button = document.querySelector('[data-act="find"]');
    button.disabled = true;
    try {
      await this.request("find_objects", { count: FIND_COUNT });
      notify("Looking for objects");
      button.disabled = false;
    } catch (error) {
      notify(error.message);
      // What this run's models can't do stays so; whatever else went wrong may be tried again.
      button.disabled = error.code === "unsupported";
      button.title = button.disabled ? error.message : button.title;
    }
  }

  /** Take what the status says of things that others may have changed. */
  takeStatus(status) {
    if (!this._hasJustReplied("pause")) this.paused = status.state === "paused";
    if (!this._hasJustReplied("record") && typeof status.recording === "boolean") this.recording = status.recording;
    this.update();
  }

  /** A state of the run as it must be by now: a reply to pause or resume knows more than the status before it. */
  corrected(state) {
    if (!this._hasJustReplied("pause")) return state;
    if (this.paused) return "paused";
    return state === "paused" ? "running" : state;
  }

  _hasJustReplied(what) {
    return performance.now() - this._repliedAt[what] < STATUS_LAGS_MS;
  }

  update() {
    const { stage, prompter, objects } = this;
    press("point", stage.tool === "point");
    press("brush", stage.tool === "brush");
    press("zone", stage.tool === "zone");
    press("negative", stage.negative);
    press("pause", this.paused);
    press("record", this.recording);
    setText(find("pause-text"), this.paused ? "Resume" : "Pause");
    setAttribute(find("pause-icon"), "href", this.paused ? "#i-play" : "#i-pause");
    const { target } = prompter;
    const painting = stage.tool === "brush";
    show(find("brush-strip"), painting);
    show(find("context"), target !== null && stage.tool === "point");
    for (const act of ["brush-commit", "brush-cancel"]) find("brush-strip").querySelector(`[data-act="${act}"]`).disabled = !stage.brush;
    if (target === null) return;
    find("context-dot").style.backgroundColor = css(colourOf(target));
    setText(find("context-text"), objects.nameOf(target));
    const selected = objects.selected === target;
    const meaning = selected ? "Clicks add points to it; press to unselect" : "Press to add points to it with the next clicks";
    setAttribute(find("context-name"), "title", meaning);
    setAttribute(find("context-name"), "aria-pressed", selected);
    setData(find("context"), "selected", selected);
    const { candidate } = prompter;
    show(find("candidate"), candidate?.objectId === target);
    if (candidate?.objectId === target) setText(find("candidate"), `${candidate.index + 1}/${candidate.count}`);
  }

  async _ask(method, params) {
    try {
      return await this.request(method, params);
    } catch (error) {
      notify(error.message);
      return null;
    }
  }
}

function press(act, on) {
  setAttribute(document.querySelector(`[data-act="${act}"]`), "aria-pressed", on);
}
