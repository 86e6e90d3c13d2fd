"""Points of one object that were drawn together: where each starts its window, and its path over the newest frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nodes.tracker import patch_filter
from nodes.tracker.patch_filter import PatchFilter
from nodes.tracker.point_model import Features, PointModel, Points, RegionModel, Trajectories, concatenate
from stream import geometry
from stream.arrays import Array
from stream.messages import VISIBLE

Path = Mapping[int, tuple[Array, Array]]  # frame_id -> (N, 2) float32 px, (N,) float32 visibility


class PointSet:
    """N points. Each has an anchor of its own; with re-initialisation they all share the boundary frame.

    All of them begin on frame `start`, with the visibility (N,) given; `earlier_path` holds where they were before.
    """

    def __init__(
        self,
        start: int,
        points: Points,
        visibility: Array,
        *,
        drawn_together: bool = True,
        patch_filter: PatchFilter | None = None,
        earlier_path: Path | None = None,
        of_region: Array | None = None,
    ) -> None:
        self.xy = points.xy  # (N, 2) float32, frame px, on each point's anchor frame
        self.labels = points.labels  # (N,) uint8
        self.object_ids = points.object_ids  # (N,) int32
        self.descriptors = points.descriptors  # (N, C) float32: what `describe` returned where each point was drawn
        self.anchors = np.full(len(points), start, np.int64)  # (N,) frame_id that each point's window starts on
        self.tracked_to = self.anchors.copy()  # (N,) newest frame_id that the model has answered for
        # (N,) bool: rows that stand for a region (`RegionModel`), and are another point of it on each frame
        self.of_region = np.zeros(len(points), bool) if of_region is None else of_region
        self.drawn_id = start if drawn_together else -1  # frame_id that all were drawn on; -1: on several
        self.drawn_xy = points.xy.copy()  # (N, 2) float32, frame px, there
        self.patch_filter = patch_filter  # gives up points that have slid off what they were drawn on
        # frame_id -> (N, 2) float32 px, (N,) float32: the model's newest answer
        self.path = {start: (points.xy.copy(), visibility), **(earlier_path or {})}

    def __len__(self) -> int:
        return len(self.xy)

    def points(self, rows: Array) -> Points:
        """The points `rows` (n,) as the model wants them; they share their anchor."""
        return Points(self.xy[rows], self.labels[rows], self.object_ids[rows], self.descriptors[rows])

    def trajectories(self, rows: Array, ids: Sequence[int]) -> Trajectories:
        """What the model has answered for the points `rows` on the frames `ids`."""
        pairs = [self.path[i] for i in ids]
        return Trajectories(
            np.stack([xy[rows] for xy, _ in pairs]), np.stack([visibility[rows] for _, visibility in pairs])
        )

    def write(self, rows: Array, ids: Sequence[int], xy: Array, visibility: Array) -> None:
        """Take the model's answer (S, n, 2), (S, n) for the points `rows` on the frames `ids`, over the earlier one.

        The first frame stays as it was: it is the anchor (docs/sam_pt.md, b.4).
        """
        for s, frame_id in enumerate(ids[1:], start=1):
            if frame_id not in self.path:  # rows that have not come so far stay where they are, unseen
                self.path[frame_id] = (self.path[ids[s - 1]][0].copy(), np.zeros(len(self), np.float32))
            path_xy, path_visibility = self.path[frame_id]
            path_xy[rows], path_visibility[rows] = xy[s], visibility[s]
        self.tracked_to[rows] = ids[-1]

    def visibility_at(self, frame_id: int, rgb: Array) -> Array:
        """(N,) float32: the visibility on that frame, (H, W, 3); 0 for the points that the patch filter gave up."""
        xy, visibility = self.path[frame_id]
        if self.patch_filter is None:
            return visibility
        return np.where(self.patch_filter.step(rgb, xy, visibility > VISIBLE), visibility, 0).astype(np.float32)

    def link(self, model: PointModel, rows: Array, frame_id: int, features: Features) -> None:
        """Let the points `rows` start their next window where they are on that frame."""
        xy, visibility = self.path[frame_id]
        self.descriptors[rows] = model.relink(self.descriptors[rows], features, xy[rows], visibility[rows])
        self.xy[rows] = xy[rows]
        self.anchors[rows] = frame_id

    def describe_again(self, model: PointModel, features: Features) -> None:
        """Take new descriptors from the frame that the windows start on: the one of the old ones had another size."""
        self.descriptors = np.array(model.describe(features, self.xy))
        self.of_region = np.zeros(len(self), bool)

    def moved(self, transform: Array, newest: int, frame_id: int) -> PointSet:
        """The same points where a (2, 3) map puts them, waiting for a window that starts on frame `frame_id`.

        They are taken from frame `newest`, or the last one before it that they have reached.
        """
        xy, _ = self.path[max(i for i in self.path if i <= newest)]
        points = Points(geometry.apply(transform, xy), self.labels, self.object_ids, self.descriptors)
        return PointSet(frame_id, points, np.ones(len(self), np.float32), drawn_together=False)

    def forget_before(self, frame_id: int) -> None:
        """Drop the path of frames older than that."""
        self.path = {i: pair for i, pair in self.path.items() if i >= frame_id}


def new_point_set(
    model: PointModel,
    frame_id: int,
    features: Features,
    object_id: int,
    xy: Array,
    labels: Array,
    patch_filter: PatchFilter | None = None,
    mask: Array | None = None,
    descriptors: Array | None = None,
) -> PointSet:
    """Points (N, 2) of an object, drawn on that frame, which becomes their anchor; from a mask (H, W) or without.

    `descriptors`: (N, C) where the model has been asked for them.
    """
    xy = np.array(xy, np.float32)
    is_region = mask is not None and isinstance(model, RegionModel)
    if mask is not None and isinstance(model, RegionModel):
        descriptors = model.describe_region(features, xy, mask)
    elif descriptors is None:
        descriptors = model.describe(features, xy)
    points = Points(
        xy,
        np.array(labels, np.uint8),
        np.full(len(labels), object_id, np.int32),
        np.array(descriptors),
    )
    return PointSet(
        frame_id,
        points,
        np.ones(len(labels), np.float32),
        patch_filter=patch_filter,
        of_region=np.full(len(labels), is_region),
    )


def lacks_region(model: PointModel, point_sets: Sequence[PointSet]) -> bool:
    """Whether a model that follows regions has points that were drawn from no mask."""
    return isinstance(model, RegionModel) and not all(p.of_region.all() for p in point_sets)


def merge(point_sets: Sequence[PointSet], frame_id: int) -> PointSet:
    """One of several that have all been linked on frame `frame_id`, with the path that they have in common."""
    if len(point_sets) == 1:
        return point_sets[0]
    everything = [np.arange(len(p)) for p in point_sets]
    filters = [p.patch_filter for p in point_sets if p.patch_filter is not None]
    common_path: dict[int, tuple[Array, Array]] = {}
    for i in set.intersection(*(set(p.path) for p in point_sets)):
        pairs = [p.path[i] for p in point_sets]
        common_path[i] = (
            np.concatenate([xy for xy, _ in pairs]),
            np.concatenate([visibility for _, visibility in pairs]),
        )
    return PointSet(
        frame_id,
        concatenate([p.points(rows) for p, rows in zip(point_sets, everything, strict=True)]),
        common_path[frame_id][1],
        drawn_together=False,
        patch_filter=patch_filter.concatenate(filters) if len(filters) == len(point_sets) else None,
        earlier_path=common_path,
        of_region=np.concatenate([p.of_region for p in point_sets]),
    )
