"""Every kind of prompt makes a first mask, and odd ones do no harm."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.lite.textured_square import BACKGROUND, SIZE, draw, iou, tracks

from nodes.decoder.lite.backend import Lite
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.kernels import geodesic_distance
from nodes.decoder.lite.prompts.prompt_masks import fill_box, make_first_mask
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.messages import Prompt


def test_a_click_corrects_a_mask_that_missed_a_part():
    rgb, truth = draw(60)
    half = truth.copy()
    half[:, 85:] = 0
    segmenter = Segmenter(Lite())
    segmenter.step(tracks(0, rgb, Prompt(object_id=1, mask=half)))
    click = Prompt(object_id=1, kind="refine", xy=np.array([[98, 75]], np.float32), labels=np.ones(1, np.uint8))
    (o,) = segmenter.step(tracks(1, rgb, click))[0].objects
    assert iou(uncrop_mask(o.bbox, o.mask, SIZE), truth) > iou(half, truth) + 0.1


POINTS = Prompt(
    object_id=1,
    xy=np.array([[85, 75], [70, 60], [100, 60], [70, 90], [100, 90], [20, 20]], np.float32),
    labels=np.array([1, 1, 1, 1, 1, 0], np.uint8),
)


@pytest.mark.parametrize(
    ("prompt", "least"),
    [
        (POINTS, 0.8),
        (Prompt(object_id=1, box=(60, 50, 109, 99)), 0.8),
        (Prompt(object_id=1, mask=draw(60)[1]), 1.0),
        (Prompt(object_id=1, xy=POINTS.xy, labels=POINTS.labels, box=(60, 50, 109, 99)), 0.8),
    ],
)
def test_every_kind_of_prompt_makes_a_first_mask(prompt, least):
    rgb, truth = draw(60)
    assert iou(make_first_mask(rgb, prompt), truth) >= least


@pytest.mark.parametrize(("rim", "offset"), [(-0.7, 1.0), (-3.0, 0.5)], ids=["drawn tight", "drawn loosely"])
def test_the_threshold_is_lowered_until_the_mask_fills_its_box_where_one_can(rim, offset):
    inner, core = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    inner[5:35, 10:50], core[12:28, 20:40] = True, True
    logits = np.where(core, 3.0, np.where(inner, rim, 9.0))
    mask, lowered = fill_box(logits, inner, loose_offset=0.5)
    assert lowered == offset
    np.testing.assert_array_equal(mask > 0, inner if rim > -1 else core)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(object_id=1, box=(0, 0, 219, 149)),
        Prompt(object_id=1, box=(-40, -40, 500, 500)),
        Prompt(object_id=1, box=(100, 100, 101, 101)),
        Prompt(object_id=1, xy=np.array([[0, 0]], np.float32), labels=np.ones(1, np.uint8)),
        Prompt(object_id=1, xy=np.array([[219, 149]], np.float32), labels=np.ones(1, np.uint8)),
        Prompt(object_id=1, xy=np.array([[9, 9]], np.float32), labels=np.zeros(1, np.uint8)),
        Prompt(object_id=1, xy=np.array([[900, 900]], np.float32), labels=np.ones(1, np.uint8)),
        Prompt(object_id=1),
        Prompt(object_id=1, mask=np.zeros(SIZE, np.uint8)),
        Prompt(object_id=1, mask=np.ones(SIZE, np.uint8)),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_odd_prompts_are_answered_and_the_next_frames_too(prompt, plain):
    rgb = np.full((*SIZE, 3), 90, np.uint8) if plain else BACKGROUND
    mask = make_first_mask(rgb, prompt)
    assert mask.shape == SIZE
    assert set(np.unique(mask)) <= {0, 1}
    segmenter = Segmenter(Lite())
    for i in range(4):
        segmenter.step(tracks(i, rgb, *([prompt] if i == 0 else [])))


def test_geodesic_distance_grows_with_the_way_and_with_the_edges_on_it():
    lab = np.zeros((20, 30, 3), np.float32)
    lab[:, 15:] = 50
    seeds = np.zeros((20, 30), bool)
    seeds[10, 5] = True
    far = geodesic_distance(lab, seeds)
    assert far[10, 5] == 0
    assert far[10, 14] == pytest.approx(27)
    assert far[10, 15] == pytest.approx(30 + 150)


def test_a_prompt_in_motion_is_answered_better_with_the_frame_before():
    clip = [draw(60 + 6 * t) for t in range(2)]
    prompt = Prompt(object_id=1, box=(60, 44, 122, 106))  # drawn loosely
    previous = FrameAnalysis(clip[0][0], None)
    alone = make_first_mask(clip[1][0], prompt)
    moving = make_first_mask(clip[1][0], prompt, None, FrameAnalysis(clip[1][0], previous.gray))
    assert iou(moving, clip[1][1]) >= iou(alone, clip[1][1]) - 0.02
    assert iou(moving, clip[1][1]) > 0.7
