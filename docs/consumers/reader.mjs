// The masks of a run in Node.js: npm install zeromq
//   node reader.mjs tcp://127.0.0.1:5556 [MESSAGES]
import { Subscriber } from "zeromq";

const [endpoint, messages = "0"] = process.argv.slice(2);
const socket = new Subscriber();
socket.connect(endpoint);
socket.subscribe("masks/");

/** The mask inside its bounding box: one byte a pixel, 0 or 1, row after row. */
export function mask(object, payloads) {
  const [rows, columns] = object.shape;
  const bytes = payloads[object.payload];
  return Uint8Array.from({ length: rows * columns }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1);
}

let count = 0;
for await (const [, header, ...payloads] of socket) {
  const frame = JSON.parse(header);
  if (frame.schema !== "sam-pt-live/masks" || frame.version !== 1) continue;
  for (const object of frame.objects) {
    const area = mask(object, payloads).reduce((sum, bit) => sum + bit, 0);
    if (area) console.log(frame.frame_id, object.id, object.state, area);
  }
  if (++count === Number(messages)) break;
}
socket.close();
