"""What the tracker keeps of one object: its points in bunches that share an anchor, and its last good mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from nodes.tracker import motion
from nodes.tracker.model import Points, Trajectories
from stream import geometry
from stream.messages import Array, ObjectTrack, Prompt, Seed, uncrop_mask

VISIBLE = 0.5  # a point counts as visible above this probability (SAM-PT)
BORDER = 0.01  # share of the frame's side; a point nearer to the edge counts as invisible (SAM-PT, code -2)


@dataclass
class Bunch:
    """Points of one object with one anchor, and what the model last said of them."""

    start: int  # frame_id of the anchor
    points: Points
    said: Trajectories | None = None  # the frames from the anchor on; None: not tracked yet

    def at(self, index: int) -> tuple[Array, Array]:
        """Positions (N, 2) and visibility (N,) at frame `index` of the bunch's window."""
        assert self.said is not None, "the bunch has not been tracked"
        return self.said.xy[index], self.said.visibility[index]


@dataclass
class TrackedObject:
    """One object: born with its first prompt, alive until it is removed."""

    object_id: int
    given: Prompt  # what it was asked for with; asked again when the decoder dies before its first mask
    bunches: list[Bunch] = field(default_factory=list)
    mask: Array | None = None  # (H, W) uint8, its last good mask
    mask_frame: int = -1  # frame_id of that mask
    carried: Array = field(
        default_factory=geometry.IDENTITY.copy
    )  # (2, 3): from the mask's frame to the points' anchor

    def keep_mask(self, seed: Seed, size: tuple[int, int], frame_id: int) -> None:
        """Remember the newest good mask; it is what a restart begins with."""
        self.mask = uncrop_mask(seed.bbox, seed.mask, size)
        self.mask_frame = frame_id
        self.carried = geometry.IDENTITY.copy()

    def motion_since_anchor(self) -> Array:
        """(2, 3): how the visible positives of the oldest bunch moved from their anchor to their newest frame."""
        if not self.bunches or self.bunches[0].said is None:
            return geometry.IDENTITY.copy()
        bunch = self.bunches[0]
        xy, visibility = bunch.at(-1)
        use = (bunch.points.labels == 1) & (visibility > VISIBLE)
        return motion.fit_similarity(bunch.points.xy[use], xy[use])

    def mask_now(self) -> Array | None:
        """The last good mask, carried by the points to the newest frame; None before there is one."""
        if self.mask is None:
            return None
        size = (self.mask.shape[0], self.mask.shape[1])
        return motion.carry_mask(self.mask, geometry.compose(self.motion_since_anchor(), self.carried), size)

    def link(self, frame_id: int, relink: Callable[[Points, Array, Array], Array]) -> None:
        """Let all points start their next window where they are on frame `frame_id`, the newest of each bunch."""
        if not self.bunches:
            return
        self.carried = geometry.compose(self.motion_since_anchor(), self.carried)
        ends = [(b.points, *b.at(-1)) for b in self.bunches]
        points = Points(
            xy=np.concatenate([xy for _, xy, _ in ends]),
            labels=np.concatenate([p.labels for p, _, _ in ends]),
            object_ids=np.concatenate([p.object_ids for p, _, _ in ends]),
            memory=np.concatenate([relink(p, xy, v) for p, xy, v in ends]),
        )
        visibility = np.concatenate([v for _, _, v in ends])
        self.bunches = [Bunch(frame_id, points, Trajectories(points.xy[None], visibility[None]))]

    def rescale(self, old_size: tuple[int, int], new_size: tuple[int, int], frame_id: int) -> None:
        """Follow a change of the frame size; points wait at their newest place for a window that starts anew."""
        scale = geometry.rescaling(old_size, new_size)
        mask = self.mask_now()
        self.mask = None if mask is None else motion.carry_mask(mask, scale, new_size)
        self.carried = geometry.IDENTITY.copy()
        for bunch in self.bunches:
            at, visibility = (bunch.points.xy, np.ones(len(bunch.points), np.float32))
            if bunch.said is not None:
                at, visibility = bunch.at(-1)
            xy = geometry.apply(scale, at)
            bunch.points = replace(bunch.points, xy=xy)
            bunch.start, bunch.said = frame_id, Trajectories(xy[None], visibility[None])

    def track_at(self, index_of: Callable[[int], int | None], size: tuple[int, int]) -> ObjectTrack:
        """The message of the object's points on one frame; `index_of(start)` is that frame's place in a window."""
        xy = [np.zeros((0, 2), np.float32)]
        visibility, labels = [np.zeros(0, np.float32)], [np.zeros(0, np.uint8)]
        for bunch in self.bunches:
            index = index_of(bunch.start)
            if index is None or bunch.said is None or index >= len(bunch.said):
                continue
            at, seen = bunch.at(index)
            xy.append(at)
            visibility.append(np.where(inside(at, size), seen, 0).astype(np.float32))
            labels.append(bunch.points.labels)
        return ObjectTrack(
            object_id=self.object_id,
            xy=np.concatenate(xy),
            visibility=np.concatenate(visibility),
            labels=np.concatenate(labels),
        )


def inside(xy: Array, size: tuple[int, int]) -> Array:
    """(N,) bool: which points lie further than BORDER from the frame's edge (SAM-PT: 0.01 <= x / W <= 0.99)."""
    share = xy / np.array([size[1], size[0]], np.float32)
    return np.asarray(((share >= BORDER) & (share <= 1 - BORDER)).all(axis=1))
