/** Keys in, calls out; and the table of them that the help shows. */

import { NumberKeys } from "./core/number_keys.js";

const STEP_PX = 4; // of an arrow key, frame px
const LEAP_PX = 24; // with Shift

const numberKeys = new NumberKeys();

/** Handle the keys. `page` has stage, dock, prompter, objects, layers, panel, statusView, help, snapshot, views. */
export function listen(page) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && page.mayAct()) act(event, page.dock.acts.undo);
      return;
    }
    if (event.target.closest("input[type=text], dialog[open]") && event.key !== "?") return;
    const handler = page.views.grid
      ? inGrid(event, page)
      : (aimed(event, page) ?? always(event, page) ?? operated(event, page));
    if (handler) act(event, handler);
  });
}

function act(event, handler) {
  event.preventDefault();
  handler();
}

/** What the picture does while it has the focus. */
function aimed(event, { stage, dock }) {
  if (document.activeElement !== stage.element) return null;
  const step = event.shiftKey ? LEAP_PX : STEP_PX;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  if (moves[event.key]) return () => stage.aim(...moves[event.key]);
  if (!stage.crosshair) return null;
  if (event.key === "Enter") return () => stage.press(1);
  if (event.key === "-") return () => stage.press(0);
  if (event.key.toLowerCase() === "d") return stage.tool === "zone" ? dock.acts["zone-save"] : () => stage.startBox();
  return null;
}

function inGrid({ key }, { views, help, statusView }) {
  if (/^[1-9]$/.test(key)) return () => views.openNumber(Number(key));
  if (key === "?" || key === "h") return () => help.toggle();
  if (key === "i") return () => statusView.toggleDetails();
  if (key === "Escape") return () => statusView.toggleDetails(false);
  return null;
}

function always(event, { layers, help, snapshot, statusView, prompter, objects, dock, stage, camera, views }) {
  const { key } = event;
  // A focused button or slider keeps the keys that work it.
  if (event.target.closest("button, a, summary, input") && (key === " " || key === "Enter" || key.startsWith("Arrow"))) return null;
  if (key === "?" || key === "h") return () => help.toggle();
  if (key === "l") return () => layers.toggleAll();
  if (key === "s") return snapshot;
  if (key === "i") return () => statusView.toggleDetails();
  if (key === "Escape") {
    return () => {
      statusView.toggleDetails(false);
      if (stage.giveUp()) return;
      if (stage.tool !== "point") dock.setTool("point");
      else dock.settle();
    };
  }
  if (/^[0-9]$/.test(key)) {
    return () => {
      const id = numberKeys.take(key, performance.now(), objects.ids);
      if (id !== null) prompter.select(id);
    };
  }
  if (key === "g" && views.several) return () => views.open(null);
  if (key === "c") return () => camera();
  return null;
}

function operated(event, { dock, stage, prompter, panel, mayAct }) {
  if (!mayAct()) return null;
  if (event.target.closest("button, a, summary, input") && (event.key === " " || event.key === "Enter")) return null;
  const brush = stage.tool === "brush";
  const zone = stage.tool === "zone";
  const handlers = {
    "[": brush ? () => dock.setBrush(stage.brushRadius * 0.87) : dock.acts.smaller,
    "]": brush ? () => dock.setBrush(stage.brushRadius * 1.15) : dock.acts.larger,
    z: zone ? dock.acts["zone-undo"] : dock.acts.undo,
    x: dock.acts.remove,
    Delete: dock.acts.remove,
    n: () => (prompter.target === null ? null : panel.rename(prompter.target)),
    F2: () => (prompter.target === null ? null : panel.rename(prompter.target)),
    v: dock.acts.point,
    b: dock.acts.brush,
    a: dock.acts.zone,
    m: dock.acts.negative,
    f: dock.acts.find,
    r: dock.acts.record,
    " ": dock.acts.pause,
    p: dock.acts.pause,
    Enter: brush ? dock.acts["brush-commit"] : zone ? dock.acts["zone-save"] : undefined,
  };
  return handlers[event.key.length === 1 ? event.key.toLowerCase() : event.key] ?? null;
}
