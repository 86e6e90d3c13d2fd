/** A binary message of the server in, its header, JPEG and masks out; and the page's own camera frames back.
 *
 * docs/protocol.md has every bit of the codecs. Whatever contradicts its header throws a WireError.
 */

export class WireError extends Error {}

const MAX_PIXELS = 2 ** 26;

/** {header, payloads: Uint8Array[], jpeg: Blob} of one message: `uint32 n`, n bytes of JSON, all payloads in order. */
export function splitMessage(buffer) {
  if (buffer.byteLength < 4) throw new WireError(`a message of ${buffer.byteLength} bytes came`);
  const headerBytes = new DataView(buffer).getUint32(0, true);
  if (4 + headerBytes > buffer.byteLength) throw new WireError("the header is longer than its message");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerBytes)));
  if (header.schema !== "sam-pt-live/scenes" || header.version !== 1) {
    throw new WireError(`schema ${header.schema} version ${header.version} came; this page reads scenes version 1`);
  }
  if (!(header.width > 0 && header.height > 0 && header.width * header.height <= MAX_PIXELS)) {
    throw new WireError(`a frame of ${header.width}x${header.height} came`);
  }
  let offset = 4 + headerBytes;
  const payloads = header.payload_bytes.map((length) => {
    if (offset + length > buffer.byteLength) throw new WireError("the payloads are longer than their message");
    offset += length;
    return new Uint8Array(buffer, offset - length, length);
  });
  const jpeg = payloads[header.picture.payload];
  if (!jpeg) throw new WireError("the picture is missing");
  return { header, payloads, jpeg: new Blob([jpeg], { type: "image/jpeg" }) };
}

/** A message of the page's own camera: the same form, the other way. */
export function cameraMessage(header, jpeg) {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, json.length, true);
  return new Blob([length.buffer, json, jpeg]);
}

/** The object's mask {x, y, width, height, bits}: `bits` a Uint8Array of 0 and 1, row after row of the bbox. */
export async function decodeMask(object, payload, frame) {
  const [x, y, width, height] = object.bbox;
  if (x + width > frame.width || y + height > frame.height) {
    throw new WireError(`bbox ${object.bbox} lies outside the frame of ${frame.width}x${frame.height}`);
  }
  const place = { x, y, width, height };
  if (width * height === 0) return { ...place, bits: new Uint8Array(0) };
  if (object.codec === "packbits") return { ...place, bits: unpackBits(payload, width * height) };
  if (object.codec === "coco_rle") return { ...place, bits: unpackRuns(payload, place, frame.height) };
  if (object.codec === "png") return { ...place, bits: await unpackPng(payload, width, height) };
  throw new WireError(`the codec ${object.codec} came; this page reads packbits, coco_rle and png`);
}

/** `count` bits, highest first, as 0 and 1. */
export function unpackBits(bytes, count) {
  if (bytes.length !== Math.ceil(count / 8)) throw new WireError(`${bytes.length} bytes came for ${count} px`);
  const bits = new Uint8Array(count);
  for (let i = 0; i < count; i++) bits[i] = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
  return bits;
}

/** The opposite of `unpackBits`. */
export function packBits(bits) {
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  for (let i = 0; i < bits.length; i++) if (bits[i]) bytes[i >> 3] |= 128 >> (i & 7);
  return bytes;
}

/** COCO's compressed runs over the whole frame, column after column; returned is the bbox alone. */
export function unpackRuns(text, { x, y, width, height }, frameHeight) {
  const bits = new Uint8Array(width * height);
  const runs = readRuns(text);
  let begin = 0;
  runs.forEach((run, index) => {
    const end = begin + run;
    if (index % 2 === 1) {
      const from = Math.max(begin, x * frameHeight);
      const to = Math.min(end, (x + width) * frameHeight);
      for (let i = from; i < to; i++) {
        const row = (i % frameHeight) - y;
        if (row >= 0 && row < height) bits[row * width + Math.floor(i / frameHeight) - x] = 1;
      }
    }
    begin = end;
  });
  return bits;
}

function readRuns(text) {
  const runs = [];
  for (let i = 0; i < text.length; ) {
    let value = 0;
    let weight = 1; // multiplied, not shifted: a run may need more than 31 bits on the way
    let group;
    do {
      if (i >= text.length) throw new WireError("a coco_rle payload ends within a number");
      group = text[i++] - 48;
      if (group < 0 || group > 63) throw new WireError("a coco_rle payload holds a strange character");
      value += (group & 31) * weight;
      weight *= 32;
    } while (group & 32);
    if (group & 16) value -= weight;
    if (runs.length > 2) value += runs[runs.length - 2];
    if (value < 0 || value > MAX_PIXELS) throw new WireError("a coco_rle payload holds an impossible run");
    runs.push(value);
  }
  return runs;
}

async function unpackPng(payload, width, height) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(new Blob([payload], { type: "image/png" }), options);
  if (bitmap.width !== width || bitmap.height !== height) throw new WireError("a png mask has another size than its bbox");
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  return Uint8Array.from({ length: width * height }, (_, i) => (rgba[4 * i] > 127 ? 1 : 0));
}
