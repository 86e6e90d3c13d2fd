"""What PIPS reads from feature maps: a map in, its pyramid out; points in, their features and correlations out.

The reference correlates every point with whole maps and samples the result. Both steps are linear, so sampling first
and taking dot products of the samples gives the same numbers for a fraction of the work (docs/sam_pt.md, a.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

CHANNELS = 128  # of a feature
LEVELS = 4  # of the pyramid, each half the size of the one before
RADIUS = 3  # correlations reach so many px of a level to each side: 7 x 7 of them
SIDE = 2 * RADIUS + 1
CORRELATIONS = LEVELS * SIDE * SIDE  # 196 numbers a point and frame
POINTS_IN_CACHE = (
    16  # their 2 MiB of pixels stay in the cache until they are multiplied: 4 times faster than all at once
)
SMALLEST = 2 * 2 ** (LEVELS - 1)  # 16: px a side of a map whose coarsest level has 2 x 2


Levels = tuple[Tensor, Tensor, Tensor, Tensor]  # of a pyramid: `levels_of`


@dataclass(frozen=True)
class Pyramid:
    """The feature map of a frame at four sizes, every pixel a row, so that reading a pixel is reading 512 bytes."""

    rows: Tensor  # (P, C) float32, or float16 on a GPU: the levels fine to coarse, each row by row
    sizes: tuple[tuple[int, int], ...]  # (h, w) of each level

    def level(self, index: int) -> Tensor:
        """(h, w, C): the map of one level."""
        start = sum(h * w for h, w in self.sizes[:index])
        h, w = self.sizes[index]
        return self.rows[start : start + h * w].view(h, w, -1)


def build_pyramids(maps_bchw: Tensor) -> list[Pyramid]:
    """The pyramid of each map of (B, C, h, w); every level averages 2 x 2 px of the finer one, odd borders dropped."""
    levels = [maps_bchw]
    for _ in range(LEVELS - 1):
        levels.append(functional.avg_pool2d(levels[-1], 2))
    rows = torch.cat([level.permute(0, 2, 3, 1).flatten(1, 2) for level in levels], dim=1)
    sizes = tuple((level.shape[2], level.shape[3]) for level in levels)
    return [Pyramid(frame.contiguous(), sizes) for frame in rows]


def level_sizes(frame_size: tuple[int, int], stride: int) -> tuple[tuple[int, int], ...]:
    """(h, w) of each level of the pyramid of a frame (H, W)."""
    h, w = (side // stride for side in frame_size)
    return tuple((h >> level, w >> level) for level in range(LEVELS))


def look_up(pyramid: Pyramid, xy: Tensor) -> Tensor:
    """(N, C): the finest level at `xy` (N, 2), map px, between its pixels; outside, its border."""
    finest = pyramid.level(0)
    last = finest.shape[1] - 1, finest.shape[0] - 1
    inside = torch.stack([v.clamp(0, limit) for v, limit in zip(xy.unbind(1), last, strict=True)], dim=1)
    low = inside.floor()
    fx, fy = (inside - low).unsqueeze(-1).unbind(1)
    x0, y0 = low.long().unbind(1)
    x1, y1 = ((v + 1).clamp(max=limit) for v, limit in zip((x0, y0), last, strict=True))
    upper = finest[y0, x0] * (1 - fx) + finest[y0, x1] * fx
    lower = finest[y1, x0] * (1 - fx) + finest[y1, x1] * fx
    return upper * (1 - fy) + lower * fy


def correlate(pyramids: Sequence[Pyramid], features: Tensor, coords: Tensor, levels: Levels | None = None) -> Tensor:
    """(S, N, 196): how alike the points' features (S, N, C) and the maps of the S frames are around `coords` (S, N, 2).

    `coords` in px of the finest level; `levels`: of the maps' sizes, for whoever has them. Of each level's 49 numbers,
    7 * i + j lies at x + (i - 3), y + (j - 3).
    """
    # All 49 samples share their fraction of a pixel: 8 x 8 dot products with whole pixels, then one interpolation.
    pixels, inside, fraction = _neighbours(levels or levels_of(pyramids[0].sizes, coords.device), coords)
    n, channels = features.shape[1:]
    pixels = pixels.reshape(len(pyramids), n, -1)  # (S, N, LEVELS * 8 * 8)
    if pyramids[0].rows.dtype == torch.float16:
        dots = _dots_with_whole_maps(pyramids, features / math.sqrt(channels), pixels)
        whole = dots.view(inside.shape) * inside
    else:
        dots = _dots_with_neighbours(pyramids, features, pixels)
        whole = dots.view(inside.shape) * inside / math.sqrt(channels)
    fx, fy = fraction[..., 0, None, None], fraction[..., 1, None, None]
    across = torch.lerp(whole[..., :-1], whole[..., 1:], fx)  # (S, N, LEVELS, 8 down, 7 across)
    both = torch.lerp(across[..., :-1, :], across[..., 1:, :], fy)
    return both.transpose(-1, -2).reshape(*coords.shape[:2], -1)


def _dots_with_neighbours(pyramids: Sequence[Pyramid], features: Tensor, pixels: Tensor) -> Tensor:
    """(S, N, K): the products of features (S, N, C) and those of K pixels each."""
    n, around = pixels.shape[1:]
    together = min(n, POINTS_IN_CACHE) if features.device.type == "cpu" else n
    patches = features.new_empty(together * around, features.shape[2])
    dots = features.new_empty(pixels.shape)
    for pyramid, feature, pixel, out in zip(pyramids, features, pixels, dots, strict=True):
        for at in range(0, n, together):
            row = pixel[at : at + together].reshape(-1)
            torch.index_select(pyramid.rows, 0, row, out=patches[: len(row)])
            patch = patches[: len(row)].view(-1, around, features.shape[2]).transpose(1, 2)
            torch.bmm(feature[at : at + together].unsqueeze(1), patch, out=out[at : at + together].unsqueeze(1))
    return dots


def _dots_with_whole_maps(pyramids: Sequence[Pyramid], features: Tensor, pixels: Tensor) -> Tensor:
    """The same from all products of a map: a GPU's matrix units make 200 of them before it has read a row."""
    each = zip(pyramids, features.to(pyramids[0].rows.dtype), pixels, strict=True)
    return torch.stack([(feature @ pyramid.rows.T).gather(1, pixel) for pyramid, feature, pixel in each]).float()


def _neighbours(levels: Levels, coords: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The 8 x 8 pixels around each point on every level.

    Their rows in a pyramid and whether they lie inside, both (S, N, LEVELS, 8 down, 8 across), and the fractions of a
    pixel (S, N, LEVELS, 2) that are left.
    """
    size, start, scales, steps = levels
    at = coords.unsqueeze(2) * scales
    # A point far outside reads only zeros: clamp it, so that its position fits an integer.
    low = torch.minimum(at.floor().clamp(min=-2 * SIDE), size + SIDE)
    pixels = low.long().unsqueeze(-1) + steps  # (S, N, LEVELS, 2, 8)
    last = (size.long() - 1).unsqueeze(-1)
    inside = (pixels >= 0) & (pixels <= last)
    pixels = torch.minimum(pixels.clamp(min=0), last)
    x, y = pixels.unbind(3)
    width = size[:, :1].long()
    rows = (start.unsqueeze(1) + y * width).unsqueeze(-1) + x.unsqueeze(-2)
    within = inside[..., 1, :].unsqueeze(-1) & inside[..., 0, :].unsqueeze(-2)
    return rows, within, at - at.floor()


@lru_cache(maxsize=32)
def levels_of(sizes: tuple[tuple[int, int], ...], device: torch.device) -> Levels:
    """What `correlate` reads of a pyramid's sizes, on the device: a copy from the host would wait for it.

    Widths and heights (LEVELS, 2) and scales (LEVELS, 1) float32, the first row (LEVELS,) and the steps (8,) int64.
    """
    areas = [h * w for h, w in sizes]
    with torch.inference_mode(False):  # whoever wants gradients reads them as well
        size = torch.tensor([(w, h) for h, w in sizes], dtype=torch.float32, device=device)
        start = torch.tensor([sum(areas[:i]) for i in range(LEVELS)], device=device)
        scales = torch.tensor([0.5**i for i in range(LEVELS)], device=device).unsqueeze(1)
        return size, start, scales, torch.arange(-RADIUS, RADIUS + 2, device=device)
