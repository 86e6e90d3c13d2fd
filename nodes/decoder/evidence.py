"""A mask and the points of its object in, whether they go together out.

SAM's own guess of its quality is high for a mask that has leaked over half the frame: to it, that is a thing as well.
The points know better, because some of them were put outside the object: a leak floods these, too.
"""

from __future__ import annotations

import numpy as np

from nodes.decoder.mask_model import Window
from stream.arrays import Array
from stream.messages import ObjectTrack

VISIBLE = 0.5  # a point counts as visible above this probability (SAM-PT)
INSIDE = 0.5  # of the visible positive points, at least, have to lie on the mask
FLOODED = 0.5  # of the visible negative points, at most, may


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
