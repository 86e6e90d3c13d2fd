"""Masks and a few numbers in; what is written on the picture out: a line of rates and ages, a caption an object."""

from __future__ import annotations

from dataclasses import dataclass

from stream.arrays import Array
from stream.drawing.ink import (
    FAINT,
    INK,
    PAPER,
    PLATE_OPACITY,
    Box,
    chip_height,
    chip_size,
    colour_of,
    corner_radius,
    lay_ink,
    letters,
    plate,
    symbol,
    write_chip,
)
from stream.messages import Masks, ObjectMask

SEPARATOR = "   "  # between the parts of the top line
LABEL_CHARACTERS = 24  # of a label on the picture; a longer one is cut


@dataclass(frozen=True)
class Hud:
    """What the line at the top says."""

    fps: float  # frames drawn a second
    age_ms: float  # capture to now
    passed_over: int  # frames passed over since the start
    session: int
    frame_id: int
    camera: str
    note: str = ""  # for example "paused"


def write_captions(picture: Array, masks: Masks, info: Hud, cap: int) -> None:
    """The line at the top, the objects without a mask under it, and a caption at each of the others."""
    margin = cap
    taken = [_write_line(picture, info, cap, margin)]
    room = picture.shape[0] - margin
    absent = [o for o in masks.objects if o.area == 0]
    for i, o in enumerate(absent):
        x, y = margin, taken[-1][1] + taken[-1][3] + cap // 2
        if y + 2 * chip_height(cap) + cap // 2 > room and i + 1 < len(absent):
            taken.append(write_chip(picture, f"and {len(absent) - i} more", cap, (x, y)))
            break
        taken.append(_write_caption(picture, o, cap, (x, y)))
    for o in sorted((o for o in masks.objects if o.area > 0), key=lambda o: o.object_id):
        corner = _free_place(o.bbox, _caption_size(o, cap), taken, picture.shape[:2], cap)
        taken.append(_write_caption(picture, o, cap, corner))


def _write_line(picture: Array, info: Hud, cap: int, margin: int) -> Box:
    """One line of rates and ages; on a narrow picture the less urgent parts are left out. Returns where it is."""
    parts = [  # as written; the number is the urgency, 0 the last to go
        (4, info.camera),
        (5, f"#{info.frame_id}"),
        (6, f"session {info.session}" if info.session > 0 else ""),
        (0, f"{info.fps:.1f} fps"),
        (1, f"{info.age_ms:.0f} ms old"),
        (3, f"{info.passed_over} passed over" if info.passed_over else ""),
        (2, info.note),
    ]
    parts = [p for p in parts if p[1]]
    while (
        len(parts) > 1 and chip_size(SEPARATOR.join(text for _, text in parts), cap)[1] > picture.shape[1] - 2 * margin
    ):
        parts.remove(max(parts))
    return write_chip(picture, SEPARATOR.join(text for _, text in parts), cap, (margin, margin))


def _caption_text(o: ObjectMask) -> tuple[str, str]:
    label = o.label if len(o.label) <= LABEL_CHARACTERS else o.label[: LABEL_CHARACTERS - 3] + "..."
    state = o.state if o.state == "lost" else f"{o.state} {o.score:.2f}"
    return str(o.object_id), f"{label}: {state}" if label else state


def _caption_size(o: ObjectMask, cap: int) -> tuple[int, int]:
    """(height, width) of an object's caption, px."""
    name, words = (letters(t, cap).shape[1] for t in _caption_text(o))
    side = chip_height(cap)
    return side, max(side, name + cap) + side + words + cap // 2


def _write_caption(picture: Array, o: ObjectMask, cap: int, corner: tuple[int, int]) -> Box:
    """A dark plate with the id on the object's colour, the state's sign, label, state and score; returns its box."""
    x, y = corner
    height, width = _caption_size(o, cap)
    name, words = (letters(t, cap) for t in _caption_text(o))
    colour = colour_of(o.object_id)
    badge = max(height, name.shape[1] + cap)
    low = y + (height - name.shape[0]) // 2
    lay_ink(picture, plate(height, width, corner_radius(cap)), corner, INK, PLATE_OPACITY)
    if o.state == "lost":  # a dark badge: the colour is nowhere in the picture either
        lay_ink(picture, name, (x + (badge - name.shape[1]) // 2, low), colour)
    else:
        lay_ink(picture, plate(height, badge, corner_radius(cap)), corner, colour)
        lay_ink(picture, name, (x + (badge - name.shape[1]) // 2, low), INK)
    sign = round(cap * 1.25)
    inset = (height - sign) // 2
    lay_ink(picture, symbol(o.state, sign), (x + badge + inset, y + inset), colour)
    lay_ink(picture, words, (x + badge + height, low), FAINT if o.state in ("lost", "uncertain") else PAPER)
    return x, y, width, height


def _free_place(
    bbox: Box, caption: tuple[int, int], taken: list[Box], size: tuple[int, int], cap: int
) -> tuple[int, int]:
    """Corner (x, y) for a caption: above the mask, below it, or inside; the first place that is still free."""
    height, width = caption
    x, y, mask_width, mask_height = bbox
    gap = cap * 3 // 4
    left = min(max(x + (mask_width - width) // 2, gap), max(gap, size[1] - width - gap))
    highest, lowest = gap, max(gap, size[0] - height - gap)
    places = [y - height - gap, y + mask_height + gap, y + gap, y + mask_height // 2]
    places += range(highest, lowest + 1, height + 2)
    for top in places:
        if highest <= top <= lowest and not any(_overlap((left, top, width, height), t) for t in taken):
            return left, top
    return left, min(max(places[0], highest), lowest)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
