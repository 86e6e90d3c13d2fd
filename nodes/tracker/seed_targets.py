"""The decoder's masks in, what each of them is of out: an object, a frame, and whether points are drawn from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodes.tracker.point_model import PointModel
from nodes.tracker.point_set import lacks_region
from nodes.tracker.prompts_on_frames import PastPoints
from nodes.tracker.tracked_object import TrackedObject
from stream.messages import Frame, Seed, Seeds, TrackedFrame

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeedTarget:
    """What a mask is of."""

    tracked: TrackedObject
    chain: Sequence[TrackedFrame]  # the mask's frame, and those since where it has left the frame buffer
    prompted: bool  # it answers a prompt on a past frame, and counts however new the object's mask is
    draws: bool  # the object gets new points from it

    @property
    def frame(self) -> Frame:
        """The mask's frame."""
        return self.chain[0].frame

    @property
    def frame_id(self) -> int:
        """The count that capture gave it."""
        return self.frame.stamp.frame_id


class SeedTargets:
    """Finds the target of each mask."""

    def __init__(self, model: PointModel, points: PastPoints, reinit: bool) -> None:
        """`reinit`: points are drawn anew from each mask; else only for objects that have none."""
        self.model = model
        self.points = points
        self.reinit = reinit

    def find(self, seeds: Seeds, seed: Seed, objects: Mapping[int, TrackedObject]) -> SeedTarget | None:
        """What a mask is of; None where its frame or its object is gone, or the object has a newer mask."""
        frame_id = seeds.frame_id if seed.frame_id < 0 else seed.frame_id
        chain = self.points.chain_from(frame_id, seeds.epoch)
        if not chain or chain[0].frame.size != seeds.size:
            log.info("seeds of frame %d came too late; the old points stay", frame_id)
            return None
        tracked = objects.get(seed.object_id)
        if tracked is None or seed.bbox[2] == 0:
            return None
        prompted = frame_id == tracked.prompt_frame
        if frame_id < tracked.mask_frame and not prompted:
            return None
        redraws = (prompted and tracked.redraws) or lacks_region(self.model, tracked.point_sets)
        return SeedTarget(tracked, chain, prompted, draws=self.reinit or not tracked.point_sets or redraws)
