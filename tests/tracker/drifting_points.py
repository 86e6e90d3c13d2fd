"""A four-line point model and its tracker, for tests of the tracker; frames, prompts and seeds come from `builders`."""

from __future__ import annotations

import numpy as np
from builders import SIZE, frame, seeds
from builders import box_prompt as box  # the old names of these are to go once no test imports them from here
from builders import point_prompt as points

from nodes.tracker.answers import Answer
from nodes.tracker.point_model import Trajectories
from nodes.tracker.tracking import PointTracker
from stream.messages import Seeds
from stream.settings.options import TrackerOptions

__all__ = ["SIZE", "Drift", "box", "frame", "points", "positions", "run", "seeds", "seeds_at_boundary", "tracker"]


class Drift:
    """Everything moves one px to the right a frame; a point's descriptor is where it was drawn."""

    def __init__(self) -> None:
        self.encoded: list[int] = []
        self.lengths: list[int] = []

    def encode(self, rgb):
        self.encoded.append(int(rgb[0, 0, 0]))
        return int(rgb[0, 0, 0])

    def describe(self, features, xy):
        return np.asarray(xy, np.float32)

    def relink(self, descriptors, features, xy, visibility):
        return descriptors

    def link(self, visibility):
        return np.full(visibility.shape[1], len(visibility) - 1)

    def track(self, window, points, earlier):
        self.lengths.append(len(window))
        steps = np.array(window, np.float32) - window[0]
        shift = np.stack([steps, np.zeros_like(steps)], axis=1)
        return Trajectories(points.xy[None] + shift[:, None], np.ones((len(window), len(points)), np.float32))


def tracker(**options) -> PointTracker:
    return PointTracker(Drift(), TrackerOptions(**options))


def run(t: PointTracker, ids, reply=None) -> list[Answer]:
    """The answers to frames `ids`; `reply(answer)` gives the Seeds that arrive at once, or None."""
    answers = []
    for i in ids:
        for answer in t.step(frame(i)):
            answers.append(answer)
            new_seeds = reply(answer) if reply else None
            if new_seeds is not None:
                t.reseed(new_seeds)
    return answers


def positions(answer: Answer, object_id: int = 1) -> np.ndarray:
    return next(o for o in answer.objects if o.object_id == object_id).xy


def seeds_at_boundary(answer: Answer) -> Seeds | None:
    """The Seeds of all objects where some are asked for."""
    i = answer.frame.stamp.frame_id
    return seeds(i, *[o.object_id for o in answer.objects], x=40 + i % 5) if answer.seeds_for else None
