"""The classical point model: pyramidal Lucas-Kanade, checked forward and back and by appearance.

Visibility is a probability, the smaller of two, each 1/2 exactly at its limit:

    way there and back     2 ** -(error / forward_backward_px) ** 2      error: px missed on the way back
    appearance             1 / (1 + exp(8 * (difference / limit - 1)))   difference: mean |RGB| between the patch now
                                                                         and the patch where the point was drawn

so a point that an occluder has covered (its patch then moves perfectly well, with the occluder) turns invisible. A
hidden point is carried by the motion of its object's visible positives, or stays where it is, and becomes visible again
when its patch is seen there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from nodes.tracker import motion
from nodes.tracker.point_model import Points, Trajectories
from stream import geometry
from stream.arrays import Array
from stream.messages import VISIBLE

WINDOW_PX = 17  # side of the patch that Lucas-Kanade compares; 21 costs a third more and follows no better
LEVELS = 4  # pyramid levels above the frame: 17 px at 1/16 reach about 100 px a frame
PATCH = 4  # the appearance patch has 2 * PATCH + 1 = 9 px a side: wide enough to tell textures, small enough to rotate
OFFSETS = np.stack(np.meshgrid(*[np.arange(-PATCH, PATCH + 1, dtype=np.float32)] * 2), axis=-1).reshape(-1, 2)
NOISE_LEVELS = 6.0  # of 255: patches that differ by less are alike however plain they are
CONTRAST_SHARE = 0.6  # of the patch's own contrast; two unrelated textures differ by about 1.1 of it
BRIGHTNESS_LEVELS = 15.0  # of 255: a common change of a patch's colour up to this is light, not another thing
SEEN_AGAIN = 0.8  # above VISIBLE, so that a point at the occluder's edge does not flicker
SEARCH_UNTIL = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.03)  # rounds a level, px of change


@dataclass(frozen=True)
class LkFeatures:
    """A frame as Lucas-Kanade wants it."""

    rgb: Array  # (H, W, 3) uint8
    gray: Array  # (H, W) uint8; OpenCV's Python function takes no ready-made pyramid, and makes one in 0.25 ms


class LucasKanade:
    """A `PointModel` without weights."""

    def __init__(self, forward_backward_px: float = 1.0) -> None:
        self.forward_backward_px = forward_backward_px

    def encode(self, rgb: Array) -> LkFeatures:
        """The gray picture of a frame (H, W, 3)."""
        return LkFeatures(rgb, cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))

    def describe(self, features: LkFeatures, xy: Array) -> Array:
        """(N, 243) float32: the 9x9 RGB patches around `xy`."""
        if len(xy) == 0:
            return np.zeros((0, 3 * len(OFFSETS)), np.float32)
        at = (xy[:, None] + OFFSETS[None]).astype(np.float32)
        patches = cv2.remap(features.rgb, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(patches.reshape(len(xy), -1), np.float32)

    def relink(self, descriptors: Array, features: LkFeatures, xy: Array, visibility: Array) -> Array:
        """Fresh patches for the points that are visible: objects rotate, and an old patch would hide them all."""
        return np.where((visibility > VISIBLE)[:, None], self.describe(features, xy), descriptors)

    def link(self, visibility: Array) -> Array:
        """The last frame: nothing after it is known, and nothing before it would change."""
        return np.full(visibility.shape[1], len(visibility) - 1)

    def track(self, window: Sequence[LkFeatures], points: Points, earlier: Trajectories | None) -> Trajectories:
        """Extend the earlier answer by the window's newer frames, one step of Lucas-Kanade each."""
        n = len(points)
        xy = [points.xy] if earlier is None else list(earlier.xy)
        visibility = [np.ones(n, np.float32)] if earlier is None else list(earlier.visibility)
        for s in range(len(xy), len(window)):
            next_xy, next_visibility = self._step(window[s - 1], window[s], points, xy[-1], visibility[-1])
            xy.append(next_xy)
            visibility.append(next_visibility)
        return Trajectories(np.stack(xy), np.stack(visibility))

    def _step(
        self, before: LkFeatures, after: LkFeatures, points: Points, xy: Array, visibility: Array
    ) -> tuple[Array, Array]:
        """Positions (N, 2) and visibility (N,) one frame on."""
        if len(points) == 0:
            return xy, visibility
        to, confidence = self._there_and_back(before, after, xy)
        unchanged = likeness(points.descriptors, self.describe(after, to))
        next_visibility = np.minimum(np.where(visibility > VISIBLE, confidence, 0), unchanged)
        hidden = next_visibility <= VISIBLE
        if hidden.any():
            to = np.where(hidden[:, None], carry_hidden(points, xy, to, ~hidden), to)
            unchanged = likeness(points.descriptors[hidden], self.describe(after, to[hidden]))
            next_visibility[hidden] = np.where(unchanged > SEEN_AGAIN, unchanged, np.minimum(unchanged, VISIBLE))
        return to, next_visibility.astype(np.float32)

    def _there_and_back(self, before: LkFeatures, after: LkFeatures, xy: Array) -> tuple[Array, Array]:
        """Where Lucas-Kanade finds the points (N, 2), and the probability (N,) that it is right by its way back."""
        start = np.ascontiguousarray(xy, np.float32)
        to, found = _flow(before.gray, after.gray, start)
        back, found_back = _flow(after.gray, before.gray, to)
        error = np.linalg.norm(back - start, axis=1) / self.forward_backward_px
        probability = np.exp2(-(np.minimum(error, 10.0) ** 2))
        return to, np.where(found & found_back, probability, 0)


def _flow(before: Array, after: Array, xy: Array) -> tuple[Array, Array]:
    """Lucas-Kanade's answer for points (N, 2): where they are in `after`, and (N,) bool whether it found them."""
    to, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, xy, None, winSize=(WINDOW_PX, WINDOW_PX), maxLevel=LEVELS, criteria=SEARCH_UNTIL
    )
    return np.asarray(to, np.float32), np.asarray(found[:, 0] == 1)


def likeness(patches: Array, others: Array) -> Array:
    """(N,) the probability that patches (N, 243) show the same as others, by the formula of this module."""
    difference = others - patches
    light = np.clip(difference.mean(axis=1, keepdims=True), -BRIGHTNESS_LEVELS, BRIGHTNESS_LEVELS)
    unlike = np.abs(difference - light).mean(axis=1)
    limit = NOISE_LEVELS + CONTRAST_SHARE * patches.std(axis=1)
    return np.asarray(1 / (1 + np.exp(np.clip(8 * (unlike / limit - 1), -30, 30))))


def carry_hidden(points: Points, before: Array, after: Array, visible: Array) -> Array:
    """(N, 2): where the motion of each object's visible positives takes its points; `before` where there are none."""
    carried = before.copy()
    for object_id in sorted(set(points.object_ids[~visible].tolist())):
        positives = (points.object_ids == object_id) & (points.labels == 1)
        guides = positives & visible
        followers = positives & ~visible  # a negative lies on something else: it stays
        if guides.any():
            moved = motion.estimate_motion(before[guides], after[guides])
            carried[followers] = geometry.apply(moved, before[followers])
    return carried
