"""The socket for programs outside: who subscribes to what, and what clients can't make of it."""

from __future__ import annotations

import socket
import time
from collections import deque
from dataclasses import replace

import pytest
import zmq
from running import until
from zmtp_client import GREETING, RawClient, frame, ping, ready

from stream.transport import service_sockets
from stream.transport.service_sockets import SUBSCRIPTION_BYTES, Broadcast, Listener
from stream.transport.sockets import Context
from stream.transport.subscriptions import PREFIXES

PATIENCE_S = 60.0  # a busy machine takes its time


@pytest.fixture
def context():
    made = Context()
    yield made
    made.close()


@pytest.fixture
def broadcast(context, tmp_path):
    made = Broadcast(context, f"ipc://{tmp_path}/publish", 8)
    yield made
    made.close()


def received(broadcast, listener, topic):
    """The first message that comes while the topic is sent again and again; None where none comes for a while."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        broadcast.send([topic.encode(), b"x"])
        if (parts := listener.recv(20)) is not None:
            return parts
    return None


def received_raw(broadcast, socket, topic):
    """The same, of a bare socket."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        broadcast.send([topic.encode(), b"x"])
        if socket.poll(20):
            return socket.recv_multipart()
    return None


@pytest.mark.parametrize("prefix", ["", "m", "masks/", "masks/door"])
def test_a_prefix_of_a_topic_gets_it(context, broadcast, prefix):
    listener = Listener(context, broadcast.endpoint, [prefix])
    assert received(broadcast, listener, "masks/door") == [b"masks/door", b"x"]
    listener.close()


def test_a_subscriber_gets_only_what_it_asked_for(context, broadcast):
    listener = Listener(context, broadcast.endpoint, ["status/"])
    assert received(broadcast, listener, "status/door") == [b"status/door", b"x"]
    for _ in range(20):
        broadcast.send([b"masks/door", b"x"])
    broadcast.send([b"status/door", b"last"])
    came = []
    while not came or came[-1][1] != b"last":
        came.append(listener.recv(int(1000 * PATIENCE_S)))
    assert {parts[0] for parts in came} == {b"status/door"}
    listener.close()


def test_what_was_unsubscribed_comes_no_longer(context, broadcast):
    listener = Listener(context, broadcast.endpoint, ["masks/", "status/"])
    received(broadcast, listener, "masks/door")
    listener.socket.unsubscribe("masks/")
    end, quiet = time.monotonic() + PATIENCE_S, 0
    while quiet < 20:
        assert time.monotonic() < end, "masks kept coming"
        broadcast.send([b"masks/door", b"x"])
        broadcast.send([b"status/door", b"x"])
        while (parts := listener.recv(20)) is not None:
            quiet = quiet + 1 if parts[0] == b"status/door" else 0
            if quiet == 20:
                break
    listener.close()


def test_whether_somebody_looks_at_a_topic_is_known(context, broadcast):
    assert not broadcast.has_subscriber("scenes/door")
    listener = Listener(context, broadcast.endpoint, ["masks/", "scenes/door"])
    until(lambda: broadcast.serve() or broadcast.has_subscriber("scenes/door"), "the subscription")
    assert broadcast.has_subscriber("masks/door")
    assert not broadcast.has_subscriber("scenes/garden")
    second = Listener(context, broadcast.endpoint, ["scenes/"])
    until(lambda: broadcast.serve() or broadcast.has_subscriber("scenes/garden"), "the second subscription")
    listener.socket.unsubscribe("scenes/door")
    second.close()
    until(lambda: broadcast.serve() or not broadcast.has_subscriber("scenes/door"), "both to look away")
    assert broadcast.has_subscriber("masks/door")
    listener.close()


def test_a_client_that_is_gone_looks_no_longer(context):
    broadcast = Broadcast(context, "tcp://127.0.0.1:0", 8)
    client = RawClient(broadcast.endpoint, "SUB")
    client.socket.sendall(frame(b"\1scenes/door"))
    until(lambda: broadcast.serve() or broadcast.has_subscriber("scenes/door"), "the subscription")
    client.reset()
    until(lambda: broadcast.serve() or not broadcast.has_subscriber("scenes/door"), "the client to be gone")
    broadcast.close()


def test_a_client_can_send_anything_and_makes_us_keep_only_so_much(context, broadcast):
    client = context.socket(zmq.XSUB, connect=broadcast.endpoint, queue=10_000)
    for message in ([b"hello"], [b""], [b"more", b"parts"], *([b"\1junk%d" % i] for i in range(2 * PREFIXES))):
        client.send_multipart(message)
    client.send(b"\1last")
    until(lambda: broadcast.serve() or broadcast.has_subscriber("junk0"), "the subscriptions")
    assert received_raw(broadcast, client, "last") == [b"last", b"x"]  # all of them have been taken by now
    assert len(broadcast._subscriptions) == PREFIXES
    assert broadcast.has_subscriber("masks/door")  # what it has subscribed to beyond that is not known any more
    client.close(linger=0)


def test_over_inproc_too(context):
    broadcast = Broadcast(context, "inproc://publish", 8)
    listener = Listener(context, broadcast.endpoint, ["scenes/"])
    until(lambda: broadcast.serve() or broadcast.has_subscriber("scenes/door"), "the subscription")
    assert received(broadcast, listener, "scenes/door") == [b"scenes/door", b"x"]
    listener.close()
    until(lambda: broadcast.serve() or not broadcast.has_subscriber("scenes/door"), "the client to be gone")
    broadcast.close()


def test_subscribers_with_many_topics_that_are_reset_hold_up_nobody_and_leave_nothing(context):
    broadcast = Broadcast(context, "tcp://127.0.0.1:0", 8)
    honest = Listener(context, broadcast.endpoint, ["masks/door"])
    assert received(broadcast, honest, "masks/door") == [b"masks/door", b"x"]
    for round_ in range(5):
        clients = [RawClient(broadcast.endpoint, "SUB") for _ in range(36)]
        for i, client in enumerate(clients):
            topics = [frame(f"\1masks/{round_} {i} {j}".encode()) for j in range(200)]
            client.socket.sendall(ping().join(topics))
        for client in clients:
            client.reset()
        assert received(broadcast, honest, "masks/door") == [b"masks/door", b"x"]
        until(lambda: broadcast.serve() or len(broadcast._sockets) == 1, "the others to be gone")
    honest.close()
    broadcast.close()


def test_who_comes_again_and_again_is_let_in_no_more_often_than_allowed(context, monkeypatch):
    allowance = replace(service_sockets.SUBSCRIBING, clients=2, joins_per_s=10)
    monkeypatch.setattr(service_sockets, "SUBSCRIBING", allowance)
    broadcast = Broadcast(context, "tcp://127.0.0.1:0", 8)
    began_s = time.monotonic()
    for _ in range(12):
        client = RawClient(broadcast.endpoint, "SUB")  # which waits for the greeting
        client.reset()
        until(lambda: broadcast.serve() or not broadcast._sockets, "it to be gone")
    assert time.monotonic() - began_s > (12 - 2 - 1) / 10
    broadcast.close()


def test_a_subscription_beyond_its_limit_ends_its_connection(context):
    broadcast = Broadcast(context, "tcp://127.0.0.1:0", 8)
    client = RawClient(broadcast.endpoint, "SUB")
    client.socket.settimeout(PATIENCE_S)
    client.socket.sendall(frame(b"\1" + b"x" * SUBSCRIPTION_BYTES))
    assert client.socket.recv(10) == b""
    client.reset()
    broadcast.close()


def test_nodes_of_the_run_listen_at_an_endpoint_of_their_own_where_the_system_chooses_the_port(context, tmp_path):
    broadcast = Broadcast(context, "tcp://127.0.0.1:0", 8, inner=f"ipc://{tmp_path}/publish")
    assert broadcast.endpoint.startswith("tcp://127.0.0.1:")
    listeners = [Listener(context, e, ["masks/"]) for e in (broadcast.endpoint, f"ipc://{tmp_path}/publish")]

    def both_hear():
        broadcast.send([b"masks/door", b"{}"])
        return all(listener.recv(10) for listener in listeners)

    until(both_hear, "a message at both endpoints")
    for opened in (*listeners, broadcast):
        opened.close()


def test_a_node_of_the_run_may_change_what_it_listens_to_as_often_as_it_likes(context, tmp_path):
    broadcast = Broadcast(context, "tcp://127.0.0.1:0", 8, inner=f"ipc://{tmp_path}/publish-in-run")
    page = Listener(context, f"ipc://{tmp_path}/publish-in-run", [])
    for _ in range(100):  # the grid of four cameras, for some 25 s
        for change in (page.subscribe, page.unsubscribe):
            for camera in ("door", "hall", "roof", "yard"):
                change(f"scenes/{camera}")
            broadcast.serve()
    page.subscribe("scenes/yard")
    assert received(broadcast, page, "scenes/yard") == [b"scenes/yard", b"x"]
    page.close()
    broadcast.close()


def test_a_subscriber_gets_in_while_hundreds_come_and_break_off(context):
    broadcast = Broadcast(context, "tcp://127.0.0.1:0", 8)
    hostile = [RawClient(broadcast.endpoint, "SUB", mute=True) for _ in range(200)]
    for client in hostile:
        client.socket.sendall(GREETING + ready("SUB"))
    honest = Listener(context, broadcast.endpoint, ["masks/door"])
    for client in hostile:
        client.reset()
    assert received(broadcast, honest, "masks/door") == [b"masks/door", b"x"]
    honest.close()
    broadcast.close()


def test_a_subscriber_from_elsewhere_gets_a_place_of_a_host_that_took_them_all(context, monkeypatch):
    monkeypatch.setattr(service_sockets, "SUBSCRIBING", replace(service_sockets.SUBSCRIBING, clients=3))
    broadcast = Broadcast(context, "tcp://127.0.0.1:0", 8)
    greedy = [RawClient(broadcast.endpoint, "SUB") for _ in range(3)]
    port = broadcast.endpoint.rpartition(":")[2]
    with socket.create_connection(("127.0.0.1", int(port)), PATIENCE_S, ("127.0.0.2", 0)) as elsewhere:
        elsewhere.sendall(GREETING + ready("SUB"))
        assert elsewhere.recv(1) == GREETING[:1]
        assert greedy[2].socket.recv(4096) == b"", "the newest of the greedy host's gives way"
    for client in greedy:
        client.reset()
    broadcast.close()


def test_a_client_that_comes_and_goes_while_others_are_taken_in_is_let_go_of_at_the_next_turn(context, broadcast):
    hasty = context.open(zmq.XPUB, queue=8)

    class Joined(deque):
        """At the moment when all have been taken in, one more joins, and leaves at once."""

        def __bool__(self):
            there = len(self) > 0
            if not there and not hasty_came:
                hasty_came.append(True)
                self.append(hasty)
                broadcast._members.left.append(hasty)
            return there

    hasty_came = []
    broadcast._members.joined = Joined()
    for _ in range(3):
        broadcast.send([b"masks/door", b"x"])
    assert hasty_came
    assert hasty.closed
