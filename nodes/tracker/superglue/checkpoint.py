"""MagicLeap's two files of weights in, the network of `transformers` out; their names and shapes become the package's.

authors (superpoint_v1.pth)       package, after `keypoint_detector.`

conv1a, conv1b, ... conv4b        encoder.conv_blocks.0.conv_a, .0.conv_b, ... .3.conv_b
convPa, convPb                    keypoint_decoder.conv_score_a, _b
convDa, convDb                    descriptor_decoder.conv_descriptor_a, _b

authors (superglue_outdoor.pth)   package

kenc.encoder.{0, 3, 6, 9}         keypoint_encoder.encoder.{0, 1, 2, 3}.linear
kenc.encoder.{1, 4, 7, 10}; 12    keypoint_encoder.encoder.{0, 1, 2, 3}.batch_norm; .4
gnn.layers.L.attn.proj.{0, 1, 2}  gnn.layers.L.attention.self.{query, key, value}
gnn.layers.L.attn.merge           gnn.layers.L.attention.output.dense
gnn.layers.L.mlp.{0, 1, 3}        gnn.layers.L.mlp.{0.linear, 0.batch_norm, 1}
final_proj                        final_projection.final_proj
bin_score                         the same

Kernels of length 1 lose that axis. The authors interleave the heads of an attention (channel 4 d + head), the package
has one after the other (64 head + d): rows of query, key and value, and columns of what merges them, are put in order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nodes.tracker.superglue.network import build_network
from stream.weights.loading import load_strictly, read_tensors

SUPERPOINT, SUPERGLUE = "superpoint", "superglue"  # their names in tools/fetch_weights.py
DETECTOR = "keypoint_detector."
HEADS = 4
KINDS = ("query", "key", "value")
PROJECTION, MERGE = re.compile(r"\.attn\.proj\.\d\."), re.compile(r"\.attn\.merge\.weight")
SUPERPOINT_RULES = {"P": "keypoint_decoder.conv_score_", "D": "descriptor_decoder.conv_descriptor_"}


def load_superglue(superpoint: Path, superglue: Path) -> Any:
    """The network with the weights of both files, on the CPU; CheckpointError says what is wrong with which."""
    module = build_network()
    points, glue = (
        read_tensors(path.expanduser(), what) for path, what in ((superpoint, SUPERPOINT), (superglue, SUPERGLUE))
    )
    load_strictly(module.keypoint_detector, from_superpoint(points), superpoint, SUPERPOINT)
    detector, module.keypoint_detector = module.keypoint_detector, None
    load_strictly(module, from_superglue(glue), superglue, SUPERGLUE)
    module.keypoint_detector = detector
    return module.eval()


def from_superpoint(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of superpoint_v1.pth by the package's names."""
    return {superpoint_name(name): tensor for name, tensor in tensors.items()}


def superpoint_name(name: str) -> str:
    """What the package calls a tensor of superpoint_v1.pth."""
    block = re.fullmatch(r"conv(\d)([ab])\.(weight|bias)", name)
    if block:
        return f"encoder.conv_blocks.{int(block[1]) - 1}.conv_{block[2]}.{block[3]}"
    head = re.fullmatch(r"conv([PD])([ab])\.(weight|bias)", name)
    return f"{SUPERPOINT_RULES[head[1]]}{head[2]}.{head[3]}" if head else name


def from_superglue(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of superglue_outdoor.pth by the package's names, in its shapes and its order of channels."""
    renamed = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 3 and tensor.shape[2] == 1:
            tensor = tensor[:, :, 0]
        if PROJECTION.search(name):
            tensor = head_by_head(tensor)
        elif MERGE.search(name) and tensor.ndim == 2:
            tensor = head_by_head(tensor.T).T
        renamed[superglue_name(name)] = tensor
    return renamed


def head_by_head(rows: Tensor) -> Tensor:
    """Rows that were interleaved, head by head: row 64 head + d of what was row 4 d + head."""
    if rows.ndim == 0 or rows.shape[0] % HEADS:
        return rows  # of another network: refused later, by its shape
    return rows.reshape(-1, HEADS, *rows.shape[1:]).transpose(0, 1).reshape(rows.shape)


def superglue_name(name: str) -> str:
    """What the package calls a tensor of superglue_outdoor.pth."""
    name = re.sub(r"^final_proj\.", "final_projection.final_proj.", name)
    encoder = re.fullmatch(r"kenc\.encoder\.(\d+)\.(.+)", name)
    if encoder:
        return f"keypoint_encoder.encoder.{_layer(int(encoder[1]), last=12)}.{encoder[2]}"
    layer = re.fullmatch(r"gnn\.layers\.(\d+)\.(attn\.proj|attn\.merge|mlp)(?:\.(\d+))?\.(\w+)", name)
    if not layer:
        return name
    start = f"gnn.layers.{layer[1]}"
    if layer[2] == "mlp":
        return f"{start}.mlp.{_layer(int(layer[3] or 0), last=3)}.{layer[4]}"
    if layer[2] == "attn.merge":
        return f"{start}.attention.output.dense.{layer[4]}"
    index = int(layer[3] or 0)
    return f"{start}.attention.self.{KINDS[index]}.{layer[4]}" if index < len(KINDS) else name


def _layer(index: int, last: int) -> str:
    """Of a chain of convolution, norm and ReLU that ends with a convolution at `last`."""
    if index == last:
        return str(last // 3)
    return f"{index // 3}.{('linear', 'batch_norm')[index % 3] if index % 3 < 2 else 'relu'}"
