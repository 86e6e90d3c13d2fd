"""Which frames of the past a prompt may name: the newest, and those that are pinned."""

from __future__ import annotations

import numpy as np
import pytest
from builders import frame, gray, point_prompt, tracks

from nodes.tracker import past_frames
from nodes.tracker.past_frames import PIN_S, PINS, SERIES, PastFrames, thin
from stream.errors import PromptError
from stream.messages import FrameRef, Tracks


def ref(frame_id: int, **more) -> FrameRef:
    return FrameRef(**{"session": 0, "frame_id": frame_id, **more})


def recorded(frames: int, least: int = 16, **options) -> PastFrames:
    past = PastFrames(least)
    for i in range(frames):
        past.record(tracks(i, **options))
    return past


def ids(chain) -> list[int]:
    return [t.frame.stamp.frame_id for t in chain]


def test_two_horizons_of_frames_are_there_however_slow_the_feed_and_two_seconds_of_a_quick_one():
    slow = PastFrames(16)
    for i in range(40):
        slow.record(Tracks(frame=frame(i, captured_ns=i * 10**9)))
    assert ids(slow.answered) == list(range(24, 40))
    assert ids(recorded(100).answered) == list(range(49, 100))  # at 25 frames a second


def test_large_pictures_are_held_for_two_horizons_alone(monkeypatch):
    monkeypatch.setattr(past_frames, "RECENT_BYTES", 20 * gray().nbytes)
    assert len(recorded(100).answered) == 20
    monkeypatch.setattr(past_frames, "RECENT_BYTES", 1)
    assert len(recorded(100).answered) == 16


def test_a_frame_that_is_gone_is_refused_with_those_that_are_there():
    past = recorded(100)
    past.pin(ref(60))
    for i in range(100, 140):
        past.record(tracks(i))
    with pytest.raises(PromptError, match=r"frame 61 of session 0 is gone; there are frames 89 to 139 .*, and 60"):
        past.pin(ref(61))


@pytest.mark.parametrize("wrong", [{"session": 1}, {"epoch": 1}, {"frame_id": 1000}])
def test_a_frame_of_another_session_or_epoch_is_gone(wrong):
    past = recorded(20)
    past.pin(ref(10))
    with pytest.raises(PromptError, match="is gone"):
        past.pin(ref(**{"frame_id": 10, **wrong}))


def test_a_pinned_frame_outlives_the_others_with_a_thinned_series_of_those_since():
    past = recorded(20)
    pin = past.pin(ref(5))
    for i in range(20, 400):
        past.record(tracks(i))
        assert len(pin.series) <= SERIES
        chain = ids(past.chain(pin))
        assert (chain[0], chain[-1]) == (5, i)
        assert chain == sorted(set(chain))
    gaps = np.diff(ids(pin.series))
    assert gaps.max() <= 2 * np.median(gaps)  # evenly, as far as dropping every second allows


def test_a_series_of_large_pictures_is_short(monkeypatch):
    monkeypatch.setattr(past_frames, "SERIES_BYTES", 5 * gray().nbytes)
    past = recorded(20)
    pin = past.pin(ref(5))
    for i in range(20, 200):
        past.record(tracks(i))
    assert 2 <= len(pin.series) <= 5


def test_a_pin_ends_after_its_time_and_begins_again_when_the_frame_is_named_again():
    past = recorded(20)
    past.tick(100.0)
    past.pin(ref(5))
    past.tick(100.0 + PIN_S - 1)
    assert [p.ref for p in past.pins] == [ref(5)]
    past.pin(ref(5))
    past.tick(100.0 + PIN_S + 1)
    assert [p.ref for p in past.pins] == [ref(5)]
    past.tick(100.0 + 2 * PIN_S)
    assert past.pins == []


def test_one_pin_too_many_lets_the_oldest_go():
    past = recorded(20)
    for i in range(PINS + 1):
        past.pin(ref(i))
    assert [p.ref.frame_id for p in past.pins] == [1, 2, 3, 4]


def test_the_frame_of_a_prompt_is_pinned_and_known_with_it():
    past = recorded(20)
    past.record(tracks(20, prompts=(point_prompt(7),)))
    assert [p.ref for p in past.pins] == [ref(20)]
    assert past.newest_prompts[7].frame == ref(20)
    past.release(ref(20))
    assert [p.ref for p in past.pins] == [ref(20)]  # its candidates may still be chosen
    past.forget(7)
    past.release(ref(20))
    assert past.pins == []


def test_a_prompt_that_restores_an_object_is_none_of_the_users():
    past = recorded(20)
    past.record(tracks(20, prompts=(point_prompt(7, kind="restore"),)))
    assert (past.pins, past.newest_prompts) == ([], {})


def test_thinning_takes_frames_evenly_and_the_last_one_always():
    frames = [frame(i) for i in range(12)]
    assert [f.stamp.frame_id for f in thin(frames, 4)] == [2, 5, 8, 11]
    assert thin(frames, 20) == frames
    assert [f.stamp.frame_id for f in thin(frames, 1)] == [11]
