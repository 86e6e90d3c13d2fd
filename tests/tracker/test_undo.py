"""Taking points back: which prompt brings an object back to what it was, and on which frame."""

from __future__ import annotations

import numpy as np
import pytest
from tracker.tracker_stages import LIVE, clicked, noise, seeds, started

from nodes.tracker.past_frames import PIN_S, STEPS_BACK
from stream.commands import GivePrompt, RemoveObject, UndoPoint
from stream.messages import FrameRef, Prompt, PromptOnFrame
from stream.reports import Answer


class Feed:
    """A live feed of a tracker, frame by frame."""

    def __init__(self) -> None:
        self.stage, self.node = started(**LIVE)
        self.next_id = 0

    def frames(self, count: int) -> None:
        for _ in range(count):
            self.node.time_s = self.next_id / 25
            self.node.give(self.stage, noise(self.next_id))
            self.node.give(self.stage, seeds(self.next_id, 1))
            self.next_id += 1

    def give(self, kind: str, *points: tuple[float, float], frame_id: int | None = None) -> None:
        prompt = Prompt(
            object_id=1,
            kind=kind,
            xy=np.array(points, np.float32),
            labels=np.ones(len(points), np.uint8),
            frame=None if frame_id is None else FrameRef(session=0, frame_id=frame_id),
        )
        self.node.start(self.stage, GivePrompt(prompt=prompt, request=1))
        self.take()

    def undo(self) -> str:
        """The code of the error; empty where it was done."""
        self.node.start(self.stage, UndoPoint(object_id=1, request=7))
        (answer,) = self.node.take(Answer)
        assert answer.request == 7
        return answer.code if answer.error else ""

    def take(self) -> list[tuple[str, list, int]]:
        """Kind, points and frame of each prompt on a past frame that the decoder was sent."""
        self.node.take(Answer)
        sent = self.node.take(PromptOnFrame)
        return [
            (m.prompt.kind, [] if m.prompt.xy is None else m.prompt.xy.tolist(), m.prompt.frame.frame_id) for m in sent
        ]


@pytest.fixture
def feed():
    """One that follows object 1, given by a click on frame 4."""
    feed = Feed()
    feed.frames(4)
    feed.give("add", (30, 30))
    feed.frames(6)
    return feed


def test_points_on_the_newest_frame_are_taken_back_to_the_object_as_it_was_on_the_frame_before(feed):
    feed.give("refine", (50, 40))
    feed.frames(5)
    assert feed.undo() == ""
    assert feed.take() == [("refine", [], 9)]  # no points: its own mask there
    assert feed.undo() == "bad_params"
    assert feed.take() == []


def test_points_on_a_frame_that_was_seen_are_taken_back_to_the_object_as_it_was_there(feed):
    feed.give("refine", (50, 40), frame_id=7)
    feed.frames(20)
    assert feed.undo() == ""
    assert feed.take() == [("refine", [], 7)]


def test_points_on_the_frame_of_the_first_prompt_are_taken_back_one_by_one(feed):
    feed.give("add", (30, 30), frame_id=9)
    feed.give("refine", (50, 40), frame_id=9)
    feed.give("refine", (20, 20), frame_id=9)
    feed.frames(3)
    assert [feed.undo() for _ in range(3)] == ["", "", "bad_params"]
    assert feed.take() == [("add", [[30, 30], [50, 40]], 9), ("add", [[30, 30]], 9)]


def test_points_that_still_wait_for_a_frame_are_taken_back_before_they_count(feed):
    feed.give("refine", (50, 40))
    assert feed.undo() == ""
    feed.frames(1)
    assert feed.node.take(type(feed.node.sent[-1]))[-1].prompts == ()
    assert feed.take() == []
    assert feed.undo() == "bad_params"


def test_an_object_that_begins_again_has_nothing_to_take_back(feed):
    feed.give("refine", (50, 40))
    feed.frames(2)
    feed.node.start(feed.stage, clicked())
    feed.frames(2)
    assert feed.undo() == "bad_params"


def test_an_object_that_is_gone_has_nothing_to_take_back(feed):
    feed.give("refine", (50, 40))
    feed.frames(2)
    feed.node.start(feed.stage, RemoveObject(object_id=1))
    feed.frames(1)
    assert feed.undo() == "bad_params"


def test_points_whose_frame_is_gone_can_not_be_taken_back(feed):
    feed.give("refine", (50, 40))
    feed.frames(60)  # more than are kept
    feed.node.time_s += PIN_S + 1
    assert feed.undo() == "frame_gone"
    assert feed.take() == []


def test_only_so_many_steps_are_kept(feed):
    for i in range(STEPS_BACK + 5):
        feed.give("refine", (50, 40 - i), frame_id=9)
    assert [feed.undo() for _ in range(STEPS_BACK + 1)] == [""] * STEPS_BACK + ["bad_params"]
