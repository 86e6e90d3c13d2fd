"""The decoder's shell on a node without sockets: what it sends, reports and counts."""

from __future__ import annotations

import time

import numpy as np
import pytest
from decoder.disc_sam import DiscSam
from decoder.live_feed import SquareModel
from decoder.scripted_model import SIZE, ScriptedModel, box, frame, request, tracks

from nodes.decoder.lite.backend import Lite
from nodes.decoder.node import DecoderStage, make_stage
from nodes.decoder.sam.sam_pt import SamPt
from stream.commands import Start
from stream.crops import uncrop_mask
from stream.errors import ModelError
from stream.in_memory import InMemoryNode
from stream.messages import DiscoverObjects, Masks, Prompt, Scene, Seeds
from stream.reports import Found
from stream.settings.presets import load


def stage(model, preset="sam_pt", live=False, **more):
    """A decoder with that model, on a live feed or on a finished clip, and its node."""
    node = InMemoryNode()
    config = load(preset, {"capture.source": "demo", "capture.realtime": live, **more})
    decoder = DecoderStage(config, node, model)
    node.start(decoder, Start())
    return decoder, node


def kinds(messages):
    return [type(message) for message in messages]


def test_lite_follows_the_mask_that_it_is_given():
    node = InMemoryNode()
    lite = make_stage(load("lite", {"capture.source": "demo"}), node)
    node.start(lite, Start())
    given = np.zeros(SIZE, np.uint8)
    given[20:40, 30:50] = 1
    picture = np.random.default_rng(0).integers(0, 60, (*SIZE, 3), np.uint8)
    picture[20:40, 30:50] += 180
    for i in range(3):
        message = tracks(i, 1, prompts=[Prompt(object_id=1, mask=given)] if i == 0 else [])
        message.frame.rgb[:] = picture
        assert node.give(lite, message)
    sent = node.take(Masks)
    assert [m.stamp.frame_id for m in sent] == [0, 1, 2]
    (o,) = sent[-1].objects
    mask = uncrop_mask(o.bbox, o.mask, SIZE) != 0
    assert (mask & (given != 0)).sum() > 0.9 * (mask | (given != 0)).sum()
    assert lite.progress().counters == {"decoded": 3, "failed": 0, "propagated": 0}
    assert "frame_ms" not in lite.progress().gauges  # it decodes every frame


def test_seeds_go_out_before_the_masks_and_the_masks_with_their_frame():
    decoder, node = stage(ScriptedModel())
    boundary = tracks(7, 1, boundary=True)
    assert node.give(decoder, boundary)
    assert kinds(node.sent) == [Seeds, Masks, Scene]
    [scene] = node.take(Scene)
    assert scene.frame is boundary.frame
    assert decoder.progress().frame_id == 7


def test_a_request_for_seeds_is_answered_with_them_alone_and_is_no_step_of_the_feed():
    decoder, node = stage(ScriptedModel())
    assert not node.give(decoder, request(7, 1))
    assert kinds(node.sent) == [Seeds]
    assert (node.steps, decoder.progress().frame_id) == (0, -1)
    node.sent.clear()
    assert node.give(decoder, tracks(7, 1, boundary=True, seeds_for=()))
    assert kinds(node.sent) == [Masks, Scene]


def test_a_frame_without_an_answer_of_the_model_is_no_step_and_the_tracker_does_not_wait_for_it():
    model = ScriptedModel()
    decoder, node = stage(model)

    def no_answer(rgb):
        raise ModelError("out of memory")

    model.encode = no_answer
    assert not node.give(decoder, tracks(0, 1, prompts=[box()]))
    [seeds] = node.sent
    assert (seeds.frame_id, seeds.objects) == (0, ())
    assert decoder.progress().counters["failed"] == 1


def test_masks_are_scored_where_the_truth_is_known():
    decoder, node = stage(ScriptedModel())
    truth = np.zeros(SIZE, np.uint8)
    truth[10:30, 10:30] = 1
    node.give(decoder, tracks(0, 1, truth=truth))
    gauges = decoder.progress().gauges
    assert (gauges["truth_iou"], gauges["truth_count"]) == (1.0, 1)


def test_a_live_feed_is_answered_at_once_and_the_seeds_come_when_the_model_is_done():
    decoder, node = stage(SquareModel(), live=True)
    assert node.give(decoder, tracks(0, 1, prompts=[box()]))
    assert len(node.take(Masks)) == 1
    end = time.monotonic() + 10
    seeds = node.take(Seeds)
    while not seeds and time.monotonic() < end:  # its thread may need a moment
        decoder.on_idle()
        seeds = node.take(Seeds)
    assert [s.frame_id for s in seeds] == [0]
    assert node.wakes > 0
    assert set(decoder.progress().gauges) == {"truth_iou", "truth_count", "frame_ms", "encode_ms", "refinement_passes"}


def test_without_a_budget_a_live_feed_waits_for_each_frame():
    decoder, node = stage(SquareModel(), live=True, **{"decoder.budget_ms": "off"})
    assert node.give(decoder, tracks(0, 1))
    [masks] = node.take(Masks)
    assert masks.objects[0].origin == "decoded"


def searching(live: bool):
    """A SAM that finds a disc round each point of its grid: 2 x 2 of them."""
    more = {"decoder.auto": 5, "decoder.auto_side": 2, "decoder.auto_stability": 0.1, "decoder.auto_iou": 0}
    return stage(SamPt(DiscSam()), live=live, **more)


def test_on_a_finished_clip_the_search_for_objects_is_done_at_once():
    decoder, node = searching(live=False)
    assert not node.give(decoder, DiscoverObjects(frame=frame(0)))
    [found] = node.take(Found)
    assert (found.frame_id, found.requested, found.size, len(found.objects)) == (0, True, SIZE, 4)
    assert node.sent == []


def test_on_a_live_feed_the_search_for_objects_is_done_beside_it():
    decoder, node = searching(live=True)
    node.give(decoder, DiscoverObjects(frame=frame(0)))
    found, end, i = node.take(Found), time.monotonic() + 30, 0
    while not found and time.monotonic() < end:
        i += 1
        assert node.give(decoder, tracks(i))
        found = node.take(Found)
    assert [len(report.objects) for report in found] == [4]
    assert len(node.take(Masks)) == i


def test_a_request_has_a_frame_searched_without_auto_and_the_truth_still_counts():
    more = {"decoder.auto_side": 2, "decoder.auto_stability": 0.1, "decoder.auto_iou": 0}
    decoder, node = stage(SamPt(DiscSam()), live=False, **more)
    truth = np.zeros(SIZE, np.uint8)
    truth[10:30, 10:30] = 1
    assert node.give(decoder, tracks(0, 1, prompts=[box()], truth=truth))
    assert not node.give(decoder, DiscoverObjects(frame=frame(0), following=1, count=3))
    [found] = node.take(Found)
    assert (found.requested, found.count) == (False, 3)
    assert 0 < len(found.objects) <= 4
    assert decoder.progress().gauges["truth_count"] == 1


def test_where_no_objects_are_looked_for_a_request_is_let_go():
    decoder, node = stage(ScriptedModel())
    assert not node.give(decoder, DiscoverObjects(frame=frame(0)))
    assert (node.sent, node.reports) == ([], [])


@pytest.mark.parametrize(("preset", "live"), [("lite", True), ("sam_pt", False)])
def test_what_is_decoded_frame_by_frame_needs_no_thread(preset, live):
    decoder, _ = stage(Lite() if preset == "lite" else ScriptedModel(), preset=preset, live=live)
    assert decoder.live is None
