/** Binary messages in, decoded scenes painted one after the other out: the newest wins, and one can be held still. */

import { outlines } from "./core/contours.js";
import { WireError, decodeMask, splitMessage } from "./core/wire.js";

/** A frame with its masks, as painted: `bitmap` is the picture, `masks` a Map from object id to a decoded mask. */
class Scene {
  constructor(header, bitmap, masks) {
    this.header = header;
    this.bitmap = bitmap;
    this.masks = masks;
    this._outlines = new Map();
  }

  /** What a request says to mean this very frame. */
  get frame() {
    const { session, frame_id, epoch } = this.header;
    return { session, frame_id, epoch };
  }

  /** The object's outlines, traced once. */
  outlines(objectId) {
    if (!this._outlines.has(objectId)) this._outlines.set(objectId, outlines(this.masks.get(objectId)));
    return this._outlines.get(objectId);
  }

  /** The id of the object whose mask has the frame px (x, y); null on the background. */
  objectAt([x, y]) {
    for (const [id, mask] of this.masks) {
      const column = Math.round(x) - mask.x;
      const row = Math.round(y) - mask.y;
      const covered = column >= 0 && row >= 0 && column < mask.width && row < mask.height;
      if (covered && mask.bits[row * mask.width + column]) return id;
    }
    return null;
  }
}

export class Player {
  /** `paint(scene)` draws; `acknowledge()` tells the server that one more message is dealt with. */
  constructor({ paint, acknowledge, report }) {
    this.camera = null; // whose scenes are taken; null: any camera's
    this.paint = paint;
    this.acknowledge = acknowledge;
    this.report = report;
    this.onScene = () => {}; // hears of each decoded scene, painted or not
    this.shown = null; // the Scene on screen
    this.held = false; // the one on screen stays, whatever comes
    this.unreadable = 0; // messages
    this._waiting = null; // the newest message, not decoded yet
    this._next = null; // the newest Scene, not painted yet
    this._life = 0; // +1 when what is under way is to be forgotten
    this._owed = 0; // acknowledgements that the next paint brings
    this._decoding = false;
    this._scheduled = false;
  }

  /** Take a message. One that was still waiting to be decoded gives way to it. */
  take(buffer) {
    if (this._waiting) this.acknowledge();
    this._waiting = buffer;
    if (!this._decoding) this._decode();
  }

  hold() {
    this.held = this.shown !== null;
  }

  release() {
    this.held = false;
    if (this._next) this._schedule();
  }

  /** Forget what is under way, after the connection or the camera has changed; the server is owed nothing then. */
  clear() {
    for (let owed = this._owed + (this._waiting ? 1 : 0); owed > 0; owed -= 1) this.acknowledge();
    this._waiting = null;
    this._owed = 0;
    this._next?.bitmap.close();
    this._next = null;
    this._life += 1;
  }

  async _decode() {
    this._decoding = true;
    while (this._waiting) {
      const buffer = this._waiting;
      this._waiting = null;
      const life = this._life;
      try {
        const scene = await readScene(buffer);
        const wanted = this.camera === null || scene.header.camera === this.camera;
        if (life === this._life && wanted) this._offer(scene);
        else this._pass(scene);
      } catch (error) {
        this.unreadable += 1;
        this.acknowledge();
        this.report(error instanceof WireError ? error.message : "a picture could not be read");
      }
    }
    this._decoding = false;
  }

  _pass(scene) {
    scene.bitmap.close();
    this.acknowledge();
  }

  _offer(scene) {
    this.onScene(scene);
    this._next?.bitmap.close();
    this._next = scene;
    // A hidden tab and a held picture paint nothing; the server must not take that for a slow viewer.
    if (this.held || document.hidden) {
      this.acknowledge();
      return;
    }
    this._owed += 1;
    this._schedule();
  }

  _schedule() {
    if (this._scheduled) return;
    this._scheduled = true;
    requestAnimationFrame(() => {
      this._scheduled = false;
      if (this._next && !this.held) {
        const before = this.shown;
        this.shown = this._next;
        this._next = null;
        this.paint(this.shown);
        before?.bitmap.close();
      }
      while (this._owed > 0) {
        this._owed -= 1;
        this.acknowledge();
      }
    });
  }
}

/** The Scene of a message; a WireError where it is none. */
export async function readScene(buffer) {
  const { header, payloads, jpeg } = splitMessage(buffer);
  const decoded = header.objects.map(async (object) => [
    object.id,
    await decodeMask(object, payloads[object.payload], header),
  ]);
  const [bitmap, ...masks] = await Promise.all([createImageBitmap(jpeg), ...decoded]);
  return new Scene(header, bitmap, new Map(masks));
}
