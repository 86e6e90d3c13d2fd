"""Runs of the point model: point sets and the frames' features in, their paths up to the newest frame out.

A window starts on a point's anchor and has at most `horizon` frames. Points that share their anchor share a run,
whatever object they belong to. `advance` runs windows without ending them; `settle` ends them by what the model saw of
each point, `link_all` for a whole object on one frame. Which of the two is used when is in `linking.py`.
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

Part = tuple[PointSet, Array]  # a point set and those (n,) of its rows that run together
OnLink = Callable[[int, PointSet, int, int, int], None]  # anchor, point set, row, next anchor, frames in the window


class Timeline(Protocol):
    """Frames with their features, found by id: the live frame buffer, or a whole clip."""

    @property
    def ids(self) -> Sequence[int]:
        """The frame ids, oldest first."""

    def features(self, ids: Sequence[int]) -> list[Features]:
        """The features of those frames."""


def advance(model: PointModel, timeline: Timeline, point_sets: Sequence[PointSet], until: int | None = None) -> None:
    """Let every point reach frame `until` (None: the newest); nothing is linked."""
    ids = [i for i in timeline.ids if until is None or i <= until]
    runs: dict[tuple[int, int], list[Part]] = {}
    for point_set in point_sets:
        behind = point_set.tracked_to < ids[-1]
        for anchor, reached in sorted(
            {*zip(point_set.anchors[behind].tolist(), point_set.tracked_to[behind].tolist(), strict=True)}
        ):
            rows = np.flatnonzero((point_set.anchors == anchor) & (point_set.tracked_to == reached))
            runs.setdefault((anchor, reached), []).append((point_set, rows))
    for (anchor, _), parts in sorted(runs.items(), key=lambda item: item[0]):
        _run(model, timeline, parts, [i for i in ids if i >= anchor])


def settle(
    model: PointModel,
    timeline: Timeline,
    point_sets: Sequence[PointSet],
    horizon: int,
    *,
    until: int | None = None,
    on_link: OnLink | None = None,
) -> None:
    """Link points by what the model saw: run every window that is full, and go on from where each point is clear.

    With `until` the feed ends on that frame: windows that it cuts short are run as well, until every point's anchor is
    there. `on_link` is called for every link.
    """
    ids = [i for i in timeline.ids if until is None or i <= until]
    last = ids[-1] if until is not None else ids[-horizon] if len(ids) >= horizon else None
    while last is not None:
        anchors = [
            int(a) for p in point_sets for a in set(p.anchors.tolist()) if a < last or (until is None and a == last)
        ]
        if not anchors:
            break
        anchor = min(anchors)
        window = [i for i in ids if i >= anchor][:horizon]
        parts = [(p, rows) for p in point_sets if len(rows := np.flatnonzero(p.anchors == anchor))]
        visibility = _run(model, timeline, parts, window).visibility
        steps_of_parts = np.split(model.link(visibility), _column_ends(parts))
        for (point_set, rows), steps in zip(parts, steps_of_parts, strict=True):
            for step in sorted(set(steps.tolist())):
                [features] = timeline.features([window[step]])
                point_set.link(model, rows[steps == step], window[step], features)
            if on_link is not None:
                for row, step in zip(rows.tolist(), steps.tolist(), strict=True):
                    on_link(anchor, point_set, row, window[step], len(window))


def link_all(model: PointModel, point_sets: Sequence[PointSet], frame_id: int, features: Features) -> list[PointSet]:
    """One point set of all those of an object, with that frame, which they have reached, as its anchor."""
    for point_set in point_sets:
        point_set.link(model, np.arange(len(point_set)), frame_id, features)
    return [merge(point_sets, frame_id)] if point_sets else []


def oldest_anchor(point_sets: Iterable[PointSet]) -> int | None:
    """The oldest frame that a point's window starts on: all before it is settled. None: there is no point."""
    return min((int(p.anchors.min()) for p in point_sets if len(p)), default=None)


def unseen(earlier: Trajectories, length: int) -> Trajectories:
    """The last positions repeated over a window of `length` frames, with no visibility on the frames added."""
    further = length - len(earlier)
    return Trajectories(
        np.concatenate([earlier.xy, np.repeat(earlier.xy[-1:], further, axis=0)]),
        np.concatenate([earlier.visibility, np.zeros((further, earlier.visibility.shape[1]), np.float32)]),
    )


def _run(model: PointModel, timeline: Timeline, parts: Sequence[Part], ids: Sequence[int]) -> Trajectories:
    """One run of the model over the frames `ids` for points that share the first of them as their anchor."""
    points = concatenate([point_set.points(rows) for point_set, rows in parts])
    reached = min(int(point_set.tracked_to[rows].min()) for point_set, rows in parts)
    answered = [point_set.trajectories(rows, [i for i in ids if i <= reached]) for point_set, rows in parts]
    earlier = Trajectories(
        np.concatenate([t.xy for t in answered], 1), np.concatenate([t.visibility for t in answered], 1)
    )
    try:
        trajectories = model.track(timeline.features(ids), points, earlier)
    except ModelError as error:  # the points wait where they are, unseen, for a window that has an answer
        log.warning("frame %d: %s", ids[-1], error)
        trajectories = unseen(earlier, len(ids))
    ends = _column_ends(parts)
    columns = zip(np.split(trajectories.xy, ends, axis=1), np.split(trajectories.visibility, ends, axis=1), strict=True)
    for (point_set, rows), (xy, visibility) in zip(parts, columns, strict=True):
        point_set.write(rows, ids, xy, visibility)
    return trajectories


def _column_ends(parts: Sequence[Part]) -> Array:
    """Where the columns of one part end and those of the next begin, in the arrays of a run."""
    return np.cumsum([len(rows) for _, rows in parts])[:-1]
