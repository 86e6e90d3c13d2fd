"""PNG and JPEG: what they claim to be is checked before they are decoded."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest
from public_wire.ellipse_masks import ellipse

from stream.errors import MessageError
from stream.public_wire.image_codecs import decode_jpeg, decode_png, encode_jpeg, encode_png

MASK = ellipse((20, 30), (14, 10), (9, 7))


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def png_claiming(width: int, height: int, kind: bytes = b"\x08\x00\x00\x00\x00") -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + kind
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_png_shows_the_mask_in_any_viewer() -> None:
    gray = cv2.imdecode(np.frombuffer(encode_png(MASK), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(gray, MASK * 255)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no PNG at all",
        encode_png(MASK)[:-1],
        encode_png(MASK)[:40],
        encode_png(MASK)[:60] + b"?" + encode_png(MASK)[61:],
        encode_png(MASK) + b"more",
        encode_png(MASK.T),
        png_claiming(60_000, 60_000),
        png_claiming(30, 20, b"\x10\x00\x00\x00\x00"),  # 16 bits
        png_claiming(30, 20, b"\x08\x02\x00\x00\x00"),  # colour
        encode_png(MASK)[:-12] + chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(10_000))) + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_a_png_that_is_not_the_mask_announced_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        decode_png(payload, (20, 30))


def test_a_mask_without_pixels_has_no_png() -> None:
    with pytest.raises(MessageError, match="without pixels"):
        decode_png(encode_png(MASK), (0, 30))


def test_a_jpeg_keeps_red_red() -> None:
    rgb = np.zeros((24, 40, 3), np.uint8)
    rgb[:, :20] = (220, 30, 10)
    decoded = decode_jpeg(encode_jpeg(rgb, 95), (24, 40))
    assert decoded.shape == rgb.shape
    assert np.abs(decoded[:, :18].astype(int) - rgb[:, :18]).max() < 8


def jpeg(*options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((24, 40, 3), 90, np.uint8), options)[1])


def jpeg_claiming(width: int, height: int) -> bytes:
    plain = jpeg()
    at = plain.index(b"\xff\xc0") + 5
    return plain[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + plain[at + 4 :]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no JPEG at all",
        jpeg()[:-1],
        jpeg()[:30] + jpeg()[-2:],
        jpeg_claiming(65_000, 65_000),
        jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        bytes(cv2.imencode(".jpg", np.zeros((24, 40), np.uint8))[1]),  # gray
        encode_jpeg(np.zeros((40, 24, 3), np.uint8), 80),
    ],
)
def test_a_jpeg_that_is_not_the_frame_announced_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        decode_jpeg(payload, (24, 40))
