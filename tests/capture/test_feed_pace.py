"""How fast a feed goes: at the rate of its source, or as its presentation times say."""

from __future__ import annotations

import pytest
from capture.clips import shade
from capture.scripted_feeds import Step, Wakes, drain, play

from nodes.capture.feed import Feed
from nodes.capture.pace import Pace
from nodes.capture.source import Picture
from nodes.capture.sources import make_source
from stream.commands import StartCapture
from stream.settings.config import Capture


def test_realtime_plays_at_the_rate_of_the_source():
    config = Capture(source="lavfi:testsrc2=size=96x64:rate=50:duration=0.3", realtime=True)
    wakes = Wakes()
    feed = Feed(lambda: make_source(config), config, StartCapture(), live=True, wake=wakes)
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
