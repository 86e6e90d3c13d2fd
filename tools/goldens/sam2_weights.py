"""A seed in, the tensors of a SAM 2.1 or EdgeTAM network out: random, by a rule, in the package's own names.

One tensor after the other in the order of their sorted names, from one generator, scaled as SAM's are
(tools/goldens/sam_weights.py); where that rule goes by SAM's names, these are the package's:

    frequencies of the positions, tokens, embeddings of points      x
    the embeddings of "no mask" and "no memory"                     0.1 x
    positions of the image encoder                                  0.02 x
    other tensors of two or more dimensions                         x / sqrt(product of all sizes but the first)
    weights and running variances of a norm                         1 + 0.1 x
    the same of RepViT, whose residuals would grow without end      0.5 + 0.1 x
    other vectors, the biases                                       0.02 x

The kernels of the upscaling layers are constant over their 2 x 2 px, at twice their mean: masks are no noise then.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nodes.decoder.sam2.model_registry import build_network, build_video_network

AS_DRAWN = ("positional_embedding", "token.weight", "tokens.weight", "point_embed")
SMALL = ("no_mask_embed", "no_memory")
POSITIONS = ("pos_embed", "pos_embed_window", "positional_encoding", "no_object_pointer")


def sam2_weights(seed: int = 0, backend: str = "sam2", model: str = "tiny", video: bool = False) -> dict[str, Tensor]:
    """The tensors of an image network, or of a video network with its memory."""
    build = build_video_network if video else build_network
    shapes = {name: tensor.shape for name, tensor in build(backend, model).state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    return {name: _scaled(name, torch.randn(shapes[name], generator=generator)) for name in sorted(shapes)}


def _scaled(name: str, x: Tensor) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if any(part in name for part in AS_DRAWN) or name.endswith("not_a_point_embed.weight"):
        return x
    if any(part in name for part in SMALL):
        return 0.1 * x
    if name.endswith(POSITIONS):
        return 0.02 * x
    if "timm_model" in name and name.endswith("bn.weight"):
        return 0.5 + 0.1 * x
    if x.ndim < 2:
        return 1 + 0.1 * x if name.endswith((".weight", "running_var")) else 0.02 * x
    x = x / math.sqrt(math.prod(x.shape[1:]))
    if "upscale_conv" in name and x.ndim == 4:
        x = (2 * x.mean(dim=(2, 3), keepdim=True)).expand(x.shape).contiguous()
    return x
