"""A golden folder in, the SAM ViT-B out that its files were made with: from a file that lies there, or from a seed.

The recipe of the random tensors, one after the other in the order of their sorted names, from one generator:

    frequencies of the positions, tokens, embeddings of points      x
    the embedding of "no mask"                                      0.1 x
    positions of the image encoder, absolute and relative           0.02 x
    other tensors of two or more dimensions                         x / sqrt(product of all sizes but the first)
    weights of a norm                                               1 + 0.1 x
    other vectors, the biases                                       0.02 x

Masks of such a network would be noise from pixel to pixel, and every box the whole frame: the kernels of the upscaling
layers are made constant over their 2 x 2 px, at twice their mean.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodes.decoder.sam.model_registry import build_network
from nodes.decoder.sam.network import Sam
from nodes.decoder.sam.protocol import SamEmbedding, SamPrompts
from stream.errors import CheckpointError, ConfigError
from stream.weights.loading import load_strictly, read_tensors
from tools.goldens.folder_weights import SEEDS, Weights
from tools.goldens.rows import Golden

AS_DRAWN = ("positional_encoding_gaussian_matrix", "iou_token", "mask_tokens", "point_embeddings", "not_a_point_embed")
POSITIONS = ("pos_embed", "rel_pos_h", "rel_pos_w")
SHRUNK = 0.02
CLOSE = 1e-3  # two seeds differ in their predicted IoU by about 0.1
CHECKED = 3  # cases; a single one may fit by chance


def sam_weights(seed: int = 0, backend: str = "sam", model: str = "vit_b") -> dict[str, Tensor]:
    """The tensors of a network of the SAM family, float32, as they are published; 314 for SAM ViT-B."""
    shapes = {name: tensor.shape for name, tensor in build_network(backend, model).state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    return {name: _scaled(name, torch.randn(shapes[name], generator=generator)) for name in sorted(shapes)}


def _scaled(name: str, x: Tensor) -> Tensor:
    if name.endswith("num_batches_tracked"):  # of TinyViT, which the goldens do not have
        return torch.zeros((), dtype=torch.int64)
    if any(part in name for part in AS_DRAWN):
        return x
    if "no_mask_embed" in name:
        return 0.1 * x
    if name.endswith(POSITIONS):
        return SHRUNK * x
    if x.ndim < 2:
        return 1 + 0.1 * x if name.endswith((".weight", "running_var")) else SHRUNK * x
    x = x / math.sqrt(math.prod(x.shape[1:]))
    if "output_upscaling" in name and x.ndim == 4:
        x = (2 * x.mean(dim=(2, 3), keepdim=True)).expand(x.shape).contiguous()
    return x


def synthetic_embedding(seed: int) -> Tensor:
    """(1, 256, 64, 64) float32: one vector everywhere, a bump of another, noise; it stands in for the encoder."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    base, other = (torch.randn(256, 1, 1, generator=generator) for _ in range(2))
    bump = torch.exp(-(((x - 34) / 9) ** 2 + ((y - 14) / 6) ** 2))
    return (base + 3 * bump * other + 0.1 * torch.randn(256, 64, 64, generator=generator))[None]


def find_sam(weights: Weights) -> Sam:
    """SAM of a folder's goldens, on the device; looked for once, and `weights.origins` says where it came from."""
    sam, origin = _find(weights.folder, weights.seed, weights.device)
    weights.note(origin)
    return sam


@lru_cache(maxsize=1)
def _find(folder: Path, seed: int | None, device: torch.device) -> tuple[Sam, str]:
    network, origin = _network_of(folder, seed)
    return Sam(network, device), origin


def _network_of(folder: Path, seed: int | None) -> tuple[Any, str]:
    for file in sorted(folder.glob("*.pth")):
        try:
            return _network(read_tensors(file, "sam_vit_b"), file), f"SAM: {file}"
        except CheckpointError:
            continue  # of another network
    if seed is not None:
        return _network(sam_weights(seed), folder), f"SAM: seed {seed}, as given"
    files = sorted(folder.glob("sam_prompting*.npz"))
    if not files:
        raise ConfigError(
            f"{folder} has no sam_prompting*.npz, which tells the seed of SAM's weights: put them there as a .pth "
            "file, or name their seed with --seed N"
        )
    golden = Golden(files[0])
    for guess in SEEDS:
        network = _network(sam_weights(guess), folder)
        if _fits(Sam(network, torch.device("cpu")), golden):
            return network, f"SAM: seed {guess}, whose predicted IoUs fit {files[0].name}"
    raise ConfigError(
        f"no seed of {SEEDS.start} to {SEEDS.stop - 1} gives the weights that {files[0]} was made with: put them there "
        "as a .pth file, or name their seed with --seed N"
    )


def _network(tensors: dict[str, Tensor], source: Path) -> Any:
    network = build_network("sam", "vit_b")
    load_strictly(network, tensors, source, "sam_vit_b")
    return network.eval()


def _fits(sam: Sam, golden: Golden) -> bool:
    """Whether the first passes of a few cases have the golden predicted IoUs."""
    cases = [name.removesuffix("/call_iou") for name in golden if name.endswith("/call_iou")]
    return all(
        abs(_first_iou(sam, golden, case) - float(golden[f"{case}/call_iou"][0])) < CLOSE for case in cases[:CHECKED]
    )


def _first_iou(sam: Sam, golden: Golden, case: str) -> float:
    labels = golden[f"{case}/call_labels"][:1].astype(np.int64)
    points, used = golden[f"{case}/call_points"][:1], labels[0] >= 0  # of the 1024 frame
    none = np.full((1, 4), np.nan, np.float32)
    prompts = SamPrompts(points[:, used], labels[:, used], none, None, np.array([False]))
    answer = sam.predict(embedding_of(sam, int(golden[f"{case}/embedding_seed"]), (1024, 1024)), prompts)
    return float(answer.iou[0])


def embedding_of(sam: Sam, seed: int, frame_size: tuple[int, int]) -> SamEmbedding:
    """The synthetic embedding of a case, as of a frame of that size."""
    return sam.hold(synthetic_embedding(seed), frame_size)
