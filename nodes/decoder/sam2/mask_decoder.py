"""Three levels of a frame's features and the prompts of B objects in, low-resolution logits and predicted IoUs out.

SAM 2's mask decoder is SAM's, and is computed as SAM's is (nodes/decoder/sam/mask_decoder.py). What it has beside it:

- Features of two finer levels are added where the mask is upscaled; they are put in the order of its pixels once a
  frame.
- A box is followed by a token that says "no further point".
- A single mask that hardly changes with the threshold is the answer; instead of one that does, it is the best rated of
  the three. Which token says whether there is an object is attended to, and what it says is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodes.decoder.sam.mask_decoder import UP_EPS, PromptDecoder, Shared, Tokens, _in_place
from nodes.decoder.sam.protocol import PADDING

MASKS = 4  # a single one, and three


@dataclass(frozen=True)
class LevelsShared(Shared):
    """What all passes on one frame have in common, with its finer features pixel by pixel."""

    middle: Tensor  # (4 P, 64)
    finest: Tensor  # (16 P, 32)


class Attention(nn.Module):
    """The package's attention by the names of SAM's."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.num_heads = attention.num_attention_heads
        self.q_proj, self.k_proj, self.v_proj = attention.q_proj, attention.k_proj, attention.v_proj
        self.out_proj = attention.o_proj


class Block(nn.Module):
    """The package's two-way block by the names of SAM's."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.skip_first_layer_pe, self.mlp = block.skip_first_layer_pe, block.mlp
        self.self_attn = Attention(block.self_attn)
        self.cross_attn_token_to_image = Attention(block.cross_attn_token_to_image)
        self.cross_attn_image_to_token = Attention(block.cross_attn_image_to_token)
        self.norm1, self.norm2 = block.layer_norm1, block.layer_norm2
        self.norm3, self.norm4 = block.layer_norm3, block.layer_norm4


class LevelsDecoder(PromptDecoder):
    """Prompt encoder and mask decoder with the weights of a package's `Sam2Model` or `EdgeTamModel`."""

    def __init__(self, network: Any, grid: int) -> None:
        masks = network.mask_decoder
        super().__init__(SimpleNamespace(prompt_encoder=_prompts(network), mask_decoder=_masks(masks)), grid)
        outputs = [masks.iou_token, masks.mask_tokens, masks.obj_score_token]
        self._keep("outputs", torch.cat([token.weight for token in outputs]))
        self.chooses = masks.dynamic_multimask_via_stability
        self.offset, self.stability = masks.dynamic_multimask_stability_delta, masks.dynamic_multimask_stability_thresh

    def _keep_image_side(self, prompts: Any) -> None:
        """The package keeps the frequencies of the image's positions and of the points' apart."""
        of_points = self.frequencies
        self._keep("frequencies", prompts.image_frequencies)
        super()._keep_image_side(prompts)
        self._keep("frequencies", of_points)

    def share_levels(self, features: Tensor, middle: Tensor, fine: Tensor) -> LevelsShared:
        """What the passes on a frame share, of its features (1, 256, g, g), (1, 2 g, 2 g, 64), (1, 4 g, 4 g, 32)."""
        g, own = self.grid, self.share(features, None)
        ordered = middle.view(g, 2, g, 2, -1).permute(0, 2, 1, 3, 4)  # y, x, dy, dx
        finest = fine.view(g, 2, 2, g, 2, 2, -1).permute(0, 3, 1, 4, 2, 5, 6)  # y, x, dy, dx, ddy, ddx
        return LevelsShared(
            own.image, own.projected, None, ordered.reshape(4 * g * g, -1), finest.reshape(16 * g * g, -1)
        )

    def shared_of(self, tensors: Sequence[Tensor]) -> LevelsShared:
        """A `LevelsShared` of its tensors, in their order."""
        image, projected, middle, finest = tensors
        return LevelsShared(image, projected, None, middle, finest)

    def embed(self, xy: Tensor, labels: Tensor, boxes: Tensor, *, padded: bool = True) -> Tokens:
        """As SAM's, but for "no further point": it follows a box as well, and is there twice without points and box."""
        b, has_box = len(xy), ~boxes.isnan().any(dim=1)
        nothing = self.kinds[0].expand(b, 1, -1)
        corners = self._waves(boxes.nan_to_num().view(b, 2, 2)) + self.kinds[3:]
        bare = ~has_box & (labels == PADDING).all(dim=1)
        corners[:, 0] = torch.where(bare[:, None], self.kinds[0], corners[:, 0])
        points = self._waves(xy) + self.kinds[labels + 1]
        tokens = torch.cat([self.outputs.expand(b, -1, -1), points, corners, nothing], dim=1)
        if not padded:
            return Tokens(tokens, None)
        allowed = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        allowed[:, len(self.outputs) : -3] = labels != PADDING
        allowed[:, -3] = has_box | bare
        allowed[:, -2] = has_box
        return Tokens(tokens, allowed[:, None, None])

    def _answer(
        self, queries: Tensor, tokens: Tokens, image: Tensor, shared: Shared, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        wanted = slice(1 + MASKS)
        outputs = self.final_norm(queries[:, wanted] + self._look_again((queries + tokens.embedded)[:, wanted], image))
        iou = self.iou_head(outputs[:, 0]).float()  # (B, 4)
        of_masks = torch.stack([mlp(outputs[:, 1 + i]) for i, mlp in enumerate(self.mask_mlps)], dim=2)  # (B, 32, 4)
        pixels = self._pixels(image, shared)
        if multimask:
            masks, iou = pixels @ of_masks[:, :, 1:], iou[:, 1:]
        else:
            masks, iou = self._choose(pixels, of_masks, iou)
        return _in_place(masks, self.grid).permute(0, 3, 1, 2).flatten(0, 1).float(), iou.flatten()

    def _choose(self, pixels: Tensor, of_masks: Tensor, iou: Tensor) -> tuple[Tensor, Tensor]:
        """The single mask (B, 16 P, 1) and its IoU (B, 1), or the best rated of the three where that is not stable."""
        single = pixels @ of_masks[:, :, :1]
        narrow, wide = (single > self.offset).sum(dim=1), (single > -self.offset).sum(dim=1)
        stable = torch.where(wide > 0, narrow.float() / wide.float(), 1.0) >= self.stability  # (B, 1)
        if not self.chooses or (stable.device.type == "cpu" and bool(stable.all())):  # a GPU would be waited for
            return single, iou[:, :1]
        chosen = torch.where(stable, 0, 1 + iou[:, 1:].argmax(dim=1, keepdim=True))
        best = pixels @ of_masks.take_along_dim(chosen[:, None], dim=2)
        return torch.where(stable[:, None], single, best), iou.take_along_dim(chosen, dim=1)

    def _pixels(self, image: Tensor, shared: Shared) -> Tensor:
        """(B, 16 P, 32): the upscaled image side (B, P, 256), by patch, quarter of it, quarter of that."""
        assert isinstance(shared, LevelsShared), "an embedding without the finer levels"
        b, norm = len(image), self.up_norm
        up = functional.linear(image, self.up_1_weight, self.up_1_bias).view(b, *shared.middle.shape) + shared.middle
        up = functional.gelu(functional.layer_norm(up, up.shape[2:], norm.weight, norm.bias, UP_EPS))
        up = functional.linear(up, self.up_2_weight, self.up_2_bias).view(b, *shared.finest.shape) + shared.finest
        return functional.gelu(up)


def _prompts(network: Any) -> SimpleNamespace:
    """The package's prompt encoder by the names of SAM's."""
    prompts, masks = network.prompt_encoder, network.prompt_encoder.mask_embed
    layers = (masks.conv1, masks.layer_norm1, masks.activation, masks.conv2, masks.layer_norm2, masks.activation)
    return SimpleNamespace(
        image_frequencies=network.shared_image_embedding.positional_embedding,
        pe_layer=SimpleNamespace(positional_encoding_gaussian_matrix=prompts.shared_embedding.positional_embedding),
        point_embeddings=[prompts.point_embed],
        not_a_point_embed=prompts.not_a_point_embed,
        no_mask_embed=prompts.no_mask_embed,
        mask_downscaling=nn.Sequential(*layers, masks.conv3),
    )


def _masks(masks: Any) -> SimpleNamespace:
    """The package's mask decoder by the names of SAM's."""
    layers = masks.transformer
    return SimpleNamespace(
        transformer=SimpleNamespace(
            layers=nn.ModuleList(Block(block) for block in layers.layers),
            final_attn_token_to_image=Attention(layers.final_attn_token_to_image),
            norm_final_attn=layers.layer_norm_final_attn,
        ),
        iou_prediction_head=masks.iou_prediction_head,
        output_hypernetworks_mlps=masks.output_hypernetworks_mlps,
        iou_token=masks.iou_token,
        mask_tokens=masks.mask_tokens,
        output_upscaling=(masks.upscale_conv1, masks.upscale_layer_norm, None, masks.upscale_conv2, None),
    )
