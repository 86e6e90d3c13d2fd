"""Seeds in, and into the tracker once their points are drawn: by a thread, while the feed goes on with the old points.

To draw the points of an object costs 10 to 50 ms, which a frame of a live feed would have to wait for. So Seeds wait
until a thread has drawn their points, and are then taken as if they had come only now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from nodes.tracker.sampling.point_sampling import DrawnPoints, PointSampler
from nodes.tracker.seed_targets import SeedTarget
from nodes.tracker.tracking import PointTracker
from stream.crops import uncrop_mask
from stream.geometry import Size
from stream.messages import Frame, Seed, Seeds
from stream.scheduling.worker import Worker

Drawn = Mapping[int, DrawnPoints]  # by object id


@dataclass(frozen=True)
class SampledMask:
    """What points are drawn from."""

    seed: Seed
    size: Size
    frame: Frame


@dataclass(frozen=True)
class WaitingSeeds:
    """Seeds whose points are to be drawn, or are being drawn."""

    seeds: Seeds
    targets: dict[int, SeedTarget]  # by object id: the masks of others are not used

    def still_of(self, tracker: PointTracker) -> Seeds:
        """The Seeds less those of objects that have gone, or have begun again, and of frames that have gone."""
        return replace(
            self.seeds, objects=tuple(s for s in self.seeds.objects if self._is_target(s.object_id, tracker))
        )

    def _is_target(self, object_id: int, tracker: PointTracker) -> bool:
        """Whether it is still the same object on the same frame: a count of frames may have begun again."""
        target = self.targets.get(object_id)
        if target is None or tracker.objects.get(object_id) is not target.tracked:
            return False
        chain = tracker.past_points.chain_from(target.frame_id, self.seeds.epoch)
        return not chain or chain[0].frame.stamp == target.frame.stamp  # a frame that is gone is logged where it is due


class BackgroundSeeds:
    """Draws the points of Seeds on a thread; one batch is in work, and those that come meanwhile are the next.

    Of an object there is one mask at most in the batch that waits.
    """

    def __init__(self, tracker: PointTracker, worker: Worker[Drawn]) -> None:
        self.tracker = tracker
        self.worker = worker
        self.waiting: list[WaitingSeeds] = []  # in the order in which they came
        self.in_work: list[WaitingSeeds] = []

    @property
    def busy(self) -> bool:
        """Whether there are Seeds that the tracker has not taken."""
        return bool(self.in_work or self.waiting)

    def add(self, seeds: Seeds) -> list[Seeds]:
        """Seeds come; those that the tracker has taken by now: at once where nothing is to be drawn."""
        found = {s.object_id: self.tracker.seed_targets.find(seeds, s, self.tracker.objects) for s in seeds.objects}
        new = WaitingSeeds(seeds, {i: target for i, target in found.items() if target is not None})
        for earlier in self.waiting:
            for object_id in earlier.targets.keys() & new.targets.keys():
                before, now = earlier.targets[object_id], new.targets[object_id]
                older = now.frame_id < before.frame_id and not now.prompted
                del (new if older else earlier).targets[object_id]
        self.waiting.append(new)
        return self.collect()

    def collect(self) -> list[Seeds]:
        """Let the tracker take the Seeds whose points are drawn, and begin with those that wait; the former."""
        taken: list[Seeds] = []
        if self.in_work:
            outcome = self.worker.take()
            if outcome is None:
                return []
            drawn, error = outcome
            if error is not None:
                raise error
            taken += self._hand_over(drawn or {})
        while self.waiting and not self.in_work:
            self.in_work, self.waiting = self.waiting, []
            masks = [
                SampledMask(seed, waiting.seeds.size, waiting.targets[seed.object_id].frame)
                for waiting in self.in_work
                for seed in waiting.seeds.objects
                if seed.object_id in waiting.targets and waiting.targets[seed.object_id].draws
            ]
            if masks:
                self.worker.start(partial(_draw, self.tracker.sampler, masks, len(self.tracker.objects)))
            else:
                taken += self._hand_over({})
        return taken

    def _hand_over(self, drawn: Drawn) -> list[Seeds]:
        waiting, self.in_work = self.in_work, []
        done = [w.still_of(self.tracker) for w in waiting]
        for w, seeds in zip(waiting, done, strict=True):
            self.tracker.reseed(seeds, self._described(w, seeds, drawn))
        return done

    def _described(self, waiting: WaitingSeeds, seeds: Seeds, drawn: Drawn) -> Drawn:
        """The points of these Seeds' objects; those on a frame of the buffer are described together."""
        of_frames: dict[int, dict[int, DrawnPoints]] = {}
        for object_id in (s.object_id for s in seeds.objects if s.object_id in drawn):
            of_frames.setdefault(waiting.targets[object_id].frame_id, {})[object_id] = drawn[object_id]
        described: dict[int, DrawnPoints] = {}
        for frame_id, points in of_frames.items():
            buffered = self.tracker.buffer.find(frame_id)
            described |= points if buffered is None else self.tracker.sampler.describe_together(buffered, points)
        return described


def _draw(sampler: PointSampler, masks: Sequence[SampledMask], objects: int) -> Drawn:
    """On the worker's thread: the masks are unpacked one at a time, each for a frame's worth of memory."""
    return {
        m.seed.object_id: sampler.draw(
            m.frame, m.seed.object_id, uncrop_mask(m.seed.bbox, m.seed.mask, m.size), objects
        )
        for m in masks
    }
