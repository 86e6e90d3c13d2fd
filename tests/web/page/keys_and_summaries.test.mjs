/** Digits that mean objects; words of a camera's tile. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { NumberKeys } from "../core/number_keys.js";
import { sharingRows, summaryWords } from "../core/summaries.js";

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
  const shared = { state: "running", objects: 1, service_ratio: 0.874 };
  assert.deepEqual(summaryWords(shared), { text: "1 object, 87 % served", tone: "live" });
  const offline = summaryWords({ state: "interrupted", reason: "source_lost", retry_in_s: 3.2 });
  assert.deepEqual(offline, { text: "offline, next try in 4 s", tone: "bad" });
});

test("what a status says of a shared model is told, and nothing where there is none", () => {
  const device = { batch_occupancy: 1.784, jain_index: 0.9934, queue_age_ms: { p50: 3.2, p99: 12.4 } };
  const own = { frames: 50, served: 40, late: 7, replaced: 3, misses: 2, service_ratio: 0.8, device };
  assert.deepEqual(sharingRows(own), [
    ["Shared model: served", "80 % lately; 40 of 50 frames"],
    ["Carried by points: late, replaced", "7, 3"],
    ["Served after their deadline", "2"],
    ["Requests in a batch", "1.78"],
    ["Fairness over cameras (Jain)", "0.993"],
    ["Requests wait, p50 and p99", "3 ms, 12 ms"],
  ]);
  assert.deepEqual(sharingRows(undefined), []);
});
