"""Runs of the point model: point_sets of points and the frames' features in, their paths up to the newest frame out.

A window starts on a point's anchor and has at most `horizon` frames. Points that share their anchor share a run,
whatever object they belong to. Two rules say where the next window starts:

    boundary   all points of an object on the boundary frame (`link_all`)
    visible    each point on the frame that the model chooses of its finished window (`settle`; PIPS: spec b.5)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np

from nodes.tracker.point_model import Features, PointModel, Trajectories, concatenate
from nodes.tracker.point_set import PointSet, merge
from stream.arrays import Array
from stream.errors import ModelError

log = logging.getLogger(__name__)

Part = tuple[PointSet, Array]  # a point_set and those (n,) of its rows that run together
Linked = Callable[[int, PointSet, int, int, int], None]  # anchor, point_set, row, next anchor, frames in the window


class Timeline(Protocol):
    """Frames with their features, found by id: the live ring, or a whole clip."""

    @property
    def ids(self) -> Sequence[int]:
        """The frame ids, oldest first."""

    def features(self, ids: Sequence[int]) -> list[Features]:
        """The features of those frames."""


def advance(model: PointModel, line: Timeline, point_sets: Sequence[PointSet], until: int | None = None) -> None:
    """Let every point reach frame `until` (None: the newest); nothing is linked."""
    ids = [i for i in line.ids if until is None or i <= until]
    behind: dict[tuple[int, int], list[Part]] = {}
    for point_set in point_sets:
        late = point_set.reached < ids[-1]
        for anchor, reached in sorted(
            {*zip(point_set.anchors[late].tolist(), point_set.reached[late].tolist(), strict=True)}
        ):
            rows = np.flatnonzero((point_set.anchors == anchor) & (point_set.reached == reached))
            behind.setdefault((anchor, reached), []).append((point_set, rows))
    for (anchor, _), parts in sorted(behind.items(), key=lambda item: item[0]):
        _run(model, line, parts, [i for i in ids if i >= anchor])


def settle(
    model: PointModel,
    line: Timeline,
    point_sets: Sequence[PointSet],
    horizon: int,
    *,
    until: int | None = None,
    linked: Linked | None = None,
) -> None:
    """Link points by what the model saw: run every window that is full, and go on from where each point is clear.

    With `until` the feed ends on that frame: windows that it cuts short are run as well, until every point's anchor is
    there. `linked` is told of every link.
    """
    ids = [i for i in line.ids if until is None or i <= until]
    last = ids[-1] if until is not None else ids[-horizon] if len(ids) >= horizon else None
    while last is not None:
        anchors = [
            int(a) for b in point_sets for a in set(b.anchors.tolist()) if a < last or (until is None and a == last)
        ]
        if not anchors:
            break
        anchor = min(anchors)
        window = [i for i in ids if i >= anchor][:horizon]
        parts = [(b, rows) for b in point_sets if len(rows := np.flatnonzero(b.anchors == anchor))]
        said = _run(model, line, parts, window)
        to = np.split(model.link(said.visibility), np.cumsum([len(rows) for _, rows in parts])[:-1])
        for (point_set, rows), steps in zip(parts, to, strict=True):
            for step in sorted(set(steps.tolist())):
                [features] = line.features([window[step]])
                point_set.link(model, rows[steps == step], window[step], features)
            for row, step in zip(rows.tolist(), steps.tolist(), strict=True) if linked else ():
                assert linked is not None
                linked(anchor, point_set, row, window[step], len(window))


def link_all(model: PointModel, point_sets: Sequence[PointSet], frame_id: int, features: Features) -> list[PointSet]:
    """One point_set of all the point_sets of an object, with that frame, which they have reached, as its anchor."""
    for point_set in point_sets:
        point_set.link(model, np.arange(len(point_set)), frame_id, features)
    return [merge(point_sets, frame_id)] if point_sets else []


def oldest_anchor(point_sets: Iterable[PointSet]) -> int | None:
    """The oldest frame that a point's window starts on: all before it is settled. None: there is no point."""
    return min((int(b.anchors.min()) for b in point_sets if len(b)), default=None)


def unseen(known: Trajectories, length: int) -> Trajectories:
    """The last known positions, repeated over a window of `length` frames, and no visibility where nothing is known."""
    further = length - len(known)
    return Trajectories(
        np.concatenate([known.xy, np.repeat(known.xy[-1:], further, axis=0)]),
        np.concatenate([known.visibility, np.zeros((further, known.visibility.shape[1]), np.float32)]),
    )


def _run(model: PointModel, line: Timeline, parts: Sequence[Part], ids: Sequence[int]) -> Trajectories:
    """One run of the model over the frames `ids` for points that share the first of them as their anchor."""
    points = concatenate([point_set.take(rows) for point_set, rows in parts])
    reached = min(int(point_set.reached[rows].min()) for point_set, rows in parts)
    before = [i for i in ids if i <= reached]
    told = [point_set.told(rows, before) for point_set, rows in parts]
    known = Trajectories(np.concatenate([t.xy for t in told], 1), np.concatenate([t.visibility for t in told], 1))
    try:
        said = model.track(line.features(ids), points, known)
    except ModelError as error:  # the points wait where they are, unseen, for a window that has an answer
        log.warning("frame %d: %s", ids[-1], error)
        said = unseen(known, len(ids))
    counts = np.cumsum([len(rows) for _, rows in parts])[:-1]
    columns = zip(np.split(said.xy, counts, axis=1), np.split(said.visibility, counts, axis=1), strict=True)
    for (point_set, rows), (xy, visibility) in zip(parts, columns, strict=True):
        point_set.write(rows, ids, xy, visibility)
    return said
