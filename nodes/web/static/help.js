/** The help overlay: what clicks, fingers and keys do. */

import { element, find } from "./dom.js";

const SECTIONS = [
  ["With the mouse", [
    [["click"], "a new object; or, on a mask, select it"],
    [["click"], "with a selected object: this belongs to it"],
    [["right click"], "this does not belong to it"],
    [["drag"], "a box: a new object"],
    [["wheel"], "right after a click: the next larger or smaller mask"],
    [["Shift", "click"], "a new object, whatever is selected"],
  ]],
  ["With a finger", [
    [["tap"], "a new object, or a point of the selected one"],
    [["hold"], "this does not belong to it"],
    [["drag"], "a box: a new object"],
    [["Not this"], "turns every tap into “not this”"],
  ]],
  ["Objects", [
    [["1", "2", "…"], "select; again: unselect. Two digits quickly: object 12"],
    [["[", "]"], "smaller, larger mask"],
    [["Z"], "take back the last point"],
    [["N"], "name it"],
    [["X"], "remove it"],
    [["Esc"], "done with it"],
  ]],
  ["The run", [
    [["Space"], "pause, resume"],
    [["S"], "save a picture"],
    [["R"], "record, stop recording"],
    [["F"], "find objects by itself"],
    [["C"], "use this page's camera, where the run takes one"],
    [["G"], "back to all cameras, where there are several; there, 1 to 9 open one"],
  ]],
  ["Tools", [
    [["V"], "point and box"],
    [["B"], "brush: paint, then Enter"],
    [["[", "]"], "with the brush: its size"],
    [["M"], "clicks say “not this”, strokes erase"],
    [["A"], "an area or a line to watch: click its corners, then Enter"],
    [["L"], "layers off, on"],
    [["I"], "details of the run"],
  ]],
  ["Without a mouse", [
    [["Tab"], "to the picture"],
    [["arrows"], "move a cross; Shift: faster. The picture is held meanwhile"],
    [["Enter"], "click there"],
    [["-"], "not this, there"],
    [["D"], "first corner of a box; Enter: the second. Of an area: done"],
  ]],
];

export class Help {
  constructor() {
    this._dialog = find("help");
    find("help-body").append(...SECTIONS.map(([title, rows]) => section(title, rows)));
    find("help-close").onclick = () => this._dialog.close();
    find("help-button").onclick = () => this.toggle();
    this._dialog.onclick = ({ target }) => target === this._dialog && this._dialog.close(); // the backdrop
  }

  toggle() {
    if (this._dialog.open) this._dialog.close();
    else this._dialog.showModal();
  }
}

function section(title, rows) {
  const list = element("dl", {});
  for (const [keys, meaning] of rows) {
    list.append(
      element("dt", {}, ...keys.map((key) => element("kbd", { textContent: key }))),
      element("dd", { textContent: meaning }),
    );
  }
  return element("section", {}, element("h3", { textContent: title }), list);
}
