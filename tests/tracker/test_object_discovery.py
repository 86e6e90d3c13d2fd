"""The first frame of a run with --auto: the decoder looks at it before it is tracked."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from stream_examples import stamp

from nodes.tracker.node import Shell
from stream.messages import Command, Frame, Prompt
from stream.settings.presets import load

SIZE = (72, 96)


def shell(**overrides):
    """A tracker with what it sent, and how many steps were counted."""
    sent, counted = [], []
    beat = SimpleNamespace(numbers=None, frame_id=-1)

    def count(act, message):
        if act(message) is not False:
            counted.append(message.stamp.frame_id)

    beat.count = count
    node = SimpleNamespace(config=load("lite", overrides), heartbeat=beat, send=sent.append)
    return Shell(node), sent, counted


def frame(i: int) -> Frame:
    rng = np.random.default_rng(1)
    return Frame(stamp=stamp(i, captured_ns=i * 40_000_000), rgb=rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8))


def mask():
    mask = np.zeros(SIZE, np.uint8)
    mask[20:50, 20:60] = 1
    return mask


def start(s, survey=True):
    s.obey(Command(kind="start", frame_id=-1, survey=survey))


def test_a_lossless_feed_waits_with_its_first_frame_for_what_is_found_on_it():
    s, sent, counted = shell()
    start(s)
    s.node.heartbeat.count(s.step, frame(0))
    assert [(t.frame.stamp.frame_id, t.survey, t.objects) for t in sent] == [(0, True, ())]
    assert not s.ready()
    s.obey(Command(kind="prompt", prompt=Prompt(object_id=1, mask=mask())))
    assert len(sent) == 1
    s.obey(Command(kind="found"))
    assert [(t.frame.stamp.frame_id, t.survey, len(t.prompts)) for t in sent[1:]] == [(0, False, 1)]
    assert counted == [0]


def test_a_feed_on_which_nothing_is_found_goes_on_and_is_asked_about_once():
    s, sent, counted = shell()
    start(s)
    s.node.heartbeat.count(s.step, frame(0))
    s.obey(Command(kind="found"))
    assert s.ready()
    for i in range(1, 20):
        s.node.heartbeat.count(s.step, frame(i))
    assert [t.survey for t in sent] == [True] + [False] * 20
    assert counted == list(range(20))


def test_a_decoder_that_dies_while_it_looks_does_not_hold_the_feed():
    s, sent, _ = shell()
    start(s)
    s.step(frame(0))
    s.obey(Command(kind="revive"))
    assert s.ready()
    assert [(t.frame.stamp.frame_id, t.survey) for t in sent] == [(0, True), (0, False)]


def test_a_live_feed_marks_its_first_frame_and_does_not_wait():
    s, sent, _ = shell(**{"capture.realtime": True})
    start(s)
    for i in range(3):
        s.step(frame(i))
    assert [t.survey for t in sent] == [True, False, False]


@pytest.mark.parametrize("live", [True, False])
def test_nobody_looks_where_nobody_asked_for_it(live):
    s, sent, _ = shell(**{"capture.realtime": live})
    start(s, survey=False)
    s.step(frame(0))
    assert [t.survey for t in sent] == [False]
