"""Runs of the point model: objects and the ring in, the newest trajectories of every bunch out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nodes.tracker.model import PointModel, Points, Trajectories, concatenate
from nodes.tracker.objects import Bunch, TrackedObject
from nodes.tracker.ring import Kept, Ring
from stream.messages import Array


def draw(model: PointModel, kept: Kept, object_id: int, xy: Array, labels: Array) -> Bunch:
    """New points (N, 2) of an object, with the kept frame as their anchor."""
    points = Points(
        xy=np.array(xy, np.float32),
        labels=np.array(labels, np.uint8),
        object_ids=np.full(len(labels), object_id, np.int32),
        memory=model.describe(kept.features, np.asarray(xy, np.float32)),
    )
    return Bunch(kept.frame_id, points)


def advance(model: PointModel, ring: Ring, objects: Iterable[TrackedObject]) -> None:
    """Let every bunch reach the newest frame. Bunches that share their anchor and their progress share one run."""
    groups: dict[tuple[int, int], list[Bunch]] = {}
    for known in objects:
        for bunch in known.bunches:
            done = 0 if bunch.said is None else len(bunch.said)
            groups.setdefault((bunch.start, done), []).append(bunch)
    for (start, _), bunches in sorted(groups.items(), key=lambda item: item[0]):
        _run(model, ring, bunches, start, None)


def link(model: PointModel, kept: Kept, known: TrackedObject) -> None:
    """Let the points of an object start their next window on `kept`, the newest frame that they have reached."""

    def relink(points: Points, xy: Array, visibility: Array) -> Array:
        return model.relink(points.memory, kept.features, xy, visibility)

    known.link(kept.frame_id, relink)


def catch_up(model: PointModel, ring: Ring, known: TrackedObject) -> None:
    """Take freshly drawn points over the windows that have ended since, as if they had been drawn in time."""
    for boundary in ring.boundaries_after(known.bunches[0].start):
        _run(model, ring, known.bunches, known.bunches[0].start, boundary)
        kept = ring.find(boundary)
        assert kept is not None, "a boundary of the ring is in the ring"
        link(model, kept, known)


def _run(model: PointModel, ring: Ring, bunches: list[Bunch], start: int, end: int | None) -> None:
    """One run of the model over the frames `start` to `end` (None: the newest) for bunches of equal progress."""
    window = ring.window(start, end)
    told = [b.said for b in bunches if b.said is not None]
    if told and len(told[0]) == len(window) == 1:
        return  # linked on the newest frame: nothing has happened since
    known = None
    if told:
        xy = np.concatenate([s.xy for s in told], axis=1)
        known = Trajectories(xy, np.concatenate([s.visibility for s in told], axis=1))
    said = model.track(window, concatenate([b.points for b in bunches]), known)
    counts = np.cumsum([len(b.points) for b in bunches])[:-1]
    columns = zip(np.split(said.xy, counts, axis=1), np.split(said.visibility, counts, axis=1), strict=True)
    for bunch, (xy, visibility) in zip(bunches, columns, strict=True):
        bunch.said = Trajectories(xy, visibility)
