"""What a point model is: the protocol that Lucas-Kanade, PIPS or a four-line fake stand behind, and its arrays.

Most follow single points. A `RegionModel` follows what a mask shows: it is told the mask that points are drawn from,
and takes other points of it on each frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stream.arrays import Array

Features = Any  # what a model computes of one frame; opaque to the tracker, which only holds it in its frame buffer


@dataclass(frozen=True)
class Points:
    """Query points that share an anchor: they start on the first frame of their window."""

    xy: Array  # (N, 2) float32, frame px, on the anchor frame
    labels: Array  # (N,) uint8, 1 positive, 0 negative
    object_ids: Array  # (N,) int32; the positives of one object move together
    descriptors: Array  # (N, C): what `describe` returned where each point was drawn; only the model reads them

    def __len__(self) -> int:
        return int(self.xy.shape[0])


@dataclass(frozen=True)
class Trajectories:
    """Where points went in the first S frames of a window."""

    xy: Array  # (S, N, 2) float32, frame px; may lie outside the frame
    visibility: Array  # (S, N) float32, probability

    def __len__(self) -> int:
        return int(self.xy.shape[0])


class PointModel(Protocol):
    """Follows points through a window of frames.

    It holds no state of the feed: that lies in the tracker's frame buffer and in `Points`.
    """

    def encode(self, rgb: Array) -> Features:
        """What the model needs of a frame, (H, W, 3) uint8; called once a frame, however many windows see it."""

    def describe(self, features: Features, xy: Array) -> Array:
        """(N, C) float32: what points drawn at `xy` (N, 2) look like (PIPS: 128 numbers, docs/sam_pt.md, a.4)."""

    def relink(self, descriptors: Array, features: Features, xy: Array, visibility: Array) -> Array:
        """The descriptors of points that start their next window at `xy` without having been drawn anew.

        PIPS returns them unchanged (the query frame's feature serves all later windows); a template matcher may refresh
        those of the points that are visible.
        """

    def link(self, visibility: Array) -> Array:
        """(N,) int: the frame of a finished window, 1..S-1, on which each point starts its next one.

        `visibility`: (S, N) of that window. A causal model takes the last frame; PIPS the last clearly visible one.
        """

    def track(self, window: Sequence[Features], points: Points, earlier: Trajectories | None) -> Trajectories:
        """The trajectories of `points` in all frames of `window`, the anchor frame included.

        `earlier` is the last answer for the first frames of the same window. A causal model extends it; PIPS, which
        pads a short window by repeating its newest frame, revises it.
        """


@runtime_checkable
class RegionModel(PointModel, Protocol):
    """Follows the region that points were drawn from: on each frame a row is another point of it."""

    def describe_region(self, features: Features, xy: Array, mask: Array) -> Array:
        """As `describe`, of points that were drawn from a mask (H, W) on this frame."""


def concatenate(parts: Sequence[Points]) -> Points:
    """One Points of several; they must share their anchor."""
    return Points(
        xy=np.concatenate([p.xy for p in parts]),
        labels=np.concatenate([p.labels for p in parts]),
        object_ids=np.concatenate([p.object_ids for p in parts]),
        descriptors=np.concatenate([p.descriptors for p in parts]),
    )
