"""Prompts at the border: points and masks of a request in, arrays out; whether a prompt fits the frame, and a label."""

from __future__ import annotations

import base64
import unicodedata
from typing import Any

import numpy as np

from stream.arrays import Array
from stream.crops import uncrop_mask
from stream.errors import ControlError
from stream.geometry import Size
from stream.messages import Prompt

MAX_POINTS = 1000  # a request with more is a mistake
MAX_LABEL = 64  # characters
NO_TEXT = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories of control characters, halves of pairs, and line ends
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they turn the rest of a line round


def points_of(prompt: Prompt) -> list[list[float]]:
    """[[x, y, label], ...] of a prompt."""
    if prompt.xy is None or prompt.labels is None:
        return []
    return [[float(x), float(y), int(label)] for (x, y), label in zip(prompt.xy, prompt.labels, strict=True)]


def point_arrays(points: Any) -> tuple[Array | None, Array | None]:
    """xy (N, 2) float32 and labels (N,) uint8 of [[x, y, label?], ...]; ControlError when they are none."""
    if not points:
        return None, None
    if not isinstance(points, list) or len(points) > MAX_POINTS:
        raise ControlError("bad_params", f"points: needs a list of at most {MAX_POINTS} points [x, y, label]")
    for p in points:
        numbers = isinstance(p, list) and len(p) in (2, 3) and all(type(v) in (int, float) for v in p)
        if not numbers or not all(abs(v) < 1e6 for v in p) or (len(p) == 3 and p[2] not in (0, 1)):
            raise ControlError("bad_params", f"points: {str(p)[:60]} is no [x, y] or [x, y, label] with label 0 or 1")
    xy = np.array([p[:2] for p in points], np.float32)
    return xy, np.array([p[2] if len(p) == 3 else 1 for p in points], np.uint8)


def packed_mask(value: Any, size: Size) -> Array:
    """(H, W) uint8 mask of {"bbox": [x, y, w, h], "packbits": base64}; ControlError when it is none."""
    try:
        x, y, width, height = (int(v) for v in value["bbox"])
        data = np.frombuffer(base64.b64decode(value["packbits"], validate=True), np.uint8)
    except (TypeError, ValueError, KeyError):
        raise ControlError("bad_params", 'mask: needs {"bbox": [x, y, w, h], "packbits": base64}') from None
    if min(x, y) < 0 or min(width, height) < 1 or x + width > size[1] or y + height > size[0]:
        raise ControlError(
            "outside_frame", f"mask: its box {[x, y, width, height]} leaves the frame of {size[1]}x{size[0]}"
        )
    if data.size != (width * height + 7) // 8:
        raise ControlError("bad_params", f"mask: {data.size} bytes of packbits do not fill {width}x{height} pixels")
    return uncrop_mask((x, y, width, height), np.unpackbits(data, count=width * height).reshape(height, width), size)


def check_prompt(prompt: Prompt, size: Size) -> None:
    """Refuse a prompt that does not fit a frame of `size`; ControlError says where it lies."""
    height, width = size
    where = f"outside the frame of {width}x{height}"
    if prompt.xy is not None:
        for x, y in prompt.xy:
            if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
                raise ControlError("outside_frame", f"point {x:g},{y:g} of object {prompt.object_id} lies {where}")
    if prompt.box is not None:
        x1, y1, x2, y2 = prompt.box
        text = f"box {x1:g},{y1:g},{x2:g},{y2:g} of object {prompt.object_id}"
        if not (x1 < x2 and y1 < y2):
            raise ControlError("bad_params", f"{text} is inverted or empty; needs x1 < x2 and y1 < y2")
        if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            raise ControlError("outside_frame", f"{text} leaves the frame of {width}x{height}")
    if prompt.mask is not None and prompt.mask.shape != size:
        h, w = prompt.mask.shape
        raise ControlError("bad_params", f"mask of {w}x{h} came for a frame of {width}x{height}; they must be equal")
    if prompt.mask is not None and not prompt.mask.any():
        raise ControlError("bad_params", f"mask of object {prompt.object_id} is empty")
    positive = prompt.labels is not None and bool((prompt.labels == 1).any())
    if prompt.kind == "add" and not positive and prompt.box is None and prompt.mask is None:
        raise ControlError("bad_params", f"object {prompt.object_id} needs a positive point, a box or a mask")


def check_label(label: Any) -> None:
    """Refuse what is no label of an object; ControlError."""
    if not isinstance(label, str) or len(label) > MAX_LABEL:
        raise ControlError("bad_params", f"label: needs a text of at most {MAX_LABEL} characters")
    if bad := [c for c in label if unicodedata.category(c) in NO_TEXT or c in TURNS]:
        raise ControlError("bad_params", f"label: {bad[0]!a} is a control character; needs one line of plain text")
