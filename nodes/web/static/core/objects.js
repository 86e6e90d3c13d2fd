/** Scenes and statuses in, the list of objects that people read out: state, reason, label, score, area, since when lost. */

/** Words for how long something lasts. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export class ObjectList {
  constructor() {
    this.objects = new Map(); // id -> {id, label, state, reason, score, area, bbox, lostSince: unix s or null}
    this.selected = null; // an id; kept while the connection is away
    this._awaited = new Map(); // id that a reply has named -> unix s until when no scene needs to have it
  }

  get ids() {
    return [...this.objects.keys()].sort((a, b) => a - b);
  }

  nameOf(id) {
    return this.objects.get(id)?.label || `Object ${id}`;
  }

  /** Take a scene's objects; returned are the changes worth telling: [{id, from, to, reason}]. */
  takeScene(header, nowS) {
    const changes = [];
    const present = new Set();
    for (const { id, label = "", state, reason = "", score, area, bbox } of header.objects) {
      const before = this.objects.get(id);
      present.add(id);
      this._awaited.delete(id);
      if (before?.state !== state) changes.push({ id, from: before?.state ?? null, to: state, reason });
      const lostSince = state === "lost" ? (before?.lostSince ?? nowS) : null;
      this.objects.set(id, { id, label, state, reason, score, area, bbox, lostSince });
    }
    for (const id of this.ids) {
      if (present.has(id) || (this._awaited.get(id) ?? 0) > nowS) continue;
      changes.push({ id, from: this.objects.get(id).state, to: null, reason: "" });
      this._forget(id);
    }
    return changes;
  }

  /** Take what `status` and list_objects say: they know since when an object has been lost. */
  takeList(entries) {
    for (const entry of entries ?? []) {
      const object = this.objects.get(entry.id);
      if (object && object.state === "lost" && entry.lost_since) object.lostSince = entry.lost_since;
    }
  }

  /** A reply has named an object that no scene may have shown yet. */
  await(id, nowS, patienceS = 5) {
    if (this.objects.has(id)) return;
    this._awaited.set(id, nowS + patienceS);
    this.objects.set(id, {
      id, label: "", state: "starting", reason: "", score: 0, area: 0, bbox: [0, 0, 0, 0], lostSince: null,
    });
  }

  clear() {
    for (const id of this.ids) this._forget(id);
  }

  remove(id) {
    this._forget(id);
  }

  select(id) {
    this.selected = id !== null && this.objects.has(id) ? id : null;
    return this.selected;
  }

  _forget(id) {
    this.objects.delete(id);
    this._awaited.delete(id);
    if (this.selected === id) this.selected = null;
  }
}
