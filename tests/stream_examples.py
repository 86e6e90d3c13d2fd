"""The old names of what `builders.py` makes; to be removed once no test imports this module."""

from __future__ import annotations

from functools import partial

from builders import frame as any_frame
from builders import masks as any_masks
from builders import object_mask, stamp
from builders import prompted_tracks as tracks

frame = partial(any_frame, size=(4, 6))
masks = partial(any_masks, size=(4, 6))

__all__ = ["frame", "masks", "object_mask", "stamp", "tracks"]
