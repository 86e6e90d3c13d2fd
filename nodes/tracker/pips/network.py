"""The PIPS network (Harley et al. 2022): 8 frames and query points in, their trajectories and visibility out.

    frame  -> encoder -> feature map -> pyramid                                               once a frame
    points -> feature on the first frame, zero motion
              6 times: features x pyramids -> correlation \\
                       motion -> sines and cosines         >- tokens -> mixer -> change of positions and features
                       features                           /
           -> features on each frame -> visibility

Points do not influence each other: they only share the run (docs/sam_pt.md, a).

Tensors that hold S frames of N points are (S, N, ...):
then both halves of the mixer are plain matrix products over all points, without a transposition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodes.tracker.pips.correlation import (
    CHANNELS,
    CORRELATIONS,
    SMALLEST,
    Levels,
    Pyramid,
    build_pyramids,
    correlate,
    levels_of,
    look_up,
)
from nodes.tracker.pips.feature_encoder import Encoder
from stream.errors import ConfigError

S = 8  # frames of a window; the mixer's weights have no other
ITERATIONS = 6  # as SAM-PT and the demos of PIPS run it
FREQUENCIES = 32  # of the embedding, 31.25 * k, of each of x, y and t
MOTION = 3 * (2 * FREQUENCIES + 1)  # 195 numbers say how far a point has moved, and when
TOKEN = CHANNELS + CORRELATIONS + MOTION  # 519
WIDTH = 512  # of the mixer
BLOCKS = 12
CHANGE = 2 + CHANNELS  # of position and feature, a frame

Watch = Callable[[str, Tensor], None]  # called with the name and value of intermediates, for inspection


@dataclass(frozen=True)
class Estimates:
    """What the network computes for N points in a window."""

    iterates: Tensor  # (ITERATIONS, S, N, 2) float32, px of the encoded frame: every estimate, the last is the best
    visibility_logits: Tensor  # (S, N) float32
    features: Tensor  # (S, N, 128) float32, after the last iteration


@dataclass(frozen=True)
class Window:
    """Points and the frames that they are followed over."""

    pyramids: Sequence[Pyramid]  # of 8 frames
    xy: Tensor  # (N, 2) float32, px of the encoded frame, on the first of them
    features: Tensor  # (N, 128) float32: what they look like


class TimeMixing(nn.Module):
    """8 -> 32 -> 8 numbers over the frames of a point, each channel alike."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.fn = nn.ModuleDict({"0": nn.Conv1d(S, 4 * S, 1), "3": nn.Conv1d(4 * S, S, 1)})

    def forward(self, x: Tensor) -> Tensor:
        """(S, N, WIDTH) to the same."""
        (into, into_bias), (out, out_bias) = _parameters(self.fn["0"]), _parameters(self.fn["3"])
        y = self.norm(x).to(into.dtype).view(S, -1)  # a convolution of one tap is a matrix product
        y = functional.gelu(torch.addmm(into_bias.unsqueeze(1), into.squeeze(2), y))
        return x + torch.addmm(out_bias.unsqueeze(1), out.squeeze(2), y).view_as(x)


class ChannelMixing(nn.Module):
    """512 -> 2048 -> 512 numbers over the channels of a point, each frame alike: nearly all the work of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.fn = nn.ModuleDict({"0": nn.Linear(WIDTH, 4 * WIDTH), "3": nn.Linear(4 * WIDTH, WIDTH)})

    def forward(self, x: Tensor) -> Tensor:
        """(S, N, WIDTH) to the same."""
        (into, into_bias), (out, out_bias) = _parameters(self.fn["0"]), _parameters(self.fn["3"])
        y = functional.gelu(functional.linear(self.norm(x).to(into.dtype), into, into_bias))
        return x + functional.linear(y, out, out_bias)


class Mixer(nn.Module):
    """Tokens of N points in, the change of their positions and features out."""

    def __init__(self) -> None:
        super().__init__()
        blocks = {str(i): nn.Sequential(TimeMixing(), ChannelMixing()) for i in range(1, BLOCKS + 1)}
        self.to_delta = nn.ModuleDict(
            {"0": nn.Linear(TOKEN, WIDTH), **blocks, "13": nn.LayerNorm(WIDTH), "15": nn.Linear(WIDTH, S * CHANGE)}
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, 1040), of each point S times 130 numbers, from (S, N, 519)."""
        x = self.to_delta["0"](tokens)
        for i in range(1, BLOCKS + 1):
            x = self.to_delta[str(i)](x)
        out: Tensor = self.to_delta["15"](self.to_delta["13"](x).mean(0))
        return out

    def compute_in(self, dtype: torch.dtype) -> None:
        """Mix channels in another precision: 97 % of the work. All else, and all sums, stay float32.

        Time mixing in bfloat16 as well would save nothing that can be measured and add half to the error. In float16,
        which GPUs alone compute in, the error is an eighth of that, and float32 takes a fifth of a window.
        """
        parts = (ChannelMixing, TimeMixing) if dtype == torch.float16 else (ChannelMixing,)
        for part in self.modules():
            if isinstance(part, parts):
                part.fn.to(dtype)


@dataclass(frozen=True)
class Maps:
    """The pyramids of a window, and what correlations read of their sizes."""

    pyramids: Sequence[Pyramid]
    levels: Levels
    points: int

    @staticmethod
    def of(window: Window) -> Maps:
        """Those of a window."""
        pyramids = window.pyramids
        return Maps(pyramids, levels_of(pyramids[0].sizes, window.xy.device), len(window.xy))


class Iteration(nn.Module):
    """A better guess of positions and features; its weights are those of the network that it belongs to."""

    def __init__(self, network: Pips) -> None:
        super().__init__()
        self._network = [network]  # in a list: it is no part of this one

    def forward(
        self, maps: Sequence[Maps], feature: Tensor, coords: Tensor, start: Tensor, times: Tensor, watch: Watch | None
    ) -> tuple[Tensor, Tensor]:
        """Features (S, N, 128) and positions (S, N, 2), map px, of the same."""
        [network] = self._network
        counts = [m.points for m in maps]
        if len(maps) == 1:
            correlation = correlate(maps[0].pyramids, feature, coords, maps[0].levels)
        else:
            parts = zip(maps, torch.split(feature, counts, 1), torch.split(coords, counts, 1), strict=True)
            correlation = torch.cat([correlate(m.pyramids, f, c, m.levels) for m, f, c in parts], dim=1)
        flow = torch.cat([coords - coords[:1], times], dim=2)
        tokens = torch.cat([feature, correlation, embed(flow)], dim=2)
        change = network.delta_block(tokens)
        coord_change, feature_change = change.view(-1, S, CHANGE).transpose(0, 1).split([2, CHANNELS], dim=2)
        norm = network.norm
        feature_change = network.ffeat_updater(
            functional.layer_norm(feature_change, (CHANNELS,), norm.weight, norm.bias, norm.eps)
        )
        if watch is not None:
            values = (correlation, flow, tokens, change, feature_change)
            for name, value in zip(("corr", "flow", "mixer_in", "mixer_out", "feature_change"), values, strict=True):
                watch(name, value)
        moved = coords + coord_change
        return feature + feature_change, torch.cat([start[None], moved[1:]])


class Pips(nn.Module):
    """PIPS as published: `state_dict()` has the names and shapes of the official checkpoint."""

    def __init__(self, stride: int = 4) -> None:
        super().__init__()
        self.stride: int = stride  # px of the frame a px of the map; the weights fit any, SAM-PT uses 4
        self.precision = torch.float32
        self.fnet = Encoder(stride)
        self.delta_block = Mixer()
        self.norm = nn.GroupNorm(1, CHANNELS)
        self.ffeat_updater = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.GELU())
        self.vis_predictor = nn.Sequential(nn.Linear(CHANNELS, 1))
        self.iteration = Iteration(self)
        self.requires_grad_(False)

    @property
    def smallest_px(self) -> int:
        """The least height and width of a frame: the coarsest map of the pyramid needs 2 x 2 px."""
        return int(SMALLEST * self.stride)

    def compute_in(self, dtype: torch.dtype) -> None:
        """Encode and mix in another precision; positions, features and correlations stay float32."""
        self.precision = dtype
        self.delta_block.compute_in(dtype)

    @torch.inference_mode()
    def encode(self, frames_bchw: Tensor) -> list[Pyramid]:
        """The pyramid of each frame of (B, 3, H, W), RGB, 0..255, uint8 or float."""
        height, width = frames_bchw.shape[-2:]
        if min(height, width) < self.smallest_px:
            raise ConfigError(
                f"PIPS was given a frame of {height}x{width} px (height x width); at stride {self.stride} it needs "
                f"{self.smallest_px} or more a side: give tracker.size a larger one"
            )
        frames = 2 * (frames_bchw.to(self.norm.weight.device, torch.float32) / 255) - 1
        # Without autocast's cache: the weights that it holds would be those of another run, and a recording reads them.
        enabled = self.precision != torch.float32
        with torch.autocast(frames.device.type, self.precision, enabled=enabled, cache_enabled=False):
            maps = self.fnet(frames)
        return build_pyramids(maps.to(torch.float16 if self.precision == torch.float16 else torch.float32))

    @torch.inference_mode()
    def describe(self, pyramid: Pyramid, xy: Tensor) -> Tensor:
        """(N, 128): the features of points `xy` (N, 2), px, on the frame of a pyramid."""
        return look_up(pyramid, xy / self.stride).float()

    @torch.inference_mode()
    def follow(
        self,
        pyramids: Sequence[Pyramid],
        xy: Tensor,
        features: Tensor,
        iterations: int = ITERATIONS,
        watch: Watch | None = None,
    ) -> Estimates:
        """Where points go that are at `xy` (N, 2), px, on the first of 8 frames and look like `features` (N, 128).

        `watch` is called with `corr`, `flow`, `mixer_in` (S, N, ...), `mixer_out` (N, 1040) and `feature_change`, each
        iteration.
        """
        return self.follow_together([Window(pyramids, xy, features)], iterations, watch)

    @torch.inference_mode()
    def follow_together(
        self, windows: Sequence[Window], iterations: int = ITERATIONS, watch: Watch | None = None
    ) -> Estimates:
        """The same for windows of several feeds, their points one after the other: only correlations are apart."""
        for window in windows:
            xy, features = window.xy, window.features
            assert len(window.pyramids) == S, f"PIPS sees {S} frames, got {len(window.pyramids)}"
            assert xy.shape == (len(features), 2), f"{tuple(xy.shape)} positions for {tuple(features.shape)} features"
        maps = [Maps.of(window) for window in windows]
        start = torch.cat([window.xy for window in windows]) / self.stride
        coords = start.repeat(S, 1, 1)
        feature = torch.cat([window.features for window in windows]).repeat(S, 1, 1)
        times = torch.linspace(0, S, S, device=start.device).view(S, 1, 1).expand(S, len(start), 1)  # 8k/7, not k
        # What is compiled has the shape of one feed's windows; several feeds' change with every batch.
        iterate = self.iteration if len(maps) == 1 and watch is None else self.iteration.forward
        iterates = []
        for _ in range(iterations):
            feature, coords = iterate(maps, feature, coords, start, times, watch)
            iterates.append(coords * self.stride)
        return Estimates(torch.stack(iterates), self.vis_predictor(feature).squeeze(2), feature)


def _parameters(module: nn.Module) -> tuple[Tensor, Tensor]:
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return weight, bias


def embed(flow: Tensor) -> Tensor:
    """(..., 195): motion and time (..., 3), each as 32 pairs of sine and cosine, then the three as they are."""
    frequencies = 31.25 * torch.arange(FREQUENCIES, device=flow.device, dtype=flow.dtype)
    angles = flow.unsqueeze(-1) * frequencies
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1)
    return torch.cat([waves.flatten(-3), flow], dim=-1)
