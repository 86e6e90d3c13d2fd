"""The feed: which frames come, how they are numbered, and what it does when its source is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from capture.examples import GENEROUS_S, ScriptedSource, Step, Wakes, drain, shade

from nodes.capture.feed import Feed
from nodes.capture.pace import Pace
from nodes.capture.picture import Picture
from nodes.capture.sources import make_source
from stream.config import Capture
from stream.errors import SourceError

QUICK = {"backoff_s": 0.001, "backoff_max_s": 0.002}


def play(
    *scripts: Sequence[Step], live: bool = False, source_live: bool | None = None, fps: float | None = None, **config
) -> tuple[Feed, Wakes, list[ScriptedSource]]:
    """A started feed whose first connection plays the first script, and so on; the last one repeats."""
    made: list[ScriptedSource] = []
    wakes = Wakes()
    keywords = {
        k: config.pop(k)
        for k in ("first_frame_id", "session", "clock", "backoff", "epoch", "elapsed_s", "opened_before")
        if k in config
    }

    def next_source() -> ScriptedSource:
        script = scripts[min(len(made), len(scripts) - 1)]
        made.append(ScriptedSource(script, live=live if source_live is None else source_live, fps=fps))
        return made[-1]

    feed = Feed(next_source, Capture(**{"camera": "yard", **QUICK, **config}), live=live, wake=wakes, **keywords)
    feed.start()
    return feed, wakes, made


def blocker() -> tuple[Callable[[], None], threading.Event]:
    """A step that holds the source's thread until the event is set."""
    event = threading.Event()

    def block() -> None:
        assert event.wait(GENEROUS_S)

    return block, event


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
    wakes.wait_for(lambda: made[0].closed)
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
    feed, wakes, made = play([shade(i) for i in range(10)], first_frame_id=6, session=2)
    frames = drain(feed, wakes)
    assert made[0].skipped == 6
    assert [(f.stamp.frame_id, int(f.rgb[0, 0, 0]), f.stamp.session) for f in frames] == [
        (i, 8 * i, 2) for i in (6, 7, 8, 9)
    ]


def test_a_live_source_only_continues_its_numbers():
    feed, wakes, made = play([shade(0), shade(1)], live=True, first_frame_id=40, frames=42)
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
    assert len(drain(*play([shade(i) for i in range(9)], frames=4, first_frame_id=3)[:2])) == 1
    assert drain(*play([shade(i) for i in range(9)], frames=4, first_frame_id=4)[:2]) == []


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
    feed, wakes, _ = play(script, live=True, duration_s=0.2, backoff_s=1000.0, backoff_max_s=1000.0)
    drain(feed, wakes)
    assert (feed.phase, feed.captured, feed.error) == ("ended", 1, None)
    assert "next try in" in caplog.text


def test_realtime_plays_at_the_rate_of_the_source():
    config = Capture(source="lavfi:testsrc2=size=96x64:rate=50:duration=0.3", realtime=True)
    wakes = Wakes()
    feed = Feed(lambda: make_source(config), config, live=True, wake=wakes)
    feed.start()
    stamps = [f.stamp for f in drain(feed, wakes)]
    assert feed.captured == 15
    first, last = stamps[0], stamps[-1]
    assert first.pts_s is not None
    assert last.pts_s is not None
    # a live slot may pass frames over, but none comes before its time
    assert last.captured_ns - first.captured_ns >= (last.pts_s - first.pts_s) * 1e9 - 20e6


def test_pace_follows_presentation_times_and_starts_anew_at_a_break():
    pace = Pace(25.0, lambda: 7 * 10**9)
    picture = shade(0)
    due = [pace.due_ns(Picture(picture, pts)) / 1e9 for pts in (100.0, 100.5, 100.6, 3.0, 3.1, 900.0, None)]
    assert due == pytest.approx([7.0, 7.5, 7.6, 7.64, 7.74, 7.78, 7.82])
    unknown = Pace(None, lambda: 0)
    assert [unknown.due_ns(Picture(picture)) / 1e9 for _ in range(3)] == pytest.approx([0, 0.04, 0.08])


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


def test_a_new_size_bumps_the_epoch_and_is_told(caplog):
    caplog.set_level(logging.INFO)
    small, large = (64, 96), (80, 128)
    feed, wakes, _ = play([shade(0, small), shade(1, small), shade(2, large), shade(3, large), shade(4, small)])
    assert [f.stamp.epoch for f in drain(feed, wakes)] == [0, 0, 1, 1, 2]
    assert "the frame size changed from 96x64 to 128x80" in caplog.text


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
    told = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "nodes.capture.feed"]
    assert told[0][0] == "WARNING"
    assert told[0][1].startswith("rtsp://***@cam: silent for 2 s (it was connected for ")
    assert sum("next try in" in text for _, text in told) >= 3
    assert any("back after" in text and "session 1" in text for _, text in told)
    assert "secret" not in caplog.text


def test_a_live_source_that_breaks_again_and_again_is_never_given_up():
    feed, wakes, _ = play([shade(0), SourceError("gone")], live=True)
    wakes.wait_for(lambda: feed.reconnects >= 8)
    assert feed.session == feed.reconnects
    assert feed.error is None
    assert feed.stop(GENEROUS_S)


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


def test_a_restarted_feed_goes_on_with_its_epoch_and_with_what_is_left_of_its_time():
    feed, wakes, _ = play([shade(0)], epoch=4, duration_s=30.0, elapsed_s=29.0)
    (frame,) = drain(feed, wakes)
    assert frame.stamp.epoch == 4
    assert feed._deadline_ns - frame.stamp.captured_ns == 1_000_000_000


def test_stop_interrupts_a_long_wait():
    feed, wakes, _ = play([shade(0), SourceError("gone")], live=True, backoff_s=1000.0, backoff_max_s=1000.0)
    wakes.wait_for(lambda: feed.phase == "backing off" and feed.retry_in_s is not None)
    assert feed.retry_in_s is not None
    assert 700 < feed.retry_in_s <= 1200
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


def test_the_rate_is_measured_from_capture_times():
    now = [0]
    script: list[Step] = []
    for i in range(6):
        script += [shade(i), lambda: now.__setitem__(0, now[0] + 40_000_000)]
    feed, wakes, _ = play(script, clock=lambda: now[0])
    wakes.wait_for(lambda: feed.phase == "running")
    drain(feed, wakes)
    assert feed.fps == pytest.approx(25.0)
    assert play([shade(0)])[0].fps is None


def test_the_demo_comes_through_with_its_truth_and_resumes_anywhere():
    config = Capture(demo_frames=9, demo_size="96x64")
    runs = []
    for first in (0, 7):
        wakes = Wakes()
        feed = Feed(lambda: make_source(config), config, live=False, first_frame_id=first, wake=wakes)
        feed.start()
        runs.append(drain(feed, wakes))
    assert [f.stamp.frame_id for f in runs[1]] == [7, 8]
    for whole, resumed in zip(runs[0][7:], runs[1], strict=True):
        assert np.array_equal(whole.rgb, resumed.rgb)
        assert np.array_equal(whole.truth, resumed.truth)
        assert whole.stamp.pts_s == resumed.stamp.pts_s
