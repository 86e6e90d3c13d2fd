"""The layers of the PIPS encoder: maps in, maps out, whole ones on any device. `blocks.py` does the same on CPUs.

Every convolution but the last is followed by instance norm (docs/sam_pt.md, a.2): a map minus its own mean, over its
own deviation, which need the complete map. So scale and shift go along with a map; its reader applies norm and ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5  # of the norm
Size = tuple[int, int]


class Map(NamedTuple):
    """`relu(values * scale + shift)`; a map without scale is as it is."""

    values: Tensor  # (B, C, h, w), or (h, w, C) of one frame, as the layers that made it have it
    scale: Tensor | None = None  # float32, a number a channel and frame: 1 / deviation
    shift: Tensor | None = None  # the same: -mean / deviation
    rectify: bool = True  # whether there is a ReLU


class Layers(Protocol):
    """How the encoder computes. `into` names the memory of a map: it is overwritten when the name is used again."""

    def frames(self, frames_bchw: Tensor) -> Map:
        """Frames as a map."""

    def conv(self, conv: nn.Conv2d, maps: Sequence[Map], into: str, rectify: bool = True) -> Map:
        """The convolution of all channels of `maps`, without its bias, which the norm would remove."""

    def add(self, skip: Map, y: Map) -> Map:
        """`relu(skip + y)`, in the memory of `skip`."""

    def resize(self, maps: Sequence[Map], size: Size) -> list[Map]:
        """Maps as they are, at another size (h, w): bilinear, corners on corners."""

    def project(self, conv: nn.Conv2d, y: Map) -> Tensor:
        """(B, C, h, w) float32: the convolution of 1x1 with its bias, and no norm."""

    def show(self, y: Map) -> Tensor:
        """(B, C, h, w) float32: a copy of the values of a map."""


class WholeMaps:
    """`Layers` of whole tensors (B, C, h, w) for GPUs, and for whoever wants gradients."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def frames(self, frames_bchw: Tensor) -> Map:
        """Channels last: a GPU's tensor cores read a pixel's channels together."""
        return Map(frames_bchw.to(self.dtype, memory_format=torch.channels_last))

    def conv(self, conv: nn.Conv2d, maps: Sequence[Map], into: str, rectify: bool = True) -> Map:
        """The convolution, and the norm that its reader applies; mean and variance are always float32."""
        x = torch.cat([self._read(m) for m in maps], dim=1) if len(maps) > 1 else self._read(maps[0])
        weight = conv.weight.to(self.dtype, memory_format=torch.channels_last)
        values = functional.conv2d(x, weight, None, conv.stride, conv.padding)
        mean = values.mean((2, 3), keepdim=True, dtype=torch.float32)
        scale = ((values - mean).square().mean((2, 3), keepdim=True) + EPSILON).rsqrt()
        return Map(values, scale, -mean * scale, rectify)

    def add(self, skip: Map, y: Map) -> Map:
        """The sum, in new memory."""
        return Map((self._read(skip) + self._read(y)).relu())

    def resize(self, maps: Sequence[Map], size: Size) -> list[Map]:
        """One after the other."""
        return [Map(functional.interpolate(m.values, size, mode="bilinear", align_corners=True)) for m in maps]

    def project(self, conv: nn.Conv2d, y: Map) -> Tensor:
        """The last layer."""
        assert conv.bias is not None
        out = functional.conv2d(self._read(y), conv.weight.to(self.dtype), conv.bias.to(self.dtype))
        return out.to(torch.float32)

    def show(self, y: Map) -> Tensor:
        """The values, before their norm."""
        return y.values.to(torch.float32, copy=True)

    def _read(self, m: Map) -> Tensor:
        if m.scale is None or m.shift is None:
            return m.values
        x = torch.addcmul(m.shift, m.values, m.scale)
        return (x.relu() if m.rectify else x).to(self.dtype)
