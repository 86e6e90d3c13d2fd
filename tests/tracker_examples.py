"""Frames, prompts, seeds and a tracker with a four-line point model, for tests of the tracker."""

from __future__ import annotations

import numpy as np

from nodes.tracker.answers import Answer
from nodes.tracker.point_model import Trajectories
from nodes.tracker.tracking import PointTracker
from stream.messages import Frame, Prompt, Seed, Seeds, Stamp
from stream.settings.options import TrackerOptions

SIZE = (60, 80)


def frame(i: int, size=SIZE, epoch: int = 0, session: int = 0) -> Frame:
    stamp = Stamp(camera="c", session=session, frame_id=i, captured_ns=i, captured_unix_ns=i, epoch=epoch)
    return Frame(stamp=stamp, rgb=np.full((*size, 3), i % 256, np.uint8))


def points(object_id: int = 1, xy=((20, 20), (24, 30)), kind: str = "add") -> Prompt:
    labels = np.ones(len(xy), np.uint8)
    return Prompt(object_id=object_id, kind=kind, xy=np.array(xy, np.float32), labels=labels)


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


def box(object_id: int = 1) -> Prompt:
    return Prompt(object_id=object_id, box=(10, 10, 30, 30))


def seeds(i: int, *ids: int, x: int = 40, size=SIZE, epoch: int = 0, of: int = -1) -> Seeds:
    """The answer to frame `i`, with masks of frame `of`, or the very one."""
    mask = np.ones((12, 10), np.uint8)
    objects = tuple(Seed(object_id=o, bbox=(x, 20, 10, 12), mask=mask, frame_id=of) for o in ids)
    return Seeds(frame_id=i, epoch=epoch, size=size, objects=objects)


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
