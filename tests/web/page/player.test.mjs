/** What the player owes the server. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Player } from "../player.js";

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A message as the server sends it: a frame without an object. */
function message(frameId) {
  const header = { schema: "sam-pt-live/scenes", version: 1, camera: "a", session: 0, frame_id: frameId, epoch: 0, width: 8, height: 6 };
  const picture = { payload: 0, codec: "jpeg", width: 8, height: 6 };
  const text = new TextEncoder().encode(JSON.stringify({ ...header, objects: [], picture, payload_bytes: [2] }));
  const bytes = new Uint8Array(4 + text.length + 2);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 4);
  return bytes.buffer;
}

test("what is forgotten when the camera changes is acknowledged, and never painted", async () => {
  const count = { acknowledged: 0, painted: [] };
  const refreshes = [];
  globalThis.document = { hidden: false };
  globalThis.createImageBitmap = async () => ({ close: () => {} });
  globalThis.requestAnimationFrame = (act) => refreshes.push(act);
  const player = new Player({
    paint: ({ header }) => count.painted.push(header.frame_id),
    acknowledge: () => (count.acknowledged += 1),
    report: (text) => assert.fail(text),
  });
  player.take(message(1));
  await settled(); // decoded, and due at the next refresh
  player.take(message(2)); // being decoded
  player.take(message(3)); // waits for that
  player.clear();
  await settled();
  player.take(message(4));
  await settled();
  refreshes.forEach((act) => act());
  assert.deepEqual(count, { acknowledged: 4, painted: [4] });
});
