"""What the tracker keeps of one object: its points in point_sets, and its last good mask."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nodes.tracker import motion
from nodes.tracker.point_set import VISIBLE, PointSet
from stream import geometry
from stream.arrays import Array
from stream.crops import uncrop_mask
from stream.messages import Frame, ObjectTrack, Prompt, Seed

BORDER = 0.01  # share of the frame's side; a point nearer to the edge counts as invisible (SAM-PT, code -2)


@dataclass
class TrackedObject:
    """One object: born with its first prompt, alive until it is removed."""

    object_id: int
    given: Prompt  # what it was asked for with; asked again when the decoder dies before its first mask
    point_sets: list[PointSet] = field(default_factory=list)
    points_id: int = 0  # +1 whenever the set of its points changes
    anchor: int | None = None  # frame_id that its window starts on; None: it begins with the next frame
    ends: list[int] = field(default_factory=list)  # frame_ids that its windows ended on, as far back as the ring goes
    mask: Array | None = None  # (H, W) uint8, its last good mask
    mask_frame: int = -1  # frame_id of that mask
    pivot: int = -1  # frame_id that `carried` leads to
    carried: Array = field(default_factory=geometry.IDENTITY.copy)  # (2, 3): from the mask's frame to the pivot frame

    def keep_mask(self, seed: Seed, size: tuple[int, int], frame_id: int) -> None:
        """Remember the newest good mask; it is what a restart begins with."""
        self.mask = uncrop_mask(seed.bbox, seed.mask, size)
        self.mask_frame = self.pivot = frame_id
        self.carried = geometry.IDENTITY.copy()

    def motion(self, to: int) -> Array:
        """(2, 3): how the positives that are visible on frame `to` moved since the pivot frame."""
        before, after = [np.zeros((0, 2), np.float32)], [np.zeros((0, 2), np.float32)]
        for point_set in self.point_sets:
            if self.pivot in point_set.path and to in point_set.path:
                xy, visibility = point_set.path[to]
                use = (point_set.labels == 1) & (visibility > VISIBLE)
                before.append(point_set.path[self.pivot][0][use])
                after.append(xy[use])
        return motion.fit_similarity(np.concatenate(before), np.concatenate(after))

    def turn(self, frame_id: int) -> None:
        """Let later motion be counted from that frame on: the pivot may not leave the ring."""
        self.carried = geometry.compose(self.motion(frame_id), self.carried)
        self.pivot = frame_id

    def end_window(self, frame_id: int, oldest: int) -> None:
        """Its window ends on that frame, and the next one starts there; `oldest` is the first frame of the ring."""
        self.turn(frame_id)
        self.anchor = frame_id
        self.ends = [i for i in self.ends if i >= oldest] + [frame_id]

    def go_back(self, ids: list[int], horizon: int) -> None:
        """Let its window start anew on the first of the frames `ids`, and end wherever it is full among them."""
        self.ends = [i for i in self.ends if i <= ids[0]] + ids[horizon - 1 :: horizon - 1]
        self.anchor = max(self.ends[-1], ids[0]) if self.ends else ids[0]

    def mask_at(self, frame_id: int) -> Array | None:
        """The last good mask, carried by the points to that frame; None before there is one."""
        if self.mask is None:
            return None
        size = (self.mask.shape[0], self.mask.shape[1])
        return motion.carry_mask(self.mask, geometry.compose(self.motion(frame_id), self.carried), size)

    def restoring(self, frame_id: int) -> Prompt:
        """What tells a decoder of it that has forgotten: its mask now, else what it was asked for with."""
        mask = self.mask_at(frame_id)
        if mask is not None and mask.any():
            return Prompt(object_id=self.object_id, kind="restore", mask=mask)
        return self.given

    def rescale(self, old_size: tuple[int, int], new_size: tuple[int, int], newest: int, frame_id: int) -> None:
        """Follow a change of the frame size: all points wait for a window that starts on `frame_id`."""
        scale = geometry.rescaling(old_size, new_size)
        mask = self.mask_at(newest)
        self.mask = None if mask is None else motion.carry_mask(mask, scale, new_size)
        self.mask_frame, self.pivot = -1, frame_id
        self.anchor, self.ends = None, []
        self.carried = geometry.IDENTITY.copy()
        self.replace_points([b.moved(scale, newest, frame_id) for b in self.point_sets])

    def replace_points(self, point_sets: list[PointSet]) -> None:
        """Other points than before."""
        self.point_sets = point_sets
        self.points_id += 1

    def track_at(self, frame: Frame) -> ObjectTrack:
        """The message of the object's points on one frame; point_sets drawn later than that have nothing to say."""
        xy = [np.zeros((0, 2), np.float32)]
        visibility, labels = [np.zeros(0, np.float32)], [np.zeros(0, np.uint8)]
        frame_id = frame.stamp.frame_id
        told = [point_set for point_set in self.point_sets if frame_id in point_set.path]
        for point_set in told:
            at = point_set.path[frame_id][0]
            xy.append(at)
            visibility.append(
                np.where(inside(at, frame.size), point_set.seen(frame_id, frame.rgb), 0).astype(np.float32)
            )
            labels.append(point_set.labels)
        together = len(told) == 1 and told[0].drawn_id >= 0
        return ObjectTrack(
            object_id=self.object_id,
            xy=np.concatenate(xy),
            visibility=np.concatenate(visibility),
            labels=np.concatenate(labels),
            points_id=self.points_id if len(told) == len(self.point_sets) else -1,
            drawn_id=told[0].drawn_id if together else -1,
            drawn_xy=told[0].drawn_xy if together else None,
        )


def inside(xy: Array, size: tuple[int, int]) -> Array:
    """(N,) bool: which points lie further than BORDER from the frame's edge (SAM-PT: 0.01 <= x / W <= 0.99)."""
    share = xy / np.array([size[1], size[0]], np.float32)
    return np.asarray(((share >= BORDER) & (share <= 1 - BORDER)).all(axis=1))
