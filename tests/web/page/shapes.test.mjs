/** Outlines, brush strokes and trails. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { BrushMask } from "../core/brush.js";
import { outlines, trace } from "../core/contours.js";
import { Trails } from "../core/trails.js";
import { unpackBits } from "../core/wire.js";

function maskOf(rows, x = 0, y = 0) {
  const bits = Uint8Array.from(rows.join("").replaceAll(" ", ""), (c) => (c === "#" ? 1 : 0));
  return { x, y, width: rows[0].length, height: rows.length, bits };
}

/** The signed area inside a closed line, px. */
function area(line) {
  let sum = 0;
  for (let i = 0; i < line.length; i += 2) {
    const j = (i + 2) % line.length;
    sum += line[i] * line[j + 1] - line[j] * line[i + 1];
  }
  return sum / 2;
}

test("a single pixel has one outline round its middle", () => {
  const [line, ...others] = trace(maskOf(["#"], 5, 7));
  assert.equal(others.length, 0);
  assert.deepEqual([...line].sort(), [5, 7.5, 5.5, 7, 5, 6.5, 4.5, 7].sort());
});

test("a hole has an outline of its own, walked the other way round", () => {
  const lines = trace(maskOf(["####", "#..#", "####"]));
  assert.equal(lines.length, 2);
  assert.equal(lines.filter((line) => area(line) > 0).length, 1);
});

test("two parts have two outlines", () => {
  assert.equal(trace(maskOf(["##..##", "##..##"])).length, 2);
});

test("pixels that touch at a corner leave no edge out", () => {
  const edges = trace(maskOf(["#.", ".#"])).reduce((sum, line) => sum + line.length / 2, 0);
  assert.equal(edges, 8);
});

test("the outline of any mask has as many points as there are edges", () => {
  const width = 23;
  const height = 17;
  const bits = Uint8Array.from({ length: width * height }, (_, i) => ((i * 7919) % 11 < 6 ? 1 : 0));
  const at = (x, y) => (x >= 0 && y >= 0 && x < width && y < height ? bits[y * width + x] : 0);
  let edges = 0;
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) edges += (at(x, y) ^ at(x - 1, y)) + (at(x, y) ^ at(x, y - 1));
  }
  const points = trace({ x: 0, y: 0, width, height, bits }).reduce((sum, line) => sum + line.length / 2, 0);
  assert.equal(points, edges);
});

test("a smooth outline of a disc encloses its area within two per cent", () => {
  const brush = new BrushMask({ width: 100, height: 100 });
  brush.stroke([50, 50], [50, 50], 30);
  const [line] = outlines(brush.crop());
  assert.ok(Math.abs(area(line) / brush.area - 1) < 0.02, `${area(line)} of ${brush.area}`);
});

test("an empty mask has no outline", () => {
  assert.deepEqual(trace({ x: 0, y: 0, width: 0, height: 0, bits: new Uint8Array(0) }), []);
});

test("a stroke covers what lies under it, and an eraser takes it away", () => {
  const brush = new BrushMask({ width: 60, height: 40 });
  brush.stroke([10, 20], [50, 20], 4);
  assert.ok(brush.bits[20 * 60 + 30] && brush.bits[17 * 60 + 30] && !brush.bits[10 * 60 + 30]);
  assert.equal(brush.area, brush.bits.reduce((sum, bit) => sum + bit, 0));
  brush.stroke([0, 20], [60, 20], 10, true);
  assert.equal(brush.area, 0);
  assert.equal(brush.toParams(), null);
});

test("a painted mask is requested as the crop of its box, in packed bits", () => {
  const brush = new BrushMask({ width: 60, height: 40 });
  brush.stroke([20, 10], [20, 10], 2);
  const { bbox, packbits } = brush.toParams();
  assert.deepEqual(bbox, [18, 8, 5, 5]);
  const bits = unpackBits(Uint8Array.from(atob(packbits), (c) => c.charCodeAt(0)), 25);
  assert.equal(bits.reduce((sum, bit) => sum + bit, 0), brush.area);
});

test("a stroke beyond the frame paints what is inside", () => {
  const brush = new BrushMask({ width: 20, height: 20 });
  brush.stroke([-5, 10], [-1, 10], 3);
  assert.ok(brush.area > 0 && brush.bits[10 * 20]);
});

function header(frameId, dx, { session = 0, points } = {}) {
  const moved = points ?? [[10, 10], [30, 12], [20, 40]].map(([x, y]) => [x + dx, y, 1, 0.9]);
  return { camera: "door", session, epoch: 0, width: 200, height: 100, frame_id: frameId, objects: [{ id: 1, points: moved }] };
}

test("points that move together leave lines, as many steps as the trail is long", () => {
  const trails = new Trails(3);
  for (let i = 0; i < 6; i++) trails.take(header(i, 2 * i));
  const steps = trails.steps.get(1);
  assert.equal(steps.length, 3);
  assert.deepEqual(steps[2][0], [18, 10, 20, 10]);
});

test("points that were drawn anew leave none", () => {
  const trails = new Trails(3);
  trails.take(header(0, 0));
  trails.take(header(1, 0, { points: [[60, 70, 1, 0.9], [11, 80, 1, 0.9], [25, 9, 1, 0.9]] }));
  assert.deepEqual(trails.steps.get(1).at(-1), []);
});

test("another session begins afresh, and the same frame again changes nothing", () => {
  const trails = new Trails(3);
  trails.take(header(0, 0));
  trails.take(header(1, 2));
  trails.take(header(1, 2));
  assert.equal(trails.steps.get(1).length, 2);
  trails.take(header(2, 4, { session: 1 }));
  assert.deepEqual(trails.steps.get(1), [[]]);
});
