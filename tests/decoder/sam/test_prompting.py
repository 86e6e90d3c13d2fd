"""The passes that turn points into masks, with a SAM that draws discs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from decoder.disc_sam import DiscSam

from nodes.decoder.sam.prompting import ObjectPrompt, PassRules, mask_boxes, run_passes, visible
from nodes.decoder.sam.protocol import LOW_RES, PADDING

SIZE = (120, 200)


def prompt(*positives, negatives=(), **more) -> ObjectPrompt:
    xy = np.array([*positives, *negatives], np.float32).reshape(-1, 2)
    labels = np.repeat(np.array([1, 0], np.uint8), [len(positives), len(negatives)])
    return ObjectPrompt(xy, labels, **{"has_negatives": bool(negatives), **more})


def run(sam, *objects, seed=0, **rules):
    embedding = sam.encode(np.zeros((*SIZE, 3), np.uint8))
    return run_passes(sam, embedding, objects, PassRules(**rules), np.random.default_rng(seed))


def labels_of(sam) -> list[list[list[int]]]:
    """For each pass, the labels of each object, without the padding."""
    return [[row[row != PADDING].tolist() for row in call.labels] for call in sam.calls]


def test_positives_come_first_then_all_points_with_the_logits_before_then_the_box_as_well():
    sam = DiscSam()
    run(sam, prompt((50, 60), (70, 60), negatives=[(150, 60)]), refinement_passes=2)
    assert labels_of(sam) == [[[1, 1]], [[1, 1, 0]], [[1, 1, 0]], [[1, 1, 0]]]
    assert [call.has_low_res.tolist() for call in sam.calls] == [[False], [True], [True], [True]]
    assert [bool(call.has_box[0]) for call in sam.calls] == [False, False, True, True]


def test_an_object_without_negative_points_of_its_own_has_a_single_first_pass_with_all_points():
    sam = DiscSam()
    run(sam, prompt((50, 60)), prompt((150, 60)), refinement_passes=1)
    assert labels_of(sam) == [[[1, 0], [1, 0]]] * 2
    assert [bool(call.has_box[0]) for call in sam.calls] == [False, True]


def test_a_hidden_negative_point_still_makes_the_first_pass_one_of_positives_alone():
    sam = DiscSam()
    results = run(sam, prompt((50, 60), has_negatives=True), refinement_passes=0)
    assert results.passes.tolist() == [2]


def test_the_box_is_that_of_the_last_mask_in_frame_px_whatever_the_frames_size():
    sam = DiscSam(reach=10)  # low-res px; the 200 px of the frame are 256 of them
    run(sam, prompt((100, 60)), refinement_passes=1)
    reach = 10 / 256 * 200
    assert sam.calls[1].boxes[0] == pytest.approx([100 - reach, 60 - reach, 100 + reach, 60 + reach], abs=1.5)


def test_objects_share_each_pass_and_drop_out_of_those_that_they_do_not_need():
    sam = DiscSam()
    results = run(sam, prompt((50, 60), negatives=[(90, 100)]), prompt((150, 60)), prompt(), refinement_passes=3)
    assert [len(call.labels) for call in sam.calls] == [2, 2, 2, 2, 1]
    assert results.passes.tolist() == [5, 4, 0]


def test_refinement_stops_for_an_object_whose_mask_has_no_two_pixels():
    sam = DiscSam()
    covered = prompt((50, 60), negatives=[(50, 60)])  # the negative point takes all that the positive one gives
    results = run(sam, covered, prompt((150, 60), negatives=[(190, 100)]), refinement_passes=4)
    assert results.passes.tolist() == [2, 6]
    assert results.has_mask.tolist() == [True, True]


def test_the_positives_of_the_other_objects_are_negatives():
    sam = DiscSam()
    run(sam, prompt((50, 60)), prompt((100, 60), (110, 60), negatives=[(5, 5)]), refinement_passes=0)
    (first, second), (_,) = sam.calls[0].xy, sam.calls[1].xy
    assert first.tolist() == [[50, 60], [100, 60], [110, 60]]
    assert second[:2].tolist() == [[100, 60], [110, 60]]  # pass 1: its positives alone
    assert sam.calls[1].xy[0].tolist() == [[100, 60], [110, 60], [5, 5], [50, 60]]
    sam = DiscSam()
    run(sam, prompt((50, 60)), prompt((100, 60)), refinement_passes=0, others_as_negatives=False)
    assert labels_of(sam) == [[[1], [1]]]


def test_a_limit_on_the_others_points_takes_a_random_choice_that_the_seed_decides():
    others = [(float(x), 60.0) for x in range(100, 180, 10)]

    def chosen(seed: int) -> list[float]:
        sam = DiscSam()
        run(sam, prompt((50, 60)), prompt(*others), refinement_passes=0, max_others=3, seed=seed)
        return sam.calls[0].xy[0, 1:4, 0].tolist()

    assert chosen(1) == chosen(1)
    assert len({tuple(chosen(seed)) for seed in range(5)}) > 1
    assert set(chosen(1)) <= {x for x, _ in others}


def test_without_a_visible_positive_nothing_is_prompted_and_there_is_no_mask():
    sam = DiscSam()
    results = run(sam, prompt(negatives=[(50, 60)]), prompt())
    assert sam.calls == []
    assert results.has_mask.tolist() == [False, False]
    assert np.isneginf(results.iou).all()


def test_the_reference_prompts_by_negatives_alone():
    sam = DiscSam()
    run(sam, prompt(negatives=[(50, 60)]), refinement_passes=0, prompt_by_negatives=True)
    assert labels_of(sam) == [[[]], [[0]]]


def test_a_mask_below_the_iou_threshold_is_dropped_and_its_score_kept():
    results = run(DiscSam(iou=0.6), prompt((50, 60)), prompt((150, 60), certain=True))
    assert results.has_mask.tolist() == [False, True]  # what the user asks for on this frame is shown
    assert results.iou == pytest.approx([0.6, 0.6])


def test_a_box_or_a_mask_of_the_user_is_prompted_with_until_there_is_a_mask():
    sam = DiscSam()
    prior = torch.ones(LOW_RES, LOW_RES)
    run(sam, prompt((50, 60), box=(10, 20, 110, 100)), prompt((150, 60), low_res=prior), refinement_passes=1)
    assert sam.calls[0].boxes[0].tolist() == [10, 20, 110, 100]
    assert sam.calls[0].has_low_res.tolist() == [False, True]
    assert (sam.calls[0].low_res[1] == 1).all()
    assert sam.calls[1].boxes[0].tolist() != [10, 20, 110, 100]


def test_an_object_whose_mask_was_given_is_not_prompted_but_its_points_count():
    sam = DiscSam()
    results = run(sam, prompt((50, 60), only_for_others=True), prompt((150, 60)), refinement_passes=0)
    assert labels_of(sam) == [[[1, 0]]]
    assert results.passes.tolist() == [0, 1]


def test_points_outside_the_frame_or_improbable_are_not_visible():
    xy = np.array([[5, 5], [-1, 5], [5, 120], [199, 119], [5, 5]], np.float32)
    probability = np.array([0.9, 0.9, 0.9, 0.51, 0.5], np.float32)
    assert visible(xy, probability, SIZE).tolist() == [True, False, False, True, False]


def test_boxes_are_found_part_by_part_when_the_masks_would_not_fit_at_once(monkeypatch):
    sam = DiscSam()
    embedding = sam.encode(np.zeros((*SIZE, 3), np.uint8))
    low_res = torch.full((3, LOW_RES, LOW_RES), -1.0)
    low_res[1, 20:40, 100:130] = 1
    together = mask_boxes(sam, embedding, low_res)
    monkeypatch.setattr("nodes.decoder.sam.prompting.UPSCALED_PX", SIZE[0] * SIZE[1])
    assert np.array_equal(mask_boxes(sam, embedding, low_res), together, equal_nan=True)
    assert np.isnan(together[[0, 2]]).all()
    assert together[1] == pytest.approx([100 / 1.28, 20 / 1.28, 130 / 1.28, 40 / 1.28], abs=1.5)


@pytest.mark.gpu
def test_boxes_found_on_a_gpu_are_those_of_the_cpu():
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    sam = DiscSam()
    embedding = sam.encode(np.zeros((*SIZE, 3), np.uint8))
    low_res = torch.randn(4, LOW_RES, LOW_RES, generator=torch.Generator().manual_seed(0)) - 5
    low_res[1] = -1
    there = mask_boxes(sam, embedding, low_res.cuda())
    assert np.array_equal(there, mask_boxes(sam, embedding, low_res), equal_nan=True)
