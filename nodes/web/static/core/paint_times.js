/** When frames were painted and how old they were in; the rate, the usual age and the usual period out. */

const KEEP = 250; // frames
const RECENT_MS = 2000; // for the rate

export class PaintTimes {
  constructor() {
    this.paintedAt = 0; // ms of the page's clock, of the newest frame
    this.count = 0; // frames painted
    this._frames = []; // [painted at, age], ms
  }

  /** Take a frame painted at `now`, `ageMs` after it was captured. */
  take(now, ageMs) {
    this.paintedAt = now;
    this.count += 1;
    this._frames.push([now, ageMs]);
    if (this._frames.length > KEEP) this._frames.shift();
  }

  /** {rateHz, usualAgeMs (null before the first), periodMs, ages} as of `now`. */
  summary(now) {
    const recent = this._frames.filter(([at]) => now - at < RECENT_MS);
    const last = this._frames.slice(-15);
    const gaps = last.slice(1).map(([at], i) => at - last[i][0]);
    return {
      rateHz: recent.length / (RECENT_MS / 1000),
      usualAgeMs: last.length ? middle(last.map(([, age]) => age)) : null,
      periodMs: gaps.length ? middle(gaps) : 0,
      ages: this._frames.map(([, age]) => age),
    };
  }
}

function middle(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}
