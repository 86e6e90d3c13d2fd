"""TapNet behind the `PointModel` protocol: a window of frames is seen at once, and revised as it grows.

The network is not causal: a frame's features depend on four frames before it and four after. On a window that grows by
a frame only the last ones change, so nine frames are run again and no more. A window begins at its points' anchor and
ends with its newest frame, as a clip does; `emit: horizon` answers when it is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import ref

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nodes.tracker.point_model import Points, Trajectories
from nodes.tracker.tapnet.checkpoint import WEIGHTS, load_tapnet
from nodes.tracker.tapnet.network import SIDE, TapNet
from stream.arrays import Array
from stream.errors import ModelError
from stream.geometry import Size
from stream.messages import VISIBLE
from stream.settings.config import Tracker
from stream.weights import published
from stream.weights.devices import choose_device, choose_precision, reporting_memory

REACH = 4  # frames before and after that a frame's features depend on: one a block that shifts
WINDOWS = 4  # whose grids are held: 1 MiB a frame


@dataclass(frozen=True, eq=False)
class TapFeatures:
    """A frame as TapNet wants it."""

    image: Tensor  # (3, 256, 256) float32 in -1..1
    frame_size: Size


class TapNetModel:
    """A `PointModel` with the weights of TapNet."""

    def __init__(self, network: TapNet, horizon: int = 2) -> None:
        self.network = network
        self.horizon = horizon  # frames of a full window
        self.device = next(network.parameters()).device
        self.run_frames = 0  # how many frames went through the backbone
        self._grids: list[tuple[list[ref[TapFeatures]], Tensor]] = []  # of the newest windows: frames, features

    @torch.inference_mode()
    def encode(self, rgb: Array) -> TapFeatures:
        """The picture of a frame (H, W, 3), whatever its shape, at 256x256."""
        with reporting_memory("encoding a frame for TapNet"):
            image = torch.from_numpy(rgb.copy()).to(self.device).permute(2, 0, 1).unsqueeze(0).float() / 255
            image = functional.interpolate(image, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
            return TapFeatures(2 * image[0] - 1, (rgb.shape[0], rgb.shape[1]))

    def describe(self, features: TapFeatures, xy: Array) -> Array:
        """(N, 0): what a point looks like depends on the frames after it, too; each window finds it out."""
        if not np.isfinite(xy).all():
            raise ModelError("a query point lies at NaN or infinity; TapNet needs positions on the frame")
        return np.zeros((len(xy), 0), np.float32)

    def relink(self, descriptors: Array, features: TapFeatures, xy: Array, visibility: Array) -> Array:
        """The same."""
        return descriptors

    def link(self, visibility: Array) -> Array:
        """(N,) int: the last frame on which each point is visible; the last of all for one that is on none.

        A window that the end of the feed cuts short has seen all that there is: nothing of it is estimated again.
        """
        seen = visibility[1:] > VISIBLE
        last = len(visibility) - 1
        if len(visibility) < self.horizon:
            return np.full(visibility.shape[1], last)
        return np.where(seen.any(axis=0), last - seen[::-1].argmax(axis=0), last)

    def track(self, window: Sequence[TapFeatures], points: Points, earlier: Trajectories | None) -> Trajectories:
        """The trajectories of `points` in the frames of `window`, all of them estimated anew."""
        n = len(points)
        anchor = np.ones((1, n), np.float32) if earlier is None else earlier.visibility[:1]
        if n == 0 or len(window) == 1:
            return Trajectories(np.repeat(points.xy[None], len(window), axis=0), np.repeat(anchor, len(window), axis=0))
        followed = self.follow(window, np.column_stack([np.zeros(n, np.float32), points.xy]))
        followed.xy[0], followed.visibility[0] = points.xy, anchor[0]
        return followed

    def follow(self, window: Sequence[TapFeatures], queries: Array) -> Trajectories:
        """Points that are queried on any frame of a window: (N, 3), frame, x and y in frame px.

        On its query frame a point is its query. With a whole clip as the window this is what SAM-PT does.
        """
        height, width = window[0].frame_size
        scale = np.array([SIDE / width, SIDE / height], np.float32)
        queries_tyx = np.column_stack([queries[:, 0], (queries[:, 1:] * scale)[:, ::-1]]).astype(np.float32)
        with reporting_memory("following points by TapNet"):
            grid = self._grid(window)
            features = self.network.describe(grid, torch.from_numpy(queries_tyx).to(self.device))
            positions, logits = self.network.follow(grid, features)
            xy = positions.transpose(0, 1).cpu().numpy() / scale
            visibility = (1 - logits.sigmoid()).T.cpu().numpy()
        if not (np.isfinite(xy).all() and np.isfinite(visibility).all()):
            raise ModelError("TapNet lost points to NaN or infinity: its weights are broken")
        at = np.rint(queries[:, 0]).astype(int)
        xy[at, np.arange(len(queries))] = queries[:, 1:]
        return Trajectories(xy.astype(np.float32), np.array(visibility, np.float32))

    def _grid(self, window: Sequence[TapFeatures]) -> Tensor:
        """(T, 256, 32, 32): the features of a window; of one that begins as an earlier one does, what is new of it."""
        begun = 0
        grid = torch.zeros(0)
        for frames, earlier in self._grids:
            if begun < len(frames) <= len(window) and all(f() is w for f, w in zip(frames, window, strict=False)):
                begun, grid = len(frames), earlier
        if begun == len(window):
            return grid
        settled = max(0, begun - REACH)  # the features of later frames depend on frames that are new
        start = max(0, settled - REACH)
        self.run_frames += len(window) - start
        newest = self.network.encode(torch.stack([f.image for f in window[start:]]))
        grid = torch.cat([grid[:settled], newest[settled - start :]]) if settled else newest
        kept = [g for g in self._grids if g[0][0]() not in (None, window[0])]
        self._grids = [*kept, ([ref(f) for f in window], grid)][-WINDOWS:]
        return grid


def make_tapnet(config: Tracker) -> TapNetModel:
    """The point model that the config asks for, on its device."""
    device = choose_device("tracker.device", config.device)
    choose_precision("tracker.precision", "float32", device)  # a GPU would round by itself: TF32
    return TapNetModel(load_tapnet(published.find(WEIGHTS, config.checkpoint)).to(device), config.horizon)
