"""Prompts on frames of the past, held frames and candidates over control: the reply comes when a node has answered."""

from __future__ import annotations

import json

import pytest
from builders import masks, object_mask
from supervision_fakes import SIZE, SessionUnderTest

from stream.commands import ChooseCandidate, GivePrompt, HoldFrame, ReleaseFrame, RemoveObject
from stream.messages import FrameRef
from stream.reports import Answer
from stream.supervision.actions import SendCommand
from stream.supervision.requests.frame_methods import CHOICE_S
from stream.supervision.requests.waiting import TIMEOUT_S

SEEN = {"session": 2, "frame_id": 812, "epoch": 1}
ADD = {"points": [[5, 5]], "frame": SEEN}


@pytest.fixture
def run():
    """A session whose tracker has loaded and whose source is open."""
    run = SessionUnderTest()
    run.session.registry.resize(SIZE)
    run.session.on_hello("tracker", 0.0)
    run.commands()
    return run


def ask(run, method, params, now_s=0.0):
    """The command that a request sends; there is no reply yet."""
    request = json.dumps({"id": method, "method": method, "params": params}).encode()
    (action,) = run.serve([request], now_s=now_s)
    assert isinstance(action, SendCommand)
    return action.command


def answer(run, request, **fields):
    """The reply that a node's answer leads to."""
    run.requests.on_answer(Answer(node="tracker", pid=1, request=request, **fields))
    (reply,) = run.replies()
    return reply.get("result", reply.get("error"))


def test_an_object_on_a_frame_that_was_seen_is_there_when_the_tracker_has_accepted_it(run):
    command = ask(run, "add_object", ADD)
    assert isinstance(command, GivePrompt)
    assert command.prompt.frame == FrameRef(**SEEN)
    assert answer(run, command.request) == {"object_id": 1}
    assert [o["id"] for o in run.request("list_objects")["objects"]] == [1]


def test_a_frame_that_is_gone_is_a_typed_error_and_the_object_is_not_followed(run):
    command = ask(run, "add_object", ADD)
    refused = answer(run, command.request, code="frame_gone", error="frame 812 is gone; there are frames 900 to 915")
    assert refused == {"code": "frame_gone", "message": "frame 812 is gone; there are frames 900 to 915"}
    assert run.request("list_objects") == {"objects": []}
    assert ask(run, "add_object", ADD).prompt.object_id == 2  # an id is never used twice


def test_a_tracker_that_does_not_answer_follows_nothing(run):
    command = ask(run, "add_object", ADD, now_s=1.0)
    run.requests.on_tick(1.1 + TIMEOUT_S)
    actions = run.outbox.take()
    [removed] = [a.command for a in actions if isinstance(a, SendCommand)]
    assert removed == RemoveObject(object_id=1)
    assert command.request
    assert run.request("list_objects") == {"objects": []}


def test_a_tracker_that_loads_has_no_frames():
    run = SessionUnderTest()
    run.session.registry.resize(SIZE)
    assert run.request("add_object", ADD)["code"] == "frame_gone"
    assert run.request("hold_frame", {"frame": SEEN})["code"] == "frame_gone"


def test_an_object_that_is_removed_while_its_frame_is_looked_for_stays_away(run):
    command = ask(run, "add_object", ADD)
    run.request("remove_object", {"object_id": 1})
    run.outbox.take()
    assert answer(run, command.request, code="frame_gone", error="gone")["code"] == "frame_gone"


def test_what_brings_an_object_back_after_a_restart_names_no_frame(run):
    answer(run, ask(run, "add_object", {**ADD, "candidate": 0}).request)
    [prompt] = run.session.registry.prompts()
    assert (prompt.frame, prompt.candidate) == (None, None)


def test_a_prompt_that_does_not_fit_is_refused_at_once_and_only_once(run):
    error = run.request("add_object", {"points": [[500, 5]], "frame": SEEN})
    assert error["code"] == "outside_frame"
    run.requests.on_tick(100.0)
    assert run.replies() == []


def test_a_prompt_names_the_candidate_that_is_meant(run):
    command = ask(run, "add_object", {"points": [[5, 5]], "candidate": 2})
    assert (command.prompt.candidate, command.prompt.frame) == (2, None)
    assert answer(run, command.request) == {"object_id": 1}


def test_points_on_a_frame_are_accepted_or_refused_by_the_tracker(run):
    run.request("add_object", {"points": [[5, 5]]})
    run.outbox.take()
    refine = {"object_id": 1, "points": [[6, 6, 0]], "frame": {"session": 2, "frame_id": 812}}
    command = ask(run, "refine_object", refine)
    assert (command.prompt.kind, command.prompt.frame.epoch) == ("refine", 0)
    assert answer(run, command.request) == {"object_id": 1}
    command = ask(run, "refine_object", refine)
    assert answer(run, command.request, code="frame_gone", error="gone")["code"] == "frame_gone"
    assert [o["id"] for o in run.request("list_objects")["objects"]] == [1]  # the object goes on


def test_a_held_frame_is_confirmed_by_the_tracker_and_a_released_one_by_nobody(run):
    command = ask(run, "hold_frame", {"frame": SEEN})
    assert isinstance(command, HoldFrame)
    assert command.frame == FrameRef(**SEEN)
    assert answer(run, command.request) == {"held_s": 30}
    assert run.request("release_frame", {"frame": SEEN}) == {}
    assert [a.command for a in run.actions(SendCommand)] == [ReleaseFrame(frame=FrameRef(**SEEN))]


def test_the_decoder_says_which_candidate_it_has_taken(run):
    run.request("add_object", {"points": [[5, 5]]})
    run.session.on_masks(masks(0, object_mask(1), size=SIZE), 0.0)
    run.outbox.take()
    command = ask(run, "choose_candidate", {"object_id": 1, "step": -1})
    assert (type(command), command.object_id, command.step) == (ChooseCandidate, 1, -1)
    reply = answer(run, command.request, result={"candidate": 2, "candidates": 5})
    assert reply == {"object_id": 1, "candidate": 2, "candidates": 5}


def test_a_slow_mask_model_has_half_a_minute_for_a_candidate(run):
    run.request("add_object", {"points": [[5, 5]]})
    run.outbox.take()
    ask(run, "choose_candidate", {"object_id": 1, "step": 1})
    run.requests.on_tick(CHOICE_S)
    assert run.replies() == []
    run.requests.on_tick(CHOICE_S + 0.1)
    [refused] = run.replies()
    assert refused["error"]["code"] == "timeout"
    assert "within 30 s" in refused["error"]["message"]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("add_object", {"points": [[5, 5]], "frame": 7}, "bad_params"),
        ("add_object", {"points": [[5, 5]], "frame": {"frame_id": 7}}, "bad_params"),
        ("add_object", {"points": [[5, 5]], "frame": {"session": 0, "frame_id": -1}}, "bad_params"),
        ("add_object", {"points": [[5, 5]], "frame": {"session": 0, "frame_id": True}}, "bad_params"),
        ("add_object", {"points": [[5, 5]], "frame": {**SEEN, "camera": "door"}}, "bad_params"),
        ("add_object", {"points": [[5, 5]], "candidate": -1}, "bad_params"),
        ("add_object", {"points": [[5, 5]], "candidate": 1.5}, "bad_params"),
        ("refine_object", {"object_id": 9, "points": [[5, 5]], "frame": SEEN}, "unknown_object"),
        ("hold_frame", {}, "bad_params"),
        ("hold_frame", {"frame": {}}, "bad_params"),
        ("hold_frame", {"frames": SEEN}, "bad_params"),
        ("release_frame", {}, "bad_params"),
        ("choose_candidate", {"object_id": 9, "step": 1}, "unknown_object"),
        ("choose_candidate", {"step": 1}, "unknown_object"),
    ],
)
def test_what_can_not_be_served_is_a_typed_error(run, method, params, code):
    error = run.request(method, params)
    assert error["code"] == code
    assert len(error["message"]) > 10
    assert run.outbox.take() == []


@pytest.mark.parametrize("step", [0, 2, 1.0, True, "1", None])
def test_a_step_is_one_up_or_one_down(run, step):
    run.request("add_object", {"points": [[5, 5]]})
    run.outbox.take()
    assert run.request("choose_candidate", {"object_id": 1, "step": step})["code"] == "bad_params"
