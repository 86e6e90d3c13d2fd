/** Zones with their counts, and what happened lately, as lists beside the picture. */

import { countWords, eventWords } from "../core/zones.js";
import { element, find, icon, setText, show } from "../dom.js";

const SHOWN = 40; // events

export class ZonePanel {
  /** `edit(name)` and `remove(name)` act; `nameOf(id)` names an object. */
  constructor({ book, edit, remove, nameOf }) {
    Object.assign(this, { book, edit, remove, nameOf });
    this._rows = new Map(); // name -> {item, words}
    this._events = find("events");
    book.addEventListener("change", () => this.update());
  }

  update() {
    const { shapes, counts } = this.book;
    for (const [name, { item }] of this._rows) {
      if (shapes.has(name)) continue;
      item.remove();
      this._rows.delete(name);
    }
    for (const name of shapes.keys()) {
      if (!this._rows.has(name)) this._rows.set(name, this._makeRow(name));
      setText(this._rows.get(name).words, countWords(counts.get(name)));
    }
    setText(find("zones-count"), shapes.size ? String(shapes.size) : "");
    show(find("zones-empty"), shapes.size === 0);
  }

  clear() {
    this._events.replaceChildren();
  }

  /** Put new events on top of the list. */
  takeEvents(events) {
    for (const event of events) {
      const words = eventWords(event, this.nameOf);
      if (words === null) continue;
      const at = new Date(1000 * event.unix_s).toLocaleTimeString([], { hour12: false });
      const time = element("time", { className: "number", textContent: at });
      this._events.prepend(element("li", { data: { kind: event.kind } }, time, element("span", { textContent: words })));
    }
    while (this._events.children.length > SHOWN) this._events.lastChild.remove();
  }

  _makeRow(name) {
    const words = element("span", { className: "zone-words number" });
    const item = element("li", { className: "zone", data: { testid: `zone-${name}` } },
      element("strong", { textContent: name }), words,
      element("span", { className: "object-buttons operator" },
        this._button("rename", `Draw ${name} anew`, `edit-zone-${name}`, () => this.edit(name)),
        this._button("remove", `Remove ${name}`, `remove-zone-${name}`, () => this.remove(name))));
    find("zones").append(item);
    return { item, words };
  }

  _button(symbol, title, testid, act) {
    const button = element("button", { className: "icon-button", type: "button", title, data: { testid }, aria: { label: title } }, icon(symbol));
    button.onclick = act;
    return button;
  }
}
