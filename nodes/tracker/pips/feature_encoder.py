"""The encoder of PIPS (Harley et al. 2022; `fnet` in its weights): frames in, a feature map of each out.

    frame -> 7x7 convolution -> layer1 .. layer4, at 1/2, 1/4, 1/8, 1/16 of its size
          -> the four at one size, beside each other -> 3x3 -> 1x1 -> map

This module says what is computed (docs/sam_pt.md, a.2). `layers.py` computes it on whole maps, for GPUs; `blocks.py` in
blocks of rows, for CPUs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nodes.tracker.pips.blocks import Blocks
from nodes.tracker.pips.layers import Layers, Map, WholeMaps

CHANNELS = 128  # of the feature map
LAYERS = ((64, 1), (96, 2), (128, 2), (128, 2))  # channels and stride of layer1 to layer4


class Residual(nn.Module):
    """The weights of two 3x3 convolutions beside a skip."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride)) if stride > 1 else None

    def run(self, x: Map, layers: Layers, into: str) -> Map:
        """(C, h, w) to (outputs, h / stride, w / stride)."""
        skip = x
        if self.downsample is not None:
            (shrink,) = self.downsample
            assert isinstance(shrink, nn.Conv2d)
            skip = layers.conv(shrink, [x], into, rectify=False)
        y = layers.conv(self.conv1, [x], "first")
        return layers.add(skip, layers.conv(self.conv2, [y], "second"))


class Encoder(nn.Module):
    """Feature maps of frames, each frame alone; weights are read at the first frame after they were loaded or moved."""

    def __init__(self, stride: int = 4) -> None:
        super().__init__()
        self.stride = stride  # px of a frame a px of its map
        inputs, second = [64, *(c for c, _ in LAYERS)], 256
        self.conv1 = nn.Conv2d(3, inputs[0], 7, 2, 3)
        for i, (outputs, step) in enumerate(LAYERS):
            layer = nn.Sequential(Residual(inputs[i], outputs, step), Residual(outputs, outputs, 1))
            self.add_module(f"layer{i + 1}", layer)
        self.conv2 = nn.Conv2d(sum(c for c, _ in LAYERS), second, 3, padding=1)
        self.conv3 = nn.Conv2d(second, CHANNELS, 1)
        self._blocks: dict[torch.dtype, Blocks] = {}

    def forward(self, frames_bchw: Tensor) -> Tensor:
        """(B, 128, H // stride, W // stride) float32, channels last, of frames (B, 3, H, W) in -1..1.

        It computes in the precision of the weights, or of `torch.autocast` where that is on.
        """
        layers = self._layers(frames_bchw)
        if isinstance(layers, WholeMaps):
            return self._encode(frames_bchw, layers, None)
        maps = [self._encode(frame, layers, None) for frame in frames_bchw.unsqueeze(1)]
        return maps[0] if len(maps) == 1 else torch.cat(maps)

    def stages(self, frame_bchw: Tensor) -> dict[str, Tensor]:
        """The map of one frame (1, 3, H, W), and conv1, layer1 .. layer4, conv2 before it: convs before their norm."""
        stages: dict[str, Tensor] = {}
        stages["fmap"] = self._encode(frame_bchw, self._layers(frame_bchw), stages)
        return stages

    def _layers(self, frames_bchw: Tensor) -> Layers:
        device, dtype = frames_bchw.device.type, self.conv1.weight.dtype
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        if device != "cpu" or torch.is_grad_enabled():
            return WholeMaps(dtype)
        if dtype not in self._blocks:
            self._blocks[dtype] = Blocks(dtype)
        return self._blocks[dtype]

    def _encode(self, frames_bchw: Tensor, layers: Layers, stages: dict[str, Tensor] | None) -> Tensor:
        """The maps of frames; the maps before them go into `stages`, if it is given."""

        def record(name: str, values: Map, bias: Tensor | None = None) -> None:
            if stages is not None:
                stages[name] = layers.show(values) + (0 if bias is None else bias.view(-1, 1, 1))

        size = frames_bchw.shape[2] // self.stride, frames_bchw.shape[3] // self.stride
        x = layers.conv(self.conv1, [layers.frames(frames_bchw)], "layer1")
        record("conv1", x, self.conv1.bias)
        maps = []
        for i in range(1, len(LAYERS) + 1):
            for block in self.get_submodule(f"layer{i}").children():
                assert isinstance(block, Residual)
                x = block.run(x, layers, f"layer{i}")
            record(f"layer{i}", x)
            maps.append(x)
        y = layers.conv(self.conv2, layers.resize(maps, size), "first")
        record("conv2", y, self.conv2.bias)
        return layers.project(self.conv3, y)

    # --- prepared weights are forgotten where weights may change, and never copied ------------------------------------

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        self._blocks.clear()
        super()._load_from_state_dict(*arguments, **named)

    def _apply(self, *arguments: Any, **named: Any) -> Encoder:
        self._blocks.clear()
        super()._apply(*arguments, **named)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_blocks": {}}
