from __future__ import annotations

import json
import random

import numpy as np
import pytest

from stream.reports import Found, Proposal
from stream.supervision.control import RequestHandler
from stream.supervision.registry import Registry


class FakeGraph:
    def __init__(self, size=(40, 60)):
        self.registry = Registry()
        self.registry.size = size
        self.did = []
        self.answers = []

    def prompt(self, prompt):
        self.did.append((prompt.kind, prompt.object_id))

    def remove(self, object_id):
        self.did.append(("remove", object_id))

    def pause(self, on):
        self.did.append(("pause", on))

    def snapshot(self, answer):
        self.answers.append(answer)

    def summary(self):
        return {"frames": {"captured": 3}}

    def shut_down(self):
        self.did.append("shut_down")


@pytest.fixture
def desk():
    return RequestHandler(FakeGraph())


def ask(desk, method, params=None, request_id=7):
    replies = []
    request = {"id": request_id, "method": method, **({} if params is None else {"params": params})}
    desk.serve([json.dumps(request).encode()], replies.append)
    (reply,) = replies
    reply = json.loads(reply)
    assert reply["id"] == request_id
    return reply.get("result", reply.get("error"))


def test_an_object_lives_through_its_methods(desk):
    assert ask(desk, "add_object", {"points": [[5, 5], [9, 9, 0]]}) == {"object_id": 1}
    assert ask(desk, "add_object", {"box": [1, 1, 20, 20]}) == {"object_id": 2}
    assert ask(desk, "refine_object", {"object_id": 1, "points": [[6, 6, 1]]}) == {"object_id": 1}
    assert ask(desk, "remove_object", {"object_id": 1}) == {"object_id": 1}
    assert [o["id"] for o in ask(desk, "list_objects")["objects"]] == [2]
    assert ask(desk, "add_object", {"points": [[5, 5]]}) == {"object_id": 3}
    assert desk.graph.did == [("add", 1), ("add", 2), ("refine", 1), ("remove", 1), ("add", 3)]


def test_the_feed_is_paused_resumed_and_ended(desk):
    assert ask(desk, "pause") == {"paused": True}
    assert ask(desk, "resume", {}) == {"paused": False}
    assert ask(desk, "stats")["frames"] == {"captured": 3}
    assert ask(desk, "shutdown") == {}
    assert desk.graph.did == [("pause", True), ("pause", False), "shut_down"]


def test_a_snapshot_is_answered_once_the_graph_has():
    desk, replies = RequestHandler(FakeGraph()), []
    desk.serve([b'{"id": "s", "method": "snapshot"}'], replies.append)
    assert not replies
    desk.graph.answers[0]({"picture": "p.png"}, "")
    assert json.loads(replies[0]) == {"id": "s", "result": {"picture": "p.png"}}


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
        ("refine_object", {"object_id": 1, "points": [[1, 1]]}, "unknown_object"),
        ("refine_object", {"object_id": True}, "unknown_object"),
        ("remove_object", {"object_id": [1]}, "unknown_object"),
        ("remove_object", {}, "unknown_object"),
    ],
)
def test_what_can_not_be_served_is_a_typed_error(desk, method, params, code):
    error = ask(desk, method, params)
    assert error["code"] == code
    assert len(error["message"]) > 10


def test_nothing_is_added_before_the_source_is_open():
    assert ask(RequestHandler(FakeGraph(size=None)), "add_object", {"points": [[1, 1]]})["code"] == "not_ready"


def found(*boxes, size=(40, 60)):
    objects = [
        Proposal(bbox=box, bits=np.full((box[2] * box[3] + 7) // 8, 255, np.uint8), score=0.9, inside=(box[0], box[1]))
        for box in boxes
    ]
    return Found(node="decoder", pid=1, frame_id=5, survey=True, size=size, objects=tuple(objects))


def test_what_was_found_is_followed_as_if_asked_for_and_no_more_than_allowed(desk):
    ask(desk, "add_object", {"points": [[5, 5]]})
    assert desk.follow(found((1, 1, 4, 4), (20, 10, 8, 8), (30, 30, 4, 4)), 3, exact=True) == [2, 3]
    assert desk.graph.did == [("add", 1), ("add", 2), ("add", 3)]
    prompt = desk.graph.registry.entry(3).prompt
    assert prompt.xy is None
    assert prompt.mask.shape == (40, 60)
    assert prompt.mask[10:18, 20:28].all()
    assert prompt.mask.sum() == 64
    assert desk.follow(found((50, 30, 4, 4)), 3, exact=True) == []


def test_what_was_found_a_while_ago_comes_with_a_point_so_that_sam_is_asked(desk):
    assert desk.follow(found((20, 10, 8, 8)), 1, exact=False) == [1]
    prompt = desk.graph.registry.entry(1).prompt
    assert prompt.xy.tolist() == [[20, 10]]
    assert prompt.labels.tolist() == [1]
    assert prompt.mask.any()


def test_what_was_found_on_frames_of_another_size_is_let_go(desk):
    assert desk.follow(found((1, 1, 4, 4), size=(80, 120)), 3, exact=True) == []
    assert desk.graph.did == []


@pytest.mark.parametrize(
    "parts", [[], [b""], [b"x", b"y"], [b"{}"], [b"[]"], [b'{"id": true}'], [b'"\xff"'], [b"[" * 99999]]
)
def test_what_is_no_request_is_answered_and_counted(desk, parts):
    replies = []
    desk.serve(parts, replies.append)
    assert json.loads(replies[0])["error"]["code"] == "bad_request"
    assert desk.malformed == 1


def test_random_requests_each_get_exactly_one_reply(desk):
    rng = random.Random(3)
    values = [None, True, -1, 1e300, "x" * 50, [], {}, [[1, 1]], [[1, 1, 9]], {"bbox": [0, 0, 1, 1]}, [1, 2, 3, 4]]
    for _ in range(3000):
        method = rng.choice([m for m in desk.methods if m != "stats"])
        keys = rng.sample(["points", "box", "mask", "object_id", "other"], rng.randint(0, 4))
        params = {key: rng.choice(values) for key in keys}
        replies = []
        desk.serve([json.dumps({"id": 1, "method": method, "params": params}).encode()], replies.append)
        assert len(replies) == 1
        assert json.loads(replies[0]).get("error", {}).get("code") != "internal"
