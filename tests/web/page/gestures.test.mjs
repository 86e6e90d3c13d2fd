/** What pointers mean. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Gestures, WheelSteps } from "../core/gestures.js";

const mouse = (at, button = 0) => ({ id: 1, pointer: "mouse", button, at, now: 0 });
const kinds = (intents) => intents.map((intent) => intent.kind);

test("a click holds the picture, means a positive point where it went down, and lets the picture go", () => {
  const gestures = new Gestures();
  assert.deepEqual(gestures.down(mouse([10, 20])), [{ kind: "hold" }]);
  assert.deepEqual(gestures.up({ id: 1, at: [11, 20] }), [{ kind: "point", at: [10, 20], label: 1 }, { kind: "release" }]);
});

test("a right click means a negative point", () => {
  const gestures = new Gestures();
  gestures.down(mouse([10, 20], 2));
  assert.equal(gestures.up({ id: 1, at: [10, 20] })[0].label, 0);
});

test("the toggle makes each click a negative point", () => {
  const gestures = new Gestures();
  gestures.negative = true;
  gestures.down(mouse([10, 20]));
  assert.equal(gestures.up({ id: 1, at: [10, 20] })[0].label, 0);
});

test("the middle button means nothing", () => {
  assert.deepEqual(new Gestures().down(mouse([1, 1], 1)), []);
});

test("a drag shows its box while it grows, and means it at the end", () => {
  const gestures = new Gestures();
  gestures.down(mouse([10, 20]));
  assert.deepEqual(gestures.move({ id: 1, at: [12, 21] }), []);
  assert.deepEqual(gestures.move({ id: 1, at: [50, 60] }), [{ kind: "box-preview", from: [10, 20], to: [50, 60] }]);
  assert.deepEqual(gestures.up({ id: 1, at: [60, 70] }), [{ kind: "box", from: [10, 20], to: [60, 70] }, { kind: "release" }]);
});

test("a drag that comes back to a line is no box and no click, and is told to be none", () => {
  const gestures = new Gestures();
  gestures.down(mouse([10, 20]));
  gestures.move({ id: 1, at: [50, 60] });
  assert.deepEqual(kinds(gestures.up({ id: 1, at: [80, 20] })), ["thin-box", "release"]);
});

test("a drag with the right button means nothing", () => {
  const gestures = new Gestures();
  gestures.down(mouse([10, 20], 2));
  assert.deepEqual(gestures.move({ id: 1, at: [50, 60] }), []);
  assert.deepEqual(kinds(gestures.up({ id: 1, at: [50, 60] })), ["release"]);
});

test("a finger that trembles still taps, and one that rests means a negative point, once", () => {
  const gestures = new Gestures();
  const finger = { id: 7, pointer: "touch", button: 0, at: [10, 20], now: 1000 };
  gestures.down(finger);
  gestures.move({ id: 7, at: [15, 24] });
  assert.equal(gestures.up({ id: 7, at: [15, 24] })[0].kind, "point");
  gestures.down(finger);
  assert.deepEqual(gestures.tick(1400), []);
  assert.deepEqual(gestures.tick(1600), [{ kind: "point", at: [10, 20], label: 0 }]);
  assert.deepEqual(gestures.tick(1700), []);
  assert.deepEqual(kinds(gestures.up({ id: 7, at: [10, 20] })), ["release"]);
});

test("a resting mouse button is no long press", () => {
  const gestures = new Gestures();
  gestures.down(mouse([10, 20]));
  assert.deepEqual(gestures.tick(5000), []);
});

test("a second finger gives the gesture up", () => {
  const gestures = new Gestures();
  gestures.down({ id: 1, pointer: "touch", button: 0, at: [10, 20], now: 0 });
  assert.ok(kinds(gestures.down({ id: 2, pointer: "touch", button: 0, at: [90, 20], now: 5 })).includes("release"));
  assert.deepEqual(gestures.up({ id: 1, at: [10, 20] }), []);
});

test("the brush paints from the first touch to the last, and erases with the right button", () => {
  const gestures = new Gestures();
  gestures.tool = "brush";
  assert.deepEqual(gestures.down(mouse([10, 20])), [{ kind: "hold" }, { kind: "stroke", from: [10, 20], to: [10, 20], erase: false }]);
  assert.deepEqual(gestures.move({ id: 1, at: [12, 21] }), [{ kind: "stroke", from: [10, 20], to: [12, 21], erase: false }]);
  assert.deepEqual(kinds(gestures.up({ id: 1, at: [14, 21] })), ["stroke", "release"]);
  assert.equal(gestures.down(mouse([10, 20], 2))[1].erase, true);
});

test("a pointer that was never down changes nothing", () => {
  const gestures = new Gestures();
  assert.deepEqual(gestures.move({ id: 3, at: [1, 1] }), []);
  assert.deepEqual(gestures.up({ id: 3, at: [1, 1] }), []);
});

test("a notch of a wheel is a step, up for larger; a trackpad needs some movements", () => {
  const wheel = new WheelSteps();
  assert.equal(wheel.take({ deltaY: -100, deltaMode: 0, now: 0 }), 1);
  assert.equal(wheel.take({ deltaY: 100, deltaMode: 0, now: 1000 }), -1);
  assert.equal(wheel.take({ deltaY: 3, deltaMode: 1, now: 2000 }), -1);
  const steps = [1, 2, 3, 4, 5].map((i) => wheel.take({ deltaY: -25, deltaMode: 0, now: 5000 + 20 * i }));
  assert.deepEqual(steps, [0, 0, 1, 0, 0]);
});
