"""A mask or the user's points in, a bunch of query points with their anchor on a frame of the ring out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nodes.tracker import query_points
from nodes.tracker.bunch import Bunch, draw
from nodes.tracker.model import PointModel
from nodes.tracker.patch_filter import PatchFilter, patches
from nodes.tracker.query_points import Draws, Seeded
from nodes.tracker.ring import Kept
from stream.arrays import Array

Chance = Callable[[int, int], Draws]  # object_id, frame_id -> where the random choices come from


class Sower:
    """How many points an object gets, of which kind, and by which random choices."""

    def __init__(
        self,
        model: PointModel,
        positive_points: int,
        negative_points: int,
        patch_similarity: float,
        seed: int,
        chance: Chance | None = None,
    ) -> None:
        self.model = model
        self.positive_points = positive_points
        self.negative_points = negative_points
        self.patch_similarity = patch_similarity  # 0: no filter
        self.seed = seed
        self.chance = chance or self._own_chance

    def draw(self, kept: Kept, object_id: int, mask: Array) -> Bunch:
        """New points from a mask: positives by k-medoids, negatives by the mixed rule (paper, sections 3.1 and 4.2)."""
        draws = self.chance(object_id, kept.frame_id)
        positives = query_points.draw_positives(mask, self.positive_points, draws)
        negatives = query_points.draw_negatives(mask, kept.frame.rgb, self.negative_points, draws)
        labels = np.repeat(np.array([1, 0], np.uint8), [len(positives), len(negatives)])
        return self.plant(kept, object_id, np.concatenate([positives, negatives]), labels)

    def plant(self, kept: Kept, object_id: int, xy: Array, labels: Array) -> Bunch:
        """New points at given places (N, 2), frame px."""
        bunch = draw(self.model, kept.frame_id, kept.features, object_id, xy, labels)
        if self.patch_similarity > 0:
            bunch.filter = PatchFilter(patches(kept.frame.rgb, bunch.xy), self.patch_similarity)
        return bunch

    def _own_chance(self, object_id: int, frame_id: int) -> Draws:
        """The same for the same object and frame, whatever the other objects do."""
        return Seeded(self.seed, object_id, frame_id)
