/** What the banner says, the list of objects, the waits between attempts. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { waitBefore } from "../connection.js";
import { ObjectList, duration } from "../core/objects.js";
import { PaintTimes } from "../core/paint_times.js";
import { ageWords, judge, stallLimit } from "../core/verdict.js";

const LIVE = {
  link: "open", retryInS: 0, everOpen: true, welcome: {}, source: "other", status: { state: "running", reason: "" },
  silentS: null, ended: null, ageMs: 60, limitMs: 1500,
};
const verdict = (change) => judge({ ...LIVE, ...change });

test("only a fresh picture of a run that goes well is live", () => {
  assert.equal(verdict({}).kind, "live");
  assert.equal(verdict({}).stale, false);
});

for (const [kind, change] of [
  ["logged_out", { link: "logged_out" }],
  ["lost_connection", { link: "waiting", retryInS: 3.2 }],
  ["lost_connection", { link: "connecting" }],
  ["connecting", { link: "connecting", everOpen: false, welcome: null }],
  ["connecting", { welcome: null }],
  ["ended", { ended: "the clip is over" }],
  ["ended", { ended: "", link: "waiting", retryInS: 1 }],
  ["ended", { status: { state: "ended", reason: "" } }],
  ["silent", { silentS: 5 }],
  ["paused", { status: { state: "paused", reason: "" } }],
  ["offline", { status: { state: "interrupted", reason: "source_lost" } }],
  ["backing_off", { status: { state: "starting", reason: "waiting_for_source" }, ageMs: null }],
  ["needs_camera", { source: "browser", status: { state: "starting", reason: "waiting_for_source" }, ageMs: null }],
  ["interrupted", { status: { state: "interrupted", reason: "no_frames" } }],
  ["first_picture", { ageMs: null }],
  ["first_picture", { ageMs: null, status: null }],
  ["stalled", { ageMs: 1600 }],
  ["frozen", { status: { state: "degraded", reason: "frozen" } }],
]) {
  test(`an old picture never looks live: ${kind} ${JSON.stringify(change)}`, () => {
    const { kind: found, stale, title } = verdict(change);
    assert.equal(found, kind);
    assert.equal(stale, true);
    assert.ok(title.length > 0);
  });
}

test("what is amiss while fresh pictures come is told, and they stay in colour", () => {
  assert.deepEqual([verdict({ status: { state: "degraded", reason: "damaged" } })].map((v) => [v.kind, v.stale]), [["damaged", false]]);
  const restarting = verdict({ status: { state: "degraded", reason: "restarting decoder" } });
  assert.deepEqual([restarting.kind, restarting.stale], ["restarting", false]);
  assert.equal(verdict({ status: { state: "degraded", reason: "restarting decoder" }, ageMs: 9000 }).stale, true);
});

test("a wait says when it ends, for the server and for the camera", () => {
  assert.equal(verdict({ link: "waiting", retryInS: 3.2 }).detail, "Next try in 4 s.");
  const status = { state: "interrupted", reason: "source_lost", retry_in_s: 7.5 };
  assert.equal(verdict({ status }).detail, "Next try in 8 s.");
});

test("a slow run is not taken for a stalled one", () => {
  assert.equal(stallLimit(40, 60), 1500);
  assert.equal(stallLimit(2000, 3000), 6000);
});

test("ages are written so that people read them at a glance", () => {
  assert.deepEqual([null, 42.4, 3240, 250_000].map(ageWords), ["–", "42 ms", "3.2 s", "4 min"]);
});

test("the waits double up to eight seconds, and no two pages keep step", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 9].map((attempt) => waitBefore(attempt, 0.5)), [0.5, 1, 2, 4, 8, 8]);
  assert.ok(waitBefore(3, 0) === 3.2 && Math.abs(waitBefore(3, 1) - 4.8) < 1e-9);
});

const object = (id, state, more = {}) => ({ id, state, label: "", reason: "", score: 0.9, area: 100, bbox: [0, 0, 10, 10], ...more });

test("the list tells each change of state once", () => {
  const list = new ObjectList();
  assert.deepEqual(list.takeScene({ objects: [object(1, "tracked")] }, 10), [{ id: 1, from: null, to: "tracked", reason: "" }]);
  assert.deepEqual(list.takeScene({ objects: [object(1, "tracked")] }, 11), []);
  const lost = object(1, "lost", { reason: "no point visible" });
  assert.deepEqual(list.takeScene({ objects: [lost] }, 12), [{ id: 1, from: "tracked", to: "lost", reason: "no point visible" }]);
  assert.equal(list.objects.get(1).lostSince, 12);
  list.takeScene({ objects: [lost] }, 20);
  assert.equal(list.objects.get(1).lostSince, 12);
  list.takeList([{ id: 1, lost_since: 11.5 }]);
  assert.equal(list.objects.get(1).lostSince, 11.5);
  list.takeScene({ objects: [object(1, "reacquired")] }, 21);
  assert.equal(list.objects.get(1).lostSince, null);
});

test("an object that a reply has named is listed before a frame shows it, for a while", () => {
  const list = new ObjectList();
  list.await(4, 100, 5);
  list.takeScene({ objects: [] }, 101);
  assert.deepEqual(list.ids, [4]);
  assert.equal(list.select(4), 4);
  list.takeScene({ objects: [] }, 106);
  assert.deepEqual([list.ids, list.selected], [[], null]);
});

test("the selection lives while its object does, and one that is not there can't be selected", () => {
  const list = new ObjectList();
  list.takeScene({ objects: [object(1, "tracked"), object(2, "tracked")] }, 1);
  list.select(2);
  list.takeScene({ objects: [object(1, "tracked"), object(2, "lost")] }, 2);
  assert.equal(list.selected, 2);
  assert.equal(list.select(9), null);
});

test("how long something lasts is said in words", () => {
  assert.deepEqual([5.9, 75, 3700, 7260].map(duration), ["5 s", "1 min", "1 h 1 min", "2 h 1 min"]);
});

test("rate, usual age and period come of the frames that were painted", () => {
  const times = new PaintTimes();
  assert.equal(times.summary(0).usualAgeMs, null);
  for (let i = 0; i < 100; i++) times.take(1000 + 40 * i, 60);
  const { rateHz, usualAgeMs, periodMs, ages } = times.summary(1000 + 40 * 99);
  assert.deepEqual([rateHz, usualAgeMs, periodMs, ages.length], [25, 60, 40, 100]);
});
