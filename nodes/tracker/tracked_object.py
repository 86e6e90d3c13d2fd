"""What the tracker holds of one object: its point sets, its window, and its last good mask."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from nodes.tracker import motion
from nodes.tracker.point_set import PointSet
from stream import geometry
from stream.arrays import Array
from stream.crops import PackedMask
from stream.held_prompt import HeldPrompt
from stream.messages import VISIBLE, Frame, ObjectTrack, Prompt, Seed, Sighting

SURROUNDINGS, SURROUNDINGS_PX = 0.5, 32  # around a mask, of its longer side and at least: what goes with its picture
SIGHTING_PX = 3 << 20  # of a picture under a mask: a larger one is shrunk (12 MB of colours and mask at most)
BORDER = 0.01  # share of the frame's side; a point nearer to the edge counts as invisible (SAM-PT, code -2)


class TrackedObject:
    """One object: it begins with its first prompt, and is tracked until it is removed."""

    def __init__(self, object_id: int, prompt: Prompt) -> None:
        self.object_id = object_id
        self._first_prompt = HeldPrompt.of(prompt)  # for a decoder that is restarted before its first mask
        self.point_sets: list[PointSet] = []
        self.points_id = 0  # +1 whenever the set of its points changes
        self.anchor: int | None = None  # frame_id that its window starts on; None: it begins with the next frame
        self.window_ends: list[int] = []  # frame_ids that its windows ended on, as far back as the frame buffer goes
        self._mask: PackedMask | None = None  # its last good mask
        self.mask_frame = -1  # frame_id of that mask
        self.sighting: Sighting | None = None  # that mask with its picture
        self.seen_unix_ns = 0  # when that was
        self.mask_motion = geometry.IDENTITY.copy()  # (2, 3): from the mask's frame to the motion frame
        self.motion_frame = -1  # frame_id that `mask_motion` leads to
        self.prompt_frame = -1  # frame_id of a prompt on a past frame: its Seeds count, however new the mask is
        self.redraws = False  # points are drawn from those Seeds even where points live on

    # --- its points -------------------------------------------------------------------------------------------------

    def replace_points(self, point_sets: list[PointSet]) -> None:
        """Other points than before."""
        self.point_sets = point_sets
        self.points_id += 1

    def track_at(self, frame: Frame, unsettled: bool = False) -> ObjectTrack:
        """The message of the object's points on one frame; point sets drawn later than that have no part in it.

        `unsettled`: what lies after a point's anchor may be placed otherwise by later frames.
        """
        xy = [np.zeros((0, 2), np.float32)]
        visibility, labels = [np.zeros(0, np.float32)], [np.zeros(0, np.uint8)]
        frame_id = frame.stamp.frame_id
        present = [point_set for point_set in self.point_sets if frame_id in point_set.path]
        for point_set in present:
            at = point_set.path[frame_id][0]
            xy.append(at)
            visibility.append(
                np.where(inside(at, frame.size), point_set.visibility_at(frame_id, frame.rgb), 0).astype(np.float32)
            )
            labels.append(point_set.labels)
        other_points = any(point_set.of_region.any() for point_set in present)  # than on any other frame
        drawn_together = len(present) == 1 and present[0].drawn_id >= 0 and not other_points
        complete = len(present) == len(self.point_sets)
        return ObjectTrack(
            object_id=self.object_id,
            xy=np.concatenate(xy),
            visibility=np.concatenate(visibility),
            labels=np.concatenate(labels),
            points_id=-2 - frame_id if other_points else self.points_id if complete else -1,
            drawn_id=present[0].drawn_id if drawn_together else -1,
            drawn_xy=present[0].drawn_xy if drawn_together else None,
            points_final=not unsettled or all((p.anchors >= frame_id).all() for p in present),
        )

    # --- its window -------------------------------------------------------------------------------------------------

    def start_window(self, frame_id: int) -> None:
        """Its first window starts on that frame."""
        self.anchor = frame_id

    def next_window(self, frame_id: int, point_sets: Sequence[PointSet], oldest: int) -> None:
        """Its window ends on that frame, and the next one starts there with its points as `point_sets` hold them.

        What lies before frame `oldest`, the first of the frame buffer, is forgotten.
        """
        self.mask_motion = geometry.compose(self._motion_to(frame_id), self.mask_motion)
        self.motion_frame = frame_id  # the motion frame may not leave the frame buffer
        self.anchor = frame_id
        self.window_ends = [i for i in self.window_ends if i >= oldest] + [frame_id]
        self.point_sets = list(point_sets)
        for point_set in self.point_sets:
            point_set.forget_before(oldest)

    def begin_on(self, ids: list[int], horizon: int, *, redraw: bool, like: TrackedObject | None = None) -> None:
        """A prompt on a past frame, from which on there are the frames `ids`; its windows end as those of `like` do."""
        if ids:
            self.prompt_frame, self.redraws = ids[0], redraw
        if self.anchor is None and like is not None:
            self.anchor, self.window_ends = like.anchor, list(like.window_ends)
        elif self.anchor is None and ids:
            self.go_back(ids, horizon)

    def go_back(self, ids: list[int], horizon: int) -> None:
        """Let its window start again on the first of the frames `ids`, and end wherever it is full among them."""
        self.window_ends = [i for i in self.window_ends if i <= ids[0]] + ids[horizon - 1 :: horizon - 1]
        self.anchor = max(self.window_ends[-1], ids[0]) if self.window_ends else ids[0]

    # --- its mask ---------------------------------------------------------------------------------------------------

    @property
    def has_mask(self) -> bool:
        """Whether it has had a good mask."""
        return self._mask is not None

    @property
    def mask(self) -> Array | None:
        """(H, W) uint8: its last good mask; None before there is one."""
        return None if self._mask is None else self._mask.unpack()

    def keep_mask(self, seed: Seed, frame: Frame) -> None:
        """Remember the newest good mask, and the picture under it: they restore the object in a restarted decoder."""
        self._mask = PackedMask.of_crop(seed.bbox, seed.mask, frame.size)
        self.mask_frame = self.motion_frame = frame.stamp.frame_id
        self.sighting, self.seen_unix_ns = _sighting(frame, seed), frame.stamp.captured_unix_ns
        self.mask_motion = geometry.IDENTITY.copy()

    def mask_at(self, frame_id: int) -> Array | None:
        """The last good mask, carried by the points to that frame; None before there is one."""
        if self._mask is None:
            return None
        carried = geometry.compose(self._motion_to(frame_id), self.mask_motion)
        return motion.carry_mask(self._mask.unpack(), carried, self._mask.size)

    def restore_prompt(self, frame_id: int) -> Prompt:
        """What tells a restarted decoder of it: its mask on that frame, or its first prompt before there is one."""
        mask = self.mask_at(frame_id)
        if mask is not None and mask.any():
            return Prompt(
                object_id=self.object_id,
                kind="restore",
                mask=mask,
                seen_unix_ns=self.seen_unix_ns,
                sighting=self.sighting,
            )
        return self._first_prompt.whole

    def rescale(self, old_size: tuple[int, int], new_size: tuple[int, int], newest: int, frame_id: int) -> None:
        """Follow a change of the frame size: all points wait for a window that starts on `frame_id`."""
        scale = geometry.rescaling(old_size, new_size)
        mask = self.mask_at(newest)
        self._mask = None if mask is None else PackedMask.pack(motion.carry_mask(mask, scale, new_size))
        self.mask_frame, self.motion_frame = -1, frame_id
        self.sighting = None
        self.anchor, self.window_ends = None, []
        self.mask_motion = geometry.IDENTITY.copy()
        self.replace_points([p.moved(scale, newest, frame_id) for p in self.point_sets])

    def _motion_to(self, frame_id: int) -> Array:
        """(2, 3): how the positives that are visible on that frame moved since the motion frame."""
        before, after = [np.zeros((0, 2), np.float32)], [np.zeros((0, 2), np.float32)]
        for point_set in self.point_sets:
            if self.motion_frame in point_set.path and frame_id in point_set.path:
                xy, visibility = point_set.path[frame_id]
                use = (point_set.labels == 1) & (visibility > VISIBLE) & ~point_set.of_region
                before.append(point_set.path[self.motion_frame][0][use])
                after.append(xy[use])
        return motion.estimate_motion(np.concatenate(before), np.concatenate(after))


def _sighting(frame: Frame, seed: Seed) -> Sighting:
    """The picture under a mask, and as much around it as tells the object from its surroundings."""
    x, y, width, height = seed.bbox
    margin = max(SURROUNDINGS_PX, round(SURROUNDINGS * max(width, height)))
    left, top = max(0, x - margin), max(0, y - margin)
    right, bottom = min(frame.size[1], x + width + margin), min(frame.size[0], y + height + margin)
    window = (left, top, right - left, bottom - top)
    mask = np.zeros((window[3], window[2]), np.uint8)
    mask[y - top : y - top + height, x - left : x - left + width] = seed.mask
    rgb, reduction = frame.rgb[top:bottom, left:right], 1
    while -(-rgb.shape[0] // reduction) * -(-rgb.shape[1] // reduction) > SIGHTING_PX:
        reduction += 1
    if reduction == 1:
        rgb = rgb.copy()
    else:
        small = (-(-rgb.shape[1] // reduction), -(-rgb.shape[0] // reduction))
        rgb = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, small, interpolation=cv2.INTER_NEAREST)
    return Sighting(size=frame.size, window=window, rgb=rgb, mask=mask, reduction=reduction)


def inside(xy: Array, size: tuple[int, int]) -> Array:
    """(N,) bool: which points lie further than BORDER from the frame's edge (SAM-PT: 0.01 <= x / W <= 0.99)."""
    share = xy / np.array([size[1], size[0]], np.float32)
    return np.asarray(((share >= BORDER) & (share <= 1 - BORDER)).all(axis=1))
