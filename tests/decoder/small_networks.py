"""Networks of the SAM family, built small from the packages' own classes, and the packages' own answers."""

from __future__ import annotations

import functools

import numpy as np
import torch

from nodes.decoder.sam.network import Sam
from nodes.decoder.sam.protocol import PADDING, SamPrompts
from stream.weights.torchvision_ops import import_quietly

SIDE = 256  # 16 patches a side: more than a window of 14, so that windows are padded
DIM = 32
CPU = torch.device("cpu")


def small_network(kind="sam", seed=0):
    """A package's `Sam` with random weights: `sam`, `hq_sam` or `tiny`, whose side the package has fixed at 1024."""
    package = import_quietly("segment_anything" if kind == "sam" else "segment_anything_hq")
    parts = package.modeling
    side = 1024 if kind == "tiny" else SIDE
    torch.manual_seed(seed)
    if kind == "tiny":
        encoder = parts.TinyViT(
            img_size=side,
            embed_dims=[8, 16, 32, 320],
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 4],
            window_sizes=[7, 7, 14, 7],
        )
        for name, tensor in encoder.state_dict().items():
            if name.endswith(("running_var", "bn.weight")):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", "bn.bias", "attention_biases")):
                tensor.normal_(std=0.3)
    else:
        encoder = parts.ImageEncoderViT(
            img_size=side,
            embed_dim=DIM,
            depth=4,
            num_heads=2,
            out_chans=DIM,
            norm_layer=functools.partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=[1, 3],
        )
        for name, tensor in encoder.state_dict().items():
            if "pos" in name:
                tensor.normal_(std=0.5)
    width = 256 if kind == "tiny" else DIM
    transformer = parts.TwoWayTransformer(depth=2, embedding_dim=width, mlp_dim=64, num_heads=2)
    decoder = parts.MaskDecoder(transformer_dim=width, transformer=transformer)
    if kind == "hq_sam":
        decoder = parts.MaskDecoderHQ(transformer_dim=width, transformer=transformer, vit_dim=DIM)
    patches = (side // 16, side // 16)
    prompts = parts.PromptEncoder(width, patches, (side, side), mask_in_chans=16)
    return parts.Sam(encoder, prompts, decoder).eval().requires_grad_(False)


def small_sam(kind="sam", side=SIDE, **options):
    """Our backend around such a network."""
    return Sam(small_network(kind), CPU, side=side, **options)


def prompts_of(objects):
    """A padded batch of (points [(x, y, label)], box or None, low_res or None)."""
    longest = max(len(points) for points, _, _ in objects)
    xy = np.zeros((len(objects), longest, 2), np.float32)
    labels = np.full((len(objects), longest), PADDING)
    boxes = np.full((len(objects), 4), np.nan, np.float32)
    low_res = torch.zeros(len(objects), 256, 256)
    for i, (points, box, mask) in enumerate(objects):
        for j, (x, y, label) in enumerate(points):
            xy[i, j], labels[i, j] = (x, y), label
        if box is not None:
            boxes[i] = box
        if mask is not None:
            low_res[i] = mask
    has = np.array([mask is not None for _, _, mask in objects])
    return SamPrompts(xy, labels, boxes, low_res if has.any() else None, has)


def package_answer(network, rgb, points, box, mask):
    """What the package's own predictor gives for one object: logits (H, W), low-resolution logits, predicted IoU."""
    logits, low_res, iou = package_answers(network, rgb, points, box, mask, multimask=False)
    return logits[0], low_res[0], iou[0]


def package_answers(network, rgb, points, box, mask, multimask=True):
    """All masks that it gives for one object: three of them, or one from HQ-SAM."""
    package = import_quietly(type(network).__module__.partition(".")[0])
    predictor = package.SamPredictor(network)
    predictor.set_image(rgb)
    numbers = np.array(points, np.float64).reshape(-1, 3)
    size = 4 * network.prompt_encoder.image_embedding_size[0]
    step = 256 // size
    logits, iou, low_res = predictor.predict(
        numbers[:, :2],
        numbers[:, 2],
        box=None if box is None else np.array(box, np.float64),
        mask_input=None if mask is None else mask[None, ::step, ::step].numpy(),
        multimask_output=multimask,
        return_logits=True,
    )
    return logits, low_res, iou
