/** Where the picture lies, and which frame px a position on the screen is. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { boxOf, clamped, fit, frameToPicture, inside, stageToFrame, wantedWidth } from "../core/geometry.js";

const FRAME = { width: 640, height: 360 };

test("a wide stage has bars at its sides, a tall one above and below", () => {
  assert.deepEqual(fit(FRAME, { width: 1000, height: 360 }), { x: 180, y: 0, width: 640, height: 360, scaleX: 1, scaleY: 1 });
  assert.deepEqual(fit(FRAME, { width: 640, height: 1000 }), { x: 0, y: 320, width: 640, height: 360, scaleX: 1, scaleY: 1 });
});

test("the picture's edges lie on device px, whatever the density", () => {
  for (const density of [1, 1.25, 1.5, 2, 3]) {
    const place = fit(FRAME, { width: 943.3, height: 611.7 }, density);
    for (const edge of [place.x, place.y, place.width, place.height]) {
      assert.ok(Math.abs(edge * density - Math.round(edge * density)) < 1e-9, `${edge} at ${density}`);
    }
  }
});

test("positions come back from the screen to the very frame px, at any size and density", () => {
  for (const stage of [{ width: 320, height: 480 }, { width: 943, height: 611 }, { width: 3840, height: 2160 }]) {
    for (const density of [1, 1.5, 2.625]) {
      const place = fit(FRAME, stage, density);
      for (const xy of [[0, 0], [639, 359], [17.25, 301.5]]) {
        const [px, py] = frameToPicture(place, xy);
        const [x, y] = stageToFrame(place, [px + place.x, py + place.y]);
        assert.ok(Math.hypot(x - xy[0], y - xy[1]) < 1e-9);
      }
    }
  }
});

test("the middle of the frame's first pixel is (0, 0)", () => {
  const place = fit(FRAME, { width: 1280, height: 720 });
  assert.deepEqual(stageToFrame(place, [1, 1]), [0, 0]);
  assert.deepEqual(stageToFrame(place, [1279, 719]), [639, 359]);
});

test("the bars are outside the frame, its edge pixels inside", () => {
  assert.ok(inside(FRAME, [-0.5, -0.5]));
  assert.ok(inside(FRAME, [639.4, 359.4]));
  assert.ok(!inside(FRAME, [-0.6, 10]));
  assert.ok(!inside(FRAME, [639.5, 10]));
});

test("what is requested lies within the frame, in hundredths of a pixel", () => {
  assert.deepEqual(clamped(FRAME, [-3, 400]), [0, 359]);
  assert.deepEqual(clamped(FRAME, [1.23456, 2.5]), [1.23, 2.5]);
});

test("a box has its corners in order and is never empty", () => {
  assert.deepEqual(boxOf(FRAME, [50, 60], [10, 20]), [10, 20, 50, 60]);
  const [x1, y1, x2, y2] = boxOf(FRAME, [700, 100], [800, 100]);
  assert.ok(x1 < x2 && y1 < y2 && x2 <= 639);
});

test("a small screen asks for a small picture, a large one for the frame's own", () => {
  assert.equal(wantedWidth(FRAME, { width: 320 }, 1), 320);
  assert.equal(wantedWidth(FRAME, { width: 301 }, 1), 320);
  assert.equal(wantedWidth(FRAME, { width: 320 }, 2), null);
  assert.equal(wantedWidth({ width: 3840, height: 2160 }, { width: 943 }, 1), 960);
  assert.equal(wantedWidth({ width: 3840, height: 2160 }, { width: 961 }, 1), 1280);
});
