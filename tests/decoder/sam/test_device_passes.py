"""The passes that leave everything on the device: the answers of the others, and how seldom the host waits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from decoder.disc_sam import DiscSam
from decoder.small_networks import small_sam
from weights.repeated_recordings import repeated_recordings

from nodes.decoder.mask_model import Query
from nodes.decoder.sam.protocol import SamPrompts
from nodes.decoder.sam.sam_pt import SamPt
from nodes.decoder.sam.shared_network import SharedSam
from stream.errors import ModelError
from stream.messages import ObjectTrack, Prompt
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.shared_model import SharedModel
from tools.bench.gpu.waits import WaitCounter

SIZE = (150, 200)


def a_frame(seed=0):
    return np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), np.uint8)


def queries(count, seed=0):
    """Objects with 1 to 8 points, every second one with negative points, one by a box, one corrected by the user."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        positives, negatives = rng.integers(1, 9), rng.integers(0, 4) * (i % 2)
        xy = rng.uniform((0, 0), SIZE[::-1], (positives + negatives, 2)).astype(np.float32)
        labels = np.repeat(np.array([1, 0], np.uint8), [positives, negatives])
        prompt = None
        if i == 1:
            prompt = Prompt(object_id=i + 1, kind="add", box=(20.0, 30.0, 120.0, 110.0))
        if i == 2:
            prompt = Prompt(object_id=i + 1, kind="refine", xy=xy[:1] + 20, labels=np.array([1], np.uint8))
        found.append(Query(track(i + 1, xy, labels), prompt))
    return found


def track(object_id, xy, labels):
    return ObjectTrack(object_id=object_id, xy=xy, visibility=np.ones(len(xy), np.float32), labels=labels)


def asynchronous(sam):
    sam.is_asynchronous = True
    return sam


def decode(sam, asked, **options):
    model = SamPt(sam, **options)
    return model.decode_sparingly(model.encode(a_frame()), asked, options.get("refinement_passes", 12))


@pytest.mark.parametrize("kind", ["sam", "hq_sam"])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_masks_scores_and_passes_are_those_of_the_passes_that_look_at_their_numbers(kind, count):
    options = {"refinement_passes": 3, "iou_threshold": -1.0}
    expected, passes = decode(small_sam(kind), queries(count), **options)
    found, passes_there = decode(asynchronous(small_sam(kind)), queries(count), **options)
    assert passes_there == passes
    for one, other in zip(found, expected, strict=True):
        assert one.window == other.window
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert np.abs(one.logits - other.logits).max(initial=0) < 1e-3 * max(1, np.abs(other.logits).max(initial=0))


@pytest.mark.parametrize("kind", ["sam", "hq_sam"])
def test_replayed_passes_give_the_same_and_are_recorded_for_few_numbers_of_objects_and_points(kind, monkeypatch):
    options = {"refinement_passes": 3, "iou_threshold": -1.0}
    sam = asynchronous(small_sam(kind))
    sam.recordings = repeated_recordings(monkeypatch)
    for count in (1, 2, 7, 8):  # 1 is computed as 2 are, and 7 as 8
        expected, passes = decode(asynchronous(small_sam(kind)), queries(count), **options)
        found, passes_there = decode(sam, queries(count), **options)
        assert passes_there == passes
        for one, other in zip(found, expected, strict=True):
            assert one.window == other.window
            assert one.score == pytest.approx(other.score, abs=1e-4)
            assert np.abs(one.logits - other.logits).max(initial=0) < 1e-3 * max(1, np.abs(other.logits).max(initial=0))
    assert len({key[2][0] for key in sam.recordings._recordings}) == 2


def test_a_shared_network_is_asked_once_for_all_passes_of_a_frame_and_gives_the_same():
    model, requests = SharedModel("cuda"), []
    submit = model.submit
    model.submit = lambda request: requests.append(request) or submit(request)
    shared = SharedSam(asynchronous(small_sam()), "sam", CameraClient(model, "door", "decoder"))
    options = {"refinement_passes": 3, "iou_threshold": -1.0}
    found, _ = decode(shared, queries(3), **options)
    model.close()
    expected, _ = decode(asynchronous(small_sam()), queries(3), **options)
    assert [(one.window, one.score) for one in found] == [(one.window, one.score) for one in expected]
    assert [(request.group[1], request.units) for request in requests] == [("encode", 1), ("frame", 3 * 5)]


@pytest.mark.parametrize("count", [1, 5, 20])
def test_the_host_waits_at_most_three_times_a_frame_however_many_objects_and_passes(count):
    model = SamPt(asynchronous(small_sam()), iou_threshold=-1.0)
    with WaitCounter() as waited:
        answers = model.decode(model.encode(a_frame()), queries(count))
    assert any(answer.logits.size for answer in answers)
    assert 1 <= waited.waits <= 3, waited.calls


def test_the_count_of_waits_sees_what_reads_a_value_back():
    values = torch.arange(4.0)
    with WaitCounter() as waited:
        float(values[0])
        values[values > 1].sum()
        values.nonzero()
        (values > 1).any().item()
        values.cpu().numpy()
    assert waited.waits == 5


class DeviceDiscs(DiscSam):
    """Discs as tensors; the IoU of each pass is given."""

    is_asynchronous, recordings = True, None

    def shared_tensors(self, embedding):
        return ()

    def predict_unread(self, shared, embedding, prompts):
        no = np.zeros(len(prompts.xy), bool)
        known = SamPrompts(prompts.xy.numpy(), prompts.labels.numpy(), prompts.boxes.numpy(), None, no)
        answer = self.predict(embedding, known)
        return answer.low_res, torch.from_numpy(answer.iou)


def test_a_mask_below_the_threshold_is_dropped_unless_the_user_prompts_on_this_frame():
    clicked = Prompt(object_id=2, kind="add", xy=np.array([[50, 60]], np.float32), labels=np.array([1], np.uint8))
    asked = [queries(1)[0], Query(queries(1)[0].track, clicked)]
    answers, _ = decode(DeviceDiscs(iou=0.3), asked)
    assert answers[0].logits.size == 0
    assert answers[0].score == pytest.approx(0.3)
    assert answers[1].logits.size > 0


def test_an_object_whose_mask_vanishes_stops_while_the_others_go_on():
    asked = queries(1)
    gone = track(9, np.array([[500, 500]], np.float32), np.array([1], np.uint8))
    answers, passes = decode(DeviceDiscs(), [*asked, Query(gone)], refinement_passes=4)
    assert passes == 5
    assert answers[1].logits.size == 0


def test_numbers_that_are_not_finite_are_an_error_of_the_model():
    sam = DeviceDiscs(iou=np.nan)
    with pytest.raises(ModelError, match="NaN or infinite"):
        decode(sam, queries(1))
