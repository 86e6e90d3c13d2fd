"""A mask or the user's points in, a point_set of query points with their anchor on a frame of the ring out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nodes.tracker import query_points
from nodes.tracker.frame_buffer import BufferedFrame
from nodes.tracker.patch_filter import PatchFilter, patches
from nodes.tracker.point_model import PointModel
from nodes.tracker.point_set import PointSet, draw
from nodes.tracker.query_points import RandomSource, SeededSource
from stream.arrays import Array

RandomSources = Callable[[int, int], RandomSource]  # object_id, frame_id -> where the random choices come from


class PointSampler:
    """How many points an object gets, of which kind, and by which random choices."""

    def __init__(
        self,
        model: PointModel,
        positive_points: int,
        negative_points: int,
        patch_similarity: float,
        seed: int,
        chance: RandomSources | None = None,
    ) -> None:
        self.model = model
        self.positive_points = positive_points
        self.negative_points = negative_points
        self.patch_similarity = patch_similarity  # 0: no filter
        self.seed = seed
        self.chance = chance or self._own_chance

    def draw(self, kept: BufferedFrame, object_id: int, mask: Array) -> PointSet:
        """New points from a mask: positives by k-medoids, negatives by the mixed rule (paper, sections 3.1 and 4.2)."""
        draws = self.chance(object_id, kept.frame_id)
        positives = query_points.draw_positives(mask, self.positive_points, draws)
        negatives = query_points.draw_negatives(mask, kept.frame.rgb, self.negative_points, draws)
        labels = np.repeat(np.array([1, 0], np.uint8), [len(positives), len(negatives)])
        return self.plant(kept, object_id, np.concatenate([positives, negatives]), labels)

    def plant(self, kept: BufferedFrame, object_id: int, xy: Array, labels: Array) -> PointSet:
        """New points at given places (N, 2), frame px."""
        point_set = draw(self.model, kept.frame_id, kept.features, object_id, xy, labels)
        if self.patch_similarity > 0:
            point_set.filter = PatchFilter(patches(kept.frame.rgb, point_set.xy), self.patch_similarity)
        return point_set

    def _own_chance(self, object_id: int, frame_id: int) -> RandomSource:
        """The same for the same object and frame, whatever the other objects do."""
        return SeededSource(self.seed, object_id, frame_id)
