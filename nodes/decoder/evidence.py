"""One frame's mask, score and points of an object in, what they say of it out: evidence that is clear, weak or missing.

What speaks against a mask is said in a few words: they are the `reason` of docs/protocol.md.

    clear     a mask of min_area_px or more, the model's score at the clear limit or more, and at least CLEAR_SHARE of
              the positive points visible (no points yet: nothing speaks against it)
    weak      a mask, but the model doubts that it is this object, or the score or the points speak against it. One that
              the model is sure of is published as if it were clear: points lose hold wherever the feed jumps, and a
              mask that is seen needs none
    missing   no mask, or one too small, too large or with a score below the weak limit

SAM's own guess of its quality is high for a mask that has leaked over half the frame: to it, that is a thing as well.
The points know better, because some of them were put outside the object: a leak floods these, too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from nodes.decoder.mask_model import ScoreLimits, Window
from stream.arrays import Array
from stream.messages import VISIBLE, ObjectTrack

Evidence = Literal["clear", "weak", "missing"]

CLEAR_SHARE = 0.2  # of the positive points: one of eight may be an accident, two agree
WHOLE_FRAME = 0.9  # a mask of more of the frame than this is a leak
INSIDE = 0.5  # of the visible positive points, at least, have to lie on the mask
FLOODED = 0.5  # of the visible negative points, at most, may


def judge(
    area: int,
    frame_area: int,
    score: float,
    track: ObjectTrack,
    min_area_px: int,
    lost: bool,
    limits: ScoreLimits,
    doubt: str = "",
) -> tuple[Evidence, str]:
    """What a mask's area (px), its score and the object's points say, and what speaks against it (empty: nothing).

    `lost`: the points are older than the loss. `doubt`: as in `Logits`.
    """
    if area == 0:
        return "missing", "no mask found"
    if area < min_area_px:
        return "missing", "mask too small"
    if area > WHOLE_FRAME * frame_area:
        return "missing", "mask covers the whole frame"
    if score < limits.weak:
        return "missing", "score too low"
    visible = track.visibility[track.labels == 1] > VISIBLE
    if doubt:
        return "weak", doubt
    points_agree = lost or visible.size == 0 or float(np.mean(visible)) >= CLEAR_SHARE
    if score < limits.clear:
        return "weak", "low score"
    return ("clear", "") if points_agree else ("weak", "few points visible")


def contradicted(track: ObjectTrack, window: Window, mask: Array) -> bool:
    """Whether the visible points speak against a mask, (height, width) in its window. Hidden ones say nothing."""
    x, y, width, height = window
    at = np.rint(track.xy).astype(np.int64) - (x, y)
    on = (at >= 0).all(axis=1) & (at[:, 0] < width) & (at[:, 1] < height)
    on[on] = mask[at[on, 1], at[on, 0]] != 0
    visible = track.visibility > VISIBLE
    positive, negative = on[visible & (track.labels == 1)], on[visible & (track.labels == 0)]
    missed = positive.size > 0 and positive.mean() < INSIDE
    flooded = negative.size > 0 and negative.mean() > FLOODED
    return bool(missed or flooded)
