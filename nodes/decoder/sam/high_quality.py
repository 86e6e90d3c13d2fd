"""The part that HQ-SAM adds to SAM: a finer mask from early features of the image encoder, added to SAM's own.

Early features are (1, grid, grid, C); what they and the embedding make is the same for all objects and passes of a
frame, so it is kept with the embedding and the early features (five times larger for vit_h) are not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-6


class HighQuality(nn.Module):
    """HQ-SAM's own layers, of the package's mask decoder."""

    def __init__(self, masks: Any) -> None:
        super().__init__()
        self.from_embedding, self.from_early = masks.embedding_encoder, masks.compress_vit_feat
        self.conv, self.norm, _, self.last = masks.embedding_maskfeature
        self.mlp = masks.hf_mlp

    def fuse(self, features: Tensor, early: Tensor) -> Tensor:
        """(4 grid, 4 grid, 32) of a frame's features (1, 256, grid, grid) and early features (1, grid, grid, C)."""
        fine = self.from_embedding(features) + self.from_early(early.permute(0, 3, 1, 2))
        fused: Tensor = fine[0].permute(1, 2, 0).contiguous()
        return fused

    def forward(self, up: Tensor, fine: Tensor, token: Tensor) -> Tensor:
        """(B, h, w) float32 logits, of SAM's upscaled pixels (B, h, w, 32), `fine` and HQ-SAM's token (B, 256).

        `fine`: (h, w, 32) of the frame that all are on, or (B, h, w, 32).
        """
        b, h, w, c = up.shape
        x: Tensor = self.conv(up.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # (B, h, w, 64), in memory as well
        x = functional.gelu(functional.layer_norm(x, x.shape[3:], self.norm.weight, self.norm.bias, EPS))
        of_mask: Tensor = self.mlp(token)  # (B, 32)
        # The last convolution ends in a dot product with `of_mask`: first that, then one channel is left to convolve.
        kernel = torch.einsum("bo,oikl->bikl", of_mask, self.last.weight).flip(2, 3).flatten(2)  # (B, 64, 9)
        spread: Tensor = (x.view(b, h * w, -1) @ kernel).transpose(1, 2)
        mask: Tensor = functional.fold(spread, (h, w), kernel_size=3, padding=1)[:, 0]
        if fine.dim() == 4:  # of several frames, a row an object
            shared: Tensor = (fine.view(b, h * w, c) @ of_mask[:, :, None]).view(b, h, w)
        else:
            shared = (fine.view(h * w, c) @ of_mask.T).T.reshape(b, h, w)
        logits: Tensor = mask + shared + (of_mask @ self.last.bias)[:, None, None]
        return logits
