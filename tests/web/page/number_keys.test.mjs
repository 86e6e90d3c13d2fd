/** Digits that mean objects; words of a camera's tile. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { NumberKeys } from "../core/number_keys.js";
import { summaryWords } from "../core/summaries.js";

function typed(ids, ...keys) {
  const numbers = new NumberKeys();
  return keys.map(([digit, now]) => numbers.take(digit, now, ids));
}

test("one digit is an object, two that come quickly are one of more than nine", () => {
  assert.deepEqual(typed([1, 2, 12], ["1", 0], ["2", 300]), [1, 12]);
  assert.deepEqual(typed([1, 2, 12], ["1", 0], ["2", 3000]), [1, 2]);
  assert.deepEqual(typed([1, 10], ["1", 0], ["0", 300]), [1, 10]);
});

test("digits that no object's number goes on with stand for themselves", () => {
  assert.deepEqual(typed([1, 2], ["1", 0], ["2", 200]), [1, 2]);
  assert.deepEqual(typed([1, 2], ["1", 0], ["1", 200]), [1, 1]);
  assert.deepEqual(typed([1, 2], ["0", 0], ["2", 200]), [null, 2]);
});

test("a first digit waits for the second where only the two are an object", () => {
  assert.deepEqual(typed([12, 3], ["1", 0], ["2", 200]), [null, 12]);
  assert.deepEqual(typed([3], ["7", 0]), [7]); // the page says that there is none
});

test("a tile says what its camera does", () => {
  assert.deepEqual(summaryWords(null), { text: "waiting", tone: "calm" });
  assert.deepEqual(summaryWords({ state: "running", objects: 1 }), { text: "1 object", tone: "live" });
  assert.deepEqual(summaryWords({ state: "running", objects: 3, lost: 1 }), { text: "3 objects, 1 lost", tone: "live" });
  assert.deepEqual(summaryWords({ state: "degraded", reason: "restarting decoder" }), { text: "restarting", tone: "warn" });
  const offline = summaryWords({ state: "interrupted", reason: "source_lost", retry_in_s: 3.2 });
  assert.deepEqual(offline, { text: "offline, next try in 4 s", tone: "bad" });
});
