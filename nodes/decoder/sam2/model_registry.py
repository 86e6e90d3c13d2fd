"""The name of a network in, the module of `transformers` for it out, its tensors still to come; nothing here computes.

| backend | models | published as |
|---|---|---|
| sam2 | tiny, small, base_plus, large | sam2.1_hiera_*.pt |
| edgetam | one: `decoder.model` is not read | edgetam.pt |

Nothing is ever looked up on the hub: the sizes of the networks stand here, and the package is told to stay offline.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any

import torch

from stream.errors import ConfigError
from stream.weights.torchvision_ops import prepare_torchvision

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported
PACKAGE = "transformers"
TRAINED_SIDE = 1024  # px of the square input
EDGETAM = "edgetam"
HIERA: dict[
    str, dict[str, Any]
] = {  # model -> what its image encoder has that others have not; the rest is the package's default
    "tiny": {},
    "small": {"blocks_per_stage": [1, 2, 11, 2], "global_attention_blocks": [7, 10, 13]},
    "base_plus": {
        "hidden_size": 112,
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 3, 16, 3],
        "embed_dim_per_stage": [112, 224, 448, 896],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_positional_embedding_background_size": [14, 14],
        "global_attention_blocks": [12, 16, 20],
    },
    "large": {
        "hidden_size": 144,
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 6, 36, 4],
        "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_size_per_stage": [8, 4, 16, 8],
        "global_attention_blocks": [23, 33, 43],
    },
}
REPVIT: dict[str, Any] = {  # EdgeTAM's image encoder, of timm
    "architecture": "repvit_m1",
    "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
}
WITHOUT_IN_VIDEO = {  # parts of SAM 2.1's memory that EdgeTAM has not
    "enable_occlusion_spatial_embedding": False,
    "enable_temporal_pos_encoding_for_object_pointers": False,
    "project_temporal_pos_encoding_in_object_pointers": False,
}


def published_name(backend: str, model: str) -> str:
    """What tools/fetch_weights.py calls the weights of a network."""
    return EDGETAM if backend == EDGETAM else f"{backend}_{model}"


def build_network(backend: str, model: str) -> Any:
    """The package's `Sam2Model` or `EdgeTamModel` on the meta device. ConfigError for one that a backend has not."""
    return _build(backend, model, "Model", "Config")


def build_video_network(backend: str, model: str, side: int = TRAINED_SIDE) -> Any:
    """The package's `Sam2VideoModel` or `EdgeTamVideoModel` on the CPU, its weights drawn by the package.

    Not on the meta device: it computes tables that no checkpoint has, for one side of its square input.
    """
    return _build(backend, model, "VideoModel", "VideoConfig", "cpu", side)


def import_module(name: str) -> ModuleType:
    """A module of the package by the rest of its name."""
    prepare_torchvision()
    return importlib.import_module(f"{PACKAGE}.{name}")


def _build(
    backend: str, model: str, of_network: str, of_config: str, device: str = "meta", side: int = TRAINED_SIDE
) -> Any:
    if backend != EDGETAM and model not in HIERA:
        raise ConfigError(
            f"decoder.model is {model!r}, which decoder.backend sam2 does not have; {', '.join(HIERA)} are"
        )
    folder = f"{backend}_video" if of_network.startswith("Video") else backend
    networks = import_module(f"models.{folder}.modeling_{folder}")
    configs = import_module(f"models.{folder}.configuration_{folder}")
    prefix = "EdgeTam" if backend == EDGETAM else "Sam2"
    own: dict[str, Any] = {}
    if folder != backend:
        own = dict(WITHOUT_IN_VIDEO) if backend == EDGETAM else {}
        own["image_size"] = side
        own["prompt_encoder_config"] = getattr(configs, f"{prefix}VideoPromptEncoderConfig")(image_size=side)
        own["memory_attention_rope_feat_sizes"] = [side // 16, side // 16]
    config = getattr(configs, prefix + of_config)(vision_config=_vision(backend, model, side), **own)
    with torch.device(device):
        network = getattr(networks, prefix + of_network)(config)
    return network.requires_grad_(False).eval()


def _vision(backend: str, model: str, side: int) -> Any:
    """The config of an image encoder."""
    sizes = [[side // stride, side // stride] for stride in (4, 8, 16)]
    if backend == EDGETAM:
        importlib.import_module("timm")  # where it is missing, the package's own error does not name it
        timm = import_module("models.timm_wrapper.configuration_timm_wrapper")
        own = import_module("models.edgetam.configuration_edgetam")
        return own.EdgeTamVisionConfig(backbone_config=timm.TimmWrapperConfig(**REPVIT), backbone_feature_sizes=sizes)
    own = import_module("models.sam2.configuration_sam2")
    backbone = own.Sam2HieraDetConfig(**HIERA[model])
    return own.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=backbone.embed_dim_per_stage[::-1], backbone_feature_sizes=sizes
    )
