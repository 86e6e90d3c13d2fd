"""Whether a mask is inside a polygon, with hysteresis: in by its border, out only by a border a margin farther out."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stream.arrays import Array
from stream.messages import ObjectMask
from stream.settings.zones import Polygon

Point = tuple[float, float]
FOOT_SHARE = 0.02  # of a mask, its lowest pixels


class Region:
    """A polygon on frames of one size."""

    def __init__(self, polygon: Polygon, points: Sequence[Point], size: tuple[int, int], margin_px: float) -> None:
        """`points` in px of a frame of `size` (height, width)."""
        self._polygon = polygon
        self._size = size
        xy = np.array(points, np.float64)
        height, width = size
        reach = margin_px + 1
        low = np.clip(np.floor(xy.min(axis=0) - reach), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(xy.max(axis=0) + reach) + 1, low, (width, height)).astype(int)
        self._left, self._top = int(low[0]), int(low[1])
        corner = (xy - low) * 16  # fillPoly takes 1/16 px with shift=4
        filled = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
        self._zone = self._wide = filled
        if filled.size:
            cv2.fillPoly(filled, [np.round(corner).astype(np.int32)], 1, shift=4)
            side = 2 * round(margin_px) + 1
            self._wide = np.asarray(cv2.dilate(filled, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))))

    def holds(self, o: ObjectMask, *, was_inside: bool) -> bool:
        """Whether an object with a mask is inside, given whether it was."""
        area = self._wide if was_inside else self._zone
        if self._polygon.inside == "foot":
            x, y = foot(o)
            column, row = round(x) - self._left, round(y) - self._top
            return 0 <= row < area.shape[0] and 0 <= column < area.shape[1] and bool(area[row, column])
        shared = self._shared(o, area)
        return shared > 0 if self._polygon.inside == "any" else shared >= self._polygon.share * max(1, o.area)

    def _shared(self, o: ObjectMask, area: Array) -> int:
        """Pixels of the mask that are in `area`."""
        x, y, width, height = o.bbox
        left, top = max(x, self._left), max(y, self._top)
        right = min(x + width, self._left + area.shape[1])
        bottom = min(y + height, self._top + area.shape[0])
        if left >= right or top >= bottom:
            return 0
        mask = o.mask[top - y : bottom - y, left - x : right - x]
        zone = area[top - self._top : bottom - self._top, left - self._left : right - self._left]
        return int(np.count_nonzero((mask != 0) & (zone != 0)))


def foot(o: ObjectMask) -> Point:
    """(x, y) of where what stands on the ground touches it, frame px: the middle of the lowest 2 % of a mask.

    The lowest row alone would jump with each stray pixel.
    """
    solid = o.mask != 0
    from_below = np.cumsum(np.count_nonzero(solid, axis=1)[::-1])
    rows = int(np.searchsorted(from_below, max(1.0, FOOT_SHARE * from_below[-1]))) + 1
    top = solid.shape[0] - rows
    columns = np.nonzero(solid[top:])[1]
    return o.bbox[0] + float(columns.mean()), float(o.bbox[1] + top)
