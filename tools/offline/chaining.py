"""A finished clip's features and query points in, their trajectories over the whole clip out: the offline tracker.

The same windows as live (docs/sam_pt.md, b), chained from each point's query frame to the end, and for the frames
before it on the reversed clip. Live tracking cannot look back; this is for comparison with the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodes.tracker import windows
from nodes.tracker.point_model import Features, PointModel
from nodes.tracker.point_set import PointSet, new_point_set
from stream.arrays import Array

HORIZON = 8  # frames: what PIPS' weights expect
Link = tuple[int, int, int, int]  # frame, point, next frame, real frames in the window


class Clip:
    """All frames of a clip on a timeline: the id of a frame is its index."""

    def __init__(self, features: Sequence[Features]) -> None:
        self._features = features
        self.ids = range(len(features))

    def features(self, ids: Sequence[int]) -> list[Features]:
        """The features of those frames."""
        return [self._features[i] for i in ids]


@dataclass(frozen=True)
class Chained:
    """Trajectories of N points over T frames."""

    xy: Array  # (T, N, 2) float32, px; the query position on the frames that the pass does not cover
    probability: Array  # (T, N) float32: visible; 0 on the frames that the pass does not cover
    links: list[Link]  # in the order of the runs


def chain(
    model: PointModel, features: Sequence[Features], query_frames: Array, query_xy: Array, horizon: int = HORIZON
) -> Chained:
    """Follow points (N,), (N, 2) from their query frames to the end of the clip (docs/sam_pt.md, b, one direction)."""
    clip, xy = Clip(features), np.asarray(query_xy, np.float32)
    frames, n = np.asarray(query_frames, np.int64), len(query_xy)
    point_sets: list[PointSet] = []
    members: dict[int, Array] = {}  # id(point_set) -> (n,) which points it holds
    for start in sorted(set(frames.tolist())):
        rows = np.flatnonzero(frames == start)
        point_sets.append(new_point_set(model, start, features[start], 0, xy[rows], np.ones(len(rows))))
        members[id(point_sets[-1])] = rows
    links: list[Link] = []

    def note_link(anchor: int, point_set: PointSet, row: int, to: int, real: int) -> None:
        links.append((anchor, int(members[id(point_set)][row]), to, real))

    windows.settle(model, clip, point_sets, horizon, until=len(features) - 1, on_link=note_link)
    path = np.repeat(xy[None], len(features), axis=0)
    probability = np.zeros((len(features), n), np.float32)
    for point_set in point_sets:
        columns = members[id(point_set)]
        for i, (path_xy, visibility) in point_set.path.items():
            path[i, columns], probability[i, columns] = path_xy, visibility
    return Chained(path, probability, links)


def two_way(
    model: PointModel, features: Sequence[Features], query_frames: Array, query_xy: Array, horizon: int = HORIZON
) -> tuple[Chained, list[Link]]:
    """Both directions: frames before a point's query frame come from the reversed clip.

    The links of the answer are those of the forward pass; the second value has those on the reversed clip, where frame
    i is frame T - 1 - i.
    """
    frames, last = np.asarray(query_frames, np.int64), len(features) - 1
    forward = chain(model, features, frames, query_xy, horizon)
    backward = chain(model, features[::-1], last - frames, query_xy, horizon)
    before = np.arange(len(features))[:, None] < frames[None]  # (T, N)
    return (
        Chained(
            np.where(before[..., None], backward.xy[::-1], forward.xy),
            np.where(before, backward.probability[::-1], forward.probability),
            forward.links,
        ),
        backward.links,
    )
