/** Zones and lines as plain values. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Gestures } from "../core/gestures.js";
import { ZoneDraft, countWords, eventWords, freeName, toFrame, toUnit } from "../core/zones.js";

const FRAME = { width: 640, height: 360 };

test("corners come back from fractions to the same pixels", () => {
  const corners = [[0, 0], [639, 359], [320.25, 17]];
  toFrame(toUnit(corners, "fraction", FRAME), "fraction", FRAME).forEach(([x, y], i) => {
    assert.ok(Math.hypot(x - corners[i][0], y - corners[i][1]) < 0.01);
  });
  assert.deepEqual(toUnit(corners, "px", FRAME), corners);
  assert.deepEqual(toUnit([[-0.5, 359.5]], "fraction", FRAME), [[0, 1]]);
});

test("an area is complete with three corners, and a press on one of them moves it", () => {
  const draft = new ZoneDraft("polygon");
  for (const xy of [[10, 10], [100, 10], [100, 90]]) {
    assert.equal(draft.complete, false);
    draft.down(xy, 5);
    draft.up();
  }
  assert.ok(draft.complete);
  draft.down([98, 12], 5);
  draft.move([120, 20]);
  draft.up();
  draft.move([0, 0]);
  assert.deepEqual(draft.points, [[10, 10], [120, 20], [100, 90]]);
  draft.undo();
  assert.equal(draft.complete, false);
});

test("a line has two ends and no more", () => {
  const draft = new ZoneDraft("line");
  for (const xy of [[0, 0], [50, 50], [90, 10]]) {
    draft.down(xy, 3);
    draft.up();
  }
  assert.deepEqual(draft.points, [[0, 0], [50, 50]]);
});

test("a new one gets the first free name", () => {
  assert.equal(freeName("polygon", ["area 1", "gate"]), "area 2");
  assert.equal(freeName("line", ["area 1"]), "line 1");
});

test("presses of the zone tool hold no picture and make no points of an object", () => {
  const gestures = new Gestures();
  gestures.tool = "zone";
  const kinds = [
    ...gestures.down({ id: 1, pointer: "mouse", button: 0, at: [5, 5], now: 0 }),
    ...gestures.move({ id: 1, at: [40, 5] }),
    ...gestures.up({ id: 1, at: [40, 5] }),
  ].map((intent) => intent.kind);
  assert.deepEqual(kinds, ["corner-down", "corner-move", "corner-up"]);
});

test("events and counts are told in words, and a doubtful object's as doubtful", () => {
  const nameOf = (id) => `Object ${id}`;
  const event = { object: 3, state: "tracked", label: "" };
  assert.equal(eventWords({ ...event, kind: "enter", zone: "yard" }, nameOf), "Object 3 entered yard");
  assert.equal(
    eventWords({ ...event, kind: "leave", zone: "yard", inside_s: 2.04, reason: "lost" }, nameOf), "Object 3 left yard after 2.0 s (lost)",
  );
  assert.equal(
    eventWords({ ...event, kind: "crossing", line: "gate", direction: "to_left", label: "dog", state: "uncertain" }, nameOf),
    "dog crossed gate to the left (uncertain)",
  );
  assert.equal(eventWords({ ...event, kind: "state" }, nameOf), null);
  assert.equal(countWords({ inside: [1, 4], entered: 7, left: 5 }), "2 inside, 7 entered");
  assert.equal(countWords({ to_right: 2, to_left: 0 }), "2 to the right, 0 to the left");
  assert.equal(countWords(undefined), "");
});
