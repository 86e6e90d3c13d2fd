"""The feed: which frames come, how they are numbered, and when they end."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest
from capture.clips import shade
from capture.scripted_feeds import GENEROUS_S, Step, Wakes, blocker, drain, play

from nodes.capture.feed import Feed
from nodes.capture.source import Picture
from nodes.capture.sources import make_source
from stream.commands import StartCapture
from stream.errors import SourceError
from stream.settings.config import Capture


def test_a_lossless_feed_gives_every_frame_in_order():
    feed, wakes, made = play([shade(i) for i in range(20)])
    frames = drain(feed, wakes)
    assert [int(f.rgb[0, 0, 0]) for f in frames] == [8 * i for i in range(20)]
    assert [f.stamp.frame_id for f in frames] == list(range(20))
    assert {(f.stamp.camera, f.stamp.session, f.stamp.epoch) for f in frames} == {("yard", 0, 0)}
    assert (feed.captured, feed.last_frame_id, feed.phase) == (20, 19, "ended")
    assert feed.stop(GENEROUS_S)
    assert made[0].closed


def test_a_lossless_feed_reads_no_more_than_two_frames_ahead():
    read: list[int] = []
    script: list[Step] = []
    for i in range(9):
        script += [lambda i=i: read.append(i), shade(i)]
    feed, wakes, _ = play(script)
    wakes.wait_for(lambda: feed.captured == 2)
    assert feed.take() is not None
    wakes.wait_for(lambda: feed.captured == 3)
    assert len(read) <= 4  # taken, two in the queue, one in hand
    assert feed.stop(GENEROUS_S)


def test_the_end_is_told_only_when_the_last_frame_was_taken():
    feed, wakes, made = play([shade(0), shade(1)])
    wakes.wait_for(lambda: any(source.closed for source in made))
    assert feed.phase == "running"
    assert len(drain(feed, wakes)) == 2
    assert feed.phase == "ended"


def test_frames_carry_the_time_of_their_capture_by_two_clocks():
    ticks = iter(range(1000, 100000, 7))
    feed, wakes, _ = play([shade(i) for i in range(3)], clock=lambda: next(ticks))
    stamps = [f.stamp for f in drain(feed, wakes)]
    assert [s.captured_ns for s in stamps] == sorted({s.captured_ns for s in stamps})
    assert all(s.captured_unix_ns > 1_600_000_000 * 10**9 for s in stamps)


def test_a_finite_source_resumes_at_an_index():
    feed, wakes, made = play([shade(i) for i in range(10)], frame_id=6, session=2)
    frames = drain(feed, wakes)
    assert made[0].skipped == 6
    assert [(f.stamp.frame_id, int(f.rgb[0, 0, 0]), f.stamp.session) for f in frames] == [
        (i, 8 * i, 2) for i in (6, 7, 8, 9)
    ]


def test_a_live_source_only_continues_its_numbers():
    feed, wakes, made = play([shade(0), shade(1)], live=True, frame_id=40, frames=42)
    frames = drain(feed, wakes)
    assert made[0].skipped == 0
    assert frames[-1].stamp.frame_id == 41


def test_the_live_slot_keeps_the_newest_frame_and_counts_all():
    block, event = blocker()
    feed, wakes, _ = play([*(shade(i) for i in range(12)), block], live=True)
    wakes.wait_for(lambda: feed.captured == 12)
    frame = feed.take()
    assert frame is not None
    assert (frame.stamp.frame_id, int(frame.rgb[0, 0, 0])) == (11, 88)
    assert feed.take() is None
    event.set()
    assert feed.stop(GENEROUS_S)


def test_frames_ends_the_feed_and_counts_from_the_start_of_the_run():
    assert len(drain(*play([shade(i) for i in range(9)], frames=4)[:2])) == 4
    assert len(drain(*play([shade(i) for i in range(9)], frames=4, frame_id=3)[:2])) == 1
    assert drain(*play([shade(i) for i in range(9)], frames=4, frame_id=4)[:2]) == []


@pytest.mark.parametrize("live", [False, True])
def test_the_duration_counts_from_the_first_frame_by_the_clock(live):
    now = [0]

    def pass_s(seconds: int) -> Callable[[], None]:
        return lambda: now.__setitem__(0, now[0] + seconds * 10**9)

    script = [pass_s(100), shade(0), pass_s(2), shade(1), pass_s(2), shade(2), pass_s(2), shade(3)]
    feed, wakes, _ = play(script, live=live, duration_s=5.0, clock=lambda: now[0])
    frames = drain(feed, wakes)
    assert feed.phase == "ended"
    assert feed.captured == 3
    assert frames[-1].stamp.captured_ns == 104 * 10**9


def test_the_duration_also_ends_a_feed_that_waits_for_its_source(caplog):
    caplog.set_level(logging.INFO)
    script = [shade(0), SourceError("gone")]
    feed, wakes, _ = play(script, live=True, duration_s=1.0, backoff_s=1000.0, backoff_max_s=1000.0)
    drain(feed, wakes)
    assert (feed.phase, feed.captured, feed.error) == ("ended", 1, None)
    assert "next try in" in caplog.text


def test_a_new_size_bumps_the_epoch_and_is_told(caplog):
    caplog.set_level(logging.INFO)
    small, large = (64, 96), (80, 128)
    feed, wakes, _ = play([shade(0, small), shade(1, small), shade(2, large), shade(3, large), shade(4, small)])
    assert [f.stamp.epoch for f in drain(feed, wakes)] == [0, 0, 1, 1, 2]
    assert "the frame size changed from 96x64 to 128x80" in caplog.text


def test_a_restarted_feed_goes_on_with_its_epoch_and_with_what_is_left_of_its_time():
    feed, wakes, _ = play([shade(0)], epoch=4, duration_s=30.0, elapsed_s=29.0)
    (frame,) = drain(feed, wakes)
    assert frame.stamp.epoch == 4
    assert feed._deadline_ns - frame.stamp.captured_ns == 1_000_000_000


def test_the_demo_comes_through_with_its_truth_and_resumes_anywhere():
    config = Capture(demo_frames=9, demo_size="96x64")
    runs = []
    for first in (0, 7):
        wakes = Wakes()
        feed = Feed(lambda: make_source(config), config, StartCapture(frame_id=first), live=False, wake=wakes)
        feed.start()
        runs.append(drain(feed, wakes))
    assert [f.stamp.frame_id for f in runs[1]] == [7, 8]
    for whole, resumed in zip(runs[0][7:], runs[1], strict=True):
        assert np.array_equal(whole.rgb, resumed.rgb)
        assert np.array_equal(whole.truth, resumed.truth)
        assert whole.stamp.pts_s == resumed.stamp.pts_s


def test_a_frame_that_can_not_be_carried_ends_a_recording_and_is_counted_on_a_live_feed(caplog):
    large, wide = np.broadcast_to(np.uint8(0), (9000, 9000, 3)), np.broadcast_to(np.uint8(0), (1, 40_000, 3))
    for picture, words in ((large, "9000x9000 (81.0 megapixels)"), (wide, "40000x1")):
        feed, wakes, _ = play([shade(0), picture, shade(1)])
        assert len(drain(feed, wakes)) == 1
        assert isinstance(feed.error, SourceError)
        assert words in str(feed.error)
        assert "scale it down" in str(feed.error)

    block, end = blocker()
    feed, wakes, _ = play([shade(0), large, wide, shade(1), block], live=True)
    wakes.wait_for(lambda: feed.captured == 2)
    assert (feed.too_large, feed.last_frame_id) == (2, 1)
    assert "40000x1" in caplog.text
    end.set()
    assert feed.stop(GENEROUS_S)


@pytest.mark.parametrize(("drop_corrupt", "captured"), [(False, 3), (True, 2)])
def test_corrupt_pictures_are_counted_and_passed_over_where_that_is_asked_for(drop_corrupt, captured):
    block, end = blocker()
    reached: list[int] = []
    script = [shade(0), Picture(shade(1), corrupt=True), shade(2), lambda: reached.append(1), block]
    feed, wakes, made = play(script, live=True, drop_corrupt=drop_corrupt)
    wakes.wait_for(lambda: feed.captured == captured)
    made[0].damaged = 5
    assert (feed.corrupt, feed.damaged_packets) == (1, 5)
    end.set()
    assert feed.stop(GENEROUS_S)
    assert feed.damaged_packets == 5  # of a connection that is closed


def test_the_age_of_the_newest_picture_grows_until_the_next():
    now = [10_000_000_000]
    block, end = blocker()
    feed, wakes, _ = play([shade(5), block, shade(6)], live=True, clock=lambda: now[0])
    wakes.wait_for(lambda: feed.captured == 1)
    now[0] += 4_000_000_000
    assert feed.gauges()["frame_age_s"] == 4.0
    end.set()
    wakes.wait_for(lambda: feed.captured == 2)
    assert feed.gauges()["frame_age_s"] == 0.0
