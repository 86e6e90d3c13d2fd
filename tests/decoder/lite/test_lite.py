"""The classical mask model on drawn clips: it follows, reports a loss, and finds again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from decoder.lite.textured_square import BACKGROUND, SIZE, draw, iou, run, speckled, texture, tracks

from nodes.decoder.backends import make_model
from nodes.decoder.lite import window_network
from nodes.decoder.lite.backend import Lite
from nodes.decoder.mask_model import Query, Verdict
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.messages import Prompt
from stream.settings.config import Decoder


def test_a_moving_and_turning_object_is_followed():
    clip = [draw(30 + 3 * i, 50 + i, 0.03 * i) for i in range(25)]
    results = run(clip, clip[0][1])
    assert min(score for _, score in results) > 0.85
    assert {state for state, _ in results} == {"tracked"}


def test_the_same_clip_gives_the_same_masks_bit_for_bit():
    clip = [draw(30 + 3 * i) for i in range(8)]

    def masks() -> list[bytes]:
        segmenter = Segmenter(Lite())
        prompt = Prompt(object_id=1, box=(30, 50, 79, 99))
        out = [
            segmenter.step(tracks(i, rgb, *([prompt] if i == 0 else [])))[0].objects[0]
            for i, (rgb, _) in enumerate(clip)
        ]
        return [o.mask.tobytes() + str((o.bbox, o.score)).encode() for o in out]

    assert masks() == masks()


def test_an_object_that_leaves_is_lost_with_an_empty_mask_and_reacquired_when_it_is_back():
    away = [(BACKGROUND, np.zeros(SIZE, np.uint8))] * 14
    clip = [draw(130 + 8 * i) for i in range(12)] + away + [draw(224 - 8 * i, 40) for i in range(14)]
    results = run(clip, clip[0][1])
    names = [state for state, _ in results]
    assert "lost" in names[12:26]
    assert all(score == 1 for _, score in results[14:26])  # empty, as the truth is
    back = names.index("reacquired")
    assert 26 <= back <= 36
    assert min(score for _, score in results[back:]) > 0.8


def test_an_object_that_another_one_hides_is_found_when_it_comes_out():
    wall = texture(5, SIZE[0], 80, (0, 60, -60))

    def hidden(i: int) -> tuple[np.ndarray, np.ndarray]:
        rgb, mask = draw(10 + 4 * i)
        rgb[:, 80:160], mask[:, 80:160] = wall, 0
        return rgb, mask

    clip = [hidden(i) for i in range(48)]
    segmenter, names, scores = Segmenter(Lite()), [], []
    block = np.zeros(SIZE, np.uint8)
    block[:, 80:160] = 1
    for i, (rgb, truth) in enumerate(clip):
        prompts = [Prompt(object_id=1, mask=truth), Prompt(object_id=2, mask=block)] if i == 0 else []
        one, two = segmenter.step(tracks(i, rgb, *prompts, ids=(1, 2)))[0].objects
        names.append(one.state)
        scores.append(iou(uncrop_mask(one.bbox, one.mask, SIZE), truth))
        assert not (uncrop_mask(one.bbox, one.mask, SIZE) & uncrop_mask(two.bbox, two.mask, SIZE)).any()
    assert names.index("reacquired") < 44
    assert scores[-1] > 0.7


def test_a_change_of_the_frame_size_in_mid_stream_keeps_the_object():
    segmenter = Segmenter(Lite())
    clip = [draw(30 + 3 * i) for i in range(12)]
    run(clip[:6], clip[0][1], segmenter)
    scores = []
    for i, (rgb, truth) in enumerate(clip[6:], start=6):
        large = cv2.resize(rgb, (330, 225), interpolation=cv2.INTER_LINEAR)
        large_truth = cv2.resize(truth, (330, 225), interpolation=cv2.INTER_NEAREST)
        (o,) = segmenter.step(tracks(i, large))[0].objects
        scores.append(iou(uncrop_mask(o.bbox, o.mask, (225, 330)), large_truth))
    assert min(scores) > 0.75


def test_the_smallest_frames_are_no_trouble():
    rgb = texture(3, 64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 1
    rgb[mask == 1] //= 3
    results = run([(rgb, mask)] * 4, mask)
    assert results[-1][1] > 0.8


@pytest.mark.parametrize("size", [(64, 64), (65, 640), (854, 480), (481, 853), (2160, 3840)])
def test_a_box_of_any_frame_is_followed(size):
    rgb = speckled(size)
    high, wide = size[0] // 3, size[1] // 3
    results = []
    for t in range(4):
        y, x = size[0] // 4 + t, size[1] // 4 + 2 * t
        frame, mask = rgb.copy(), np.zeros(size, np.uint8)
        frame[y : y + high, x : x + wide] = 255 - rgb[:high, :wide]
        mask[y : y + high, x : x + wide] = 1
        results.append((frame, mask))
    assert min(score for _, score in run(results, results[0][1])) > 0.8


WHOLE, DOT, NOTHING_THERE = np.ones(SIZE, np.uint8), np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
DOT[70, 90] = 1


@pytest.mark.parametrize("mask", [WHOLE, DOT, NOTHING_THERE, draw(60)[1]])
@pytest.mark.parametrize("rgb", [BACKGROUND, np.full((*SIZE, 3), 128, np.uint8), np.zeros((*SIZE, 3), np.uint8)])
def test_odd_objects_on_odd_pictures_have_finite_answers(mask, rgb):
    lite = Lite()
    for t in range(4):
        analysis = lite.encode(np.roll(rgb, t, axis=1))
        query = Query(tracks(t, rgb).objects[0], Prompt(object_id=1, mask=mask) if t == 0 else None)
        (answer,) = lite.decode(analysis, [query])
        assert np.isfinite(answer.logits).all()
        assert 0 <= answer.score <= 1
        x, y, width, height = answer.window
        shown = np.zeros(SIZE, np.uint8)
        shown[y : y + height, x : x + width] = answer.logits > 0
        lite.learn(analysis, {1: Verdict(shown, True, False)})


def test_twenty_objects_are_followed_at_once_and_share_no_pixel():
    size, side, ids = (240, 330), 36, range(1, 21)
    background = speckled(size)

    def frame(t: int) -> tuple[np.ndarray, list[np.ndarray]]:
        rgb, masks = background.copy(), []
        for i in range(20):
            y, x = 12 + 56 * (i // 5), 8 + 62 * (i % 5) + 2 * t
            mask = np.zeros(size, np.uint8)
            mask[y : y + side, x : x + side] = 1
            rgb[mask == 1] = texture(100 + i, side, side, (60, -60, 10 * i - 90)).reshape(-1, 3)
            masks.append(mask)
        return rgb, masks

    segmenter = Segmenter(Lite())
    for t in range(5):
        rgb, masks = frame(t)
        prompts = [Prompt(object_id=i, mask=m) for i, m in zip(ids, masks, strict=True)] if t == 0 else []
        results = segmenter.step(tracks(t, rgb, *prompts, ids=ids))[0].objects
        shown = [uncrop_mask(o.bbox, o.mask, size) for o in results]
        assert np.sum(shown, axis=0).max() == 1
    assert min(iou(a, b) for a, b in zip(shown, masks, strict=True)) > 0.7


def test_a_window_has_as_many_px_as_the_config_says():
    rgb, truth = draw(60)
    sizes = {}
    for window_px in ("auto", 2_000):
        segmenter = Segmenter(make_model(Decoder(window_px=window_px)))
        segmenter.step(tracks(0, rgb, Prompt(object_id=1, mask=truth)))
        segmenter.step(tracks(1, draw(61)[0]))
        assert isinstance(segmenter.model, Lite)
        sizes[window_px] = segmenter.model.memories[1].view.base.size
    assert sizes[2_000] <= 2_100 < sizes["auto"] <= 18_500


def test_each_thread_has_its_own_window_network():
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(window_network.load_network, "follow").result()
    assert window_network.load_network("follow") is window_network.load_network("follow") is not other
