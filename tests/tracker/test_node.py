"""The tracker's shell on a node without sockets: commands, frames and seeds in, what it sends and reports out."""

from __future__ import annotations

import logging

import numpy as np
from tracker.tracker_stages import LIVE, clicked, masked, noise, seeds, started

from nodes.tracker.node import TrackerStage
from nodes.tracker.pacing import Pacer
from nodes.tracker.tracking import PointTracker
from stream.commands import DecoderRestarted, RemoveObject
from stream.errors import ModelError
from stream.in_memory import InMemoryNode
from stream.messages import Tracks
from stream.settings.options import TrackerOptions

SAM = {"decoder.backend": "mobile_sam", "decoder.model": "vit_tiny"}  # only for what the tracker makes of it


def test_a_prompt_begins_with_the_next_frame():
    stage, node = started()
    stage.handle_command(clicked(4))
    assert node.sent == []
    assert node.give(stage, noise(0))
    [tracks] = node.take(Tracks)
    assert [o.object_id for o in tracks.objects] == [4]
    assert tracks.seeds_for == (4,)


def test_a_removed_object_is_gone_with_the_next_frame():
    stage, node = started()
    for command in (clicked(1), clicked(2), RemoveObject(object_id=1)):
        stage.handle_command(command)
    node.give(stage, noise(0))
    assert [o.object_id for o in node.take(Tracks)[0].objects] == [2]


def test_points_for_an_object_that_is_not_there_are_a_warning(caplog):
    stage, node = started()
    with caplog.at_level(logging.WARNING):
        stage.handle_command(clicked(7, kind="refine"))
    assert "object 7 can't be refined" in caplog.text
    assert node.give(stage, noise(0))


def test_a_restarted_decoder_is_given_the_objects_with_the_next_frame():
    stage, node = started()
    stage.handle_command(masked())
    node.give(stage, noise(0))
    node.give(stage, seeds(0, 1))
    stage.handle_command(DecoderRestarted())
    node.give(stage, noise(1))
    assert [p.kind for p in node.take(Tracks)[-1].prompts] == ["restore"]


def test_seeds_are_no_step_of_the_feed():
    stage, node = started()
    stage.handle_command(masked())
    node.give(stage, noise(0))
    assert not node.give(stage, seeds(0, 1))
    assert node.steps == 1
    node.give(stage, noise(1))
    assert len(node.take(Tracks)[-1].objects[0].xy) > 0


def test_a_lossless_feed_takes_no_frame_while_seeds_are_on_their_way():
    stage, node = started(**SAM)
    stage.handle_command(masked())
    assert stage.wants("frames")
    node.give(stage, noise(0))
    assert not stage.wants("frames")
    node.give(stage, seeds(0, 1))
    assert stage.wants("frames")


def test_a_decoder_that_never_answers_holds_the_feed_for_a_limited_time(caplog):
    stage, node = started(**SAM, **{"supervisor.step_timeout_s": 30})
    stage.handle_command(masked())
    node.give(stage, noise(0))
    assert not stage.wants("frames")
    node.time_s += 30
    assert not stage.wants("frames")
    node.time_s += 1
    with caplog.at_level(logging.WARNING):
        assert stage.wants("frames")
    assert "no masks from the decoder for 30 s" in caplog.text


def test_progress_counts_frames_that_were_tracked_and_that_never_came():
    stage, node = started(**LIVE)
    for i in (3, 4, 7):
        node.give(stage, noise(i))
    progress = stage.progress()
    assert progress.frame_id == 7
    assert progress.counters == {"tracked": 3, "passed_over": 5, "failed": 0}


def test_a_restarted_tracker_counts_on_from_the_frame_of_its_earlier_life():
    stage, node = started(newest=40, **LIVE)
    assert stage.progress().frame_id == 40
    node.give(stage, noise(43))
    assert stage.progress().counters["passed_over"] == 2


def test_a_live_feed_lets_frames_go_that_come_before_their_stride():
    stage, node = started(**LIVE)
    assert stage.wants("frames")
    node.give(stage, noise(0))
    taken = [0]
    for i in range(1, 40):  # each step takes 3.5 periods of the feed
        node.time_s = i * 0.04
        if node.time_s - taken[-1] * 0.04 < 3.5 * 0.04 or not stage.wants("frames"):
            continue
        if node.give(stage, noise(i)):
            taken.append(i)
    assert set(np.diff(taken[3:]).tolist()) == {5}
    assert [t.frame.stamp.frame_id for t in node.take(Tracks)] == taken


def test_the_end_of_the_feed_sends_the_frames_that_wait():
    stage, node = started(**{"tracker.emit": "horizon"})
    stage.handle_command(clicked())
    for i in range(5):
        node.give(stage, noise(i))
    assert [t.frame.stamp.frame_id for t in node.take(Tracks)] == [0]
    stage.finish()
    assert [t.frame.stamp.frame_id for t in node.take(Tracks)] == [1, 2, 3, 4]


class NoMemory:
    """A model that cannot encode."""

    def encode(self, rgb):
        raise ModelError("out of memory")


def test_a_frame_that_the_model_cannot_encode_is_counted_and_is_no_step(caplog):
    node = InMemoryNode()
    stage = TrackerStage(node, PointTracker(NoMemory(), TrackerOptions()), Pacer(), seeds_timeout_s=60)
    with caplog.at_level(logging.WARNING):
        assert not node.give(stage, noise(5))
    assert "frame 5 is passed over: out of memory" in caplog.text
    assert stage.progress().counters == {"tracked": 0, "passed_over": 0, "failed": 1}
    assert node.sent == []
