"""SAM 2.1 and EdgeTAM behind the protocol, against the package's own processor and model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from decoder.sam2.small_sam2 import CPU, SIDE, frame_of, package_answers, small_network, small_sam2
from decoder.small_networks import prompts_of

from nodes.decoder.sam.automatic_masks import GeneratorRules, propose
from nodes.decoder.sam2.model_registry import build_network
from nodes.decoder.sam2.network import Sam2, load_sam2
from stream.errors import ConfigError, ModelError
from tools.goldens.sam2_weights import sam2_weights

KINDS = ["sam2", "edgetam"]
FRAME = frame_of(90, 160)
MASK = torch.randn(64, 64, generator=torch.Generator().manual_seed(3)).mul(4).repeat_interleave(4, 0)
MASK = MASK.repeat_interleave(4, 1)  # (256, 256): what an input of 256 px has as 64 x 64
OBJECTS = [
    ([(30.0, 40.0, 1), (70.5, 20.0, 1), (150.0, 80.0, 0)], (20.0, 10.0, 90.0, 60.0), MASK),
    ([(80.0, 45.0, 1)], None, None),
    ([(10.0, 10.0, 1), (12.0, 60.0, 0), (99.0, 9.0, 0), (5.0, 5.0, 1)], None, -MASK),
    ([], (40.0, 30.0, 120.0, 85.0), None),
    ([], None, MASK),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("multimask", [False, True])
def test_a_batch_answers_what_the_package_answers_to_each_object_alone(kind, multimask):
    network = small_network(kind)
    expected = [package_answers(network, FRAME, *one, multimask=multimask) for one in OBJECTS]
    logits, low_res, iou = (np.concatenate(parts) for parts in zip(*expected, strict=True))
    assert logits.std() > 0.1
    sam = Sam2(small_network(kind), CPU, side=SIDE)
    embedding = sam.encode(FRAME)
    for sam.at_once in (1, 5):
        answer = sam.predict(embedding, replace(prompts_of(OBJECTS), multimask=multimask))
        np.testing.assert_allclose(answer.low_res[:, ::4, ::4].numpy(), low_res, atol=1e-4)
        np.testing.assert_allclose(sam.upscale(answer.low_res, embedding).numpy(), logits, atol=1e-4)
        np.testing.assert_allclose(answer.iou, iou, atol=1e-4)


@pytest.mark.parametrize("size", [(256, 256), (61, 47), (480, 854), (1080, 1920), (33, 400)])
def test_frames_of_any_size_give_the_packages_logits(size):
    network, rgb = small_network(), frame_of(*size)
    height, width = size
    one = ([(width / 3, height / 2, 1), (1.0, 2.0, 0)], (2.0, 3.0, width / 2, height - 2.0), None)
    logits, _, iou = package_answers(network, rgb, *one, multimask=False)
    sam = Sam2(network, CPU, side=SIDE)
    embedding = sam.encode(rgb)
    answer = sam.predict(embedding, prompts_of([one]))
    np.testing.assert_allclose(sam.upscale(answer.low_res, embedding).numpy(), logits, atol=1e-4)
    np.testing.assert_allclose(answer.iou, iou, atol=1e-4)


def test_a_mask_that_changes_with_the_threshold_gives_way_to_the_best_of_three():
    sam = small_sam2()
    embedding, prompts = sam.encode(FRAME), prompts_of(OBJECTS)
    three = sam.predict(embedding, replace(prompts, multimask=True))
    best = three.iou.reshape(-1, 3).argmax(axis=1) + 3 * np.arange(len(OBJECTS))
    sam.decoder.stability = 0.0
    stable = sam.predict(embedding, prompts)
    sam.decoder.stability = 1.1  # no mask is that stable
    unstable = sam.predict(embedding, prompts)
    torch.testing.assert_close(unstable.low_res, three.low_res[torch.from_numpy(best)])
    np.testing.assert_allclose(unstable.iou, three.iou[best], rtol=1e-5)
    assert all((a - b).abs().max() > 0.01 for a, b in zip(stable.low_res, unstable.low_res, strict=True))


def test_more_padding_changes_nothing():
    sam = small_sam2()
    sam.at_once = 64
    embedding, prompts = sam.encode(FRAME), prompts_of(OBJECTS)
    wide = replace(
        prompts,
        xy=np.pad(prompts.xy, ((0, 0), (0, 9), (0, 0)), constant_values=33.0),
        labels=np.pad(prompts.labels, ((0, 0), (0, 9)), constant_values=-1),
    )
    torch.testing.assert_close(sam.predict(embedding, wide).low_res, sam.predict(embedding, prompts).low_res)


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_side_gives_what_the_package_gives_with_a_config_of_that_side(kind):
    expected, low_res, _ = package_answers(small_network(kind, side=128), FRAME, *OBJECTS[1], multimask=False)
    sam = Sam2(small_network(kind, side=256), CPU, side=128)  # the same weights
    embedding = sam.encode(FRAME)
    answer = sam.predict(embedding, prompts_of(OBJECTS[1:2]))
    assert answer.low_res.shape == (1, 256, 256)
    np.testing.assert_allclose(sam._native(answer.low_res).numpy(), low_res, atol=1e-4)
    np.testing.assert_allclose(sam.upscale(answer.low_res, embedding).numpy(), expected, atol=1e-4)


def test_a_network_of_full_size_gives_the_packages_logits():
    network = build_network("edgetam", "")  # the quickest of them
    network.load_state_dict(sam2_weights(3, "edgetam"), assign=True)
    rgb = frame_of(360, 640)
    one = ([(300.0, 200.0, 1), (10.0, 9.0, 0)], (100.0, 90.0, 500.0, 300.0), None)
    logits, _, iou = package_answers(network, rgb, *one, multimask=False)
    sam = Sam2(network, CPU)
    embedding = sam.encode(rgb)
    answer = sam.predict(embedding, prompts_of([one]))
    assert logits.std() > 0.1
    np.testing.assert_allclose(sam.upscale(answer.low_res, embedding).numpy(), logits, atol=1e-3)
    np.testing.assert_allclose(answer.iou, iou, atol=1e-4)


def test_bfloat16_is_close_and_the_decoder_stays_exact():
    exact, half = small_sam2(), small_sam2(dtype=torch.bfloat16)
    wanted, got = exact.encode(FRAME).features, half.encode(FRAME).features
    assert [level.dtype for level in got] == [torch.bfloat16] * 3
    for a, b in zip(wanted, got, strict=True):
        assert 0 < (b.float() - a).abs().mean() < 0.03 * a.abs().mean()
    answer = half.predict(half.encode(FRAME), prompts_of(OBJECTS))
    rounded = exact.predict(
        exact.hold_levels(tuple(level.float() for level in got), FRAME.shape[:2]), prompts_of(OBJECTS)
    )
    torch.testing.assert_close(answer.low_res, rounded.low_res)


def test_what_passes_on_a_frame_share_is_computed_once(monkeypatch):
    sam = small_sam2()
    calls = []
    share = sam.decoder.share_levels
    monkeypatch.setattr(sam.decoder, "share_levels", lambda *of: calls.append(of) or share(*of))
    first, second = sam.encode(FRAME), sam.encode(FRAME[::-1])
    for embedding in (first, first, second):
        sam.predict(embedding, prompts_of(OBJECTS[:2]))
    assert len(calls) == 2


def test_objects_are_found_that_nobody_named():
    sam = small_sam2()
    rules = GeneratorRules(side=4, iou=0, stability=0, min_area_px=1)
    found = propose(sam, sam.encode(FRAME), None, 3, rules)
    assert 1 <= len(found) <= 3
    assert all(0 <= proposal.score <= 1 for proposal in found)


def test_numbers_that_are_none_cost_one_frame():
    sam = small_sam2()
    levels = sam.encode(FRAME).features
    with pytest.raises(ModelError, match="NaN or infinite"):
        sam.hold_levels((levels[0], levels[1], levels[2] * torch.nan), (90, 160))


def test_a_network_that_a_backend_does_not_have_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'vit_b', which decoder\.backend sam2 does not have; tiny, small"):
        build_network("sam2", "vit_b")
    with pytest.raises(ConfigError, match=r"decoder\.side is 272; sam2 needs a multiple of 32"):
        load_sam2("sam2", "tiny", tmp_path / "none.pt", "cpu", side=272)
