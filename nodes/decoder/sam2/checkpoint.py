"""A file of weights in, the package's module with its tensors out: every one of them, no other, each of its shape.

Two layouts are read: Meta's own files, whose names become the package's here, and what the package writes itself. Both
may hold the memory of the video networks beside what a single frame needs; of an image network that part is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodes.decoder.sam2.model_registry import TRAINED_SIDE, build_network, build_video_network, published_name
from stream.weights.loading import load_strictly, read_tensors

MEMORY = (  # how the names begin that only a video network has
    "memory_",
    "mask_downsample.",
    "object_pointer_proj.",
    "temporal_positional_encoding_projection_layer.",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "occlusion_spatial_embedding_parameter",
    "spatial_perceiver.",
)
FREQUENCIES = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
OF_POINTS = "sam_prompt_encoder.point_embeddings."  # one tensor a kind of point in Meta's files, one in all here
THREE_LAYERS = r"(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+|object_pointer_proj)"
RENAMED = [  # in this order, each on what the ones before have made of a name
    (r"^image_encoder\.trunk\.body\.", "vision_encoder.backbone.timm_model."),
    (r"^image_encoder\.trunk\.patch_embed\.proj\.", "vision_encoder.backbone.patch_embed.projection."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_(prompt_encoder|mask_decoder)\.", r"\1."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"^obj_ptr_proj\.", "object_pointer_proj."),
    (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (rf"{THREE_LAYERS}\.layers\.0\.", r"\1.proj_in."),
    (rf"{THREE_LAYERS}\.layers\.1\.", r"\1.layers.0."),
    (rf"{THREE_LAYERS}\.layers\.2\.", r"\1.proj_out."),
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
    (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
    (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
    (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
    (r"\.gamma$", ".scale"),
    (r"\.dwconv\.", ".depthwise_conv."),
    (r"\.pwconv(\d)\.", r".pointwise_conv\1."),
    (r"\.out_proj\.", ".o_proj."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.norm(\d?)\.", r".layer_norm\1."),
]
OF_PERCEIVER = [  # EdgeTAM's, whose memory is made smaller
    (r"^spatial_perceiver\.latents$", "spatial_perceiver.latents_1d"),
    (r"^(memory_attention\.layers\.\d+)\.linear1\.", r"\1.mlp.up_proj."),
    (r"^(memory_attention\.layers\.\d+)\.linear2\.", r"\1.mlp.down_proj."),
    (r"\.attn\.norm_x\.", ".layer_norm_input."),
    (r"\.attn\.norm_latents\.", ".layer_norm_latents."),
    (r"\.self_attn\.layer_norm\.", ".layer_norm_self."),
    (r"(spatial_perceiver\.layers\.\d+)\.attn\.", r"\1.cross_attention."),
    (r"(spatial_perceiver\.layers\.\d+)\.self_attn\.", r"\1.self_attention."),
    (r"\.to_(q|kv)\.", r".\1_proj."),
    (r"\.to_out\.", ".o_proj."),
    (r"\.(self_)?ff\.0\.", r".\1mlp.layer_norm."),
    (r"\.(self_)?ff\.1\.", r".\1mlp.up_proj."),
    (r"\.(self_)?ff\.3\.", r".\1mlp.down_proj."),
]
PERCEIVER = "spatial_perceiver.latents"
DOWNSAMPLER = re.compile(r"^memory_encoder\.mask_downsampler\.encoder\.(\d+)\.")
DOWNSAMPLING_LAYERS = 4  # each a convolution, a norm and an activation


def load_network(backend: str, model: str, checkpoint: Path) -> Any:
    """The package's image network with the tensors of a file. CheckpointError where it is not theirs."""
    network, what = build_network(backend, model), published_name(backend, model)
    tensors = in_package_names(read_tensors(checkpoint, what))
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(MEMORY)}
    load_strictly(network, own, checkpoint, what)
    return network.eval()


def load_video_network(backend: str, model: str, checkpoint: Path, side: int = TRAINED_SIDE) -> Any:
    """The package's video network with the tensors of a file, which has to hold the memory as well."""
    network, what = build_video_network(backend, model, side), published_name(backend, model)
    load_strictly(network, in_package_names(read_tensors(checkpoint, what)), checkpoint, what)
    return network.eval()


def in_package_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names of the package; those that have them already stay as they are."""
    if FREQUENCIES not in tensors:
        return dict(tensors)
    rules = [*RENAMED, *(OF_PERCEIVER if PERCEIVER in tensors else ())]
    renamed = {
        package_name(name, rules): tensor
        for name, tensor in tensors.items()
        if name != FREQUENCIES and not name.startswith(OF_POINTS)
    }
    for name in [name for name in renamed if ".kv_proj." in name]:
        both = renamed.pop(name)
        keys, values = both.tensor_split(2)
        renamed |= {name.replace("kv_proj", "k_proj"): keys, name.replace("kv_proj", "v_proj"): values}
    renamed["shared_image_embedding.positional_embedding"] = tensors[FREQUENCIES]
    renamed["prompt_encoder.shared_embedding.positional_embedding"] = tensors[FREQUENCIES]
    kinds = sorted(name for name in tensors if name.startswith(OF_POINTS))
    if kinds and all(tensors[name].shape == tensors[kinds[0]].shape and tensors[name].ndim == 2 for name in kinds):
        renamed["prompt_encoder.point_embed.weight"] = torch.cat([tensors[name] for name in kinds])
    return renamed


def package_name(name: str, rules: Sequence[tuple[str, str]]) -> str:
    """What the package calls a tensor of Meta's files, by patterns and what comes in their place."""
    if downsampler := DOWNSAMPLER.match(name):
        layer, kind = divmod(int(downsampler[1]), 3)
        of_layer = (
            f"layers.{layer}.{('conv', 'layer_norm', 'act')[kind]}" if layer < DOWNSAMPLING_LAYERS else "final_conv"
        )
        return f"memory_encoder.mask_downsampler.{of_layer}.{name[downsampler.end() :]}"
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
