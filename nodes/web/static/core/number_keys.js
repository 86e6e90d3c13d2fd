/** Digit keys in, object ids out: two digits that follow each other quickly mean one id, such as 12. */

const TOGETHER_MS = 900;

export class NumberKeys {
  constructor() {
    this._before = ""; // the digits up to now
    this._at = -Infinity; // ms, of the last one
  }

  /** The id that is meant once `digit` is typed at `now` ms, of those in `ids`; null for none. */
  take(digit, now, ids) {
    const together = now - this._at < TOGETHER_MS ? this._before + digit : "";
    const goesOn = together && ids.some((id) => String(id).startsWith(together));
    this._before = goesOn ? together : digit;
    this._at = now;
    const id = Number(this._before);
    // "1" where only 12 is there: wait for the next digit. A number that nothing begins with is told to be none.
    const isBeginning = !ids.includes(id) && ids.some((other) => String(other).startsWith(this._before));
    return id === 0 || isBeginning ? null : id;
  }
}
