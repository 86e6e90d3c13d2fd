"""When an object crosses a line, and which way: its mask on each frame in, +1 or -1 out, once a crossing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodes.publisher.zones.regions import foot
from stream.arrays import Array
from stream.messages import ObjectMask
from stream.settings.zones import Line

MOST_PX = 4096  # of a mask that are looked at: every n-th of a larger one
Point = tuple[float, float]


@dataclass
class Side:
    """On which side of a line an object is."""

    side: int  # +1: the right-hand side, as seen from the line's first point to its second; -1: the left-hand side
    at: Point  # where the object was when it was last clearly there, px
    straddling: bool = False  # crossed_by any: it has crossed, and is not wholly across yet


class LineCrossing:
    """One line on frames of one size. It keeps nothing of objects: `step` is given their sides, and returns them."""

    def __init__(self, line: Line, points: Sequence[Point], margin_px: float) -> None:
        """`points` in px."""
        self._by = line.crossed_by
        self._a, self._b = (np.array(p, np.float64) for p in points)
        self._length = max(1e-9, float(np.hypot(*(self._b - self._a))))
        self._margin = margin_px

    def step(self, o: ObjectMask, before: Side | None) -> tuple[Side, int]:
        """(the side of an object now, +1 or -1 where it has crossed to the right or to the left, else 0)."""
        at, low, high = self._measure(o)
        if before is None:
            middle = (low + high) / 2
            return Side(1 if middle > 0 else -1, at, straddling=low < 0 < high), 0
        side = self._side(low, high, before)
        straddling = self._by == "any" and low < 0 < high
        if side == before.side:
            clear = low > self._margin if side > 0 else high < -self._margin
            return Side(side, at if clear else before.at, straddling and before.straddling), 0
        crossed = side if self._passes_between(before.at, at) else 0
        return Side(side, at, straddling), crossed

    def _side(self, low: float, high: float, before: Side) -> int:
        """The side that counts: another one only once the object is a margin across."""
        if before.straddling:  # any: it has touched the other side; it is back only when all of it is
            if before.side > 0:
                return -1 if high < 0 else 1
            return 1 if low > 0 else -1
        if before.side < 0:
            return 1 if high > self._margin else -1
        return -1 if low < -self._margin else 1

    def _measure(self, o: ObjectMask) -> tuple[Point, float, float]:
        """(a point of the object, the lowest and the highest signed distance of what counts from the line), px."""
        if self._by == "foot":
            at = foot(o)
            distance = self._distance(np.array([at]))[0]
            return at, float(distance), float(distance)
        rows, columns = np.nonzero(o.mask)
        step = max(1, rows.size // MOST_PX)
        xy = np.stack([columns[::step] + o.bbox[0], rows[::step] + o.bbox[1]], axis=1).astype(np.float64)
        distances = self._distance(xy)
        x, y = xy.mean(axis=0)
        if self._by == "share":
            half = float(np.median(distances))
            return (float(x), float(y)), half, half
        return (float(x), float(y)), float(distances.min()), float(distances.max())

    def _distance(self, xy: Array) -> Array:
        """Signed distances of (N, 2) points from the line, px; above 0 on its right-hand side."""
        along = (self._b - self._a) / self._length
        offset = xy - self._a
        distance: Array = along[0] * offset[:, 1] - along[1] * offset[:, 0]
        return distance

    def _passes_between(self, before: Point, now: Point) -> bool:
        """Whether the way from one point to the other leads through the line, not past its ends."""
        ways = np.array([before, now], np.float64)
        d0, d1 = self._distance(ways)
        share = 0.5 if d0 == d1 else float(np.clip(d0 / (d0 - d1), 0.0, 1.0))
        through = ways[0] + share * (ways[1] - ways[0])
        along = float(np.dot(through - self._a, self._b - self._a)) / self._length
        return 0.0 <= along <= self._length
