from __future__ import annotations

import json
import random

import pytest
from supervision_fakes import SIZE, SessionUnderTest, found

from stream.commands import (
    FindObjects,
    GivePrompt,
    Pause,
    Record,
    RemoveObject,
    Resume,
    SetLabels,
    Start,
    TakeSnapshot,
    UndoPoint,
)
from stream.reports import Answer
from stream.supervision.actions import EndRun, SendCommand, SendReply
from stream.supervision.control import METHODS
from stream.supervision.requests.waiting import TIMEOUT_S


@pytest.fixture
def run():
    """A session whose tracker has loaded and whose source is open."""
    run = SessionUnderTest()
    run.session.registry.resize(SIZE)
    run.session.on_hello("tracker", 0.0)
    run.commands()
    return run


def test_an_object_lives_through_its_methods(run):
    assert run.request("add_object", {"points": [[5, 5], [9, 9, 0]]}) == {"object_id": 1}
    assert run.request("add_object", {"box": [1, 1, 20, 20]}) == {"object_id": 2}
    assert run.request("refine_object", {"object_id": 1, "points": [[6, 6, 1]]}) == {"object_id": 1}
    assert run.request("remove_object", {"object_id": 1}) == {"object_id": 1}
    assert [o["id"] for o in run.request("list_objects")["objects"]] == [2]
    assert run.request("add_object", {"points": [[5, 5]]}) == {"object_id": 3}
    commands = [a.command for a in run.actions(SendCommand)]
    assert [(c.prompt.kind, c.prompt.object_id) for c in commands if isinstance(c, GivePrompt)] == [
        ("add", 1),
        ("add", 2),
        ("refine", 1),
        ("add", 3),
    ]
    assert commands[3] == RemoveObject(object_id=1)


def test_a_new_label_goes_to_every_node_that_shows_it(run):
    run.request("add_object", {"points": [[5, 5]]})
    run.session.on_hello("publisher", 0.0)
    run.commands()
    assert run.request("rename_object", {"object_id": 1, "label": "cat"}) == {"object_id": 1, "label": "cat"}
    assert run.actions(SendCommand) == [SendCommand("publisher", SetLabels(labels={1: "cat"}))]  # no renderer yet
    assert run.request("list_objects")["objects"][0]["label"] == "cat"
    assert run.request("rename_object", {"object_id": 1, "label": ""})["label"] == ""
    assert run.actions(SendCommand) == [SendCommand("publisher", SetLabels(labels={}))]


def test_an_object_may_begin_with_its_label(run):
    assert run.request("add_object", {"points": [[5, 5]], "label": "dog"}) == {"object_id": 1}
    assert run.request("list_objects")["objects"][0]["label"] == "dog"


def test_the_feed_is_paused_resumed_and_ended(run):
    assert run.request("pause") == {"paused": True}
    assert run.request("resume", {}) == {"paused": False}
    assert run.request("stats")["frames"] == {"captured": 3}
    assert run.request("shutdown") == {}
    actions = run.outbox.take()
    assert actions == [SendCommand("capture", Pause()), SendCommand("capture", Resume()), EndRun()]


def test_each_reply_goes_to_the_client_that_sent_the_request(run):
    for name in (b"first", b"second"):
        (reply,) = run.serve([b'{"id": 1, "method": "list_objects"}'], address=(name, b""))
        assert reply.address == (name, b"")


def test_points_are_taken_back_by_the_tracker_which_answers(run):
    run.request("add_object", {"points": [[5, 5]]})
    run.request("refine_object", {"object_id": 1, "points": [[6, 6]]})
    run.commands()
    (action,) = run.serve([b'{"id": 5, "method": "undo_point", "params": {"object_id": 1}}'])
    assert action == SendCommand("tracker", UndoPoint(object_id=1, request=1))
    assert [p.kind for p in run.session.registry.prompts()] == ["add"]  # also where it has to be restored now
    run.requests.on_answer(answer(1))
    assert run.replies() == [{"id": 5, "result": {"object_id": 1}}]
    run.serve([b'{"id": 6, "method": "undo_point", "params": {"object_id": 1}}'])
    run.requests.on_answer(answer(2, error="nothing is left", code="bad_params"))
    assert run.replies()[0]["error"]["code"] == "bad_params"


def test_objects_are_looked_for_by_request_where_the_mask_model_can():
    run = SessionUnderTest(decoder__backend="sam", control__max_objects=4)
    run.session.registry.resize(SIZE)
    run.session.on_hello("tracker", 0.0)
    run.request("add_object", {"points": [[5, 5]]})
    run.commands()
    assert run.request("find_objects", {"count": 9}) == {"count": 3}  # there is room for
    assert run.actions(SendCommand) == [SendCommand("tracker", FindObjects(count=3))]
    boxes = [(1, 1, 4, 4), (10, 1, 4, 4), (20, 1, 4, 4), (30, 1, 4, 4)]
    run.session.on_found(found(*boxes, requested=False, count=2))
    assert run.commands() == [("tracker", GivePrompt, 2), ("tracker", GivePrompt, 3)]
    run.request("add_object", {"points": [[5, 5]]})
    assert run.request("find_objects", {"count": 1})["code"] == "too_many_objects"


def test_lite_says_that_it_finds_nothing_by_itself(run):
    refusal = run.request("find_objects", {"count": 3})
    assert refusal["code"] == "unsupported"
    assert "decoder.backend lite follows what it is shown" in refusal["message"]
    assert run.outbox.take() == []


def test_the_cameras_of_the_run_are_named(run):
    assert run.request("list_cameras") == {"cameras": ["camera"]}


# --- snapshots: the reply comes when the renderer has answered ---


@pytest.fixture
def waiting(run):
    """A run with two clients that wait for a snapshot."""
    for name in ("first", "second"):
        request = json.dumps({"id": name, "method": "snapshot"}).encode()
        (action,) = run.serve([request], now_s=1.0, address=(name.encode(),))
        assert (action.node, type(action.command)) == ("renderer", TakeSnapshot)
    return run


def answer(request, **values):
    return Answer(node="renderer", pid=1, request=request, **values)


def test_an_answer_goes_to_the_client_that_waits_for_it_and_only_once(waiting):
    for _ in range(2):
        waiting.requests.on_answer(answer(2, result={"picture": "a.png"}))
    (reply,) = waiting.actions(SendReply)
    assert reply.address == (b"second",)
    assert json.loads(reply.body) == {"id": "second", "result": {"picture": "a.png"}}


def test_a_snapshot_that_the_renderer_could_not_write_is_refused(waiting):
    waiting.requests.on_answer(answer(1, error="the disk is full"))
    assert waiting.replies() == [{"id": "first", "error": {"code": "internal", "message": "the disk is full"}}]


def test_a_node_names_the_reason_of_its_refusal(waiting):
    waiting.requests.on_answer(answer(2, error="no such frame", code="frame_gone"))
    assert waiting.replies()[0]["error"] == {"code": "frame_gone", "message": "no such frame"}


def test_an_answer_that_nobody_waits_for_is_dropped(waiting):
    waiting.requests.on_answer(answer(99))
    assert waiting.outbox.take() == []


def test_a_client_that_has_waited_for_too_long_is_refused_and_no_other(waiting):
    waiting.serve([b'{"id": "third", "method": "snapshot"}'], now_s=2.0)
    waiting.requests.on_tick(1.0 + TIMEOUT_S)
    assert waiting.replies() == []
    waiting.requests.on_tick(1.5 + TIMEOUT_S)
    replies = waiting.replies()
    assert [r["id"] for r in replies] == ["first", "second"]
    assert {r["error"]["code"] for r in replies} == {"timeout"}
    assert all(r["error"]["message"].startswith("no answer from the renderer within") for r in replies)


def test_at_the_end_no_client_is_left_waiting(waiting):
    waiting.requests.on_end()
    waiting.requests.on_end()
    error = {"code": "internal", "message": "the run ends before the renderer has answered"}
    assert waiting.replies() == [{"id": name, "error": error} for name in ("first", "second")]


def test_a_recording_is_switched_by_the_renderer_which_names_the_file(run):
    run.session.on_hello("renderer", 0.0)
    (start, action) = run.serve([b'{"id": 5, "method": "record", "params": {"on": true}}'])
    assert start.command == Start()
    assert action == SendCommand("renderer", Record(on=True, request=1))
    run.requests.on_answer(answer(1, result={"recording": True, "path": "a.mp4"}))
    assert run.replies() == [{"id": 5, "result": {"recording": True, "path": "a.mp4"}}]


def test_a_restarted_renderer_records_again_and_answers_who_still_waits(run):
    assert run.serve([b'{"id": 5, "method": "record", "params": {"on": true}}']) == []  # it is loading
    replies = []
    for restarts in range(2):
        run.session.on_hello("renderer", 0.0)
        commands = [a.command for a in run.actions(SendCommand)]
        assert commands == [Start(restarts=restarts), Record(on=True, request=1)]
        run.requests.on_answer(answer(1, result={"recording": True, "path": "a.mp4"}))
        replies += run.replies()
    assert [r["id"] for r in replies] == [5]


# --- what can't be served ---


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("ad_object", {}, "unknown_method"),
        (None, {}, "unknown_method"),
        (["pause"], {}, "unknown_method"),
        ("add_object", [], "bad_params"),
        ("add_object", {}, "bad_params"),
        ("add_object", {"point": [[1, 1]]}, "bad_params"),
        ("add_object", {"points": [[100, 1]]}, "outside_frame"),
        ("add_object", {"box": [1, 2, 3]}, "bad_params"),
        ("add_object", {"box": [1, 2, 3, "x"]}, "bad_params"),
        ("add_object", {"mask": {"bbox": "x"}}, "bad_params"),
        ("add_object", {"mask": {}}, "bad_params"),
        ("add_object", {"points": [[1, 1]], "label": "two\nlines"}, "bad_params"),
        ("refine_object", {"object_id": 1, "points": [[1, 1]]}, "unknown_object"),
        ("refine_object", {"object_id": True}, "unknown_object"),
        ("rename_object", {"object_id": 1, "label": "cat"}, "unknown_object"),
        ("rename_object", {"object_id": 1, "name": "cat"}, "bad_params"),
        ("remove_object", {"object_id": [1]}, "unknown_object"),
        ("remove_object", {}, "unknown_object"),
        ("undo_point", {"object_id": 1}, "unknown_object"),
        ("undo_point", {"object_id": 1, "points": []}, "bad_params"),
        ("find_objects", {}, "bad_params"),
        ("find_objects", {"count": 0}, "bad_params"),
        ("find_objects", {"count": True}, "bad_params"),
        ("record", {}, "bad_params"),
        ("record", {"on": 1}, "bad_params"),
        ("record", {"on": True, "path": "/etc/passwd"}, "bad_params"),
        ("pause", {"for_s": 5}, "bad_params"),
        ("resume", {"on": False}, "bad_params"),
        ("snapshot", {"path": "/etc/passwd"}, "bad_params"),
        ("stats", {"node": "web"}, "bad_params"),
        ("shutdown", {"in_s": 60}, "bad_params"),
        ("list_cameras", {"all": True}, "bad_params"),
        ("list_objects", {"state": "lost"}, "bad_params"),
    ],
)
def test_what_can_not_be_served_is_a_typed_error(run, method, params, code):
    error = run.request(method, params)
    assert error["code"] == code
    assert len(error["message"]) > 10
    assert run.outbox.take() == []


@pytest.mark.parametrize("method", ["add_object", "refine_object", "snapshot"])
def test_nothing_is_added_or_drawn_before_the_source_is_open(method):
    params = {} if method == "snapshot" else {"points": [[1, 1]]}
    assert SessionUnderTest().request(method, params)["code"] == "not_ready"


@pytest.mark.parametrize(
    "parts", [[], [b""], [b"x", b"y"], [b"{}"], [b"[]"], [b'{"id": true}'], [b'"\xff"'], [b"[" * 99999]]
)
def test_what_is_no_request_is_answered_and_counted(run, parts):
    (reply,) = run.serve(parts)
    assert json.loads(reply.body)["error"]["code"] == "bad_request"
    assert run.handler.malformed == 1


def test_random_requests_each_get_exactly_one_reply(run):
    rng = random.Random(3)
    values = [None, True, -1, 1e300, "x" * 50, [], {}, [[1, 1]], [[1, 1, 9]], {"bbox": [0, 0, 1, 1]}, [1, 2, 3, 4]]
    for _ in range(3000):
        method = rng.choice([m for m in METHODS if m != "stats"])
        keys = rng.sample(["points", "box", "mask", "object_id", "other"], rng.randint(0, 4))
        params = {key: rng.choice(values) for key in keys}
        actions = run.serve([json.dumps({"id": 1, "method": method, "params": params}).encode()])
        run.requests.on_tick(TIMEOUT_S + 1)  # nobody answers a snapshot
        (reply,) = [a for a in (*actions, *run.outbox.take()) if isinstance(a, SendReply)]
        assert json.loads(reply.body).get("error", {}).get("code") != "internal"
