"""The running score against a clip's known truth."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.truth import TruthScore
from stream.crops import crop_mask
from stream.messages import Masks, ObjectMask, Stamp


def masks(**boxes) -> Masks:
    """Masks of a frame of 40x40; a1=(x, y, side) is object 1."""
    objects = []
    for name, (x, y, side) in boxes.items():
        full = np.zeros((40, 40), np.uint8)
        full[y : y + side, x : x + side] = 1
        bbox, crop = crop_mask(full)
        none = np.zeros(0, np.float32)
        objects.append(
            ObjectMask(
                object_id=int(name[1:]),
                state="tracked",
                origin="decoded",
                score=1.0,
                bbox=bbox,
                area=int(crop.sum()),
                mask=crop,
                xy=np.zeros((0, 2), np.float32),
                visibility=none,
                labels=none.astype(np.uint8),
            )
        )
    stamp = Stamp(camera="c", session=0, frame_id=0, captured_ns=0, captured_unix_ns=0)
    return Masks(stamp=stamp, size=(40, 40), objects=tuple(objects))


def truth(**boxes) -> np.ndarray:
    label = np.zeros((40, 40), np.uint8)
    for name, (x, y, side) in boxes.items():
        label[y : y + side, x : x + side] = int(name[1:])
    return label


def test_there_is_no_score_before_there_is_an_object():
    score = TruthScore()
    score.step(truth(a1=(0, 0, 10)), masks())
    assert (score.mean_iou, score.count) == (None, 0)


def test_the_score_is_the_mean_over_objects_and_frames():
    score = TruthScore()
    score.step(truth(a1=(0, 0, 10), a2=(20, 20, 10)), masks(a1=(0, 0, 10), a2=(20, 20, 10)))
    score.step(truth(a1=(0, 0, 10), a2=(20, 20, 10)), masks(a1=(5, 0, 10), a2=(20, 20, 10)))
    assert score.mean_iou == pytest.approx((1 + 1 + 1 / 3 + 1) / 4)
    assert score.count == 4


def test_a_visible_object_that_is_missed_counts_nothing_and_a_hidden_one_does_not_count():
    score = TruthScore()
    score.step(truth(a1=(0, 0, 10)), masks(a1=(0, 0, 10)))
    score.step(truth(a1=(0, 0, 10)), masks(a1=(0, 0, 0)))
    score.step(truth(a1=(0, 0, 7)), masks(a1=(0, 0, 0)))  # 49 px
    assert (score.mean_iou, score.count) == (0.5, 2)


def test_an_object_is_matched_by_its_first_mask_and_keeps_the_match():
    score = TruthScore()
    score.step(truth(a5=(0, 0, 10), a6=(20, 20, 10)), masks(a1=(0, 0, 10)))
    score.step(truth(a5=(0, 0, 10), a6=(20, 20, 10)), masks(a1=(20, 20, 10)))
    assert score.mean_iou == 0.5


def test_the_objects_own_id_wins_a_tie():
    score = TruthScore()
    score.step(truth(a1=(0, 0, 10), a2=(10, 0, 10)), masks(a2=(5, 0, 10)))
    assert score.labels == {2: 2}
