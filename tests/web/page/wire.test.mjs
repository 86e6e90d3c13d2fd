/** The page's reader of binary messages. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { WireError, decodeMask, packBits, splitMessage, unpackBits, unpackRuns } from "../core/wire.js";
import { samples } from "./samples.mjs";

function message(header, payloads) {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const size = payloads.reduce((sum, payload) => sum + payload.length, 4 + json.length);
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, json.length, true);
  let offset = 4;
  for (const part of [json, ...payloads]) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes.buffer;
}

const HEADER = {
  schema: "sam-pt-live/scenes", version: 1, camera: "door", session: 1, frame_id: 42, epoch: 0, width: 8, height: 6,
  objects: [], picture: { payload: 1, codec: "jpeg", width: 8, height: 6 }, payload_bytes: [2, 3],
};

test("a message is split into its header, its payloads and its picture", async () => {
  const { header, payloads, jpeg } = splitMessage(message(HEADER, [Uint8Array.of(0x7f, 0x80), Uint8Array.of(1, 2, 3)]));
  assert.equal(header.frame_id, 42);
  assert.deepEqual([...payloads[0]], [0x7f, 0x80]);
  assert.deepEqual([...new Uint8Array(await jpeg.arrayBuffer())], [1, 2, 3]);
});

for (const [what, change, payloads] of [
  ["of another schema", { schema: "sam-pt-live/masks" }, [Uint8Array.of(0, 0), Uint8Array.of(1, 2, 3)]],
  ["of a version that this page does not know", { version: 2 }, [Uint8Array.of(0, 0), Uint8Array.of(1, 2, 3)]],
  ["whose payloads are cut off", {}, [Uint8Array.of(0, 0), Uint8Array.of(1)]],
  ["without its picture", { picture: { payload: 7 } }, [Uint8Array.of(0, 0), Uint8Array.of(1, 2, 3)]],
  ["with an impossible size", { width: 0 }, [Uint8Array.of(0, 0), Uint8Array.of(1, 2, 3)]],
]) {
  test(`a message ${what} is refused`, () => {
    assert.throws(() => splitMessage(message({ ...HEADER, ...change }, payloads)), WireError);
  });
}

test("a message whose header is longer than itself is refused", () => {
  assert.throws(() => splitMessage(Uint8Array.of(255, 0, 0, 0, 1).buffer), WireError);
});

test("the masks of docs/protocol.md are read", async () => {
  const frame = { width: 8, height: 6 };
  const expected = [0, 1, 1, 1, 1, 1, 1, 1, 1, 0];
  const object = { bbox: [2, 3, 5, 2], codec: "packbits" };
  assert.deepEqual([...(await decodeMask(object, Uint8Array.of(0x7f, 0x80), frame)).bits], expected);
  const runs = new TextEncoder().encode("`014100000O4");
  assert.deepEqual([...(await decodeMask({ ...object, codec: "coco_rle" }, runs, frame)).bits], expected);
});

test("masks that the publisher's own code has packed are read bit by bit", async () => {
  assert.ok(samples.length >= 6);
  for (const { codec, bbox, size, payload, bits } of samples) {
    const frame = { width: size[1], height: size[0] };
    const mask = await decodeMask({ bbox, codec }, Uint8Array.from(payload), frame);
    assert.deepEqual([...mask.bits], bits, `${codec} ${bbox}`);
  }
});

test("a mask outside its frame, or of a codec that nobody knows, is refused", async () => {
  const frame = { width: 8, height: 6 };
  await assert.rejects(decodeMask({ bbox: [6, 0, 5, 2], codec: "packbits" }, Uint8Array.of(0, 0), frame), WireError);
  await assert.rejects(decodeMask({ bbox: [0, 0, 5, 2], codec: "zip" }, Uint8Array.of(0, 0), frame), WireError);
  await assert.rejects(decodeMask({ bbox: [0, 0, 5, 2], codec: "packbits" }, Uint8Array.of(0), frame), WireError);
});

test("runs that end within a number are refused", () => {
  assert.throws(() => unpackRuns(new TextEncoder().encode("`"), { x: 0, y: 0, width: 1, height: 1 }, 6), WireError);
});

test("bits come back as they were packed", () => {
  const bits = Uint8Array.from({ length: 77 }, (_, i) => (i * i) % 3 & 1);
  assert.deepEqual(unpackBits(packBits(bits), 77), bits);
});
