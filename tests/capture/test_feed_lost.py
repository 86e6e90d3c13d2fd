"""What a feed does when its source is lost, or never was there."""

from __future__ import annotations

import logging

from capture.clips import shade
from capture.scripted_feeds import GENEROUS_S, blocker, drain, play

from stream.errors import SourceError


def test_a_lost_live_source_is_opened_again_and_the_numbers_go_on(caplog):
    caplog.set_level(logging.INFO)
    block, event = blocker()
    feed, wakes, made = play(
        [shade(0), shade(1), SourceError("rtsp://***@cam: silent for 2 s")],
        [SourceError("rtsp://***@cam: connection refused")],
        [SourceError("rtsp://***@cam: connection refused")],
        [shade(2), block],
        live=True,
        source="rtsp://me:secret@cam/1",
    )
    wakes.wait_for(lambda: feed.captured == 3)
    frame = feed.take()
    assert frame is not None
    assert (frame.stamp.session, frame.stamp.frame_id) == (1, 2)
    assert (feed.session, feed.reconnects, len(made)) == (1, 1, 4)
    event.set()
    feed.stop(GENEROUS_S)
    assert all(s.closed for s in made)
    lines = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "nodes.capture.feed"]
    assert lines[0][0] == "WARNING"
    assert lines[0][1].startswith("rtsp://***@cam: silent for 2 s (it was connected for ")
    assert sum("next try in" in text for _, text in lines) >= 3
    assert any("back after" in text and "session 1" in text for _, text in lines)
    assert "secret" not in caplog.text


def test_a_live_source_that_breaks_again_and_again_is_never_given_up():
    feed, wakes, _ = play([shade(0), SourceError("gone")], live=True)
    wakes.wait_for(lambda: feed.reconnects >= 8)
    assert feed.error is None
    assert feed.stop(GENEROUS_S)
    assert feed.session == feed.reconnects


def test_the_first_open_that_fails_is_final():
    for live in (False, True):
        feed, wakes, made = play([SourceError("no such thing")], live=live)
        assert drain(feed, wakes) == []
        assert (feed.phase, str(feed.error), len(made)) == ("failed", "no such thing", 1)
        assert made[0].closed


def test_a_source_that_is_waited_for_is_tried_until_it_is_there(caplog):
    caplog.set_level(logging.INFO)
    block, event = blocker()
    away = [SourceError("connection refused")]
    feed, wakes, _ = play(away, away, away, [shade(0), block], live=True, wait_for_source=True)
    wakes.wait_for(lambda: feed.captured == 1)
    assert (feed.session, feed.reconnects) == (0, 0)
    assert [r.levelname for r in caplog.records if "connection refused" in r.getMessage()] == [
        "WARNING",
        "INFO",
        "INFO",
    ]
    event.set()
    assert feed.stop(GENEROUS_S)


def test_only_live_sources_are_waited_for():
    feed, wakes, _ = play([SourceError("no such file")], live=True, source_live=False, wait_for_source=True)
    drain(feed, wakes)
    assert feed.phase == "failed"


def test_a_finite_source_that_breaks_fails_after_its_good_frames():
    feed, wakes, made = play([shade(0), shade(1), SourceError("3.png is no picture")])
    assert len(drain(feed, wakes)) == 2
    assert (feed.phase, str(feed.error), len(made)) == ("failed", "3.png is no picture", 1)


def test_a_fault_in_a_source_is_not_swallowed():
    feed, wakes, made = play([shade(0), lambda: 1 // 0])  # type: ignore[list-item, return-value]
    assert len(drain(feed, wakes)) == 1
    assert isinstance(feed.error, ZeroDivisionError)  # no StreamError, so the node is restarted
    assert made[0].closed


def test_a_source_that_was_open_before_a_restart_is_never_given_up():
    block, event = blocker()
    away = [SourceError("refused")]
    feed, wakes, made = play(away, away, [shade(0), block], live=True, opened_before=True)
    wakes.wait_for(lambda: feed.captured == 1)
    assert len(made) == 3
    event.set()
    assert feed.stop(GENEROUS_S)
