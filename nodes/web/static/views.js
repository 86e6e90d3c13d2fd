/** Which view the page shows: the grid of all cameras, or one camera; the address's fragment (#door) holds the choice. */

import { element, find, setAttribute, show } from "./dom.js";

/** The buttons of several cameras, and of all of them. */
export class CameraBar {
  /** `open(name)` shows a camera; null: all. */
  constructor(open) {
    this._open = open;
    this._bar = find("cameras");
  }

  takeCameras(names) {
    show(this._bar, names.length > 1);
    this._bar.replaceChildren(this._button(null, "All"), ...names.map((name) => this._button(name, name)));
  }

  mark(name) {
    for (const button of this._bar.children) setAttribute(button, "aria-pressed", (button.dataset.camera ?? null) === name);
  }

  _button(name, text) {
    const testid = name === null ? "all-cameras" : `camera-${name}`;
    const button = element("button", { className: "tool", type: "button", textContent: text, data: { testid } });
    if (name !== null) button.dataset.camera = name;
    button.onclick = () => this._open(name);
    return button;
  }
}

export class Views {
  /** `show(camera)`: a name, or null for the grid. */
  constructor(show) {
    this._show = show;
    this._cameras = [];
    this._stays = false; // somebody works with the one camera: further ones that appear don't take it away
    this.camera = null; // shown alone; null: the grid, or nothing yet
    addEventListener("hashchange", () => this._follow());
  }

  get several() {
    return this._cameras.length > 1;
  }

  get grid() {
    return this.several && this.camera === null;
  }

  stay() {
    this._stays = true;
  }

  takeCameras(names) {
    this._cameras = names;
    this._follow();
  }

  open(name) {
    location.hash = name === null ? "" : `#${encodeURIComponent(name)}`;
    this._stays = false;
    this._follow();
  }

  /** The n-th camera, from 1. */
  openNumber(number) {
    if (number <= this._cameras.length) this.open(this._cameras[number - 1]);
  }

  _follow() {
    if (this._cameras.length === 0) return;
    const named = decoded(location.hash.slice(1));
    if (this._cameras.includes(named)) this.camera = named;
    else if (!this.several) this.camera = this._cameras[0];
    else if (!this._stays) this.camera = null;
    this._show(this.camera);
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // no name of a camera has a lone % in it
  }
}
