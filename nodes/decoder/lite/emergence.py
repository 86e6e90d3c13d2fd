"""The first pixels of a lost object that comes out where it went in: from behind another object, or into the frame.

A template (template.py) finds an object when half of it is in sight again. Its colours tell sooner, where nothing else
beside the border that it went behind looks like it. What they show is no more than a part: it is published with that
doubt, nothing is learnt from it, and the search for the whole goes on.

It begins small, at the border, where a frame ago nothing or little looked like the object. From then on it is what
hangs together with where it was on the last frame, until most of an object is in sight: what a search does not take for
it then is another thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    beside: list[tuple[Window, float]] | None = None  # what else looked like it there, boxes and areas, frame px


def find_part(rgb: Array, covered: Array, memory: ObjectMemory, region: Window) -> Logits | None:
    """The part of a lost object that is in sight again; None where none is. To be asked once a frame.

    `covered` (H, W) uint8 is 1 where another object's mask is; `region`: where the object may be, inside the frame.
    """
    if not _went_behind(covered, memory.last_box):
        return None
    view = make_view(rgb, region, FIRST_PX)
    hidden, border = _covers(covered, view)
    logits = _colour_logits(view, memory)
    alike = ((logits > ALIKE_LOGIT) & ~hidden).astype(np.uint8)
    count, labels, measures, _ = cv2.connectedComponentsWithStats(alike)
    at_border = np.bincount(labels[border], minlength=count) > 0
    pieces = {
        k: _Piece(_frame_box(measures[k], view), measures[k, cv2.CC_STAT_AREA] * view.frame_px, bool(at_border[k]))
        for k in range(1, count)
    }
    kept = _continue(memory.emergence, pieces, max(LEAST_PX, LEAST_WORKING_PX * view.frame_px), memory.area)
    if not kept:
        return None
    near = cv2.dilate(np.isin(labels, kept).astype(np.uint8), np.ones((3, 3), np.uint8))
    smooth = np.where((near > 0) & ~hidden, smooth_logits(logits, view.rgb), np.float32(OUTSIDE_LOGIT))
    answer = cv2.resize(smooth, region[2:], interpolation=cv2.INTER_LINEAR)
    return Logits(region, answer, DOUBTFUL_SCORE, PARTLY_SEEN, part=True)


@dataclass(frozen=True)
class _Piece:
    """A connected piece of what looks like the object."""

    box: Window  # frame px
    area: float
    at_border: bool


def _continue(emergence: Emergence, pieces: Mapping[int, _Piece], least: float, whole: float) -> list[int]:
    """Those of the pieces that are the object's, as far as can be told.

    `least`: the area of one that counts; `whole`: of the object.
    """
    old = [grow_window(box, REACH_PX) for box in emergence.boxes]
    beside, kept = emergence.beside, []
    for k, piece in pieces.items():
        follows = any(_touch(piece.box, box) for box in old) if old else piece.at_border
        # on the first look, all was there already
        if follows and piece.area >= least and beside is not None and _is_new(piece, beside, 0 if old else REACH_PX):
            kept.append(k)
    if sum(pieces[k].area for k in kept) > (WHOLE if old else BEGINNING) * whole:
        kept = []
    emergence.boxes = [pieces[k].box for k in kept]
    emergence.beside = [(piece.box, piece.area) for k, piece in pieces.items() if k not in kept]
    return kept


def _is_new(piece: _Piece, beside: Iterable[tuple[Window, float]], reach: int) -> bool:
    """Whether most of a piece was not on the last frame what is `beside` the object."""
    around = grow_window(piece.box, reach)
    return piece.area > GROWN * sum(area for box, area in beside if _touch(around, box))


def _went_behind(covered: Array, last_box: Window) -> bool:
    """Whether an object was last seen beside another one (`covered`, (H, W) uint8) or the frame's edge."""
    around = grow_window(last_box, WENT_IN_PX)
    x, y, width, height = inside = clip_window(around, (covered.shape[0], covered.shape[1]))
    return inside != around or bool(covered[y : y + height, x : x + width].any())


def _covers(covered: Array, view: View) -> tuple[Array, Array]:
    """(h, w) bool each, of a view: what other objects hide; the border in which a part begins."""
    x, y, width, height = view.window
    part = cv2.resize(covered[y : y + height, x : x + width], view.size[::-1], interpolation=cv2.INTER_AREA)
    hidden = part > 0
    border = cv2.dilate(hidden.astype(np.uint8), np.ones((2 * BORDER_PX + 1,) * 2, np.uint8)) > 0
    rows, columns = covered.shape
    border[:BORDER_PX] |= y == 0
    border[-BORDER_PX:] |= y + height == rows
    border[:, :BORDER_PX] |= x == 0
    border[:, -BORDER_PX:] |= x + width == columns
    return hidden, border


def _colour_logits(view: View, memory: ObjectMemory) -> Array:
    """(h, w) float32: ln of the object's colours against its surroundings', as they were lately."""
    ratios_and_masses = np.empty((4, view.base.size), np.float32)
    memory.overall_colours.read(view, *memory.canonical_xy(view), PRIOR_MASS_OVERALL, ratios_and_masses)
    logits = np.log(ratios_and_masses[2]).reshape(view.size).clip(-CERTAIN_LOGIT, CERTAIN_LOGIT)
    return np.asarray(cv2.blur(logits, (AVERAGED_PX, AVERAGED_PX)))


def _frame_box(measures: Array, view: View) -> Window:
    """The box of a component, (5,) as OpenCV tells it, in frame px."""
    left, top, kx, ky = view.grid
    x, y, width, height = measures[:4]
    return round(left + kx * x), round(top + ky * y), round(kx * width), round(ky * height)


def _touch(one: Window, other: Window) -> bool:
    """Whether two boxes overlap."""
    return all(a < b + n and b < a + m for a, b, m, n in zip(one[:2], other[:2], one[2:], other[2:], strict=True))
