/** Small pictures and statuses of all cameras in, a grid of tiles out; a tile leads to its camera. */

import { summaryWords } from "./core/summaries.js";
import { ageWords } from "./core/verdict.js";
import { element, find, setAttribute, setData, setText } from "./dom.js";
import { drawScene } from "./drawing.js";
import { readScene } from "./player.js";

const STALE_MS = 4000; // a tile's picture comes twice a second
const LAYERS = { masks: 1, outlines: 1, points: 0, trails: 0, labels: 0 };
const NO_TRAILS = { steps: new Map() };

export class Grid {
  /** `open(name)` shows a camera alone; `acknowledge()` tells the server that a picture is dealt with. */
  constructor({ open, acknowledge, serverNowMs, report }) {
    Object.assign(this, { open, acknowledge, serverNowMs, report });
    this.element = find("grid");
    this._tiles = new Map(); // camera -> its elements, summary and when its picture was captured
    this._decoding = Promise.resolve();
  }

  get cameras() {
    return [...this._tiles.keys()];
  }

  /** Have a tile for each of these. */
  takeCameras(names) {
    for (const [name, { tile }] of this._tiles) {
      if (names.includes(name)) continue;
      tile.remove();
      this._tiles.delete(name);
    }
    for (const name of names) {
      if (!this._tiles.has(name)) this._tiles.set(name, this._makeTile(name));
    }
    this.element.append(...names.map((name) => this._tiles.get(name).tile));
  }

  takeSummaries(summaries) {
    for (const [name, summary] of Object.entries(summaries)) {
      const tile = this._tiles.get(name);
      if (tile) tile.summary = summary;
    }
  }

  /** Take a message; it is painted when those before it are. */
  take(buffer) {
    this._decoding = this._decoding.then(async () => {
      try {
        this._paint(await readScene(buffer));
      } catch (error) {
        this.report(error.message);
      }
      this.acknowledge();
    });
  }

  /** Write down what is known now; `connected`: pictures can come. */
  update(connected) {
    for (const { tile, light, words, age, summary, capturedMs } of this._tiles.values()) {
      const ageMs = capturedMs === null ? null : Math.max(0, this.serverNowMs() - capturedMs);
      const { text, tone } = summaryWords(summary);
      const stale = !connected || tone !== "live" || ageMs === null || ageMs > STALE_MS;
      setData(tile, "stale", stale);
      setData(light, "state", connected ? tone : "bad");
      setText(words, connected ? text : "no connection");
      setText(age, ageMs === null ? "no picture" : ageWords(ageMs));
      setAttribute(tile, "aria-label", `${tile.dataset.camera}: ${words.textContent}`);
    }
  }

  _paint(scene) {
    const { header, bitmap } = scene;
    const tile = this._tiles.get(header.camera);
    if (tile) {
      const { canvas, context } = tile;
      tile.capturedMs = header.captured_unix_ns / 1e6;
      if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
      if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
      context.drawImage(bitmap, 0, 0);
      const place = {
        width: bitmap.width, height: bitmap.height, scaleX: bitmap.width / header.width, scaleY: bitmap.height / header.height,
      };
      drawScene(context, place, scene, NO_TRAILS, { layers: LAYERS, selected: null, unit: 0.8 });
    }
    bitmap.close();
  }

  _makeTile(name) {
    const canvas = element("canvas", { width: 320, height: 180 });
    const light = element("span", { className: "light" });
    const words = element("span", { className: "tile-words" });
    const age = element("span", { className: "tile-age number" });
    const title = element("strong", { textContent: name });
    const foot = element("span", { className: "tile-foot" }, light, title, words, age);
    const tile = element("button", { className: "tile card", type: "button", data: { testid: `tile-${name}`, camera: name } }, canvas, foot);
    tile.onclick = () => this.open(name);
    return { tile, canvas, context: canvas.getContext("2d", { alpha: false }), light, words, age, summary: null, capturedMs: null };
  }
}
