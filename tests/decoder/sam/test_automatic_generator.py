"""Our search for objects against the `SamAutomaticMaskGenerator` of each package, on small networks."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from decoder.small_networks import CPU, SIDE, small_network

from nodes.decoder.sam.automatic_masks import GeneratorRules, grid, propose
from nodes.decoder.sam.network import Sam
from nodes.decoder.sam.protocol import SamPrompts
from stream.weights.torchvision_ops import import_quietly, prepare_torchvision

FRAME = np.random.default_rng(5).integers(0, 256, (90, 160, 3), np.uint8)
ROW = 6  # points in a row of the grid
PACKAGES = {"sam": "segment_anything", "hq_sam": "segment_anything_hq"}
SEEDS = {"sam": 0, "hq_sam": 12}  # networks with masks of all sizes


@pytest.fixture(scope="module", params=PACKAGES)
def network(request):
    """A small network whose masks are patches near the point, about a tenth of the frame, unlike each other."""
    made = small_network(request.param, SEEDS[request.param])
    decoder = made.mask_decoder
    made.image_encoder.neck[-1].weight.mul_(0.3)  # the picture tells little
    for block in decoder.transformer.layers:  # the point tells much, of the patches near it
        look = block.cross_attn_image_to_token
        look.q_proj.weight.mul_(4)
        look.k_proj.weight.copy_(look.q_proj.weight)
        look.out_proj.weight.mul_(3)
    first, second = decoder.output_upscaling[0], decoder.output_upscaling[3]
    for layer in (first, second):  # the pixels of a patch are alike
        layer.weight.copy_(layer.weight.mean((2, 3), keepdim=True).expand_as(layer.weight))
    second.weight.mul_(10)
    second.bias[0] = 5
    decoder.iou_prediction_head.layers[-1].weight.mul_(5)
    for mlp in decoder.output_hypernetworks_mlps:
        mlp.layers[-1].bias.normal_(std=30)
    for mlp, cut in zip(decoder.output_hypernetworks_mlps[1:], high_logits(made), strict=True):
        mlp.layers[-1].bias[0] -= cut / 5
    return made


def high_logits(network):
    """(3,) what a tenth of the logits of each of the three masks is above; of HQ-SAM's, three times the same."""
    sam = Sam(network, CPU, side=SIDE)
    points = grid(ROW, FRAME.shape[:2])
    n = len(points)
    none, no = np.full((n, 4), np.nan, np.float32), np.zeros(n, bool)
    prompts = SamPrompts(points[:, None], np.ones((n, 1), np.int64), none, None, no, multimask=True)
    embedding = sam.encode(FRAME)
    logits = sam.upscale(sam.predict(embedding, prompts).low_res, embedding)
    return logits.view(n, -1, *FRAME.shape[:2]).transpose(0, 1).flatten(1).quantile(0.9, dim=1).expand(3)


def package_finds(network, iou, stability, monkeypatch):
    """Masks (N, H, W), their boxes and their predicted IoU, as the package has them, the best first."""
    name = type(network).__module__.partition(".")[0]
    package = import_quietly(name)
    if not prepare_torchvision():  # its NMS is compiled, for another torch
        monkeypatch.setattr(importlib.import_module(f"{name}.automatic_mask_generator"), "batched_nms", nms)
    generator = package.SamAutomaticMaskGenerator(
        network, points_per_side=ROW, pred_iou_thresh=iou, stability_score_thresh=stability
    )
    found = sorted(generator.generate(FRAME), key=lambda one: -one["predicted_iou"])
    return [(one["segmentation"], one["bbox"], one["predicted_iou"]) for one in found]


def nms(boxes, scores, idxs, iou_threshold):
    """Which boxes (N, 4: x1, y1, x2, y2) overlap no better one by more, by torchvision's own measure."""
    box_iou = importlib.import_module("torchvision.ops").box_iou
    order, kept = scores.argsort(descending=True).tolist(), []
    overlap = box_iou(boxes, boxes)
    for i in order:
        if not any(overlap[i, j] > iou_threshold for j in kept):
            kept.append(i)
    return torch.tensor(kept)


@pytest.mark.parametrize(("iou", "stability"), [(0.0, 0.3), (0.3, 0.5), (0.3, 0.8)])
def test_the_masks_are_those_of_the_package(network, iou, stability, monkeypatch):
    theirs = package_finds(network, iou, stability, monkeypatch)
    sam = Sam(network, CPU, side=SIDE)
    everything = GeneratorRules(side=ROW, iou=iou, stability=stability, min_area_px=0, max_area=1.0, max_covered=1.0)
    ours = propose(sam, sam.encode(FRAME), None, 1000, everything)
    assert len(theirs) > 5
    assert [one.score for one in ours] == pytest.approx([np.clip(score, 0, 1) for _, _, score in theirs], abs=1e-4)
    for mine, (mask, (x, y, width, height), _) in zip(ours, theirs, strict=True):
        assert mine.bbox == (x, y, width + 1, height + 1)  # its boxes end in the middle of the last pixels
        whole = mine.whole(FRAME.shape[:2]) != 0
        assert np.count_nonzero(whole & mask) >= 0.99 * np.count_nonzero(whole | mask)
