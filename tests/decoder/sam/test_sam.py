"""SAM and HQ-SAM behind the protocol, against the packages' own predictors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from decoder.small_networks import CPU, SIDE, package_answer, package_answers, prompts_of, small_network, small_sam

from nodes.decoder.sam.image_encoder import VitEncoder, relative
from nodes.decoder.sam.model_registry import build_network
from nodes.decoder.sam.network import Sam, check_side, load_sam
from nodes.decoder.sam.object_threads import TorchObjectThreads
from nodes.decoder.sam.prompt_batches import split
from stream.errors import CheckpointError, ConfigError, ModelError

FRAME = np.random.default_rng(5).integers(0, 256, (90, 160, 3), np.uint8)  # neither as large as the input nor square
MASK = torch.randn(64, 64, generator=torch.Generator().manual_seed(3)).mul(4).repeat_interleave(4, 0)
MASK = MASK.repeat_interleave(4, 1)  # (256, 256): what an input of 256 px has as 64 x 64
OBJECTS = [
    ([(30.0, 40.0, 1), (70.5, 20.0, 1), (150.0, 80.0, 0)], (20.0, 10.0, 90.0, 60.0), MASK),
    ([(80.0, 45.0, 1)], None, None),
    ([(10.0, 10.0, 1), (12.0, 60.0, 0), (99.0, 9.0, 0), (5.0, 5.0, 1)], None, -MASK),
    ([], (40.0, 30.0, 120.0, 85.0), None),
    ([], None, MASK),
]


@pytest.mark.parametrize("kind", ["sam", "hq_sam"])
@pytest.mark.parametrize("at_once", [1, 5])
def test_a_batch_answers_what_the_package_answers_to_each_object_alone(kind, at_once):
    network = small_network(kind)
    expected = [package_answer(network, FRAME, *one) for one in OBJECTS]
    sam = Sam(network, CPU, side=SIDE)
    sam.at_once = at_once
    embedding = sam.encode(FRAME)
    answer = sam.predict(embedding, prompts_of(OBJECTS))
    logits = sam.upscale(answer.low_res, embedding)
    for i, (at_frame_size, low_res, iou) in enumerate(expected):
        assert np.abs(at_frame_size).max() > 0.01
        np.testing.assert_allclose(answer.low_res[i, ::4, ::4].numpy(), low_res, atol=1e-5)
        np.testing.assert_allclose(logits[i].numpy(), at_frame_size, atol=1e-5)
        assert answer.iou[i] == pytest.approx(iou, abs=1e-5)


@pytest.mark.parametrize(("kind", "count"), [("sam", 3), ("hq_sam", 1)])
@pytest.mark.parametrize("at_once", [1, 5])
def test_asked_for_several_masks_it_answers_with_those_of_the_package(kind, count, at_once):
    network = small_network(kind)
    network.mask_decoder.iou_prediction_head.layers[-1].weight.mul_(30)  # so that not the same is best for all objects
    expected = [package_answers(network, FRAME, *one) for one in OBJECTS]
    sam = Sam(network, CPU, side=SIDE)
    sam.at_once = at_once
    embedding = sam.encode(FRAME)
    answer = sam.predict(embedding, replace(prompts_of(OBJECTS), multimask=True))
    assert answer.low_res.shape == (5 * count, 256, 256)
    logits, low_res, iou = (np.concatenate(parts) for parts in zip(*expected, strict=True))
    np.testing.assert_allclose(answer.low_res[:, ::4, ::4].numpy(), low_res, atol=1e-5)
    np.testing.assert_allclose(sam.upscale(answer.low_res, embedding).numpy(), logits, atol=1e-5)
    np.testing.assert_allclose(answer.iou, iou, atol=1e-4)


def test_the_single_mask_is_none_of_the_several():
    sam = small_sam()
    embedding, prompts = sam.encode(FRAME), prompts_of(OBJECTS[:1])
    single, several = sam.predict(embedding, prompts), sam.predict(embedding, replace(prompts, multimask=True))
    assert all((single.low_res[0] - mask).abs().max() > 0.01 for mask in several.low_res)


def test_more_padding_changes_nothing():
    sam = small_sam()
    sam.at_once = 64
    embedding = sam.encode(FRAME)
    prompts = prompts_of(OBJECTS)
    wide = replace(
        prompts,
        xy=np.pad(prompts.xy, ((0, 0), (0, 9), (0, 0)), constant_values=33.0),
        labels=np.pad(prompts.labels, ((0, 0), (0, 9)), constant_values=-1),
    )
    torch.testing.assert_close(sam.predict(embedding, wide).low_res, sam.predict(embedding, prompts).low_res)


def test_a_box_means_the_same_place_at_any_frame_size():
    sam = small_sam()
    small, large = FRAME[::2, ::2], FRAME[::2, ::2].repeat(3, axis=0).repeat(3, axis=1)
    features = sam.encode(small).features[0]
    answers = [
        sam.predict(
            sam.hold(features, rgb.shape[:2]), prompts_of([([], tuple(scale * v for v in (8, 9, 60, 30)), None)])
        )
        for rgb, scale in ((small, 1), (large, 3))
    ]
    torch.testing.assert_close(answers[0].low_res, answers[1].low_res, atol=1e-5, rtol=0)


def test_what_passes_on_a_frame_share_is_computed_once(monkeypatch):
    sam = small_sam()
    calls = []
    share = sam.decoder.share
    monkeypatch.setattr(sam.decoder, "share", lambda *of: calls.append(of) or share(*of))
    first, second = sam.encode(FRAME), sam.encode(FRAME[::-1])
    for embedding in (first, first, second, second):
        sam.predict(embedding, prompts_of(OBJECTS[:2]))
    assert len(calls) == 2


@pytest.mark.parametrize("kind", ["sam", "hq_sam"])
def test_the_encoder_computes_what_the_package_computes(kind):
    network = small_network(kind)
    image = torch.randn(1, 3, SIDE, SIDE)
    expected = network.image_encoder(image)
    features, early = VitEncoder(network.image_encoder, SIDE)(image)
    if kind == "hq_sam":
        expected, (early_expected, _) = expected
        torch.testing.assert_close(early, early_expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def test_at_a_smaller_side_positions_are_resampled():
    network = small_network().image_encoder
    image = torch.randn(1, 3, 160, 160)
    features, _ = VitEncoder(network, 160)(image)
    places = torch.nn.functional.interpolate(
        network.pos_embed.permute(0, 3, 1, 2), (10, 10), mode="bicubic", antialias=True
    )
    network.pos_embed = torch.nn.Parameter(places.permute(0, 2, 3, 1))  # the package resamples relative ones itself
    torch.testing.assert_close(features, network(image), atol=1e-5, rtol=1e-5)


def test_relative_positions_at_the_trained_size_are_the_trained_ones():
    table = torch.arange(7.0)[:, None]
    assert relative(table, 4)[:, :, 0].tolist() == [[3, 2, 1, 0], [4, 3, 2, 1], [5, 4, 3, 2], [6, 5, 4, 3]]


@pytest.mark.parametrize("side", [160, 208, 256])
def test_logits_of_a_smaller_side_come_back_as_mask_input_unchanged(side):
    sam = small_sam(side=side)
    embedding = sam.encode(FRAME)
    answer = sam.predict(embedding, prompts_of(OBJECTS[:2]))
    assert answer.low_res.shape == (2, 256, 256)
    again = sam.predict(embedding, prompts_of([(*OBJECTS[1][:2], answer.low_res[1])]))
    assert sam.upscale(again.low_res, embedding).shape == (1, 90, 160)
    native = sam._native(answer.low_res)
    assert native.shape == (2, side // 4, side // 4)
    up = torch.nn.functional.interpolate(native[:, None], (256, 256), mode="nearest-exact")[:, 0]
    assert torch.equal(up, answer.low_res)


def test_a_frame_is_prepared_as_the_package_prepares_it():
    network = small_network()
    sam = Sam(network, CPU, side=SIDE)
    transforms = __import__("segment_anything.utils.transforms", fromlist=["ResizeLongestSide"])
    for rgb in (FRAME, FRAME.transpose(1, 0, 2), np.tile(FRAME, (4, 4, 1)), np.tile(FRAME[:, :90], (3, 3, 1))):
        resized = transforms.ResizeLongestSide(SIDE).apply_image(np.ascontiguousarray(rgb))
        expected = network.preprocess(torch.from_numpy(resized).permute(2, 0, 1).float()[None])[0]
        torch.testing.assert_close(sam.prepare(rgb), expected)


def test_bfloat16_is_close_and_the_decoder_stays_exact():
    exact, half = small_sam(), small_sam(dtype=torch.bfloat16)
    wanted, got = exact.encode(FRAME).features[0], half.encode(FRAME).features[0]
    assert got.dtype == torch.bfloat16
    assert 0 < (got.float() - wanted).abs().mean() < 0.02 * wanted.abs().mean()
    answer = half.predict(half.encode(FRAME), prompts_of(OBJECTS))
    rounded = exact.predict(exact.hold(got.float(), FRAME.shape[:2]), prompts_of(OBJECTS))
    torch.testing.assert_close(answer.low_res, rounded.low_res)


def test_numbers_that_are_none_cost_one_frame():
    sam = small_sam()
    features = sam.encode(FRAME).features[0]
    with pytest.raises(ModelError, match="NaN or infinite"):
        sam.hold(features * torch.nan, (90, 160))
    sam.decoder.up_2_bias[0] = torch.inf
    with pytest.raises(ModelError, match="NaN or infinite"):
        sam.predict(sam.encode(FRAME), prompts_of(OBJECTS[:1]))


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_running_out_of_memory_costs_one_frame(error):
    def encoder(image):
        raise error

    sam = small_sam()
    sam.encoder = encoder
    with pytest.raises(ModelError, match="out of memory encoding a frame"):
        sam.encode(FRAME)


def test_another_error_is_not_taken_for_one_of_memory():
    sam = small_sam()
    wrong = sam.hold(torch.zeros(1, 7, 16, 16), (90, 160))
    with pytest.raises(RuntimeError, match="size") as raised:
        sam.predict(wrong, prompts_of(OBJECTS[:1]))
    assert not isinstance(raised.value, ModelError)


def test_a_batch_is_split_without_losing_an_object():
    prompts = prompts_of(OBJECTS)
    parts = list(split(prompts, 2))
    assert [part.labels.tolist() for part in parts] == [[[1, 1, 0], [1, -1, -1]], [[1, 0, 0, 1], [-1] * 4], [[]]]
    assert np.array_equal(np.concatenate([part.boxes for part in parts]), prompts.boxes, equal_nan=True)
    assert np.concatenate([part.has_low_res for part in parts]).tolist() == prompts.has_low_res.tolist()
    (alone,) = split(prompts_of(OBJECTS[1:2]), 2)
    assert alone.low_res is None


def test_work_is_shared_out_in_order_and_an_error_comes_back():
    threads = TorchObjectThreads()
    before = torch.get_num_threads()
    assert threads.each(lambda i: i * i, range(20)) == [i * i for i in range(20)]
    with pytest.raises(ZeroDivisionError):
        threads.each(lambda i: 1 // (i - 7), range(20))
    assert torch.get_num_threads() == before


def test_a_machine_that_can_not_compile_is_told_so(monkeypatch):
    def forward(self, image):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nmore of it")

    monkeypatch.setattr(VitEncoder, "forward", forward)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: None)
    with pytest.raises(ConfigError, match="No working C\\+\\+ compiler found; set it to false"):
        small_sam(compile=True)


@pytest.mark.parametrize("side", [500, 240, 1040])
def test_a_side_that_no_network_has_is_refused(side):
    with pytest.raises(ConfigError, match=f"decoder.side is {side}; needs 256 to 1024"):
        check_side(side)


def test_a_network_that_a_backend_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"'vit_tiny', which decoder\.backend 'sam' does not have"):
        build_network("sam", "vit_tiny")


def test_half_precision_that_a_cpu_lacks_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="float16, which needs a GPU"):
        load_sam("sam", "vit_b", tmp_path / "none.pth", "cpu", "float16")


def test_the_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "sam_vit_b.pth"
    torch.save(small_network().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"of 314 tensors .* missing"):
        load_sam("sam", "vit_b", path, "cpu")
