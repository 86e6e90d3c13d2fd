"""The point model of the paper: PIPS behind the `PointModel` protocol, frames and points in frame px.

A frame is fitted into `size` and encoded once, into a pyramid of feature maps. A window is at most 8 frames; a shorter
one is filled by repeating its newest frame, as the reference does at the end of a clip (docs/sam_pt.md, b.2), so that
every new frame is answered at once and the answers are revised as the window fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nodes.tracker.pips.checkpoint import WEIGHTS, load_pips
from nodes.tracker.pips.correlation import CHANNELS, Pyramid, level_sizes
from nodes.tracker.pips.network import Estimates, Pips, S, Window
from nodes.tracker.point_model import Points, Trajectories
from stream import geometry
from stream.arrays import Array
from stream.errors import ConfigError, ModelError
from stream.geometry import Size
from stream.settings.config import Tracker, parse_fit_size
from stream.weights import published
from stream.weights.compiling import Wish, compile_parts, is_wished
from stream.weights.cuda_graphs import recordings_for
from stream.weights.devices import choose_device, choose_precision, download, reporting_memory, upload

CLEARLY_VISIBLE = np.float32(0.9)  # probability above which a point may start its next window
TRIED_SIZE: Size = (576, 1024)  # of a frame that compiled parts are tried with
THRESHOLD_STEP = np.float32(0.02)  # by so much that is lowered until a frame is found


@dataclass(frozen=True)
class PipsFeatures:
    """A frame as PIPS wants it."""

    pyramid: Pyramid
    frame_size: Size  # of the frame that came
    encoded_size: Size  # that it was fitted into


class PipsModel:
    """A `PointModel` with the weights of PIPS."""

    def __init__(self, network: Pips, size: Size | None = None) -> None:
        self.network = network
        self.size = size  # px that frames are fitted into; None: they are taken as they are
        self.device = next(network.parameters()).device
        self._encodes = recordings_for(self.device, "PIPS, frames")
        self._follows = recordings_for(self.device, "PIPS, windows")
        self._rows: dict[tuple[Size, ...], Tensor] = {}  # (8, P, 128): the pyramids of the window that is recorded

    def compile(self, wish: Wish) -> None:
        """Compile the encoder, and an iteration for any number of points."""
        network, size = self.network, self.size or TRIED_SIZE
        black = torch.zeros(1, 3, *size, dtype=torch.uint8, device=self.device)
        compile_parts("tracker.compile", wish, [network.fnet], lambda: network.encode(black))

        def follow_twice() -> None:
            [pyramid] = network.encode(black)
            for n in (16, 32):
                xy, features = torch.zeros(n, 2, device=self.device), torch.zeros(n, CHANNELS, device=self.device)
                network.follow([pyramid] * S, xy, features, iterations=1)

        compile_parts("tracker.compile", wish, [network.iteration], follow_twice)

    def encode(self, rgb: Array) -> PipsFeatures:
        """The feature maps of a frame (H, W, 3); ConfigError when it is too small."""
        [features] = self.encode_together([rgb])
        return features

    def encode_together(self, frames: Sequence[Array]) -> list[PipsFeatures]:
        """Those of several frames, perhaps of several cameras; on a GPU frames of one size go together.

        A CPU is full with one frame, and computes it in blocks that fit its cache.
        """
        sizes = [self._encoded_size((rgb.shape[0], rgb.shape[1])) for rgb in frames]
        found: dict[int, PipsFeatures] = {}
        for group in self._groups(sizes):
            with reporting_memory("encoding a frame for PIPS"):
                pyramids = self._encode([frames[i] for i in group], sizes[group[0]])
            for i, pyramid in zip(group, pyramids, strict=True):
                found[i] = PipsFeatures(pyramid, (frames[i].shape[0], frames[i].shape[1]), sizes[i])
        return [found[i] for i in range(len(frames))]

    @torch.inference_mode()
    def _encode(self, frames: Sequence[Array], size: Size) -> list[Pyramid]:
        """The pyramids of frames that are encoded at one size."""
        if self._encodes is None:
            images = torch.from_numpy(np.stack([_fitted(rgb, size) for rgb in frames])).to(self.device)
            return self.network.encode(images.permute(0, 3, 1, 2))

        def encode(*images: Tensor) -> tuple[Tensor, ...]:
            pyramids = self.network.encode(torch.cat([_resized(image, size) for image in images]))
            return tuple(pyramid.rows for pyramid in pyramids)

        rows = self._encodes.run(size, encode, [upload(rgb, self.device) for rgb in frames])
        return [Pyramid(of_frame, level_sizes(size, self.network.stride)) for of_frame in rows]

    def _encoded_size(self, frame_size: Size) -> Size:
        return frame_size if self.size is None else geometry.fit(frame_size, self.size, self.network.smallest_px)

    def _groups(self, sizes: Sequence[Size]) -> list[list[int]]:
        """The indices of frames that are encoded together."""
        if self.device.type == "cpu":
            return [[i] for i in range(len(sizes))]
        return [[i for i, other in enumerate(sizes) if other == size] for size in dict.fromkeys(sizes)]

    def describe(self, features: PipsFeatures, xy: Array) -> Array:
        """(N, 128) float32: the map's features at `xy`."""
        encoded_xy = upload(_to_encoded_xy(features, xy), self.device)
        return download(self.network.describe(features.pyramid, encoded_xy))

    def relink(self, descriptors: Array, features: PipsFeatures, xy: Array, visibility: Array) -> Array:
        """The same: what a point looked like where it was drawn serves all its windows (docs/sam_pt.md, b.3)."""
        return descriptors

    def link(self, visibility: Array) -> Array:
        """(N,) int: the latest frame on which each point is clearly visible, or as clearly as it gets.

        The threshold sinks until a frame is found (docs/sam_pt.md, b.5).
        """
        later = visibility[1:].astype(np.float32)
        last = len(visibility) - 1
        at = np.ones(visibility.shape[1], np.int64)
        unlinked = ~np.isnan(later).any(axis=0)  # a NaN is above no threshold
        threshold = CLEARLY_VISIBLE
        while unlinked.any():
            above = later > threshold
            found = unlinked & above.any(axis=0)
            at[found] = last - above[::-1, found].argmax(axis=0)
            unlinked &= ~found
            threshold = np.float32(threshold - THRESHOLD_STEP)  # in float32, as the reference counts
        return at

    def track(self, window: Sequence[PipsFeatures], points: Points, earlier: Trajectories | None) -> Trajectories:
        """The trajectories of `points` in the frames of `window`, all of them estimated anew."""
        if self.is_trivial(window, points):
            anchor = _anchor_visibility(points, earlier)
            return Trajectories(np.repeat(points.xy[None], len(window), axis=0), np.repeat(anchor, len(window), axis=0))
        [trajectories] = self.track_together([(window, points, earlier)])
        return trajectories

    def is_trivial(self, window: Sequence[PipsFeatures], points: Points) -> bool:
        """Whether the network has nothing to say: there is no point, or no frame but the anchor."""
        assert 1 <= len(window) <= S, f"PIPS sees at most {S} frames, got {len(window)}"
        sizes = {f.encoded_size for f in window}
        assert len(sizes) == 1, f"the frames of a window have one size, got {sizes}"
        return len(points) == 0 or len(window) == 1

    def track_together(
        self, questions: Sequence[tuple[Sequence[PipsFeatures], Points, Trajectories | None]]
    ) -> list[Trajectories]:
        """The trajectories of windows of several feeds, none of them trivial: on a GPU by one run for all points.

        On a CPU each has a run of its own: the sums of a larger product are rounded otherwise.
        """
        at_once = 1 if self.device.type == "cpu" else len(questions)
        trajectories = []
        for start in range(0, len(questions), at_once):
            part = questions[start : start + at_once]
            with reporting_memory("following points by PIPS"):
                found = download(self._follow([self._window(window, points) for window, points, _ in part]))  # one wait
            ends = np.cumsum([len(points) for _, points, _ in part])[:-1]
            for question, both in zip(part, np.split(found, ends, axis=1), strict=True):
                trajectories.append(self._in_frame_px(*question, both))
        return trajectories

    @torch.inference_mode()
    def _follow(self, windows: Sequence[Window]) -> Tensor:
        """(S, N, 3) float32: x, y, visibility of the points of windows, px of the encoded frames."""
        if self._follows is None or len(windows) > 1:
            return _answer(self.network.follow_together(windows))
        [window] = windows
        sizes, n = window.pyramids[0].sizes, len(window.xy)
        if sizes not in self._rows:
            self._rows = {sizes: torch.stack([pyramid.rows for pyramid in window.pyramids])}
        rows = self._rows[sizes]
        for own, pyramid in zip(rows, window.pyramids, strict=True):
            own.copy_(pyramid.rows)
        pyramids = [Pyramid(own, sizes) for own in rows]

        def follow(xy: Tensor, features: Tensor) -> tuple[Tensor]:
            return (_answer(self.network.follow(pyramids, xy, features)),)

        more = _round_up(n) - n  # points that nobody asked for, so that few recordings serve all
        inputs = [functional.pad(values, (0, 0, 0, more)) for values in (window.xy, window.features)]
        return self._follows.run(sizes, follow, inputs)[0][:, :n]

    def _window(self, window: Sequence[PipsFeatures], points: Points) -> Window:
        return Window(
            [f.pyramid for f in window] + [window[-1].pyramid] * (S - len(window)),
            upload(_to_encoded_xy(window[0], points.xy), self.device),
            upload(np.asarray(points.descriptors, np.float32), self.device),
        )

    def _in_frame_px(
        self,
        window: Sequence[PipsFeatures],
        points: Points,
        earlier: Trajectories | None,
        found: Array,
    ) -> Trajectories:
        """What the network found for a padded window, (S, N, 3) of x, y, visibility, as trajectories in its frames."""
        found = found[: len(window)]
        xy, visibility = np.ascontiguousarray(found[..., :2]), np.ascontiguousarray(found[..., 2])
        self._check(xy, visibility)
        to_frame = geometry.rescaling(window[0].encoded_size, window[0].frame_size)
        xy = geometry.apply(to_frame, xy.reshape(-1, 2)).reshape(xy.shape)
        xy[0], visibility[0] = points.xy, _anchor_visibility(points, earlier)[0]
        return Trajectories(xy, visibility)

    def _check(self, xy: Array, visibility: Array) -> None:
        """Refuse NaN and infinity here: no reader of the tracks checks its numbers."""
        bad = np.asarray(~(np.isfinite(xy).all(axis=(0, 2)) & np.isfinite(visibility).all(axis=0)))
        if bad.any():
            precision = str(self.network.precision).removeprefix("torch.")
            raise ModelError(
                f"PIPS lost {int(bad.sum())} of {len(bad)} points to NaN or infinity (tracker.precision is "
                f"{precision}); with float32 this means that the weights are broken"
            )


def make_pips(config: Tracker) -> PipsModel:
    """The point model that the config asks for, on its device."""
    device = choose_device("tracker.device", config.device)
    dtype = choose_precision("tracker.precision", config.precision, device)
    network = load_pips(checkpoint_path(config)).to(device)
    network.compute_in(dtype)
    model = PipsModel(network, parse_fit_size(config.size))
    if config.compile is True and device.type == "cpu":
        raise ConfigError("tracker.compile is true, and on the CPU PIPS has loops of its own; set it to auto or false")
    if is_wished(config.compile, device, dtype):
        model.compile(config.compile)
    return model


def _fitted(rgb: Array, size: Size) -> Array:
    """A frame of that size (H, W), in memory of its own."""
    same = size == (rgb.shape[0], rgb.shape[1])
    return rgb.copy() if same else cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_LINEAR)


def _resized(image: Tensor, size: Size) -> Tensor:
    """(1, 3, H, W) float32 of that size, of a frame (H, W, 3) uint8: at most one of 255 levels beside `_fitted`."""
    frame_bchw = image.permute(2, 0, 1)[None].float()
    if frame_bchw.shape[2:] == size:
        return frame_bchw
    return functional.interpolate(frame_bchw, size, mode="bilinear").round()


def _answer(estimates: Estimates) -> Tensor:
    """(S, N, 3): the last positions, and how likely the points are seen."""
    return torch.cat([estimates.iterates[-1], estimates.visibility_logits.sigmoid()[..., None]], dim=2)


def _round_up(points: int) -> int:
    """A number of points that is recorded: a multiple of 16, and of 64 from 128 on."""
    step = 16 if points <= 128 else 64
    return -(-points // step) * step


def _anchor_visibility(points: Points, earlier: Trajectories | None) -> Array:
    """(1, N) float32: on the anchor frame, where it is known; else all are seen."""
    return np.ones((1, len(points)), np.float32) if earlier is None else earlier.visibility[:1]


def checkpoint_path(config: Tracker) -> Path:
    """Where the weights are: the file or folder that the config names, else what tools/fetch_weights.py has got."""
    path = Path(config.checkpoint).expanduser()
    return path if config.checkpoint and path.is_dir() else published.find(WEIGHTS, config.checkpoint)


def _to_encoded_xy(features: PipsFeatures, xy: Array) -> Array:
    """(N, 2) float32, px of the encoded size, of points in frame px."""
    if not np.isfinite(xy).all():
        raise ModelError("a query point lies at NaN or infinity; PIPS needs positions on the frame")
    return geometry.apply(
        geometry.rescaling(features.frame_size, features.encoded_size), np.array(xy, np.float32).reshape(-1, 2)
    )
