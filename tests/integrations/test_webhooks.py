"""Events reach a receiver signed and in order, and wait for it within bounds while it is away."""

from __future__ import annotations

import contextlib
import logging
import re
import time

import pytest
from integrations.receiver import SECRET, start_receiver
from integrations.wire_events import enter, events
from running import ROOT, until

from nodes.webhooks.letters import Letter, letters_of, signed_headers
from nodes.webhooks.node import make_stage
from nodes.webhooks.queue import AGAIN, DELIVERED, REFUSED, ReceiverQueue, outcome_of
from stream.errors import ConfigError
from stream.in_memory import InMemoryNode
from stream.public_wire.events import Event, unpack_events
from stream.settings.integrations import Webhooks, key_of
from stream.settings.presets import load
from stream.settings.secrets import redact

LOST = Event(kind="lost", object_id=1, state="lost", reason="no mask found")


@pytest.fixture
def receiver():
    with start_receiver() as receiver:
        yield receiver


@contextlib.contextmanager
def sending(receiver, **keys):
    """The stage with its node; events are given by `publish`."""
    settings = {"backoff_s": 0.02, "backoff_max_s": 0.2, "timeout_s": 5.0, "urls": [receiver.url], "secret": SECRET}
    overrides = {f"webhooks.{key}": value for key, value in {**settings, **keys}.items()}
    node = InMemoryNode()
    stage = make_stage(load("lite", {"capture.camera": "door", **overrides}), node)
    try:
        yield stage, node
    finally:
        stage.close()


def publish(stage, node, *sequences):
    for i in sequences:
        node.listener.publish(events(enter(i), sequence=i))
    stage.on_idle()


def counts(stage):
    progress = stage.progress()
    return {**progress.counters, **progress.gauges}


def test_each_event_comes_once_signed_and_in_order(receiver):
    with sending(receiver) as (stage, node):
        node.listener.publish(events(enter(5), LOST, sequence=3))
        publish(stage, node, 4)
        until(lambda: len(receiver.taken) == 3, "three events")
        assert [body["event"]["kind"] for body in receiver.taken] == ["enter", "lost", "enter"]
        assert receiver.taken[0]["event"] == {
            "kind": "enter",
            "object": 1,
            "state": "tracked",
            "label": "van",
            "zone": "yard",
            "count": 5,
        }
        assert (receiver.taken[0]["camera"], receiver.taken[0]["frame_id"]) == ("door", 3)
        assert receiver.ids == [body["id"] for body in receiver.taken]
        assert len(set(receiver.ids)) == 3
        until(lambda: counts(stage)["delivered"] == 3, "the count")
        assert receiver.forged == 0


def test_a_receiver_that_was_away_gets_what_waited_in_order_and_what_gave_way_is_counted(receiver):
    with sending(receiver, queue=10) as (stage, node):
        publish(stage, node, 0)
        until(lambda: len(receiver.taken) == 1, "the first event")
        receiver.stop()
        publish(stage, node, *range(1, 16))
        until(lambda: counts(stage)["failed_attempts"] > 1, "an attempt in vain")
        receiver.start()
        until(lambda: receiver.taken[-1]["frame_id"] == 15, "the newest event")
        frames = [body["frame_id"] for body in receiver.taken]
        assert frames == sorted(frames)
        until(lambda: counts(stage)["delivered"] == len(frames), "the count")
        now = counts(stage)
        assert now["delivered"] + now["dropped"] == 16
        assert 4 <= now["dropped"] <= 6  # ten wait, and perhaps one is under way
        assert (now["dead_letters"], now["waiting"], now["failing"]) == (0, 0, 0)


def test_a_receiver_that_says_nothing_is_given_up_after_the_timeout_and_tried_again(receiver):
    receiver.hangs = True
    with sending(receiver, timeout_s=0.1) as (stage, node):
        publish(stage, node, 0)
        until(lambda: counts(stage)["failed_attempts"] > 0, "a timeout")
        receiver.hangs = False
        until(lambda: len(receiver.taken) == 1, "the event")


def test_an_error_is_tried_again_so_often_and_a_refusal_never(receiver, caplog):
    with sending(receiver, max_attempts=3) as (stage, node):
        receiver.answers = [(302, {"Location": "http://elsewhere/x?token=1"}), (503, {"Retry-After": "0"})]
        publish(stage, node, 0)
        until(lambda: len(receiver.taken) == 1, "the event, after two errors")
        receiver.answers = [(500, {})] * 3 + [(400, {})]
        publish(stage, node, 1, 2, 3)
        until(lambda: len(receiver.taken) == 2, "the one event that is neither refused nor given up")
        assert [body["frame_id"] for body in receiver.taken] == [0, 3]
        until(lambda: counts(stage)["delivered"] == 2, "the count")
        assert counts(stage)["dead_letters"] == 2
    assert "redirects are not followed" in redact(caplog.text)
    assert "token" not in caplog.text


def test_only_the_kinds_that_are_asked_for_are_sent(receiver):
    with sending(receiver, kinds=["lost"]) as (stage, node):
        node.listener.publish(events(enter(), LOST))
        stage.on_idle()
        until(lambda: receiver.taken, "the event")
        assert [body["event"]["kind"] for body in receiver.taken] == ["lost"]


def test_another_cameras_events_and_what_is_no_message_are_let_go(receiver):
    with sending(receiver) as (stage, node):
        node.listener.topics.add("events/")
        node.listener.publish(events(enter(), camera="door2"))
        node.listener.publish([b"events/door", b"nonsense"])
        publish(stage, node, 7)
        until(lambda: receiver.taken, "the event")
        assert [body["frame_id"] for body in receiver.taken] == [7]


def test_what_is_left_at_the_end_is_counted_and_said(receiver, caplog):
    receiver.stop()
    with caplog.at_level(logging.WARNING), sending(receiver) as (stage, node):
        publish(stage, node, 0, 1)
        until(lambda: counts(stage)["failed_attempts"] > 0, "an attempt in vain")
    assert "2 events that 127.0.0.1" in caplog.text
    assert counts(stage)["dropped"] == 2


def test_waits_grow_and_begin_anew_once_the_receiver_works():
    queue = ReceiverQueue(Webhooks(backoff_s=1.0, backoff_max_s=8.0))
    for i in range(2):
        queue.add(Letter(str(i), b""))
    waits = []
    for _ in range(6):
        queue.take()
        queue.report(AGAIN, 0.0, "away", answered=False)
        waits.append(queue.wait_s(0.0))
    assert [pytest.approx(wait, rel=0.2) for wait in (1, 2, 4, 8, 8, 8)] == waits
    assert queue.take().id == "0"  # still the oldest, however often: a receiver that is away is waited for
    queue.report(DELIVERED, 0.0)
    assert queue.wait_s(0.0) == 0.0
    queue.take()
    queue.report(AGAIN, 0.0, wish_s=30.0)
    assert queue.wait_s(0.0) == 30.0


def test_answers_mean_what_they_say():
    assert {status: outcome_of(status) for status in (200, 204, 301, 400, 404, 410, 413, 429, 503)} == {
        200: DELIVERED,
        204: DELIVERED,
        301: AGAIN,
        400: REFUSED,
        404: AGAIN,
        410: REFUSED,
        413: REFUSED,
        429: AGAIN,
        503: AGAIN,
    }


def test_the_signature_is_that_of_standard_webhooks():
    """The example of https://github.com/standard-webhooks/standard-webhooks: id, time, body and secret as there."""
    letter = Letter("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    headers = signed_headers(letter, key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (letter.id, "1614265330")


def test_a_receiver_that_checks_as_the_page_says_takes_what_is_genuine_and_nothing_else():
    page = (ROOT / "docs" / "integrations.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names = {}
    exec(code, names)
    letter, now_s = Letter("door-p1-9-0", b'{"event": {}}'), round(time.time())
    headers = signed_headers(letter, key_of(SECRET), now_s)
    assert names["is_genuine"](headers, letter.body, SECRET)
    assert not names["is_genuine"](headers, letter.body + b" ", SECRET)
    assert not names["is_genuine"](headers, letter.body, SECRET + "?")
    assert not names["is_genuine"](signed_headers(letter, key_of(SECRET), now_s - 301), letter.body, SECRET)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"urls": ["ftp://host/x"]}, r"--webhook \(webhooks.urls\) is 'ftp://host/x'; needs https://HOST/PATH"),
        ({"urls": ["https:///x"]}, "needs https://HOST/PATH"),
        ({"urls": ["https://h:99999/x"]}, "port or host can't be read"),
        ({"urls": ["https://host/a b"]}, "as %20"),
        ({"secret": ""}, "webhooks.secret is not set"),
        ({"secret": "short"}, r"too .* \(5\); needs 16 characters or more"),
        ({"secret": "whsec_?"}, "no base64 behind whsec_"),
        ({"backoff_s": 100.0}, "backoff_max_s is 60.0; needs webhooks.backoff_s"),
        ({"kinds": ["entered"]}, "webhooks.kinds is .*needs a list out of appeared, lost"),
    ],
)
def test_what_can_not_work_is_refused(keys, message):
    settings = {"urls": ["https://host/hook"], "secret": SECRET, **keys}
    with pytest.raises(ConfigError, match=message):
        load("lite", {f"webhooks.{key}": value for key, value in settings.items()})


def test_secrets_are_hidden_in_whatever_is_said():
    url = "https://user:passw0rd@host/services/T0000/B0000/XXXXXXXX"
    load("lite", {"webhooks.urls": [url], "webhooks.secret": SECRET})
    assert redact(f"to {url} with {SECRET}") == "to https://***@host*** with ***"


def test_letters_of_one_message_have_ids_of_their_own_that_last():
    header = unpack_events(events(enter(), LOST, sequence=9))
    assert [letter.id for letter in letters_of(header, ())] == ["door-p1-9-0", "door-p1-9-1"]
