"""PNG and JPEG by way of OpenCV: pictures in, bytes out, and back with every size checked before anything is decoded.

A few hundred bytes can claim to be a picture of gigapixels, so the header is read here first. OpenCV is loaded on the
first call: a publisher of bit-packed masks never needs it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from stream.arrays import Array
from stream.errors import MessageError
from stream.geometry import MAX_PIXELS

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY_8_BIT = b"\x08\x00\x00\x00\x00"  # bit depth, colour type, and three methods of which PNG has no others
MAX_JPEG_SIDE = 65_500  # px, of libjpeg
BASELINE = (0xC0, 0xC1)  # JPEG frames of one pass; progressive ones can hold thousands, each as dear as a picture


def encode_png(mask: Array) -> bytes:
    """A crop (h, w), nonzero where the object is, as an 8-bit gray PNG of 0 and 255; b"" for a crop without pixels."""
    import cv2

    if mask.size == 0:
        return b""  # PNG has no picture without pixels
    gray = (mask != 0).view(np.uint8) * np.uint8(255)
    return bytes(cv2.imencode(".png", gray, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def decode_png(payload: bytes | memoryview, shape: tuple[int, int]) -> Array:
    """The crop (h, w) uint8 0/1 of a PNG as `encode_png` writes it; MessageError where it is none of that shape."""
    if 0 in shape:
        if len(payload):
            raise MessageError(f"{len(payload)} bytes of PNG came for a mask without pixels")
        return np.zeros(shape, np.uint8)
    chunks = list(_png_chunks(bytes(payload)))
    size_and_kind = shape[1].to_bytes(4, "big") + shape[0].to_bytes(4, "big") + GRAY_8_BIT
    names = [name for name, _ in chunks]
    # Nothing but these three kinds: text and colour profiles can unpack to far more than the picture.
    if chunks[:1] != [(b"IHDR", size_and_kind)] or names[-1] != b"IEND" or set(names[1:-1]) != {b"IDAT"}:
        raise MessageError(f"a png payload is no plain 8-bit gray PNG of {shape[1]}x{shape[0]}")
    gray = _imdecode(payload, gray=True)
    if gray.shape != shape:
        raise MessageError(f"a png payload can't be decoded to {shape[1]}x{shape[0]}")
    return np.not_equal(gray, 0).view(np.uint8)


def encode_jpeg(rgb: Array, quality: int) -> bytes:
    """A picture (H, W, 3) uint8 RGB as JPEG of a `quality` of 1 to 100; MessageError where JPEG can't hold it."""
    import cv2

    if max(rgb.shape) > MAX_JPEG_SIDE:
        raise MessageError(f"JPEG can't hold {rgb.shape[1]}x{rgb.shape[0]}; its sides are at most {MAX_JPEG_SIDE} px")
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def check_jpeg(payload: bytes | memoryview, size: tuple[int, int]) -> None:
    """Refuse what does not begin and end as a baseline colour JPEG of that size (H, W); MessageError."""
    if _jpeg_size(bytes(payload)) != size:
        raise MessageError(f"a JPEG payload is no baseline colour picture of {size[1]}x{size[0]}")
    if size[0] * size[1] > MAX_PIXELS:
        raise MessageError(f"a picture of {size[1]}x{size[0]} came; at most {MAX_PIXELS} px are read")


def decode_jpeg(payload: bytes | memoryview, size: tuple[int, int]) -> Array:
    """The picture (H, W, 3) uint8 RGB of a baseline colour JPEG; MessageError where it is none of that size."""
    check_jpeg(payload, size)
    bgr = _imdecode(payload, gray=False)
    if bgr.shape != (*size, 3):
        raise MessageError(f"a JPEG payload can't be decoded to {size[1]}x{size[0]}")
    return np.ascontiguousarray(bgr[:, :, ::-1])


def _imdecode(payload: bytes | memoryview, *, gray: bool) -> Array:
    import cv2

    how = cv2.IMREAD_UNCHANGED if gray else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture: Array | None = cv2.imdecode(np.frombuffer(payload, np.uint8), how)
    except cv2.error as error:
        raise MessageError(f"a picture can't be decoded: {error.err}") from None
    if picture is None:
        raise MessageError("a picture can't be decoded")
    return picture


def _png_chunks(payload: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of each chunk, checksums verified: libpng itself would only complain on stderr."""
    if not payload.startswith(PNG_SIGNATURE):
        raise MessageError("a png payload is no PNG")
    at = len(PNG_SIGNATURE)
    while at < len(payload):
        end = at + 8 + int.from_bytes(payload[at : at + 4], "big")
        if zlib.crc32(payload[at + 4 : end]) != int.from_bytes(payload[end : end + 4], "big") or end + 4 > len(payload):
            raise MessageError("a png payload is cut short or damaged")
        yield payload[at + 4 : at + 8], payload[at + 8 : end]
        at = end + 4


def _jpeg_size(payload: bytes) -> tuple[int, int] | None:
    """(H, W) of a baseline JPEG of 8 bits and three channels that has its end; None for anything else."""
    if not payload.startswith(b"\xff\xd8\xff") or not payload.endswith(b"\xff\xd9"):
        return None
    at = 2
    while at + 10 <= len(payload) and payload[at] == 0xFF:
        marker, length = payload[at + 1], int.from_bytes(payload[at + 2 : at + 4], "big")
        if marker in BASELINE:
            precision, height, width, channels = (
                payload[at + 4],
                int.from_bytes(payload[at + 5 : at + 7], "big"),
                int.from_bytes(payload[at + 7 : at + 9], "big"),
                payload[at + 9],
            )
            return (height, width) if (precision, channels) == (8, 3) else None
        # Tables and notes (DHT, DQT, DRI, APPn, COM) may come before the frame header; nothing else.
        if marker not in (0xC4, 0xDB, 0xDD, 0xFE) and not 0xE0 <= marker <= 0xEF:
            return None
        at += 2 + length
    return None
