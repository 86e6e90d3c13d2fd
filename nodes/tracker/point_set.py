"""Points of one object that were drawn together: where each starts its window, and its path over the newest frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nodes.tracker import patch_filter
from nodes.tracker.patch_filter import PatchFilter
from nodes.tracker.point_model import Features, PointModel, Points, Trajectories
from stream import geometry
from stream.arrays import Array

VISIBLE = 0.5  # a point counts as visible above this probability (SAM-PT)


class PointSet:
    """N points. Each has an anchor of its own; with re-initialisation they all share the boundary frame."""

    def __init__(
        self, start: int, xy: Array, labels: Array, object_ids: Array, memory: Array, visibility: Array
    ) -> None:
        self.xy = xy  # (N, 2) float32, frame px, on each point's anchor frame
        self.labels = labels  # (N,) uint8
        self.object_ids = object_ids  # (N,) int32
        self.memory = memory  # (N, C) float32: what `describe` said where each point was drawn
        self.anchors = np.full(len(xy), start, np.int64)  # (N,) frame_id that each point's window starts on
        self.reached = self.anchors.copy()  # (N,) newest frame_id that the model has answered for
        self.drawn_id = start  # frame_id that all were drawn on; -1: they were not drawn together
        self.drawn_xy = xy.copy()  # (N, 2) float32, frame px, there
        self.filter: PatchFilter | None = None  # gives up points that have slid off what they were drawn on
        # frame_id -> (N, 2) float32 px, (N,) float32: the model's newest word
        self.path = {start: (xy.copy(), visibility)}

    def __len__(self) -> int:
        return len(self.xy)

    def take(self, rows: Array) -> Points:
        """The points `rows` (n,) as the model wants them; they share their anchor."""
        return Points(
            xy=self.xy[rows], labels=self.labels[rows], object_ids=self.object_ids[rows], memory=self.memory[rows]
        )

    def told(self, rows: Array, ids: Sequence[int]) -> Trajectories:
        """What the model has said of the points `rows` on the frames `ids`."""
        pairs = [self.path[i] for i in ids]
        return Trajectories(np.stack([xy[rows] for xy, _ in pairs]), np.stack([seen[rows] for _, seen in pairs]))

    def write(self, rows: Array, ids: Sequence[int], xy: Array, visibility: Array) -> None:
        """Take the model's word (S, n, 2), (S, n) for the points `rows` on the frames `ids`, over what it said before.

        The first frame keeps what it had: it is the anchor (spec b.4).
        """
        for s, frame_id in enumerate(ids[1:], start=1):
            if frame_id not in self.path:  # rows that have not come so far stay where they are, unseen
                self.path[frame_id] = (self.path[ids[s - 1]][0].copy(), np.zeros(len(self), np.float32))
            at, seen = self.path[frame_id]
            at[rows], seen[rows] = xy[s], visibility[s]
        self.reached[rows] = ids[-1]

    def seen(self, frame_id: int, rgb: Array) -> Array:
        """(N,) float32: the visibility on that frame, (H, W, 3), of the points that have not been given up."""
        at, visibility = self.path[frame_id]
        if self.filter is None:
            return visibility
        return np.where(self.filter.step(rgb, at, visibility > VISIBLE), visibility, 0).astype(np.float32)

    def link(self, model: PointModel, rows: Array, frame_id: int, features: Features) -> None:
        """Let the points `rows` start their next window where they are on that frame."""
        at, seen = self.path[frame_id]
        self.memory[rows] = model.relink(self.memory[rows], features, at[rows], seen[rows])
        self.xy[rows] = at[rows]
        self.anchors[rows] = frame_id

    def moved(self, transform: Array, newest: int, frame_id: int) -> PointSet:
        """The same points where a (2, 3) map puts them, waiting for a window that starts on frame `frame_id`.

        They are taken from frame `newest`, or the last one before it that they have reached.
        """
        xy, _ = self.path[max(i for i in self.path if i <= newest)]
        at = geometry.apply(transform, xy)
        placed = PointSet(frame_id, at, self.labels, self.object_ids, self.memory, np.ones(len(self), np.float32))
        placed.drawn_id = -1
        return placed

    def forget_before(self, frame_id: int) -> None:
        """Drop the path of frames older than that."""
        self.path = {i: told for i, told in self.path.items() if i >= frame_id}


def draw(model: PointModel, frame_id: int, features: Features, object_id: int, xy: Array, labels: Array) -> PointSet:
    """New points (N, 2) of an object, with that frame as their anchor."""
    at = np.array(xy, np.float32)
    return PointSet(
        start=frame_id,
        xy=at,
        labels=np.array(labels, np.uint8),
        object_ids=np.full(len(labels), object_id, np.int32),
        memory=np.array(model.describe(features, at)),
        visibility=np.ones(len(labels), np.float32),
    )


def merge(point_sets: Sequence[PointSet], frame_id: int) -> PointSet:
    """One of several that have all been linked on frame `frame_id`, with the path that they have in common."""
    if len(point_sets) == 1:
        return point_sets[0]
    merged = PointSet(
        start=frame_id,
        xy=np.concatenate([b.xy for b in point_sets]),
        labels=np.concatenate([b.labels for b in point_sets]),
        object_ids=np.concatenate([b.object_ids for b in point_sets]),
        memory=np.concatenate([b.memory for b in point_sets]),
        visibility=np.concatenate([b.path[frame_id][1] for b in point_sets]),
    )
    merged.drawn_id = -1
    filters = [b.filter for b in point_sets if b.filter is not None]
    if len(filters) == len(point_sets):
        merged.filter = patch_filter.concatenate(filters)
    for i in set.intersection(*(set(b.path) for b in point_sets)):
        pairs = [b.path[i] for b in point_sets]
        merged.path[i] = (np.concatenate([xy for xy, _ in pairs]), np.concatenate([seen for _, seen in pairs]))
    return merged
