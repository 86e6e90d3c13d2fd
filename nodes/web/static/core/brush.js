/** Strokes in, a mask in frame px out: what one paints by hand. */

import { packBits } from "./wire.js";

export class BrushMask {
  constructor(frame) {
    this.width = frame.width;
    this.height = frame.height;
    this.bits = new Uint8Array(frame.width * frame.height);
    this.area = 0;
  }

  /** A stretch from one frame px position to another, with a round brush. */
  stroke(from, to, radius, erase = false) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / Math.max(1, radius / 3)));
    for (let i = 0; i <= steps; i++) {
      const share = i / steps;
      this._disc(from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share, radius, erase ? 0 : 1);
    }
  }

  _disc(centreX, centreY, radius, value) {
    const bottom = Math.min(this.height - 1, Math.floor(centreY + radius));
    for (let y = Math.max(0, Math.ceil(centreY - radius)); y <= bottom; y++) {
      const half = Math.sqrt(Math.max(0, radius * radius - (y - centreY) ** 2));
      const right = Math.min(this.width - 1, Math.floor(centreX + half));
      for (let x = Math.max(0, Math.ceil(centreX - half)); x <= right; x++) {
        const i = y * this.width + x;
        this.area += value - this.bits[i];
        this.bits[i] = value;
      }
    }
  }

  /** {x, y, width, height, bits} of the painted part; null where nothing is. */
  crop() {
    if (this.area === 0) return null;
    let [left, top, right, bottom] = [this.width, this.height, -1, -1];
    for (let y = 0, i = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++, i++) {
        if (!this.bits[i]) continue;
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        bottom = y;
      }
    }
    const width = right - left + 1;
    const height = bottom - top + 1;
    const bits = new Uint8Array(width * height);
    for (let y = 0; y < height; y++) {
      const row = (top + y) * this.width + left;
      bits.set(this.bits.subarray(row, row + width), y * width);
    }
    return { x: left, y: top, width, height, bits };
  }

  /** The mask as `add_object` takes it; null where nothing is painted. */
  toParams() {
    const crop = this.crop();
    if (!crop) return null;
    return { bbox: [crop.x, crop.y, crop.width, crop.height], packbits: toBase64(packBits(crop.bits)) };
  }
}

export function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}
