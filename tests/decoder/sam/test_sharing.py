"""Frames of several cameras together: on a CPU the very numbers of each alone, in one run nearly the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from decoder.small_networks import prompts_of, small_network, small_sam

from nodes.decoder.sam.image_encoder import VitEncoder
from nodes.decoder.sam.network import PromptedFrame, Sam
from nodes.decoder.sam.shared_network import SharedSam
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.shared_models import SharedModels

RNG = np.random.default_rng(5)
FRAMES = [RNG.integers(0, 256, size, np.uint8) for size in ((90, 160, 3), (120, 100, 3), (64, 64, 3))]
MASK = torch.randn(64, 64, generator=torch.Generator().manual_seed(3)).mul(4).repeat_interleave(4, 0)
MASK = MASK.repeat_interleave(4, 1)
PROMPTS = [
    prompts_of([([(30.0, 40.0, 1), (70.5, 20.0, 1)], (20.0, 10.0, 90.0, 60.0), MASK), ([(80.0, 45.0, 1)], None, None)]),
    prompts_of([([(10.0, 10.0, 1), (12.0, 60.0, 0), (99.0, 9.0, 0)], None, None)]),
    prompts_of([([], (4.0, 3.0, 50.0, 55.0), None)] * 3),
]


def prompted(sam: Sam, multimask: bool = False) -> list[PromptedFrame]:
    embeddings = [sam.encode(rgb) for rgb in FRAMES]
    return [
        PromptedFrame(e, sam.share(e), replace(p, multimask=multimask))
        for e, p in zip(embeddings, PROMPTS, strict=True)
    ]


@pytest.mark.parametrize("kind", ["sam", "hq_sam"])
@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize(("at_once", "error"), [(1, 0.0), (2, 1e-4), (64, 1e-4)])
def test_objects_of_several_frames_together_have_the_masks_of_each_frame_alone(kind, multimask, at_once, error):
    sam = small_sam(kind)
    frames = prompted(sam, multimask)
    alone = [sam.predict(frame.embedding, frame.prompts) for frame in frames]
    sam.at_once = at_once
    together = sam.predict_together(frames)
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other.low_res, one.low_res, atol=error, rtol=0)
        np.testing.assert_allclose(other.iou, one.iou, atol=error)


@pytest.mark.parametrize("kind", ["sam", "hq_sam", "tiny"])
def test_an_encoder_gives_each_frame_of_a_batch_its_own_features(kind):
    sam = small_sam(kind)
    images = torch.stack([sam.prepare(rgb) for rgb in FRAMES])
    with torch.inference_mode():
        features, early = sam.encoder(images)
        for i in range(len(FRAMES)):
            one, one_early = sam.encoder(images[i : i + 1])
            torch.testing.assert_close(features[i : i + 1], one, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(early[i : i + 1], one_early, atol=1e-4, rtol=1e-4)


def test_attention_over_the_whole_grid_is_in_parts_where_the_batch_is_large(monkeypatch):
    monkeypatch.setattr("nodes.decoder.sam.image_encoder.BIAS_BYTES", {"cpu": 1})
    network = small_network()
    images = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        VitEncoder(network.image_encoder, 256)(images)[0], network.image_encoder(images), atol=1e-4, rtol=1e-4
    )


def test_on_a_cpu_frames_that_are_encoded_together_are_bit_for_bit_those_of_each_alone():
    sam = small_sam()
    for rgb, embedding in zip(FRAMES, sam.encode_together(FRAMES), strict=True):
        alone = sam.encode(rgb)
        assert (embedding.frame_size, embedding.input_size) == (alone.frame_size, alone.input_size)
        torch.testing.assert_close(embedding.features[0], alone.features[0], atol=0, rtol=0)


def test_cameras_that_share_a_network_get_what_each_would_get_of_its_own():
    models, sam = SharedModels(), small_sam()
    try:
        clients = [CameraClient(models.device("cpu"), f"c{i}", "decoder") for i in range(3)]
        shared = [SharedSam(sam, "small", client) for client in clients]
        embeddings = [own.encode(rgb) for own, rgb in zip(shared, FRAMES, strict=True)]
        for own, embedding, prompts, rgb in zip(shared, embeddings, PROMPTS, FRAMES, strict=True):
            alone = sam.encode(rgb)
            expected, found = sam.predict(alone, prompts), own.predict(embedding, prompts)
            torch.testing.assert_close(found.low_res, expected.low_res, atol=0, rtol=0)
            torch.testing.assert_close(
                own.upscale(found.low_res, embedding), sam.upscale(expected.low_res, alone), atol=0, rtol=0
            )
        assert models.device("cpu").figures().batches == 6
    finally:
        models.close()
