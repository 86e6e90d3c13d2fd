"""A feed that is paused, and one that is stopped."""

from __future__ import annotations

import threading

from capture.clips import shade
from capture.scripted_feeds import GENEROUS_S, blocker, drain, play

from nodes.capture.feed import Feed
from stream.errors import SourceError


def test_a_paused_lossless_feed_waits_and_loses_nothing():
    feed, wakes, _ = play([shade(i) for i in range(8)])
    wakes.wait_for(lambda: feed.captured == 2)
    feed.pause()
    assert feed.take() is None
    assert feed.phase == "paused"
    feed.resume()
    assert [f.stamp.frame_id for f in drain(feed, wakes)] == list(range(8))


def test_a_paused_live_feed_throws_frames_away_without_numbering_them():
    feeds: list[Feed] = []
    paused, resumed = threading.Event(), threading.Event()
    ready, go = blocker()

    def pause() -> None:
        ready()
        feeds[0].pause()
        paused.set()

    def resume() -> None:
        feeds[0].resume()
        resumed.set()

    block, end = blocker()
    script = [shade(0), pause, shade(1), shade(2), resume, shade(3), block]
    feed, wakes, _ = play(script, live=True)
    feeds.append(feed)
    go.set()
    assert resumed.wait(GENEROUS_S)
    wakes.wait_for(lambda: feed.captured == 2)
    frame = feed.take()
    assert frame is not None
    assert (frame.stamp.frame_id, int(frame.rgb[0, 0, 0])) == (1, 24)
    end.set()
    assert feed.stop(GENEROUS_S)


def test_the_picture_that_a_live_feed_is_paused_on_can_be_given_again():
    block, end = blocker()
    feed, wakes, _ = play([shade(3), block], live=True)
    wakes.wait_for(lambda: feed.captured == 1)
    assert (first := feed.take()) is not None
    assert feed.repeat() is None, "it is not paused"
    feed.pause()
    again = [feed.repeat(), feed.repeat()]
    assert [f.stamp.frame_id for f in again if f is not None] == [1, 2]
    assert all(f is not None and f.rgb is first.rgb and f.stamp.captured_ns > first.stamp.captured_ns for f in again)
    assert feed.captured == 3
    end.set()
    assert feed.stop(GENEROUS_S)


def test_a_lossless_feed_never_gives_a_picture_twice():
    feed, wakes, _ = play([shade(i) for i in range(8)])
    wakes.wait_for(lambda: feed.captured == 2)
    assert feed.take() is not None
    feed.pause()
    assert feed.repeat() is None
    assert feed.stop(GENEROUS_S)


def test_stop_interrupts_a_long_wait():
    feed, wakes, _ = play([shade(0), SourceError("gone")], live=True, backoff_s=1000.0, backoff_max_s=1000.0)
    wakes.wait_for(lambda: feed.phase == "backing off" and feed.retry_in_s is not None)
    assert feed.retry_in_s is not None
    assert 700 < feed.retry_in_s <= 1200
    assert 700 < feed.gauges()["retry_in_s"] <= 1200
    assert feed.stop(GENEROUS_S)
    assert feed.phase == "ended"
    assert feed.retry_in_s is None


def test_stop_interrupts_a_full_queue_and_a_pause():
    feed, wakes, made = play([shade(i) for i in range(9)])
    wakes.wait_for(lambda: feed.captured == 2)
    assert feed.stop(GENEROUS_S)
    assert made[0].closed
    feed, wakes, _ = play([shade(i) for i in range(9)])
    feed.pause()
    assert feed.stop(GENEROUS_S)


def test_a_source_that_hangs_outlives_stop_and_is_closed_by_its_own_thread():
    block, event = blocker()
    feed, wakes, made = play([shade(0), block, shade(1)], live=True)
    wakes.wait_for(lambda: feed.captured == 1)
    assert not feed.stop(0.01)
    assert not made[0].closed
    event.set()
    assert feed.stop(GENEROUS_S)
    assert made[0].closed
    assert feed.captured == 1
