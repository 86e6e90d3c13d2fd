"""A matcher behind the `PointModel` protocol, by the rules of SAM-PT: each frame is matched with a reference frame.

The reference frame of points is the one that they were drawn on. Points that were drawn from a mask are drawn anew on
each frame, among the matched keypoints of their object: a row of them is another point each time, and nothing depends
on the frames between. Points that the user gave, for which there is no mask yet, are carried by the nearest match.

A frame's keypoints are found once, and two frames are matched once, however many objects and points want it. Draws
depend on the seed, the object and the two pictures alone, so that they come out the same live and offline.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from nodes.tracker.matching.matcher import Keypoints, Matcher
from nodes.tracker.matching.regions import Region, draw
from nodes.tracker.point_model import Points, Trajectories
from stream import geometry
from stream.arrays import Array
from stream.errors import ConfigError, ModelError
from stream.geometry import Size

NEAR_PX = 12.0  # frame px: how far a match may be from a point that it carries
MatchEnd = Literal["reference", "target"]  # which end of a match decides whether it belongs to an object


@dataclass(eq=False)
class MatchingFeatures:
    """A frame as a matcher wants it, with the matches to it that have been found."""

    keypoints: Keypoints
    frame_size: Size
    # the frame that it was matched with -> (M, 2), (M, 2) float32: where each match is there and here, frame px
    matches: WeakKeyDictionary[MatchingFeatures, tuple[Array, Array]] = field(default_factory=WeakKeyDictionary)

    @cached_property
    def checksum(self) -> int:
        """A number that tells this picture's keypoints from those of others."""
        return zlib.crc32(np.ascontiguousarray(self.keypoints.xy).tobytes())


@dataclass(frozen=True, eq=False)
class Reference:
    """What points were drawn on."""

    features: MatchingFeatures
    region: Region | None  # None: the user gave the points


@dataclass(frozen=True, eq=False)
class Origin:
    """Where one point comes from: the descriptor of a matcher."""

    reference: Reference
    xy: tuple[float, float]  # frame px, there


class MatchingModel:
    """A `RegionModel` made of a matcher."""

    def __init__(
        self,
        matcher: Matcher,
        size: Size | None = None,
        smallest_px: int = 1,
        seed: int = 0,
        match_end: MatchEnd = "reference",
    ) -> None:
        self.matcher = matcher
        self.size = size  # px that frames are fitted into; None: they are taken as they are
        self.smallest_px = smallest_px
        self.seed = seed
        self.match_end = match_end
        self.encoded_frames = 0  # how many frames keypoints were looked for on
        self.matched_pairs = 0  # how many pairs of frames were matched

    def encode(self, rgb: Array) -> MatchingFeatures:
        """The keypoints of a frame (H, W, 3)."""
        frame_size = rgb.shape[0], rgb.shape[1]
        size = frame_size if self.size is None else geometry.fit(frame_size, self.size, self.smallest_px)
        if min(size) < self.smallest_px:
            raise ConfigError(
                f"a matcher was given a frame of {size[0]}x{size[1]} px (height x width), and needs {self.smallest_px} "
                "or more a side: give tracker.size a larger one"
            )
        self.encoded_frames += 1
        picture = rgb if size == frame_size else cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_LINEAR)
        return MatchingFeatures(self.matcher.detect(picture), frame_size)

    def describe(self, features: MatchingFeatures, xy: Array) -> Array:
        """(N, 1) object: the `Origin` of points that the user gave at `xy`."""
        return _origins(Reference(features, None), xy)

    def describe_region(self, features: MatchingFeatures, xy: Array, mask: Array) -> Array:
        """(N, 1) object: the `Origin` of points that were drawn at `xy` from a mask (H, W)."""
        return _origins(Reference(features, Region(mask)), xy)

    def relink(self, descriptors: Array, features: MatchingFeatures, xy: Array, visibility: Array) -> Array:
        """The same: the reference frame serves until points are drawn from another mask."""
        return descriptors

    def link(self, visibility: Array) -> Array:
        """The last frame: nothing after it is known, and nothing before it would change."""
        return np.full(visibility.shape[1], len(visibility) - 1)

    def track(self, window: Sequence[MatchingFeatures], points: Points, earlier: Trajectories | None) -> Trajectories:
        """Extend the earlier answer by the window's newer frames, a match each."""
        xy = [points.xy] if earlier is None else list(earlier.xy)
        visibility = [np.ones(len(points), np.float32)] if earlier is None else list(earlier.visibility)
        for s in range(len(xy), len(window)):
            next_xy, seen = self._place(window[s], points, xy[-1])
            xy.append(next_xy)
            visibility.append(seen)
        return Trajectories(np.stack(xy), np.stack(visibility))

    def matched(self, before: MatchingFeatures, after: MatchingFeatures) -> tuple[Array, Array]:
        """(M, 2), (M, 2) float32, frame px: the keypoints that two frames have in common; found once a pair."""
        pairs = after.matches.get(before)
        if pairs is None:
            self.matched_pairs += 1
            found = self.matcher.match(before.keypoints, after.keypoints)
            pairs = _to_frame_px(before, found.before), _to_frame_px(after, found.after)
            after.matches[before] = pairs
        return pairs

    def _place(self, features: MatchingFeatures, points: Points, last_xy: Array) -> tuple[Array, Array]:
        """Positions (N, 2), frame px, and visibility (N,) on one frame."""
        xy, visibility = last_xy.copy(), np.zeros(len(points), np.float32)
        origins: list[Origin] = list(points.descriptors[:, 0])
        groups: dict[tuple[int, int], list[int]] = {}
        for row, origin in enumerate(origins):
            groups.setdefault((int(points.object_ids[row]), id(origin.reference)), []).append(row)
        for (object_id, _), members in groups.items():
            rows, reference = np.array(members), origins[members[0]].reference
            before_xy, after_xy = self.matched(reference.features, features)
            if reference.region is None:
                there = np.array([origins[row].xy for row in members], np.float32)
                xy[rows], visibility[rows] = carry(there, xy[rows], before_xy, after_xy)
                continue
            inside = reference.region.contains(before_xy if self.match_end == "reference" else after_xy)
            seeds = (self.seed, object_id, reference.features.checksum, features.checksum)
            choose = np.random.default_rng(seeds).choice
            xy[rows], visibility[rows] = draw(after_xy, inside, points.labels[rows], choose)
        return xy, visibility


def carry(there: Array, last_xy: Array, before_xy: Array, after_xy: Array) -> tuple[Array, Array]:
    """Points (N, 2) of the reference frame, moved as the nearest match is; where none is near, the last, unseen."""
    xy, visibility = last_xy.copy(), np.zeros(len(there), np.float32)
    if len(before_xy):
        distances = np.linalg.norm(there[:, None] - before_xy[None], axis=2)
        nearest = distances.argmin(axis=1)
        near = distances[np.arange(len(there)), nearest] <= NEAR_PX
        xy[near] = (there + after_xy[nearest] - before_xy[nearest])[near]
        visibility[near] = 1
    return xy, visibility


def _to_frame_px(features: MatchingFeatures, chosen: Array) -> Array:
    """(M, 2) float32: where the chosen keypoints of a frame are, frame px."""
    xy, size = features.keypoints.xy[chosen], features.keypoints.size
    return xy if size == features.frame_size else geometry.apply(geometry.rescaling(size, features.frame_size), xy)


def _origins(reference: Reference, xy: Array) -> Array:
    """(N, 1) object: one of each point."""
    if not np.isfinite(xy).all():
        raise ModelError("a query point lies at NaN or infinity; a matcher needs positions")
    origins = np.empty((len(xy), 1), object)
    origins[:, 0] = [Origin(reference, (float(x), float(y))) for x, y in xy]
    return origins
