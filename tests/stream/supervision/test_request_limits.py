"""What clients may ask for at most: objects, requests, prompts and snapshots that wait."""

from __future__ import annotations

import json

import pytest
from supervision_fakes import SIZE, SessionUnderTest, boxed, opened

from stream.errors import PromptError
from stream.supervision.actions import SendReply
from stream.supervision.control import MAX_ID_CHARACTERS
from stream.supervision.requests.call import MAX_WAITING_PROMPTS
from stream.supervision.requests.limits import CLIENTS, RequestLimits
from stream.supervision.requests.waiting import MAX_WAITING


def ready(**keys):
    run = SessionUnderTest(**keys)
    run.session.registry.resize(SIZE)
    run.session.on_hello("tracker", 0.0)
    return run


def add(run):
    return run.request("add_object", {"points": [[5, 5]]})


def test_one_object_too_many_is_refused_until_one_is_removed():
    run = ready(control__max_objects=2)
    assert [add(run), add(run)] == [{"object_id": 1}, {"object_id": 2}]
    refusal = add(run)
    assert refusal["code"] == "too_many_objects"
    assert refusal["message"].startswith("2 objects are followed, which is the most; remove one")
    run.request("remove_object", {"object_id": 1})
    assert add(run) == {"object_id": 3}


def test_one_object_too_many_on_the_command_line_ends_the_run():
    run = SessionUnderTest([boxed(1), boxed(2)], control__max_objects=1)
    run.session.on_opened(opened(), 0.0)
    (error,) = run.ends()
    assert isinstance(error, PromptError)
    assert "control.max_objects" in str(error)


def test_a_client_that_sends_too_much_is_refused_and_others_are_not():
    run = ready(control__request_burst=3, control__requests_per_s=2.0)
    body = json.dumps({"id": 7, "method": "list_objects"}).encode()

    def code(client, now_s):
        (reply,) = [json.loads(a.body) for a in run.serve([body], now_s, (client,)) if isinstance(a, SendReply)]
        assert reply["id"] == 7
        return reply.get("error", {}).get("code")

    assert [code(b"first", 10.0) for _ in range(4)] == [None, None, None, "too_many_requests"]
    assert code(b"second", 10.0) is None
    assert [code(b"first", 10.6) for _ in range(2)] == [None, "too_many_requests"]


def test_only_so_many_clients_are_remembered():
    limits = RequestLimits(burst=1, per_s=0.001)
    for i in range(10 * CLIENTS):
        assert limits.take(str(i).encode(), 0.0)
    assert len(limits._buckets) == CLIENTS


def test_prompts_are_refused_while_too_many_wait_for_the_tracker():
    run = ready()
    assert add(run) == {"object_id": 1}
    run.waiting_prompts = MAX_WAITING_PROMPTS
    assert add(run)["code"] == "busy"
    assert run.request("refine_object", {"object_id": 1, "points": [[6, 6]]})["code"] == "busy"
    assert run.request("remove_object", {"object_id": 1}) == {"object_id": 1}


def test_snapshots_are_refused_while_too_many_wait_for_the_renderer():
    run = ready()
    body = json.dumps({"id": 7, "method": "snapshot"}).encode()
    replies = [a for _ in range(MAX_WAITING + 1) for a in run.serve([body]) if isinstance(a, SendReply)]
    assert [json.loads(a.body)["error"]["code"] for a in replies] == ["busy"]


@pytest.mark.parametrize("request_id", ["x" * (MAX_ID_CHARACTERS + 1), 10**MAX_ID_CHARACTERS])
def test_an_id_that_is_too_long_is_refused_and_not_sent_back(request_id):
    run = ready()
    (reply,) = run.serve([json.dumps({"id": request_id, "method": "list_objects"}).encode()])
    body = json.loads(reply.body)
    assert (body["id"], body["error"]["code"]) == (None, "bad_request")
    assert run.handler.malformed == 1
