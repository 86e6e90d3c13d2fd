"""A normalised square image in, SAM's image features out: the ViT of SAM and HQ-SAM, at any input side.

With the tensors of the packages' module, and what that computes, with less: attention is fused, relative positions are
its additive bias; what windows at the border are padded with needs no computing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

BIAS_BYTES = {"cpu": 64 << 20, "cuda": 1 << 30}  # of attention bias at once: of all heads of vit_h it is 1 GiB


class VitEncoder(nn.Module):
    """SAM's ViT with the weights of a package's `ImageEncoderViT`.

    At another side than it was trained at, absolute positions are resampled (bicubic), relative ones linearly, as SAM's
    own code does it.
    """

    places: Tensor

    def __init__(self, vit: Any, side: int) -> None:
        super().__init__()
        self.grid = side // 16
        self.patches, self.neck = vit.patch_embed.proj, vit.neck
        places = vit.pos_embed.detach()  # (1, 64, 64, C)
        if places.shape[1] != self.grid:
            places = functional.interpolate(
                places.permute(0, 3, 1, 2), (self.grid, self.grid), mode="bicubic", align_corners=False, antialias=True
            ).permute(0, 2, 3, 1)
        self.register_buffer("places", places.contiguous(), persistent=False)
        self.blocks = nn.ModuleList(Block(block, self.grid) for block in vit.blocks)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 256, grid, grid) of (B, 3, side, side); (B, grid, grid, C) after the first global block."""
        x = self.patches(image).permute(0, 2, 3, 1) + self.places
        early = None
        for block in self.blocks:
            x = block(x)
            if early is None and not block.window:
                early = x
        reduce, norm_1, mix, norm_2 = self.neck
        x = _norm(functional.linear(x, reduce.weight[:, :, 0, 0]), norm_1)
        x = _norm(mix(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), norm_2)
        assert early is not None
        return x.permute(0, 3, 1, 2).contiguous(), early


class Block(nn.Module):
    """A transformer block: attention over the whole grid, or within windows of 14 x 14 patches."""

    rows: Tensor  # (size, size, c) by offset; size: of the window or the grid
    columns: Tensor
    offsets: Tensor  # (c, 2 (2 size - 1)) of windows
    at_rows: Tensor
    at_columns: Tensor

    def __init__(self, block: Any, grid: int) -> None:
        super().__init__()
        self.grid, self.window = grid, block.window_size
        self.norm1, self.norm2, self.mlp = block.norm1, block.norm2, block.mlp
        attention = block.attn
        self.heads, self.qkv, self.proj = attention.num_heads, attention.qkv, attention.proj
        size = self.window or grid
        self.register_buffer("rows", relative(attention.rel_pos_h.detach(), size), persistent=False)
        self.register_buffer("columns", relative(attention.rel_pos_w.detach(), size), persistent=False)
        if self.window:
            self._keep_offsets(attention, size)

    def _keep_offsets(self, attention: Any, size: int) -> None:
        """Relative positions as one matrix, and which of its columns are between two patches of a window."""
        tables = [attention.rel_pos_h.detach(), attention.rel_pos_w.detach()]
        at = torch.arange(size)
        between = at[:, None] - at[None, :] + size - 1  # (size, size)
        self.register_buffer("offsets", torch.cat(tables).T.contiguous(), persistent=False)
        self.register_buffer("at_rows", between.repeat_interleave(size, dim=0), persistent=False)  # (P, size)
        self.register_buffer("at_columns", between.repeat(size, 1) + len(tables[0]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, grid, grid, C) of the same."""
        if self.window and x.device.type != "cpu":
            x = x + self._in_full_windows(self.norm1(x))
        else:
            qkv = self.qkv(self.norm1(x))
            x = x + self.proj(self._in_windows(qkv) if self.window else self._everywhere(qkv))
        after: Tensor = x + self.mlp(self.norm2(x))
        return after

    def _everywhere(self, qkv: Tensor) -> Tensor:
        """Attention of each patch to all."""
        b, g = len(qkv), self.grid
        q, k, v = qkv.view(b, g * g, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, P, c) each
        at_once = max(1, min(self.heads, BIAS_BYTES[q.device.type] // (b * g**4 * q.element_size())))
        bias = q.new_empty(b, at_once, g * g, g, g)  # one piece of memory for all: fresh pages cost half as much again
        parts = zip(q.split(at_once, 1), k.split(at_once, 1), v.split(at_once, 1), strict=True)
        attended = torch.cat([self._attend(*part, g, bias) for part in parts], dim=1)
        return attended.transpose(1, 2).reshape(b, g, g, -1)

    def _in_windows(self, qkv: Tensor) -> Tensor:
        """Attention within windows. Patches beyond the border are zeros, whose projection is the bias alone."""
        b, g, s = len(qkv), self.grid, self.window
        n = -(-g // s)  # windows a side
        padded = self.qkv.bias.expand(b, n * s, n * s, -1).clone()
        padded[:, :g, :g] = qkv
        split = padded.view(b, n, s, n, s, 3, self.heads, -1).permute(5, 0, 1, 3, 6, 2, 4, 7)
        q, k, v = split.reshape(3, b * n * n, self.heads, s * s, -1)
        bias = q.new_empty(b * n * n, self.heads, s * s, s, s)
        attended = self._attend(q, k, v, s, bias).view(b, n, n, self.heads, s, s, -1)
        return attended.permute(0, 1, 4, 2, 5, 3, 6).reshape(b, n * s, n * s, -1)[:, :g, :g]

    def _in_full_windows(self, x: Tensor) -> Tensor:
        """The same with its projections, for GPUs: a fifth more of these, and large tensors move a third as often."""
        (b, g), s, heads = x.shape[:2], self.window, self.heads
        n, c = -(-g // s), x.shape[3]
        padded = functional.pad(x, (0, 0, 0, n * s - g, 0, n * s - g))
        windows = padded.view(b, n, s, n, s, c).transpose(2, 3).reshape(b * n * n, s * s, c)
        q, k, v = self.qkv(windows).view(-1, s * s, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
        offsets = q @ self.offsets  # (windows, heads, P, 2 (2 s - 1)): of rows, of columns
        of_rows, of_columns = (
            offsets.gather(3, at.expand(*offsets.shape[:2], -1, -1)) for at in (self.at_rows, self.at_columns)
        )
        bias = (of_rows[..., None] + of_columns[..., None, :]).flatten(3)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out = self.proj(attended.transpose(1, 2).flatten(2)).view(b, n, n, s, s, c).transpose(2, 3)
        whole: Tensor = out.reshape(b, n * s, n * s, c)
        return whole[:, :g, :g]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, size: int, bias: Tensor) -> Tensor:
        """Attention with relative positions; q, k, v (b, heads, size * size, c). The bias is written to `bias`."""
        b, heads, p, c = q.shape
        placed = q.view(b, heads, size, size, c)
        of_rows = torch.einsum("bnhwc,hkc->bnhwk", placed, self.rows).reshape(b, heads, p, size, 1)
        of_columns = torch.einsum("bnhwc,wkc->bnhwk", placed, self.columns).reshape(b, heads, p, 1, size)
        bias = torch.add(of_rows, of_columns, out=bias[:, :heads])
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.view(b, heads, p, p))


def relative(table: Tensor, size: int) -> Tensor:
    """(size, size, C): the embedding of the offset between two of `size` positions, of a table (L, C) of all."""
    offsets = 2 * size - 1
    if len(table) != offsets:
        table = functional.interpolate(table.T[None], offsets, mode="linear")[0].T
    at = torch.arange(size)
    return table[at[:, None] - at[None, :] + size - 1].contiguous()


def _norm(x: Tensor, norm: Any) -> Tensor:
    """SAM's two-dimensional norm, channels last."""
    return functional.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps)
