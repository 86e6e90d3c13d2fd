"""RAFT behind the `PointModel` protocol, by the rules of SAM-PT: points go from frame to frame with the flow.

    p(t) = p(t-1) + flow from t-1 to t, read at p(t-1)          visible while 0 <= x < W and 0 <= y < H

The flow is read bilinearly; a point outside reads the border. A frame is encoded once, and the flow of a pair of frames
is computed once, however many windows, objects and points want it. `flow_check_px` is no part of SAM-PT: a point whose
way back misses by more is hidden, at the cost of a second flow for each pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import torch
from torch import Tensor

from nodes.tracker.point_model import Points, Trajectories
from nodes.tracker.raft.checkpoint import WEIGHTS, load_raft
from nodes.tracker.raft.network import SMALLEST, Raft, padding
from stream import geometry
from stream.arrays import Array
from stream.errors import ModelError
from stream.geometry import Size
from stream.settings.config import Tracker, parse_fit_size
from stream.weights import published
from stream.weights.devices import choose_device, choose_precision, reporting_memory


@dataclass(eq=False)
class RaftFeatures:
    """A frame as RAFT wants it, with the flows to it that have been computed."""

    image: Tensor  # (1, 3, H8, W8) float32, padded
    maps: Tensor  # (1, 256, h, w)
    frame_size: Size  # of the frame that came
    encoded_size: Size  # that it was fitted into, before padding
    context: Tensor | None = None  # (1, 256, h, w), once a flow has left this frame
    # the frame that a flow came from -> (H, W, 2) float32, px of the encoded size; gone with that frame
    flows: WeakKeyDictionary[RaftFeatures, Array] = field(default_factory=WeakKeyDictionary)


class RaftModel:
    """A `PointModel` with the weights of RAFT."""

    def __init__(self, network: Raft, size: Size | None = None, flow_check_px: float = 0.0) -> None:
        self.network = network
        self.size = size  # px that frames are fitted into; None: they are taken as they are
        self.flow_check_px = flow_check_px  # encoded px; 0: off

    def encode(self, rgb: Array) -> RaftFeatures:
        """The maps of a frame (H, W, 3); ConfigError when it is too small."""
        frame_size = rgb.shape[0], rgb.shape[1]
        size = frame_size if self.size is None else geometry.fit(frame_size, self.size, SMALLEST)
        image = rgb.copy() if size == frame_size else cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_LINEAR)
        with reporting_memory("encoding a frame for RAFT"):
            padded = self.network.encode(torch.from_numpy(image))
            return RaftFeatures(padded, self.network.features(padded), frame_size, size)

    def describe(self, features: RaftFeatures, xy: Array) -> Array:
        """(N, 0): a point is where the flow takes it, whatever it looks like."""
        if not np.isfinite(xy).all():
            raise ModelError("a query point lies at NaN or infinity; RAFT needs positions")
        return np.zeros((len(xy), 0), np.float32)

    def relink(self, descriptors: Array, features: RaftFeatures, xy: Array, visibility: Array) -> Array:
        """The same."""
        return descriptors

    def link(self, visibility: Array) -> Array:
        """The last frame: nothing after it is known, and nothing before it would change."""
        return np.full(visibility.shape[1], len(visibility) - 1)

    def track(self, window: Sequence[RaftFeatures], points: Points, earlier: Trajectories | None) -> Trajectories:
        """Extend the earlier answer by the window's newer frames, one flow each."""
        xy = [points.xy] if earlier is None else list(earlier.xy)
        visibility = [np.ones(len(points), np.float32)] if earlier is None else list(earlier.visibility)
        for s in range(len(xy), len(window)):
            next_xy, seen = self._step(window[s - 1], window[s], xy[-1])
            xy.append(next_xy)
            visibility.append(seen)
        return Trajectories(np.stack(xy), np.stack(visibility))

    def flow(self, before: RaftFeatures, after: RaftFeatures) -> Array:
        """(H, W, 2) float32, px of the encoded size: where each px of `before` goes; computed once a pair."""
        flow = after.flows.get(before)
        if flow is None:
            assert before.encoded_size == after.encoded_size, "the frames of a window have one size"
            with reporting_memory("computing the flow of RAFT"):  # all pairs of px: 450 MiB at 576x1024
                if before.context is None:
                    before.context = self.network.context(before.image)
                padded = self.network.flow(before.maps, before.context, after.maps).cpu().numpy()
            left, _, top, _ = padding(before.encoded_size)
            height, width = before.encoded_size
            flow = np.ascontiguousarray(padded[:, top : top + height, left : left + width].transpose(1, 2, 0))
            if not np.isfinite(flow).all():
                raise ModelError(f"RAFT's flow holds NaN or infinity (tracker.precision: {self.network.precision})")
            after.flows[before] = flow
        return flow

    def _step(self, before: RaftFeatures, after: RaftFeatures, xy: Array) -> tuple[Array, Array]:
        """Positions (N, 2), frame px, and visibility (N,) one frame on."""
        if not len(xy):
            return xy, np.zeros(0, np.float32)
        size = before.encoded_size
        there = geometry.rescaling(before.frame_size, size)
        at = geometry.apply(there, xy)
        to = at + sample(self.flow(before, after), at)
        height, width = size
        seen = (to[:, 0] >= 0) & (to[:, 0] < width) & (to[:, 1] >= 0) & (to[:, 1] < height)
        if self.flow_check_px:
            back = to + sample(self.flow(after, before), to)
            seen &= np.linalg.norm(back - at, axis=1) <= self.flow_check_px
        return geometry.apply(geometry.inverse(there), to), seen.astype(np.float32)


def sample(flow: Array, xy: Array) -> Array:
    """(N, 2) float32: a flow (H, W, 2) read bilinearly at points (N, 2); outside, that of the border."""
    height, width = flow.shape[:2]
    corner = np.floor(xy)
    x, y = (xy - corner).T[..., None]
    left, top = np.clip(corner, -1e6, 1e6).astype(np.int64).T
    x0, x1 = np.clip(left, 0, width - 1), np.clip(left + 1, 0, width - 1)
    y0, y1 = np.clip(top, 0, height - 1), np.clip(top + 1, 0, height - 1)
    above = (1 - x) * flow[y0, x0] + x * flow[y0, x1]
    below = (1 - x) * flow[y1, x0] + x * flow[y1, x1]
    return np.asarray((1 - y) * above + y * below, np.float32)


def make_raft(config: Tracker) -> RaftModel:
    """The point model that the config asks for, on its device."""
    device = choose_device("tracker.device", config.device)
    dtype = choose_precision("tracker.precision", config.precision, device)
    module = load_raft(published.find(WEIGHTS, config.checkpoint)).to(device)
    return RaftModel(Raft(module, config.flow_updates, dtype), parse_fit_size(config.size), config.flow_check_px)
