"""How a mask becomes a payload and back: `packbits` (the default), `coco_rle`, `png`; docs/protocol.md has every bit.

`packbits` holds the crop of the bounding box row after row, without a gap between rows: pixel i = y * w + x is bit
7 - i % 8 (the highest first) of byte i // 8. The spare bits of the last byte are written 0 and not looked at.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from stream.arrays import Array
from stream.errors import MessageError
from stream.public_wire import coco_rle, image_codecs

Codec = Literal["packbits", "coco_rle", "png"]
Box = tuple[int, int, int, int]  # x, y, width, height, px
Size = tuple[int, int]  # height, width, px


def payload_shape(codec: Codec, bbox: Box, size: Size) -> Size:
    """(rows, columns) of the picture in the payload: the whole frame for `coco_rle`, the crop for the others."""
    return size if codec == "coco_rle" else (bbox[3], bbox[2])


def encode_mask(codec: Codec, mask: Array, bbox: Box, size: Size) -> bytes:
    """The payload of a crop `mask` (h, w), nonzero where the object is, that lies at `bbox` in a frame of `size`."""
    if codec == "packbits":
        return np.packbits(mask).tobytes()
    if codec == "coco_rle":
        return coco_rle.encode(mask, bbox, size)
    return image_codecs.encode_png(mask)


def decode_mask(codec: Codec, payload: bytes | memoryview, bbox: Box, size: Size) -> Array:
    """The crop (h, w) uint8 0/1 at `bbox` (inside the frame of `size`); MessageError where the payload holds none."""
    if codec == "packbits":
        return _unpackbits(payload, (bbox[3], bbox[2]))
    if codec == "coco_rle":
        return coco_rle.decode(payload, bbox, size)
    return image_codecs.decode_png(payload, (bbox[3], bbox[2]))


def _unpackbits(payload: bytes | memoryview, shape: Size) -> Array:
    pixels = shape[0] * shape[1]
    if len(payload) != (pixels + 7) // 8:
        raise MessageError(f"{len(payload)} bytes of packbits came; {shape[1]}x{shape[0]} px fill {(pixels + 7) // 8}")
    return np.unpackbits(np.frombuffer(payload, np.uint8), count=pixels).reshape(shape)
