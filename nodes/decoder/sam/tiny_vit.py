"""A normalised square image in, SAM's image features out: TinyViT, the encoder of MobileSAM and of light HQ-SAM.

With the tensors of the package's module, which by itself knows a side of 1024 px alone. Batch norms become part of the
convolution before them, attention is fused and images are held channels last: on CPUs that takes a third off its time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class TinyEncoder(nn.Module):
    """The network for one side; it takes the package's module over and changes it."""

    def __init__(self, tiny: Any, side: int) -> None:
        super().__init__()
        self.grid = side // 16
        for module in list(tiny.modules()):
            if hasattr(module, "input_resolution"):  # no tensor depends on it: windows have one size
                module.input_resolution = tuple(n * side // tiny.img_size for n in module.input_resolution)
            for name, child in list(module.named_children()):
                if hasattr(child, "fuse"):
                    setattr(module, name, child.fuse())
                elif hasattr(child, "attention_biases"):
                    setattr(module, name, WindowAttention(child))
        tiny.img_size = side
        self.patches, self.layers, self.neck = tiny.patch_embed, tiny.layers, tiny.neck
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 256, grid, grid) of (B, 3, side, side), and the early ones (B, grid, grid, 160)."""
        b, g = len(image), self.grid
        x = self.patches(image.contiguous(memory_format=torch.channels_last))
        x = self.layers[1](self.layers[0](x))
        early = x.view(b, g, g, -1)
        x = self.layers[3](self.layers[2](x))
        return self.neck(x.view(b, g, g, -1).permute(0, 3, 1, 2)).contiguous(), early


class WindowAttention(nn.Module):
    """Attention within windows of N patches, with a learned bias for each offset."""

    bias: Tensor  # (heads, N, N)

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj = attention.norm, attention.qkv, attention.proj
        self.heads, self.parts = attention.num_heads, (attention.key_dim, attention.key_dim, attention.d)
        # Not the module's own copy of it, which is as old as its last eval(), so older than the checkpoint as a rule.
        bias = attention.attention_biases.detach()[:, attention.attention_bias_idxs]
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(windows, N, C) of the same."""
        qkv = self.qkv(self.norm(x)).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
        q, k, v = qkv.split(self.parts, dim=3)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=self.bias[None])
        after: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return after
