"""SAM-PT as a mask model: how it prompts SAM with tracked points and for the user's prompts."""

from __future__ import annotations

import numpy as np
import pytest
from decoder.disc_sam import DiscSam

from nodes.decoder.mask_model import Query
from nodes.decoder.sam.protocol import PADDING
from nodes.decoder.sam.sam_pt import SamPt
from nodes.decoder.segmentation import Segmenter, exclusive
from stream.messages import Frame, ObjectTrack, Prompt, Stamp, Tracks

SIZE = (120, 200)


def track(*points, object_id=1, negatives=(), visibility=1.0) -> ObjectTrack:
    xy = np.array([*points, *negatives], np.float32).reshape(-1, 2)
    return ObjectTrack(
        object_id=object_id,
        xy=xy,
        visibility=np.full(len(xy), visibility, np.float32),
        labels=np.repeat(np.array([1, 0], np.uint8), [len(points), len(negatives)]),
    )


def clicks(*points, labels, kind="add", **more) -> Prompt:
    return Prompt(object_id=1, kind=kind, xy=np.array(points, np.float32), labels=np.array(labels, np.uint8), **more)


def a_mask(x1=20, y1=30, x2=60, y2=70):
    mask = np.zeros(SIZE, np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def decode(model, *queries):
    return model.decode(model.encode(np.zeros((*SIZE, 3), np.uint8)), queries)


def prompted_points(sam, pass_=0, row=0):
    call = sam.calls[pass_]
    return [(*xy, int(label)) for xy, label in zip(call.xy[row].tolist(), call.labels[row], strict=True) if label >= 0]


def test_the_answer_is_the_part_of_the_frame_round_the_mask():
    (answer,) = decode(SamPt(DiscSam(iou=0.8, reach=10)), Query(track((100, 60))))
    x, y, width, height = answer.window
    assert (x + width / 2, y + height / 2) == pytest.approx((100, 60), abs=1.5)
    assert (width, height) == pytest.approx((16, 16), abs=2)
    assert answer.logits.shape == (height, width)
    assert answer.logits[[0, -1]].max(axis=1).min() > 0  # its edge rows hold mask pixels
    assert answer.score == pytest.approx(0.8)


def test_hidden_points_are_left_out_and_without_a_positive_the_mask_is_empty():
    sam = DiscSam()
    hidden = track((100, 60), visibility=0.4)
    answers = decode(SamPt(sam), Query(hidden), Query(track((50, 60), object_id=2)))
    assert [a.window[2] > 0 for a in answers] == [False, True]
    assert answers[0].score == 0
    assert prompted_points(sam) == [(50, 60, 1)]


def test_a_low_predicted_iou_gives_no_mask_but_keeps_its_score():
    (answer,) = decode(SamPt(DiscSam(iou=0.5)), Query(track((100, 60))))
    assert (answer.window, answer.score) == ((0, 0, 0, 0), pytest.approx(0.5))
    (answer,) = decode(SamPt(DiscSam(iou=-0.1), iou_threshold=0), Query(track((100, 60))))
    assert answer.window[2] > 0  # no threshold at all
    assert answer.score == 0


def test_clicks_on_a_new_object_are_all_that_it_is_prompted_with():
    sam = DiscSam(iou=0.3)
    tracked_points = track((50, 60), (120, 60))
    prompt = clicks((50, 60), (150, 90), labels=[1, 0])
    (answer,) = decode(SamPt(sam, refinement_passes=0), Query(tracked_points, prompt))
    assert prompted_points(sam, pass_=1) == [(50, 60, 1), (150, 90, 0)]
    assert answer.window[2] > 0  # the user's word: no threshold


def test_clicks_that_refine_join_the_tracked_points_once():
    sam = DiscSam()
    tracked_points = track((50, 60), (100, 60), (102, 61))  # the tracker tracks the clicks as points already
    prompt = clicks((100, 60), (140, 90), labels=[0, 1], kind="refine")
    decode(SamPt(sam, refinement_passes=0), Query(tracked_points, prompt))
    assert prompted_points(sam, pass_=1) == [(50, 60, 1), (102, 61, 1), (100, 60, 0), (140, 90, 1)]


def test_a_box_is_prompted_as_a_box():
    sam = DiscSam()
    decode(SamPt(sam, refinement_passes=0), Query(track(), Prompt(object_id=1, box=(10, 20, 90, 100))))
    assert sam.calls[0].boxes[0].tolist() == [10, 20, 90, 100]
    assert (sam.calls[0].labels == PADDING).all()


@pytest.mark.parametrize("kind", ["add", "restore"])
def test_a_given_mask_is_the_answer_on_its_frame_and_wins_against_all_others(kind):
    sam = DiscSam(reach=40)
    given = Query(track(), Prompt(object_id=1, kind=kind, mask=a_mask()))
    answers = decode(SamPt(sam), Query(track((80, 50), object_id=2)), given)
    assert len(sam.calls[0].labels) == 1
    assert answers[1].score == 1
    masks = exclusive(SIZE, answers)
    x, y, width, height = answers[1].window
    assert (x, y, width, height) == (20, 30, 40, 40)
    assert masks[1].all()


def test_the_points_of_an_object_whose_mask_is_given_tell_what_the_others_are_not():
    sam = DiscSam()
    restored = Query(track((40, 50)), Prompt(object_id=1, kind="restore", mask=a_mask()))
    decode(SamPt(sam, refinement_passes=0), restored, Query(track((120, 60), object_id=2)))
    assert prompted_points(sam) == [(120, 60, 1), (40, 50, 0)]


def test_a_mask_with_clicks_is_corrected_by_them():
    sam = DiscSam()
    prompt = clicks((100, 60), labels=[1], mask=a_mask())
    decode(SamPt(sam, refinement_passes=0), Query(track(), prompt))
    low_res = sam.calls[0].low_res[0].numpy()
    inside = np.argwhere(low_res > 0) / 1.28  # frame px
    assert (inside.min(axis=0), inside.max(axis=0)) == (pytest.approx([30, 20], abs=1), pytest.approx([70, 60], abs=1))
    assert low_res[160:].max() < 0  # below the frame, in the padding of the square


def test_the_objects_of_a_frame_are_asked_for_together():
    sam = DiscSam()
    model = SamPt(sam, refinement_passes=3)
    queries = [Query(track((20 + 30 * i, 60), object_id=i, negatives=[(5, 5)])) for i in range(5)]
    answers = decode(model, *queries)
    assert [len(call.labels) for call in sam.calls] == [5] * 5
    assert model.decode_sparingly(model.encode(np.zeros((*SIZE, 3), np.uint8)), queries, 1)[1] == 3
    assert all(mask.any() for mask in exclusive(SIZE, answers))
    assert decode(model) == []


def test_a_frame_is_encoded_once_however_many_objects_there_are():
    sam = DiscSam()
    stamp = Stamp(camera="c", session=0, frame_id=0, captured_ns=0, captured_unix_ns=0)
    frame = Frame(stamp=stamp, rgb=np.zeros((*SIZE, 3), np.uint8))
    objects = tuple(track((20 + 40 * i, 60), object_id=i) for i in range(4))
    masks, _ = Segmenter(SamPt(sam)).step(Tracks(frame=frame, objects=objects))
    assert sam.encoded == 1
    assert [o.area > 0 for o in masks.objects] == [True] * 4
