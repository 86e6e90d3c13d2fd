"""The last decoded masks and the points of a newer frame in, the masks carried there out: `origin: propagated`.

The visible positive points of an object show how it moved since its mask was decoded: by a similarity, or an affine
map where there are many of them, well spread. Points that were drawn on the decoded frame later carry where they were
then. Points drawn on another frame have no past: the motion up to there is kept, and goes on from where they are first
seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import msgspec
import numpy as np

from nodes.decoder.mask_model import NO_MASK, Logits, Window
from stream import geometry
from stream.arrays import Array
from stream.crops import crop_mask
from stream.geometry import Size
from stream.messages import VISIBLE, ObjectTrack
from stream.similarity import OVER_A_WINDOW, fit_similarity

LIMITS = OVER_A_WINDOW  # a mask is decoded about once a window
AGREE_SHARE = 0.5  # of the points: fewer that agree on a motion are not the points that they were
MANY_POINTS = 6  # that an affine map needs
SPREAD = 0.15  # of the mask's diagonal: how far they have to be spread across their narrow direction for it
SHEAR = 2.0  # how much more an affine map may stretch one direction than another: beyond, it is a fit gone wrong
SHIFTED_PX = 1.0  # at the edges of a mask: a motion that turns and enlarges it by less is a shift
EYE = np.eye(2)
RESTING = 0.5  # what the score of a mask is worth where no point shows how it moved


@dataclass
class CarriedMask:
    """A decoded mask, and the points that carry it."""

    window: Window
    mask: Array  # (height, width) uint8, the crop of `window`
    score: float
    track: ObjectTrack  # the points where they were first seen: on the decoded frame, or when they were drawn anew
    frame_id: int = -1  # of the decoded frame
    before: Array = field(default_factory=geometry.IDENTITY.copy)  # (2, 3): the motion from the mask up to `track`
    motion: Array = field(default_factory=geometry.IDENTITY.copy)  # (2, 3): from the mask to the last frame

    def carry(self, track: ObjectTrack, size: Size) -> Logits:
        """The mask on the frame of `track`, of `size` (H, W)."""
        same_frame = track.drawn_xy is not None and track.drawn_id == self.frame_id
        if same_frame and track.points_id != self.track.points_id:  # drawn on this very mask
            drawn = msgspec.structs.replace(track, xy=track.drawn_xy, visibility=np.ones(len(track.xy), np.float32))
            self.track, self.before = drawn, geometry.IDENTITY.copy()
        seen = _seen_twice(self.track, track)
        redrawn, step, agreeing = seen is None, None, 0.0
        if seen is not None and len(seen):
            reach = float(np.hypot(*self.mask.shape))
            step, agreeing = fit(self.track.xy[seen], track.xy[seen], reach)
            redrawn = step is None
        if step is not None:
            self.motion = geometry.compose(step, self.before)
        else:  # no point shows how it moved: the mask rests where it was last
            agreeing = RESTING
        if redrawn:
            self.before, self.track = self.motion, track
        return self._moved(agreeing * _visible_share(track), size)

    def move_by(self, step: Array, size: Size, logit: float) -> Logits:
        """The mask on the next frame, of `size` (H, W), to which it moves by `step` (2, 3); its px have that logit."""
        if self.mask.size == 0:
            return NO_MASK
        self.motion = geometry.compose(step, self.motion)
        turned = np.abs(self.motion[:, :2] - EYE).max() * max(self.mask.shape)
        moved = self._shifted(size) if turned < SHIFTED_PX else self._moved(1.0, size)
        return replace(moved, logits=np.where(moved.logits > 0, np.float32(logit), np.float32(-1)))

    def _moved(self, agreeing: float, size: Size) -> Logits:
        """The mask where its motion has taken it."""
        x, y, width, height = self.window
        placed = geometry.compose(self.motion, np.array([[1, 0, x], [0, 1, y]], np.float64))  # from px of the crop
        edges = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
        corners = geometry.apply(placed, edges)
        left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)) + 1, size[::-1]).astype(int)
        if right <= left or bottom <= top:
            return NO_MASK
        to_window = geometry.compose(np.array([[1, 0, -left], [0, 1, -top]], np.float64), placed)
        warped = cv2.warpAffine(self.mask, to_window, (int(right - left), int(bottom - top)), flags=cv2.INTER_NEAREST)
        box, mask = crop_mask(warped)
        score = self.score * agreeing
        logits = np.where(mask != 0, max(score, 1e-3), -1).astype(np.float32)
        return Logits((box[0] + int(left), box[1] + int(top), box[2], box[3]), logits, score)

    def _shifted(self, size: Size) -> Logits:
        """As `_moved`, of a mask that neither turns nor grows: a tenth of the cost, which many objects need."""
        x, y, width, height = self.window
        middle = np.array([[x + (width - 1) / 2, y + (height - 1) / 2]])
        across, down = np.rint(geometry.apply(self.motion, middle) - middle).astype(int)[0].tolist()
        left, top = max(x + across, 0), max(y + down, 0)
        right, bottom = min(x + across + width, size[1]), min(y + down + height, size[0])
        if right <= left or bottom <= top:
            return NO_MASK
        mask = self.mask[top - y - down : bottom - y - down, left - x - across : right - x - across]
        return Logits((left, top, right - left, bottom - top), np.where(mask != 0, 1, -1), self.score)


class Propagator:
    """Carries the masks of all objects from decoded frames to the ones between them."""

    def __init__(self) -> None:
        self.objects: dict[int, CarriedMask] = {}

    def keep(self, window: Window, mask: Array, score: float, track: ObjectTrack, frame_id: int = -1) -> None:
        """Carry a decoded mask from now on: (height, width) of 0 and 1, in its window, on that frame."""
        self.objects[track.object_id] = CarriedMask(window, mask, score, track, frame_id)

    def forget(self, object_id: int) -> None:
        """Drop an object."""
        self.objects.pop(object_id, None)

    def clear(self) -> None:
        """Drop all objects: the frames have another size now, or another feed begins."""
        self.objects.clear()

    def carry(self, track: ObjectTrack, size: Size) -> Logits:
        """The mask of an object on the frame of `track`, of `size` (H, W); NO_MASK for an object never decoded.

        Its score is that of the decode times the share of the points that agree on the motion; its logits are plus and
        minus the score, so that the surer of two masks wins where they meet.
        """
        carried = self.objects.get(track.object_id)
        return NO_MASK if carried is None or carried.mask.size == 0 else carried.carry(track, size)


def fit(before: Array, after: Array, reach: float) -> tuple[Array | None, float]:
    """The (2, 3) motion of points (N, 2), and the share of them that agree; None where too few do.

    `reach`: px, the size of what they lie on.
    """
    n = len(before)
    if n == 0:
        return None, 0.0
    if n < LIMITS.least_points:
        shift = (after - before).mean(axis=0)
        together = np.ptp(after - before, axis=0).max() <= max(LIMITS.agree_px, 0.5 * np.ptp(before, axis=0).max())
        return (np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64), 1.0) if together else (None, 0.0)
    before, after = np.asarray(before, np.float32), np.asarray(after, np.float32)
    moves = []
    if n >= MANY_POINTS and _narrow_spread(before) >= SPREAD * reach:
        moves.append(_fit_affine(before, after))
    moves.append(fit_similarity(before, after, LIMITS))
    shift = np.median(after - before, axis=0)
    moves.append(np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64))
    best, most = None, 0.0
    for move in moves:  # the simpler one only where more points agree on it
        if move is None:
            continue
        agreeing = float((np.linalg.norm(geometry.apply(move, before) - after, axis=1) <= LIMITS.agree_px).mean())
        if agreeing > most:
            best, most = np.asarray(move, np.float64), agreeing
    return (best, most) if most >= AGREE_SHARE else (None, most)


def _seen_twice(old: ObjectTrack, new: ObjectTrack) -> Array | None:
    """The indices of the positive points that both frames show; None where the points can't be the same."""
    if old.points_id != new.points_id or not np.array_equal(old.labels, new.labels):
        return None
    return np.flatnonzero((new.labels == 1) & (old.visibility > VISIBLE) & (new.visibility > VISIBLE))


def _visible_share(track: ObjectTrack) -> float:
    """Of the positive points; 1 where there are none."""
    visible = track.visibility[track.labels == 1] > VISIBLE
    return float(visible.mean()) if visible.size else 1.0


def _narrow_spread(xy: Array) -> float:
    """The standard deviation of points (N, 2) across the direction in which they are spread least, px."""
    return float(np.linalg.svd(xy - xy.mean(axis=0), compute_uv=False)[-1] / np.sqrt(len(xy)))


def _fit_affine(before: Array, after: Array) -> Array | None:
    """The (2, 3) affine map that most points agree on; None where an object can't have moved so between two decodes."""
    move, _ = cv2.estimateAffine2D(before, after, ransacReprojThreshold=LIMITS.agree_px)
    if move is None or not np.isfinite(move).all():
        return None
    large, small = np.linalg.svd(move[:, :2], compute_uv=False)
    turned_over = np.linalg.det(move[:, :2]) <= 0
    smallest, largest = LIMITS.scales
    sane = not turned_over and smallest <= geometry.scale_of(move) <= largest and large <= SHEAR * small
    return np.asarray(move, np.float64) if sane else None
