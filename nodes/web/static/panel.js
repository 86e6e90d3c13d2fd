/** The objects as a list beside the picture: colour, thumbnail, name, state with its reason, score, area, how long lost. */

import { duration } from "./core/objects.js";
import { colourOf, css } from "./core/palette.js";
import { element, find, icon, setAttribute, setData, setText, show } from "./dom.js";
import { drawSign } from "./drawing.js";

const THUMBNAIL_PX = 96; // drawn twice as large as shown
const THUMBNAIL_EVERY_MS = 600;
const THUMBNAIL_MARGIN = 0.18; // of the bbox, on each side

export class Panel {
  constructor({ objects, prompter, mayAct }) {
    Object.assign(this, { objects, prompter, mayAct });
    this._list = find("objects");
    this._rows = new Map(); // object id -> the row's elements
    this._drawnAt = new Map(); // object id -> ms when its thumbnail was drawn
  }

  /** Show the objects as they are now; `nowS` is the server's unix clock. */
  update(nowS) {
    const { ids } = this.objects;
    for (const [id, row] of this._rows) {
      if (ids.includes(id)) continue;
      row.item.remove();
      this._rows.delete(id);
      this._drawnAt.delete(id);
    }
    ids.forEach((id, index) => {
      if (!this._rows.has(id)) this._rows.set(id, this._makeRow(id));
      const { item } = this._rows.get(id);
      if (this._list.children[index] !== item) this._list.insertBefore(item, this._list.children[index] ?? null);
      this._fill(id, nowS);
    });
    setText(find("objects-count"), ids.length ? String(ids.length) : "");
    show(find("objects-empty"), ids.length === 0);
  }

  /** Cut the thumbnails out of a scene that was painted. */
  takeScene({ header, bitmap }, now) {
    for (const { id, bbox, area, state } of header.objects) {
      const row = this._rows.get(id);
      if (!row || area === 0 || state === "lost" || now - (this._drawnAt.get(id) ?? -Infinity) < THUMBNAIL_EVERY_MS) continue;
      this._drawnAt.set(id, now);
      const scale = bitmap.width / header.width;
      const side = Math.max(bbox[2], bbox[3], 8) * (1 + 2 * THUMBNAIL_MARGIN);
      const x = bbox[0] + bbox[2] / 2 - side / 2;
      const y = bbox[1] + bbox[3] / 2 - side / 2;
      const context = row.thumbnail.getContext("2d");
      context.fillRect(0, 0, THUMBNAIL_PX, THUMBNAIL_PX);
      context.drawImage(bitmap, x * scale, y * scale, side * scale, side * scale, 0, 0, THUMBNAIL_PX, THUMBNAIL_PX);
    }
  }

  /** Let the person type a name for the object. */
  rename(id) {
    const row = this._rows.get(id);
    if (!row || !this.mayAct() || row.item.querySelector("input")) return;
    const input = element("input", { className: "rename", type: "text", maxLength: 64, value: this.objects.objects.get(id).label });
    input.setAttribute("aria-label", `Name of object ${id}`);
    input.dataset.testid = `rename-input-${id}`;
    let over = false;
    const finish = (keep) => {
      if (over) return;
      over = true;
      const label = input.value.trim();
      input.remove();
      row.select.focus();
      if (keep && label !== this.objects.objects.get(id)?.label) this.prompter.rename(id, label);
    };
    input.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // or the same key presses the button that gets the focus
      finish(event.key === "Enter");
    };
    input.onblur = () => finish(true);
    row.item.append(input);
    input.select();
  }

  _makeRow(id) {
    const thumbnail = element("canvas", { width: THUMBNAIL_PX, height: THUMBNAIL_PX });
    const badge = element("span", { className: "badge", textContent: String(id) });
    badge.style.backgroundColor = css(colourOf(id));
    const sign = element("canvas", { width: 36, height: 36, className: "sign-canvas" });
    const name = element("span", { className: "object-name" });
    const word = element("span", {});
    const state = element("span", { className: "object-state" }, sign, word);
    const numbers = element("span", { className: "object-numbers number" });
    const select = element(
      "button",
      { className: "object-select", type: "button", data: { testid: `object-${id}` }, aria: { pressed: "false" } },
      element("span", { className: "thumbnail" }, thumbnail, badge),
      element("span", { className: "object-words" }, name, state, numbers),
    );
    select.onclick = () => this.prompter.select(id);
    select.ondblclick = () => this.rename(id);
    const rename = this._button("rename", `rename-${id}`, () => this.rename(id));
    const remove = this._button("remove", `remove-${id}`, () => this.prompter.remove(id));
    const buttons = element("span", { className: "object-buttons operator" }, rename, remove);
    const item = element("li", { className: "object" }, select, buttons);
    return { item, select, thumbnail, sign, name, word, numbers, rename, remove };
  }

  _button(name, testid, act) {
    const button = element("button", { className: "icon-button", type: "button", data: { testid } }, icon(name));
    button.onclick = act;
    return button;
  }

  _fill(id, nowS) {
    const row = this._rows.get(id);
    const object = this.objects.objects.get(id);
    const chosen = this.objects.selected === id;
    const name = this.objects.nameOf(id);
    if (row.item.dataset.state !== object.state) paintSign(row.sign, object.state, css(colourOf(id)));
    setData(row.item, "state", object.state);
    setData(row.item, "selected", chosen);
    setAttribute(row.select, "aria-pressed", chosen);
    setText(row.name, name);
    const lost = object.state === "lost" && object.lostSince !== null;
    const word = lost ? `lost for ${duration(nowS - object.lostSince)}` : object.state;
    setText(row.word, object.reason ? `${word}: ${object.reason}` : word);
    setText(row.numbers, object.area > 0 ? `${object.score.toFixed(2)}  ·  ${object.area.toLocaleString("en")} px` : "no mask");
    for (const [button, verb] of [[row.rename, "Rename"], [row.remove, "Remove"]]) {
      setAttribute(button, "title", verb);
      setAttribute(button, "aria-label", `${verb} ${name}`);
    }
  }
}

function paintSign(canvas, state, style) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, 36, 36);
  drawSign(context, state, 18, 18, 11, style, 2.6);
}
