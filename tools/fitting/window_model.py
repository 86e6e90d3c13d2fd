"""A window network of `lite` as PyTorch fits it, and as the ONNX file that OpenCV runs.

    1/2   24 channels   2x2, stride 2 - 3x3 -------------------------------- + - 3x3 - 3x3 -> added to pixel logits
    1/4   32 channels     '- 3x3, stride 2 - 3x3 ---------------------- + - 3x3 -' 1x1, bilinear
    1/8   48 channels          '- 3x3, stride 2 - three residual 3x3 - -' 1x1, bilinear      (dilated by 1, 2, 4)

of the window's working size; the last layer has one output for each of the four pixels that a place at 1/2 stands for.
Leaky ReLU 0.1 after the first layer and each 3x3 but the last, which starts at zero: so fitting begins at the pixel
network's quality.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from nodes.decoder.lite.window_network import SHRINK
from tools.fitting.onnx_file import OnnxGraph

WIDTHS = (24, 32, 48)  # channels at 1/2, 1/4, 1/8
DILATIONS = (1, 2, 4)  # at 1/8
LEAK = 0.1


class WindowModel(nn.Module):
    """(B, C, H, W) -> (B, 1, H, W) logits; H and W divisible by STRIDE. `mean`, `spread` of the inputs: (C,)."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("spread", spread.view(1, -1, 1, 1))
        w = WIDTHS
        self.stem = nn.Conv2d(mean.numel(), w[0], SHRINK, SHRINK)
        self.first = nn.Conv2d(w[0], w[0], 3, 1, 1)
        self.down, self.level, self.up, self.merge = (nn.ModuleList() for _ in range(4))
        for i in range(1, len(w)):
            self.down.append(nn.Conv2d(w[i - 1], w[i], 3, 2, 1))
            if i < len(w) - 1:
                self.level.append(nn.Conv2d(w[i], w[i], 3, 1, 1))
        self.bottom = nn.ModuleList(nn.Conv2d(w[-1], w[-1], 3, 1, d, d) for d in DILATIONS)
        for i in reversed(range(1, len(w))):
            self.up.append(nn.Conv2d(w[i], w[i - 1], 1))
            self.merge.append(nn.Conv2d(w[i - 1], w[i - 1], 3, 1, 1))
        self.last = nn.Conv2d(w[0], SHRINK**2, 3, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, a=LEAK)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The logits that are added to the pixel network's."""
        x = fn.leaky_relu(self.first(fn.leaky_relu(self.stem((x - self.mean) / self.spread), LEAK)), LEAK)
        sides = []
        for i, down in enumerate(self.down):
            sides.append(x)
            x = fn.leaky_relu(down(x), LEAK)
            if i < len(self.level):
                x = fn.leaky_relu(self.level[i](x), LEAK)
        for conv in self.bottom:
            x = x + fn.leaky_relu(conv(x), LEAK)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = fn.leaky_relu(merge(sides.pop() + _double(up(x))), LEAK)
        return fn.pixel_shuffle(self.last(x), SHRINK)

    def to_onnx(self, share: float = 1.0) -> bytes:
        """The same as OpenCV reads it, which adds so much of it; the inputs' normalisation is in the first layer."""
        graph = OnnxGraph()
        scales = graph.add_weights(np.array([1, 1, 2, 2], np.float32))

        def conv(layer: nn.Module, x: str, active: bool = True) -> str:
            assert isinstance(layer, nn.Conv2d), layer
            assert layer.bias is not None, "every layer has a bias"
            weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
            if layer is self.stem:
                weight = weight / self.spread.double()
                bias = bias - (weight * self.mean.double()).sum(dim=(1, 2, 3))
            if layer is self.last:
                weight, bias = share * weight, share * bias
            k, s, d, p = (int(v[0]) for v in (layer.kernel_size, layer.stride, layer.dilation, layer.padding))
            names = [graph.add_weights(v.float().numpy()) for v in (weight, bias)]
            y = graph.add("Conv", [x, *names], kernel_shape=(k, k), strides=(s, s), dilations=(d, d), pads=(p, p, p, p))
            return graph.add("LeakyRelu", [y], alpha=LEAK) if active else y

        x, sides = conv(self.first, conv(self.stem, "input")), []
        for i, down in enumerate(self.down):
            sides.append(x)
            x = conv(down, x)
            if i < len(self.level):
                x = conv(self.level[i], x)
        for layer in self.bottom:
            x = graph.add("Add", [x, conv(layer, x)])
        for up, merge in zip(self.up, self.merge, strict=True):
            small = conv(up, x, active=False)
            large = graph.add("Resize", [small, "", scales], mode="linear", coordinate_transformation_mode="half_pixel")
            x = conv(merge, graph.add("Add", [sides.pop(), large]))
        return graph.to_bytes((self.mean.numel(), SHRINK**2), conv(self.last, x, active=False), "window_network")


def _double(x: Tensor) -> Tensor:
    """Twice as high and wide, bilinear; of operations that repeat bit for bit on a GPU, as those of PyTorch do not."""
    for axis in (2, 3):
        size = x.shape[axis]
        before = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, size - 1)], axis)
        after = torch.cat([x.narrow(axis, 1, size - 1), x.narrow(axis, size - 1, 1)], axis)
        pairs = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        x = pairs.flatten(axis, axis + 1)
    return x
