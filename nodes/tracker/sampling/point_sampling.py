"""A mask or the user's points in, a point set with its anchor on a frame of the buffer out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nodes.tracker.frame_buffer import BufferedFrame
from nodes.tracker.patch_filter import PatchFilter, patches
from nodes.tracker.point_model import PointModel, RegionModel
from nodes.tracker.point_set import PointSet, new_point_set
from nodes.tracker.sampling import query_points
from nodes.tracker.sampling.query_points import RandomSource, SeededSource
from stream.arrays import Array
from stream.messages import Frame
from stream.settings.options import TrackerOptions

LEAST_POINTS = 3  # positive ones of an object, where many share the tracker: what a similarity needs
LEAST_PIXELS = 200  # of a mask, that they are chosen from by k-medoids: 1800 cost 7 ms, 200 cost 1 ms

RandomSources = Callable[[int, int], RandomSource]  # object_id, frame_id -> where the random choices come from


@dataclass(frozen=True)
class DrawnPoints:
    """Where new points of an object lie on a frame."""

    xy: Array  # (N, 2) float32, frame px
    labels: Array  # (N,) uint8, 1 positive, 0 negative
    descriptors: Array | None = None  # (N, C): what they look like, where the model has been asked


class PointSampler:
    """How many points an object gets, of which kind, and by which random choices."""

    def __init__(self, model: PointModel, options: TrackerOptions, random_sources: RandomSources | None = None) -> None:
        self.model = model
        self.positive_points = options.positive_points
        self.most_points = options.most_points  # positive ones of all objects; 0: no limit
        self.negative_points = options.negative_points
        self.patch_similarity = options.patch_similarity  # 0: no filter
        self.seed = options.seed
        self.random_sources = random_sources or self._seeded_source

    def sample(
        self, buffered: BufferedFrame, object_id: int, mask: Array, objects: int = 1, drawn: DrawnPoints | None = None
    ) -> PointSet:
        """New points from a mask, which `draw` finds, or has found before."""
        if drawn is None:
            drawn = self.draw(buffered.frame, object_id, mask, objects)
        return self.place(buffered, object_id, drawn, mask)

    def draw(self, frame: Frame, object_id: int, mask: Array, objects: int = 1) -> DrawnPoints:
        """Positives by k-medoids, negatives by the mixed rule (paper, sections 3.1 and 4.2); any thread may ask.

        `objects`: how many are followed; many of them get fewer points each, of fewer pixels.
        """
        source = self.random_sources(object_id, frame.stamp.frame_id)
        count, pixels = self.positive_points, query_points.KMEDOIDS_SUBSET
        if 0 < self.most_points < objects * count:
            share = self.most_points / (objects * count)
            count, pixels = max(LEAST_POINTS, int(share * count)), max(LEAST_PIXELS, int(share * pixels))
        positives = query_points.by_kmedoids(mask, min(count, self.positive_points), source, pixels)
        negatives = query_points.draw_negatives(mask, frame.rgb, self.negative_points, source)
        labels = np.repeat(np.array([1, 0], np.uint8), [len(positives), len(negatives)])
        return DrawnPoints(np.concatenate([positives, negatives]), labels)

    def describe_together(self, buffered: BufferedFrame, drawn: Mapping[int, DrawnPoints]) -> dict[int, DrawnPoints]:
        """The points of objects, by id, that were drawn on one frame, and what they look like: one wait for a GPU."""
        if not drawn or isinstance(self.model, RegionModel):
            return dict(drawn)
        descriptors = self.model.describe(buffered.features, np.concatenate([d.xy for d in drawn.values()]))
        parts = np.split(descriptors, np.cumsum([len(d.xy) for d in drawn.values()])[:-1])
        return {i: replace(d, descriptors=part) for (i, d), part in zip(drawn.items(), parts, strict=True)}

    def place(
        self, buffered: BufferedFrame, object_id: int, points: DrawnPoints, mask: Array | None = None
    ) -> PointSet:
        """New points at given positions; from a mask (H, W), if there is one."""
        xy = np.array(points.xy, np.float32)
        patch_filter = None
        if self.patch_similarity > 0:
            patch_filter = PatchFilter(patches(buffered.frame.rgb, xy), self.patch_similarity)
        return new_point_set(
            self.model,
            buffered.frame_id,
            buffered.features,
            object_id,
            xy,
            points.labels,
            patch_filter,
            mask,
            points.descriptors,
        )

    def _seeded_source(self, object_id: int, frame_id: int) -> RandomSource:
        """The same for the same object and frame, whatever the other objects do."""
        return SeededSource(self.seed, object_id, frame_id)
