"""The first pixels of a lost object that comes out where it went in: from behind another object, or into the frame.

A template (template.py) finds an object when half of it is in sight again. Its colours tell sooner, where nothing else
beside the border that it went behind looks like it. What they show is no more than a part: it is published with that
doubt, neither looks nor points are taken from it, and the search for the whole goes on.

It begins small, at the border, where a frame ago nothing or little looked like the object. From then on it is what
hangs together with where it was on the last frame, until most of an object is in sight: what a search does not take for
it then is another thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from nodes.decoder.lite.cues import PRIOR_MASS_OVERALL
from nodes.decoder.lite.frame_analysis import clip_window, grow_window
from nodes.decoder.lite.fusion import smooth_logits
from nodes.decoder.lite.returns import DOUBTFUL_SCORE, PARTLY_SEEN
from nodes.decoder.lite.view import FIRST_PX, View, make_view
from nodes.decoder.mask_model import Logits, Window
from stream.arrays import Array

if TYPE_CHECKING:
    from nodes.decoder.lite.object_memory import ObjectMemory

ALIKE_LOGIT = 1.0  # ln of object against surroundings, averaged over AVERAGED_PX: above it, a pixel looks like it
AVERAGED_PX = 3
CERTAIN_LOGIT = 5.0  # at most, of a pixel
LEAST_PX = 12.0  # frame px of a part, and LEAST_WORKING_PX of those it is looked at in; less is noise
LEAST_WORKING_PX = 4
CLEARLY = 2.0  # by so much more a pixel looks like the lost object than like the one that holds it less than surely
BORDER_PX = 3  # working px beside another object or the frame's edge: a part begins in them
BEGINNING = 0.2  # of the object's area, at most: what shows more of it at once did not come out
WHOLE = 0.75  # of the object's area: so much of it the search for the whole would have found, so it is another thing
GROWN = 2.0  # times the area of what was there on the last frame: a piece that is new is larger
REACH_PX = 8  # frame px around where the part was on the last frame
WENT_IN_PX = 16  # frame px between where the object was last seen and what it went behind, at most
OUTSIDE_LOGIT = -5.0


@dataclass
class Emergence:
    """What is known of the part that comes out, during one absence."""

    frame: int = -1  # of the last look
    answer: Logits | None = None  # on that frame
    boxes: list[Window] = field(default_factory=list)  # of the part on the last frame, frame px
    beside: list[tuple[Window, float]] = field(default_factory=list)  # what else looked like it, boxes and areas
    looked: bool = False


@dataclass(frozen=True)
class Rivals:
    """What objects in sight have of a frame."""

    sure: Array  # (H, W) uint8: 1 where one surely is
    unsure: Sequence[tuple[ObjectMemory, Window, Array]]  # an object, and the (height, width) bool rest of its mask


def find_part(rgb: Array, rivals: Rivals, memory: ObjectMemory, region: Window) -> Logits | None:
    """The part of a lost object that is in sight again; None where none is. To be asked once a frame.

    `region`: where the object may be, inside the frame.
    """
    if not _went_behind(rivals, memory.last_box):
        return None
    view = make_view(rgb, region, FIRST_PX)
    logits = _colour_logits(view, memory)
    hidden, border = _covers(rivals, view, logits)
    alike = (logits > ALIKE_LOGIT).astype(np.uint8)
    owned = [_Piece.of(m, view) for m in cv2.connectedComponentsWithStats(alike & hidden)[2][1:]]
    alike[hidden] = 0
    count, labels, measures, _ = cv2.connectedComponentsWithStats(alike)
    at_border = np.bincount(labels[border], minlength=count) > 0
    pieces = {k: _Piece.of(measures[k], view, bool(at_border[k])) for k in range(1, count)}
    kept = _continue(memory.emergence, pieces, max(LEAST_PX, LEAST_WORKING_PX * view.frame_px), memory.area)
    # what another has loses its mask sometimes: then it does not come out
    memory.emergence.beside += [(piece.box, piece.area) for piece in owned]
    if not kept:
        return None
    near = cv2.dilate(np.isin(labels, kept).astype(np.uint8), np.ones((3, 3), np.uint8))
    smooth = np.where((near > 0) & ~hidden, smooth_logits(logits, view.rgb), np.float32(OUTSIDE_LOGIT))
    answer = cv2.resize(smooth, region[2:], interpolation=cv2.INTER_LINEAR)
    x, y, width, height = cv2.boundingRect((answer > 0).view(np.uint8))  # the rest would only take memory
    window = (region[0] + x, region[1] + y, width, height)
    return Logits(window, answer[y : y + height, x : x + width].copy(), DOUBTFUL_SCORE, PARTLY_SEEN, part=True)


@dataclass(frozen=True)
class _Piece:
    """A connected piece of what looks like the object."""

    box: Window  # frame px
    area: float
    at_border: bool

    @classmethod
    def of(cls, measures: Array, view: View, at_border: bool = False) -> _Piece:
        """The piece that OpenCV tells the measures (5,) of."""
        left, top, kx, ky = view.grid
        x, y, width, height, px = measures
        box = (round(left + kx * x), round(top + ky * y), round(kx * width), round(ky * height))
        return cls(box, float(px * view.frame_px), at_border)


def _continue(emergence: Emergence, pieces: Mapping[int, _Piece], least: float, whole: float) -> list[int]:
    """Those of the pieces that are the object's, as far as can be told.

    `least`: the area of one that counts; `whole`: of the object.
    """
    old = [grow_window(box, REACH_PX) for box in emergence.boxes]
    kept = []  # on the first look none: all was there already
    for k, piece in pieces.items():
        follows = any(_touch(piece.box, box) for box in old) if old else piece.at_border
        if follows and piece.area >= least and _is_new(piece, emergence.beside, 0 if old else REACH_PX):
            kept.append(k)
    if not emergence.looked or sum(pieces[k].area for k in kept) > (WHOLE if old else BEGINNING) * whole:
        kept = []
    emergence.looked = True
    emergence.boxes = [pieces[k].box for k in kept]
    emergence.beside = [(piece.box, piece.area) for k, piece in pieces.items() if k not in kept]
    return kept


def _is_new(piece: _Piece, beside: Iterable[tuple[Window, float]], reach: int) -> bool:
    """Whether most of a piece was not on the last frame what is `beside` the object."""
    around = grow_window(piece.box, reach)
    return piece.area > GROWN * sum(area for box, area in beside if _touch(around, box))


def _went_behind(rivals: Rivals, last_box: Window) -> bool:
    """Whether an object was last seen beside another one or the frame's edge."""
    around = grow_window(last_box, WENT_IN_PX)
    x, y, width, height = inside = clip_window(around, (rivals.sure.shape[0], rivals.sure.shape[1]))
    return inside != around or bool(rivals.sure[y : y + height, x : x + width].any())


def _covers(rivals: Rivals, view: View, logits: Array) -> tuple[Array, Array]:
    """(h, w) bool each, of a view: what other objects hide; the border in which a part begins.

    What another holds less surely counts as hidden where it looks as much like that one; `logits` (h, w): how much it
    looks like the lost object. An outline that moves with the object behind it is wrong, and shows other colours.
    """
    x, y, width, height = view.window
    hidden = _shrink(rivals.sure[y : y + height, x : x + width], view)
    covered = hidden.copy()
    for rival, (left, top, columns, rows), unsure in rivals.unsure:
        if not _touch((left, top, columns, rows), view.window):
            continue
        part = np.zeros((height, width), np.uint8)
        x1, y1 = max(left, x), max(top, y)
        x2, y2 = min(left + columns, x + width), min(top + rows, y + height)
        part[y1 - y : y2 - y, x1 - x : x2 - x] = unsure[y1 - top : y2 - top, x1 - left : x2 - left]
        rest = _shrink(part, view)
        covered |= rest
        if rest.any():
            hidden |= rest & (logits < _colour_logits(view, rival) + CLEARLY)
    border = cv2.dilate(covered.astype(np.uint8), np.ones((2 * BORDER_PX + 1,) * 2, np.uint8)) > 0
    rows, columns = rivals.sure.shape
    border[:BORDER_PX] |= y == 0
    border[-BORDER_PX:] |= y + height == rows
    border[:, :BORDER_PX] |= x == 0
    border[:, -BORDER_PX:] |= x + width == columns
    return hidden, border


def _shrink(part: Array, view: View) -> Array:
    """(h, w) bool: where a view shows some of a (height, width) mask of its window."""
    return np.asarray(cv2.resize(part, view.size[::-1], interpolation=cv2.INTER_AREA) > 0)


def _colour_logits(view: View, memory: ObjectMemory) -> Array:
    """(h, w) float32: ln of the object's colours against its surroundings', as they were lately."""
    ratios_and_masses = np.empty((4, view.base.size), np.float32)
    memory.overall_colours.read(view, *memory.canonical_xy(view), PRIOR_MASS_OVERALL, ratios_and_masses)
    logits = np.log(ratios_and_masses[2]).reshape(view.size).clip(-CERTAIN_LOGIT, CERTAIN_LOGIT)
    return np.asarray(cv2.blur(logits, (AVERAGED_PX, AVERAGED_PX)))


def _touch(one: Window, other: Window) -> bool:
    """Whether two boxes overlap."""
    return all(a < b + n and b < a + m for a, b, m, n in zip(one[:2], other[:2], one[2:], other[2:], strict=True))
