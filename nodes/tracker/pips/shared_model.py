"""A PIPS that trackers of several cameras share: as if each camera had its own.

Frames and windows are requests to the model's thread, where those of several cameras go together if that pays.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch

from nodes.tracker.pips.backend import PipsFeatures, PipsModel
from nodes.tracker.point_model import Points, Trajectories
from stream.arrays import Array
from stream.scheduling.camera_client import CameraClient

MOST_FRAMES = 16  # encoded at once: the largest maps of a frame of 576x1024 px take 150 MB
MOST_POINTS = 2048  # followed at once: 8 frames of 519 numbers a point, and twelve layers of them


class SharedPips:
    """A `PointModel` of one camera."""

    def __init__(self, model: PipsModel, key: Hashable, client: CameraClient) -> None:
        """`key`: what tells this model from others: weights, size, precision."""
        self._model = model
        self._client = client
        self._encode, self._track = (key, "encode"), (key, "track")
        client.model.serve(self._encode, self._encode_together, MOST_FRAMES)
        client.model.serve(self._track, model.track_together, MOST_POINTS)

    def encode(self, rgb: Array) -> PipsFeatures:
        """The feature maps of a frame (H, W, 3)."""
        features: PipsFeatures = self._client.ask(self._encode, rgb)
        return features

    def _encode_together(self, frames: Sequence[Array]) -> list[PipsFeatures]:
        found = self._model.encode_together(frames)
        if self._model.device.type == "cuda":
            torch.cuda.synchronize(self._model.device)  # what it costs is measured, and what it queues is bounded
        return found

    def describe(self, features: PipsFeatures, xy: Array) -> Array:
        """(N, 128) float32: the map's features at `xy`."""
        return self._model.describe(features, xy)

    def relink(self, descriptors: Array, features: PipsFeatures, xy: Array, visibility: Array) -> Array:
        """The same descriptors."""
        return self._model.relink(descriptors, features, xy, visibility)

    def link(self, visibility: Array) -> Array:
        """(N,) int: the latest frame on which each point is clearly visible, or as clearly as it gets."""
        return self._model.link(visibility)

    def track(self, window: Sequence[PipsFeatures], points: Points, earlier: Trajectories | None) -> Trajectories:
        """The trajectories of `points` in the frames of `window`, all of them estimated anew."""
        if self._model.is_trivial(window, points):
            return self._model.track(window, points, earlier)
        found: Trajectories = self._client.ask(self._track, (window, points, earlier), units=len(points))
        return found
