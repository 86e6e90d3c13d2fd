/** The zones and lines of the camera that is shown: asked for from the run, counted by its events. */

import { toFrame, toUnit } from "../core/zones.js";

const REFRESH_MS = 10_000; // others may draw some, too

/** Event: "change". */
export class ZoneBook extends EventTarget {
  /** `request(method, params)` -> promise. */
  constructor(request) {
    super();
    this._request = request;
    this._askedAt = -Infinity; // ms of the page's clock
    this.clear();
  }

  /** Another camera's are different ones. */
  clear() {
    this.unit = "fraction";
    this.shapes = new Map(); // name -> {kind: polygon or line, points in the run's unit, options}
    this.counts = new Map(); // name -> what the newest event message says of it
    this._askedAt = -Infinity;
    this.dispatchEvent(new Event("change"));
  }

  /** Ask for them where that was long ago. */
  refreshNowAndThen(now) {
    if (now - this._askedAt >= REFRESH_MS) this.refresh(now);
  }

  async refresh(now = performance.now()) {
    this._askedAt = now;
    const answer = await this._request("list_zones").catch(() => null); // the page says elsewhere what is wrong
    if (!answer) return;
    const { polygons = {}, lines = {}, unit = "fraction" } = answer;
    this.unit = unit;
    this.shapes = new Map([
      ...Object.entries(polygons).map(([name, { points, ...options }]) => [name, { kind: "polygon", points, options }]),
      ...Object.entries(lines).map(([name, { points, ...options }]) => [name, { kind: "line", points, options }]),
    ]);
    this.dispatchEvent(new Event("change"));
  }

  /** Take the counts of an events message; names that are new here have been drawn elsewhere. */
  takeCounts({ zones = {}, lines = {} }) {
    this.counts = new Map([...Object.entries(zones), ...Object.entries(lines)]);
    const names = [...this.counts.keys()];
    if (names.length !== this.shapes.size || names.some((name) => !this.shapes.has(name))) this._askedAt = -Infinity;
    this.dispatchEvent(new Event("change"));
  }

  /** The corners of one on a frame {width, height}, frame px. */
  corners(name, frame) {
    return toFrame(this.shapes.get(name).points, this.unit, frame);
  }

  /** Have the run keep what was drawn; the promise fails as the request does. */
  async save(name, { kind, points, options }, frame) {
    await this._request("set_zone", { name, [kind]: toUnit(points, this.unit, frame), ...options });
    await this.refresh();
  }

  async remove(name) {
    await this._request("remove_zone", { name });
    this.counts.delete(name);
    await this.refresh();
  }
}
