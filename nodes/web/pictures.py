"""JPEG in, smaller JPEG out: what pages with small screens are sent."""

from __future__ import annotations

import cv2
import numpy as np

from stream.arrays import Array
from stream.errors import MessageError

QUALITY = 80


def rescale(jpeg: bytes, width: int) -> tuple[bytes, int, int]:
    """(JPEG, width, height) of a picture made `width` px wide."""
    bgr = _decode(jpeg)
    height = max(1, round(bgr.shape[0] * width / bgr.shape[1]))
    small = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]), width, height


def _decode(jpeg: bytes) -> Array:
    bgr: Array | None = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        raise MessageError("a picture can't be decoded")
    return bgr
