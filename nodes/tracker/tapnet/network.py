"""Frames of 256x256 in, a grid of features out, and where points of it lie in every frame: TapNet's network.

The backbone is a small pre-activation ResNet over single frames. Four of its blocks shift some channels by one frame
in either direction, so that a frame's features depend on four frames before it and four after.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 256  # px of the square input
STRIDE = 8  # px a cell of the grid
CHANNELS = 256
CHUNK = 16  # queries at once
SHIFTED = 8  # one channel of so many comes from the next frame, and one from the last
TEMPERATURE = 10.0  # of the softmax over cells
RADIUS_2 = 25.0  # squared, cells: what lies nearer to the best cell counts for the position
LEAST = 1e-12
UNITS = ((64, 64, 1, True), (64, 128, 2, True), (128, 256, 1, False))  # channels in and out, stride, shift


class SameConv2d(nn.Conv2d):
    """A convolution whose output has ceil(n / stride) px a side: an odd px of padding goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride = int(self.kernel_size[0]), int(self.stride[0])
        return super().forward(functional.pad(x, same_padding(x.shape[-2], x.shape[-1], kernel, stride)))


class Block(nn.Module):
    """A pre-activation residual block of two 3x3 convolutions."""

    def __init__(self, into: int, out: int, stride: int, shift: bool, projects: bool) -> None:
        super().__init__()
        self.shift = shift
        self.batch_norm = nn.BatchNorm2d(into)
        self.batch_norm_1 = nn.BatchNorm2d(out)
        self.conv_0 = SameConv2d(into, out, 3, stride, bias=False)
        self.conv_2 = SameConv2d(out, out, 3, bias=False)
        self.shortcut_conv = SameConv2d(into, out, 1, stride, bias=False) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        """(T, C, H, W) to (T, C', H', W'); T consecutive frames."""
        before = self.batch_norm(x).relu()
        shortcut = x if self.shortcut_conv is None else self.shortcut_conv(before)
        inner = self.conv_0(shift_in_time(before) if self.shift else before)
        out: Tensor = shortcut + self.conv_2(self.batch_norm_1(inner).relu())
        return out


class TapNet(nn.Module):
    """The network as published; `checkpoint.py` says which array of the file is which tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, UNITS[0][0], 7, 2, bias=False)
        self.units = nn.ModuleList(
            nn.Sequential(Block(into, out, stride, shift, True), Block(out, out, 1, shift, False))
            for into, out, stride, shift in UNITS
        )
        self.regression_1 = SameConv2d(1, 16, 3)
        self.regression_2 = SameConv2d(16, 1, 3)
        self.occlusion_1 = SameConv2d(16, 32, 3, 2)
        self.occlusion_2 = nn.Linear(32, 16)
        self.occlusion_out = nn.Linear(16, 1)
        self.requires_grad_(False)

    @torch.inference_mode()
    def stages(self, frames: Tensor) -> dict[str, Tensor]:
        """What each stage of the backbone makes of frames (T, 3, 256, 256) in -1..1, the grid of features last."""
        x = self.stem(frames)
        x = functional.pad(x, same_padding(x.shape[-2], x.shape[-1], 3, 2), value=-torch.inf)
        stages = {"stem": functional.max_pool2d(x, 3, 2)}
        x = stages["stem"]
        for i, unit in enumerate(self.units):
            x = stages[f"unit_{i}"] = unit(x)
        stages["grid"] = x / x.square().sum(dim=1, keepdim=True).clamp(min=LEAST).sqrt()
        return stages

    def encode(self, frames: Tensor) -> Tensor:
        """(T, 256, 32, 32): the features of consecutive frames (T, 3, 256, 256) in -1..1, each cell of length 1."""
        return self.stages(frames)["grid"]

    @torch.inference_mode()
    def describe(self, grid: Tensor, queries_tyx: Tensor) -> Tensor:
        """(N, 256): the grid's features at queries (N, 3): frame, y and x in px of the input; between frames, too."""
        at = queries_tyx.clone()
        at[:, 1:] = at[:, 1:] / STRIDE - 0.5
        corner = at.floor()
        features = torch.zeros(len(at), grid.shape[1], device=grid.device)
        limits = torch.tensor([grid.shape[0], *grid.shape[2:]], device=grid.device) - 1
        for offset in torch.cartesian_prod(*[torch.arange(2, device=grid.device)] * 3):
            near = 1 - (at - corner - offset).abs()
            t, y, x = torch.minimum((corner + offset).long().clamp(min=0), limits).T
            features += near.prod(dim=1, keepdim=True) * grid[t, :, y, x]
        return features

    @torch.inference_mode()
    def follow(self, grid: Tensor, features: Tensor, watch: dict[str, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Where points are: (N, T, 2) float32, px of the input, x first, and (N, T) logits, high where occluded.

        `features`: (N, 256). `watch` is given the parts of the last chunk.
        """
        parts = [self._follow(grid, chunk, watch) for chunk in features.split(CHUNK)]  # type: ignore[no-untyped-call]
        return torch.cat([xy for xy, _ in parts]), torch.cat([logits for _, logits in parts])

    def _follow(self, grid: Tensor, features: Tensor, watch: dict[str, Tensor] | None) -> tuple[Tensor, Tensor]:
        frames, _, height, width = grid.shape
        cost = torch.einsum("nc,tchw->nthw", features, grid)
        hidden = self.regression_1(cost.reshape(-1, 1, height, width)).relu()
        position = TEMPERATURE * self.regression_2(hidden)[:, 0]
        occlusion = self.occlusion_1(hidden)
        mean = occlusion.mean(dim=(2, 3))
        logits = self.occlusion_out(self.occlusion_2(mean).relu()).view(len(features), frames)
        if watch is not None:
            watch.update(
                cost=cost,
                hidden=hidden.view(-1, frames, *hidden.shape[1:]),
                position=position.view(-1, frames, height, width),
                occlusion=occlusion.view(-1, frames, *occlusion.shape[1:]),
                mean=mean.view(-1, frames, mean.shape[1]),
            )
        return soft_argmax(position).view(len(features), frames, 2), logits


def same_padding(height: int, width: int, kernel: int, stride: int) -> list[int]:
    """px left, right, top, bottom: half of what is missing before, the rest after."""
    padding = []
    for n in (width, height):
        total = max((-(-n // stride) - 1) * stride + kernel - n, 0)
        padding += [total // 2, total - total // 2]
    return padding


def shift_in_time(x: Tensor) -> Tensor:
    """(T, C, H, W): the first channels become the next frame's last ones, the last ones the frame before's first."""
    n = x.shape[1] // SHIFTED
    shifted = x.clone()
    shifted[:, :n] = torch.cat([x[1:, -n:], torch.zeros_like(x[:1, -n:])])
    shifted[:, -n:] = torch.cat([torch.zeros_like(x[:1, :n]), x[:-1, :n]])
    return shifted


def soft_argmax(logits: Tensor) -> Tensor:
    """(B, 2) px, x first: the mean of the cells near the best one of (B, h, w), weighted by their probability."""
    height, width = logits.shape[1:]
    probability = logits.flatten(1).softmax(dim=1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = (torch.stack([x, y], dim=-1).view(-1, 2).float() + 0.5).to(logits.device)
    best = centres[logits.flatten(1).argmax(dim=1)]
    near = ((centres[None] - best[:, None]).square().sum(dim=2) < RADIUS_2) * probability
    return STRIDE * (near @ centres) / near.sum(dim=1, keepdim=True).clamp(min=LEAST)
