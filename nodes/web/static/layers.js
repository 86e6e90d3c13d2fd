/** What is drawn over the picture and how strongly: masks, outlines, points, trails, labels, zones. */

import { element, find, recall, remember, setText } from "./dom.js";

const NAMES = { masks: "Masks", outlines: "Outlines", points: "Points", trails: "Trails", labels: "Labels", zones: "Zones" };

export class Layers {
  constructor(onChange) {
    this.opacity = { masks: 1, outlines: 1, points: 0.8, trails: 0.7, labels: 1, zones: 0.9 };
    this._onChange = onChange;
    this._rows = new Map();
    const stored = recall("layers", {});
    for (const name of Object.keys(NAMES)) {
      if (stored[name] >= 0 && stored[name] <= 1) this.opacity[name] = stored[name];
      find("layers-list").append(this._row(name));
    }
  }

  set(name, value) {
    this.opacity[name] = value;
    const { input, output } = this._rows.get(name);
    input.value = Math.round(100 * value);
    setText(output, value === 0 ? "off" : `${Math.round(100 * value)} %`);
    remember("layers", this.opacity);
    this._onChange();
  }

  /** Show all that is hidden, or, where something is shown, hide it all. */
  toggleAll() {
    const value = Object.values(this.opacity).some((opacity) => opacity > 0) ? 0 : 1;
    for (const name of Object.keys(NAMES)) this.set(name, value);
    return value > 0;
  }

  _row(name) {
    const input = element("input", { type: "range", min: 0, max: 100, id: `layer-${name}`, data: { testid: `layer-${name}` } });
    const label = element("label", { htmlFor: input.id, textContent: NAMES[name] });
    const output = element("output", {});
    output.setAttribute("for", input.id);
    input.value = Math.round(100 * this.opacity[name]);
    setText(output, this.opacity[name] === 0 ? "off" : `${input.value} %`);
    input.oninput = () => this.set(name, input.value / 100);
    this._rows.set(name, { input, output });
    return element("div", { className: "layers-row" }, label, input, output);
  }
}
