"""The first frame of a run with --auto: the decoder looks for objects on it before it is tracked."""

from __future__ import annotations

import logging

import pytest
from tracker.tracker_stages import LIVE, clicked, masked, noise, started

from stream.commands import DecoderRestarted, DiscoveryDone, FindObjects
from stream.messages import DiscoverObjects, Tracks


def test_a_lossless_feed_waits_with_its_first_frame_for_what_is_found_on_it():
    stage, node = started(discover=True)
    node.give(stage, noise(0))
    [request] = node.take(DiscoverObjects)
    assert (request.frame.stamp.frame_id, request.following) == (0, 0)
    assert not stage.wants("frames")
    assert stage.wants("seeds")
    stage.handle_command(masked())
    assert node.sent == []
    stage.handle_command(DiscoveryDone())
    assert [(t.frame.stamp.frame_id, len(t.prompts)) for t in node.take(Tracks)] == [(0, 1)]
    assert node.steps == 1


def test_a_feed_on_which_nothing_is_found_goes_on_and_is_asked_about_once():
    stage, node = started(discover=True)
    node.give(stage, noise(0))
    stage.handle_command(DiscoveryDone())
    assert stage.wants("frames")
    for i in range(1, 20):
        node.give(stage, noise(i))
    assert len(node.take(DiscoverObjects)) == 1
    assert [t.frame.stamp.frame_id for t in node.take(Tracks)] == list(range(20))
    assert node.steps == stage.progress().counters["tracked"] == 20


def test_a_decoder_that_dies_while_it_looks_does_not_hold_the_feed(caplog):
    stage, node = started(discover=True)
    node.give(stage, noise(0))
    with caplog.at_level(logging.WARNING):
        stage.handle_command(DecoderRestarted())
    assert "the decoder died while it looked for objects" in caplog.text
    assert stage.wants("frames")
    assert [type(m) for m in node.sent] == [DiscoverObjects, Tracks]
    assert [m.frame.stamp.frame_id for m in node.sent] == [0, 0]


def test_a_live_feed_asks_for_its_first_frame_after_its_tracks_and_does_not_wait():
    stage, node = started(discover=True, **LIVE)
    stage.handle_command(clicked())
    for i in range(3):
        node.give(stage, noise(i))
    kinds = [(m.frame.stamp.frame_id, type(m)) for m in node.sent]
    assert kinds == [(0, Tracks), (0, DiscoverObjects), (1, Tracks), (2, Tracks)]
    assert node.take(DiscoverObjects)[0].following == 1


@pytest.mark.parametrize("live", [True, False])
def test_nobody_looks_where_nobody_asked_for_it(live):
    stage, node = started(**{"capture.realtime": live})
    node.give(stage, noise(0))
    assert [type(m) for m in node.sent] == [Tracks]


@pytest.mark.parametrize("live", [True, False])
def test_who_asks_for_objects_has_the_next_frame_searched_beside_its_tracks(live):
    stage, node = started(**{"capture.realtime": live})
    node.give(stage, noise(0))
    node.start(stage, clicked(), FindObjects(count=3))
    for i in range(1, 4):
        node.give(stage, noise(i))
    kinds = [(m.frame.stamp.frame_id, type(m)) for m in node.sent if isinstance(m, (Tracks, DiscoverObjects))]
    assert kinds == [(0, Tracks), (1, Tracks), (1, DiscoverObjects), (2, Tracks), (3, Tracks)]
    [request] = node.take(DiscoverObjects)
    assert (request.following, request.count) == (1, 3)
    assert stage.held_frame is None  # a lossless feed does not wait for it either
