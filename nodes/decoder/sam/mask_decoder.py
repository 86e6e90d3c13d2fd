"""A frame's features and the prompts of B objects in, their low-resolution logits and predicted IoUs out, in one pass.

The numbers are those of SAM's prompt encoder and mask decoder, with `multimask_output` or without; the way there
differs:

- Objects go through together, each with its own number of prompt tokens: padding is masked wherever tokens are attended
  to. (The padding of the packages is a token like any other; more of it changes the mask.)
- What the objects of a frame share is computed once. The first block sees embedding + mask input, and its projections
  are linear: the embedding's are kept, those of the mask input have 16 channels to start from instead of 256.
- Only what ends in the answer is computed: of four mask tokens one, or three, and the last attention for these alone.
- Transposed convolutions whose stride is their kernel are matrix products, one a pixel; pixels move once, at the end.

On a CPU everything is float32, whatever the precision of the image encoder: a pass costs a hundredth of an encode, and
each of the twelve refinements would start from the rounded logits of the one before. On a GPU, fourteen passes in
float32 cost more than the encode: they are computed in its precision; positions, logits and IoUs stay float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodes.decoder.sam.high_quality import HighQuality
from nodes.decoder.sam.protocol import PADDING

UP_EPS = 1e-6  # of the norm between the upscaling layers
SINGLE, SEVERAL = [0], [1, 2, 3]  # which of the four masks are for `multimask_output=False`, and which for True
HQ_TOKEN = 5  # HQ-SAM's among the output tokens: the IoU, four masks, HQ-SAM's mask


@dataclass(frozen=True)
class Shared:
    """What all passes on one frame have in common; P = grid * grid patches."""

    image: Tensor  # (P, 256) the embedding, and the biases that are added to it anyway
    projected: Tensor  # (P, 384) first block: keys, values, queries of the image side, but for the mask input
    fine: Tensor | None  # (4 grid, 4 grid, 32) features of HQ-SAM


def stack(parts: Sequence[Shared], counts: Sequence[int]) -> Shared:
    """Those of several frames with so many objects each, as one row for each object: (B, ...)."""

    def rows(tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat([t.expand(n, *t.shape) for t, n in zip(tensors, counts, strict=True)])

    fine = [part.fine for part in parts if part.fine is not None]
    return Shared(rows([p.image for p in parts]), rows([p.projected for p in parts]), rows(fine) if fine else None)


@dataclass(frozen=True)
class Tokens:
    """The prompts of B objects, T tokens each with the output tokens first."""

    embedded: Tensor  # (B, T, 256)
    allowed: Tensor | None  # (B, 1, 1, T) bool, false for padding; None: there is none


class Projection(nn.Module):
    """Several projections of the image side as one; some of them see the image with its positions added."""

    weight: Tensor  # (D, 256), the outputs of all of them below each other
    offset: Tensor  # (P, D) their biases, and what the positions make of it

    def __init__(self, layers: list[nn.Linear], positioned: list[bool], positions: Tensor) -> None:
        super().__init__()
        of_positions = [
            functional.linear(positions * float(placed), layer.weight, layer.bias)
            for layer, placed in zip(layers, positioned, strict=True)
        ]
        self.register_buffer("weight", torch.cat([layer.weight.detach() for layer in layers]), persistent=False)
        self.register_buffer("offset", torch.cat(of_positions, dim=1).detach(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, P, D) of (B, P, 256)."""
        return torch.baddbmm(self.offset, image, self.weight.T.expand(len(image), -1, -1))


class PromptDecoder(nn.Module):
    """Prompt encoder and mask decoder with the weights of a package's `Sam`, for grid x grid patches."""

    outputs: Tensor  # (5 or 6, 256): tokens of the IoU, four masks, HQ-SAM's mask
    kinds: Tensor  # (5, 256): no point, negative, positive, the two corners of a box
    frequencies: Tensor  # (2, 128)
    final_positions: Tensor  # (P, 128)
    mask_bias: Tensor  # (256,)
    mask_projected: Tensor  # (17, 384)
    out_and_mask: Tensor  # (128 + 17, 256)
    up_1_weight: Tensor
    up_1_bias: Tensor
    up_2_weight: Tensor
    up_2_bias: Tensor

    def __init__(self, sam: Any, grid: int) -> None:
        super().__init__()
        self.grid = grid
        prompts, masks = sam.prompt_encoder, sam.mask_decoder
        self.hq = HighQuality(masks) if hasattr(masks, "hf_token") else None
        self.heads = masks.transformer.layers[0].self_attn.num_heads
        self.blocks = masks.transformer.layers
        self.final, self.final_norm = masks.transformer.final_attn_token_to_image, masks.transformer.norm_final_attn
        self.iou_head, self.mask_mlps = masks.iou_prediction_head, masks.output_hypernetworks_mlps
        self.mask_features = prompts.mask_downscaling[:-1]  # mask input (4 grid, 4 grid) -> 16 channels on the grid

        outputs = [masks.iou_token, masks.mask_tokens, *([masks.hf_token] if self.hq else [])]
        self._keep("outputs", torch.cat([token.weight for token in outputs]))
        kinds = [prompts.not_a_point_embed, *prompts.point_embeddings]
        self._keep("kinds", torch.cat([kind.weight for kind in kinds]))
        self._keep("frequencies", prompts.pe_layer.positional_encoding_gaussian_matrix)
        self._keep_image_side(prompts)
        self._keep_upscaling(masks.output_upscaling)

    @property
    def dtype(self) -> torch.dtype:
        """What passes are computed in."""
        return self.outputs.dtype

    def compute_in(self, dtype: torch.dtype) -> None:
        """Compute passes in another precision, but for the angles of positions."""
        frequencies = self.frequencies
        self.to(dtype)
        self.frequencies = frequencies

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.detach().clone().contiguous(), persistent=False)

    def _keep_image_side(self, prompts: Any) -> None:
        """Projections of the image side as one matrix a block, and what positions and the mask input add to them."""
        centres = (torch.arange(self.grid) + 0.5) / self.grid
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        positions = self._waves(torch.stack([x, y], dim=-1).reshape(-1, 2))  # (P, 256)
        self.projections = nn.ModuleList()
        for block in self.blocks:
            read, write = block.cross_attn_token_to_image, block.cross_attn_image_to_token
            layers = [read.k_proj, read.v_proj, write.q_proj]
            self.projections.append(Projection(layers, [True, False, True], positions))
        self._keep("final_positions", functional.linear(positions, self.final.k_proj.weight, self.final.k_proj.bias))

        last = prompts.mask_downscaling[-1]  # 1 x 1: 16 -> 256 channels
        bias = last.bias
        # A 17th channel is 1 where there is no mask input: its column turns that bias into the embedding of "no mask".
        weight = torch.cat([last.weight[:, :, 0, 0], (prompts.no_mask_embed.weight[0] - bias)[:, None]], dim=1)
        out = self.blocks[0].cross_attn_image_to_token.out_proj
        self._keep("mask_bias", bias)
        self._keep("mask_projected", functional.linear(weight.T, self.projections[0].get_buffer("weight")))
        self._keep("out_and_mask", torch.cat([out.weight, weight], dim=1).T)

    def _keep_upscaling(self, layers: Any) -> None:
        first, self.up_norm, _, second, _ = layers
        for name, layer in (("up_1", first), ("up_2", second)):
            self._keep(f"{name}_weight", layer.weight.permute(2, 3, 1, 0).flatten(0, 2))  # rows: dy, dx, channel
            self._keep(f"{name}_bias", layer.bias.repeat(4))

    def share(self, features: Tensor, fine: Tensor | None) -> Shared:
        """What the passes on a frame have in common, of its features (1, 256, grid, grid)."""
        image = features[0].flatten(1).T + self.mask_bias
        projected = self.projections[0](image[None])[0]
        return Shared(image + self.blocks[0].cross_attn_image_to_token.out_proj.bias, projected, fine)

    def shared_of(self, tensors: Sequence[Tensor]) -> Shared:
        """A `Shared` of its tensors, in their order."""
        image, projected, *fine = tensors
        return Shared(image, projected, fine[0] if fine else None)

    def embed(self, xy: Tensor, labels: Tensor, boxes: Tensor, *, padded: bool = True) -> Tokens:
        """Prompts as tokens. xy (B, N, 2) and boxes (B, 4; NaN: none) as shares of the input's side; labels (B, N).

        Without a box there is a token that says so; with one, its two corners. Nothing is `padded` if every point
        counts and every object has a box.
        """
        b = len(xy)
        has_box = ~boxes.isnan().any(dim=1)
        points = self._waves(xy) + self.kinds[labels + 1]
        corners = self._waves(boxes.nan_to_num().view(b, 2, 2)) + self.kinds[3:]
        first = torch.where(has_box[:, None], corners[:, 0], self.kinds[0])
        tokens = torch.cat([points, torch.stack([first, corners[:, 1]], dim=1)], dim=1)
        tokens = torch.cat([self.outputs.expand(b, -1, -1), tokens], dim=1)
        if not padded:
            return Tokens(tokens, None)
        allowed = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        allowed[:, len(self.outputs) : -2] = labels != PADDING
        allowed[:, -1] = has_box
        return Tokens(tokens, allowed[:, None, None])

    def forward(
        self, shared: Shared, tokens: Tokens, low_res: Tensor | None, has: Tensor, multimask: bool = False
    ) -> tuple[Tensor, Tensor]:
        """One pass: mask input (B, 4 grid, 4 grid) where has (B,) -> logits (B, 4 grid, 4 grid), IoU (B,), float32.

        With `multimask` there are three masks of the first object, then of the next; one of each with HQ-SAM.
        """
        b = len(tokens.embedded)
        mask = self._mask_channels(low_res, has)  # (B or 1, P, 17)
        if shared.projected.dim() == 3:  # of several frames, a row an object
            mask = mask.expand(b, -1, -1)
        read = torch.baddbmm(shared.projected, mask, self.mask_projected.expand(len(mask), -1, -1)).expand(b, -1, -1)
        queries, written = self._block(0, tokens.embedded, tokens, read)
        written = torch.cat([written, mask.expand(b, -1, -1)], dim=2)
        image = torch.baddbmm(shared.image, written, self.out_and_mask.expand(b, -1, -1))
        image = self.blocks[0].norm4(image)
        for i in range(1, len(self.blocks)):
            queries, written = self._block(i, queries, tokens, self.projections[i](image))
            block = self.blocks[i]
            image = block.norm4(image.add_(block.cross_attn_image_to_token.out_proj(written)))

        return self._answer(queries, tokens, image, shared, multimask)

    def _answer(
        self, queries: Tensor, tokens: Tokens, image: Tensor, shared: Shared, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """What `forward` gives, of the tokens (B, T, 256) and the image side (B, P, 256) after all blocks."""
        masks = SEVERAL if multimask else SINGLE
        wanted = [0, *(1 + i for i in masks), *([HQ_TOKEN] if self.hq else [])]
        again = self._look_again(_columns(queries + tokens.embedded, wanted), image)
        outputs = self.final_norm(_columns(queries, wanted) + again)
        iou = _columns(self.iou_head(outputs[:, 0]).float(), masks)
        of_masks = torch.stack([self.mask_mlps[i](outputs[:, 1 + n]) for n, i in enumerate(masks)], dim=2)
        if self.hq is not None and multimask:
            iou, best = iou.max(dim=1, keepdim=True)
            of_masks = of_masks.take_along_dim(best[:, None], dim=2)
        return self._masks(image, of_masks, outputs[:, -1], shared), iou.flatten()

    def _block(self, i: int, queries: Tensor, tokens: Tokens, read: Tensor) -> tuple[Tensor, Tensor]:
        """A two-way block: the tokens after it (B, T, 256), and what they have to tell the image (B, P, 128)."""
        block, embedded = self.blocks[i], tokens.embedded
        own = block.self_attn
        if block.skip_first_layer_pe:
            queries = own.out_proj(
                self._attend(own.q_proj(queries), own.k_proj(queries), own.v_proj(queries), tokens.allowed)
            )
        else:
            placed = queries + embedded
            queries = queries + own.out_proj(
                self._attend(own.q_proj(placed), own.k_proj(placed), own.v_proj(queries), tokens.allowed)
            )
        queries = block.norm1(queries)
        keys, values, asking = read.chunk(3, dim=2)
        cross = block.cross_attn_token_to_image
        attended = self._attend(cross.q_proj(queries + embedded), keys, values, None)
        queries = block.norm2(queries + cross.out_proj(attended))
        queries = block.norm3(queries + block.mlp(queries))
        back = block.cross_attn_image_to_token
        return queries, self._attend(asking, back.k_proj(queries + embedded), back.v_proj(queries), tokens.allowed)

    def _look_again(self, queries: Tensor, image: Tensor) -> Tensor:
        """The last attention to the image, for the tokens wanted alone: (B, wanted, 256) of the same.

        They are so few that to project them into the space of the image is an eighth of the work of the reverse.
        """
        final, heads = self.final, self.heads
        q = final.q_proj(queries).unflatten(2, (heads, -1)).transpose(1, 2)  # (B, heads, wanted, c)
        n, c = q.shape[2:]
        k_weight, v_weight = (layer.weight.view(heads, c, -1) for layer in (final.k_proj, final.v_proj))
        scores = (q @ k_weight).flatten(1, 2) @ image.transpose(1, 2)  # (B, heads * wanted, P)
        of_positions = q @ self.final_positions.view(-1, heads, c).permute(1, 2, 0)  # (B, heads, wanted, P)
        scores = scores.view(of_positions.shape) + of_positions
        attention = (scores / math.sqrt(c)).softmax(dim=-1).flatten(1, 2)
        seen = (attention @ image).view(-1, heads, n, image.shape[2]) @ v_weight.transpose(1, 2)
        attended: Tensor = final.out_proj(seen.transpose(1, 2).flatten(2) + final.v_proj.bias)
        return attended

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None) -> Tensor:
        """(B, n, c) of q (B, n, c), k and v (B, m, c), c shared among the heads."""
        q, k, v = (x.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for x in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).flatten(2)

    def _mask_channels(self, low_res: Tensor | None, has: Tensor) -> Tensor:
        """(B, P, 17): the mask input's channels, the last 1 where there is none; (1, P, 17) if no object has one."""
        if low_res is None:
            nothing = torch.zeros(1, self.grid * self.grid, 17, device=self.outputs.device, dtype=self.dtype)
            nothing[..., 16] = 1
            return nothing
        channels = self.mask_features(low_res[:, None].to(self.dtype)).flatten(2)
        channels = torch.where(has[:, None, None], channels, 0)
        flag = (~has).to(self.dtype)[:, None, None].expand(-1, 1, channels.shape[2])
        return torch.cat([channels, flag], dim=1).transpose(1, 2)

    def _masks(self, image: Tensor, of_masks: Tensor, of_hq: Tensor, shared: Shared) -> Tensor:
        """(B * K, 4 grid, 4 grid) float32 of the image side (B, P, 256) and K masks an object.

        `of_masks` (B, 32, K): what a mask is of the upscaled pixels; `of_hq` (B, 256): HQ-SAM's token.
        """
        b, g = len(image), self.grid
        up = functional.linear(image, self.up_1_weight, self.up_1_bias).view(b, -1, len(self.up_norm.weight))
        up = functional.gelu(functional.layer_norm(up, up.shape[2:], self.up_norm.weight, self.up_norm.bias, UP_EPS))
        up = functional.gelu(functional.linear(up, self.up_2_weight, self.up_2_bias)).view(b, g * g * 16, -1)
        mask = _in_place(up @ of_masks, g).permute(0, 3, 1, 2).flatten(0, 1)
        if self.hq is not None:
            assert shared.fine is not None, "an embedding without HQ-SAM's features"
            mask = mask + self.hq(_in_place(up, g), shared.fine, of_hq)
        return mask.float()

    def _waves(self, xy: Tensor) -> Tensor:
        """(..., 256) the positional encoding of (..., 2) positions as shares of the side; angles are float32."""
        turns = (2 * xy - 1) @ self.frequencies * (2 * math.pi)
        return torch.cat([turns.sin(), turns.cos()], dim=-1).to(self.dtype)


def _columns(x: Tensor, wanted: list[int]) -> Tensor:
    """Those of the second axis. A list as an index would be a tensor that is copied to the device, and waited for."""
    return torch.stack([x[:, i] for i in wanted], dim=1)


def _in_place(pixels: Tensor, g: int) -> Tensor:
    """(B, 4 g, 4 g, C) of (B, g * g * 16, C), whose pixels come by patch, quarter of it, quarter of that."""
    b, _, c = pixels.shape
    split = pixels.view(b, g, g, 2, 2, 2, 2, c)  # y, x, dy, dx, ddy, ddx
    return split.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, 4 * g, 4 * g, c)
