"""A normalised square image in, three levels of features out: the image encoders of SAM 2.1 and EdgeTAM, at any side.

With the tensors of the package's modules, and what they compute, with less: positions that only the memory would read
are left out; two 1 x 1 convolutions, one after the other, are one; batch norms are part of the convolution before them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TOP_DOWN = [2, 3]  # levels of the pyramid that the coarser one is added to; others stand alone


class PyramidEncoder(nn.Module):
    """The encoder with the weights of a package's `Sam2Model` or `EdgeTamModel`, which it takes over and changes."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        vision = network.vision_encoder
        self.is_timm = hasattr(vision.backbone, "timm_model")
        self.backbone = fused(vision.backbone.timm_model) if self.is_timm else vision.backbone
        self.neck = Neck(network)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 256, grid, grid), (B, 2 grid, 2 grid, 64) and (B, 4 grid, 4 grid, 32) of (B, 3, side, side)."""
        if self.is_timm:
            maps = self.backbone(image.contiguous(memory_format=torch.channels_last))
            return self.neck([one.permute(0, 2, 3, 1) for one in maps])  # type: ignore[no-any-return]
        return self.neck(self.backbone(image).intermediate_hidden_states)  # type: ignore[no-any-return]


class Neck(nn.Module):
    """Maps of strides 4, 8, 16 and 32, channels last, to the three levels that the mask decoder sees."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        neck, masks = network.vision_encoder.neck, network.mask_decoder
        assert list(neck.fpn_top_down_levels) == TOP_DOWN, neck.fpn_top_down_levels
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for conv, after in zip(reversed(neck.convs), (masks.conv_s0, masks.conv_s1, None, None), strict=True):
            weight, bias = conv.weight[:, :, 0, 0], conv.bias
            if after is not None:
                weight, bias = after.weight[:, :, 0, 0] @ weight, after.weight[:, :, 0, 0] @ bias + after.bias
            self.weights.append(nn.Parameter(weight, requires_grad=False))
            self.biases.append(nn.Parameter(bias, requires_grad=False))
        self.no_memory = nn.Parameter(network.no_memory_embedding.detach(), requires_grad=False)  # (1, 1, 256)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """As the encoder's."""
        fine, middle, features, coarse = (
            functional.linear(x, w, b) for x, w, b in zip(maps, self.weights, self.biases, strict=True)
        )
        features, coarse = features.permute(0, 3, 1, 2), coarse.permute(0, 3, 1, 2)
        features = features + functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return features + self.no_memory.view(1, -1, 1, 1), middle, fine


def fused(module: Any) -> Any:
    """The package's RepViT with the batch norms inside its convolutions, where that is what its parts can do."""
    for name, child in list(module.named_children()):
        if hasattr(child, "fuse"):
            setattr(module, name, child.fuse())
        else:
            fused(child)
    return module.to(memory_format=torch.channels_last)
