"""Networks of the SAM 2 family, built small from the package's own classes, and the answers of its own pipeline."""

from __future__ import annotations

import numpy as np
import torch

from nodes.decoder.sam2.model_registry import REPVIT, import_module
from nodes.decoder.sam2.network import Sam2

SIDE = 256
DIM = 32
CPU = torch.device("cpu")


def small_network(kind="sam2", seed=0, side=SIDE):
    """A `Sam2Model` (with a Hiera of four blocks) or an `EdgeTamModel` with random weights of a size that tells."""
    models = import_module(f"models.{kind}.modeling_{kind}")
    configs = import_module(f"models.{kind}.configuration_{kind}")
    prefix = "EdgeTam" if kind == "edgetam" else "Sam2"
    sizes = [[side // s, side // s] for s in (4, 8, 16)]
    if kind == "edgetam":
        timm = import_module("models.timm_wrapper.configuration_timm_wrapper")
        vision = configs.EdgeTamVisionConfig(
            backbone_config=timm.TimmWrapperConfig(**REPVIT), fpn_hidden_size=DIM, backbone_feature_sizes=sizes
        )
    else:
        backbone = configs.Sam2HieraDetConfig(
            hidden_size=16,
            blocks_per_stage=[1, 2, 3, 1],
            embed_dim_per_stage=[16, 32, 64, 128],
            global_attention_blocks=[4],
        )
        vision = configs.Sam2VisionConfig(
            backbone_config=backbone,
            backbone_channel_list=[128, 64, 32, 16],
            fpn_hidden_size=DIM,
            backbone_feature_sizes=sizes,
        )
    config = getattr(configs, f"{prefix}Config")(
        vision_config=vision,
        prompt_encoder_config=getattr(configs, f"{prefix}PromptEncoderConfig")(hidden_size=DIM, image_size=side),
        mask_decoder_config=getattr(configs, f"{prefix}MaskDecoderConfig")(
            hidden_size=DIM, mlp_dim=64, num_attention_heads=2, iou_head_hidden_dim=DIM
        ),
    )
    torch.manual_seed(seed)
    network = getattr(models, f"{prefix}Model")(config).eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():  # as drawn by the package, masks would hardly differ
        if not tensor.is_floating_point():
            continue
        if name.endswith(("running_var", "norm.weight", "norm1.weight", "norm2.weight", "bn.weight")):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim >= 2 and "embed" not in name and "token" not in name:
            tensor.normal_(std=tensor[0].numel() ** -0.5)
        else:
            tensor.normal_(std=0.5)
    return network


def small_sam2(kind="sam2", side=SIDE, **options):
    """Our backend around such a network."""
    return Sam2(small_network(kind), CPU, side=side, **options)


def package_answers(network, rgb, points, box, mask, multimask=True):
    """What the package's processor and model give for one object.

    Logits (K, H, W), low-resolution logits (K, h, w), predicted IoU (K,).
    """
    side = network.prompt_encoder.input_image_size
    image_processor = import_module("models.sam2.image_processing_sam2").Sam2ImageProcessor(
        size={"height": side, "width": side}
    )
    processor = import_module("models.sam2.processing_sam2").Sam2Processor(image_processor, target_size=side)
    prompts = {}
    if points:
        prompts["input_points"] = [[[[float(x), float(y)] for x, y, _ in points]]]
        prompts["input_labels"] = [[[int(label) for *_, label in points]]]
    if box is not None:
        prompts["input_boxes"] = [[[float(v) for v in box]]]
    inputs = processor(images=rgb, return_tensors="pt", **prompts)
    sizes = inputs.pop("original_sizes")
    if mask is not None:
        step = 256 // (side // 4)
        inputs["input_masks"] = mask[None, None, ::step, ::step]
    with torch.no_grad():
        answer = network(**inputs, multimask_output=multimask)
    logits = processor.post_process_masks(answer.pred_masks[0].clone()[None], sizes, binarize=False)[0]
    return logits[0].numpy(), answer.pred_masks[0, 0].numpy(), answer.iou_scores[0, 0].numpy()


def frame_of(height, width, seed=5):
    """A frame of noise, (height, width, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
