"""Masks in, frame after frame; out come the short lines along which each object's points came.

The points of an object are sampled again every few frames, and nothing in a message says so: their number may stay
while their positions jump. A step counts as motion when the points moved together, and as a new sampling when they
did not.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from stream.arrays import Array
from stream.messages import VISIBLE, Masks, ObjectMask

MOVED_TOGETHER = 0.3  # of the points' own spread: a larger disagreement between them is a new sampling
LEAP = 0.12  # of the frame's longer side: no single point moves so far in one step


class Trails:
    """The last `length` steps of every visible positive point, per object."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._steps: dict[int, deque[Array]] = {}  # object id -> (K, 2, 2) float32 each: from, to; frame px
        self._last: dict[int, ObjectMask] = {}
        self._feed: tuple[object, ...] = ()
        self._frame_id = -1

    def step(self, masks: Masks) -> None:
        """Take the next frame's points. The same frame again changes nothing; another feed or size begins afresh."""
        stamp = masks.stamp
        feed = (stamp.camera, stamp.session, stamp.epoch, masks.size)
        if feed != self._feed or stamp.frame_id < self._frame_id:
            self._steps, self._last = {}, {}
        elif stamp.frame_id == self._frame_id:
            return
        self._feed, self._frame_id = feed, stamp.frame_id
        for o in masks.objects:
            before = self._last.get(o.object_id)
            moved = np.zeros((0, 2, 2), np.float32) if before is None else _moved(before, o, max(masks.size))
            self._steps.setdefault(o.object_id, deque(maxlen=self.length)).append(moved)
        self._last = {o.object_id: o for o in masks.objects}
        self._steps = {i: s for i, s in self._steps.items() if i in self._last}

    def steps(self, object_id: int) -> list[Array]:
        """An object's steps, oldest first, each (K, 2, 2) float32: K lines (from, to) in frame px."""
        return list(self._steps.get(object_id, ()))


def _moved(before: ObjectMask, now: ObjectMask, longer_side: int) -> Array:
    """(K, 2, 2) float32: the lines of the points that are the same ones as before and were seen both times."""
    none = np.zeros((0, 2, 2), np.float32)
    if before.xy.shape != now.xy.shape or not np.array_equal(before.labels, now.labels):
        return none
    visible = (before.visibility > VISIBLE) & (now.visibility > VISIBLE) & (now.labels == 1)
    for xy in (before.xy, now.xy):  # far outside, or no number at all: nothing to draw
        visible &= (np.abs(xy) < 4 * longer_side).all(axis=1)
    if not visible.any():
        return none
    from_xy, to_xy = before.xy[visible], now.xy[visible]
    motion = to_xy - from_xy
    middle = len(motion) // 2  # sorting is a tenth of the cost of np.median on so few points
    disagreement = np.hypot(*(motion - np.sort(motion, axis=0)[middle]).T)
    spread = float(np.hypot(*(from_xy - from_xy.mean(axis=0)).T).mean())
    if np.sort(disagreement)[middle] > max(1.5, MOVED_TOGETHER * spread):
        return none
    near = np.hypot(*motion.T) < LEAP * longer_side
    lines: Array = np.stack([from_xy, to_xy], axis=1)[near]
    return lines
