"""The gate in front of a public socket: whatever a client does, the process lives, and others are served."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from running import PATIENCE_S, ROOT, until
from zmtp_client import GREETING, RawClient, announced, frame, ping

from stream.errors import ConfigError
from stream.transport import service_sockets
from stream.transport.service_sockets import RequestClient, RequestServer
from stream.transport.sockets import Context

SLOW_SERVER = """
import sys, time
from stream.transport.service_sockets import RequestServer
from stream.transport.sockets import Context
server = RequestServer(Context(), "tcp://127.0.0.1:0")
print(server.endpoint, flush=True)
while True:
    if (request := server.take()) is None:
        time.sleep(0.001)
    else:
        server.reply(request[0], b"done")
        time.sleep(0.002)
"""


@pytest.fixture
def context():
    made = Context()
    yield made
    made.close()


def answered(server, client, patience_s=PATIENCE_S):
    """Whether a request comes through and is answered."""
    client.send(b"hello")
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        while (request := server.take()) is not None:
            server.reply(request[0], b"done")
        if client.recv(5) == b"done":
            return True
    return False


def test_a_client_with_heartbeats_that_is_reset_while_its_requests_wait_ends_no_process():
    """libzmq itself aborts here: a heartbeat makes it write to a connection that has broken off."""
    server = subprocess.Popen([sys.executable, "-c", SLOW_SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        endpoint = server.stdout.readline().strip()
        for _ in range(2):
            client = RawClient(endpoint)
            client.flood(frame(b"x" * 40) + ping())
            client.reset()
        honest = RequestClient(endpoint)
        for _ in range(5):
            honest.send(b"hello")
            assert honest.recv(60_000) == b"done"
        honest.close()
        assert server.poll() is None
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:0", "tcp://[::1]:0", "tcp://lo:*", "ipc://{}/control"])
def test_requests_and_replies_pass_the_gate(context, tmp_path, endpoint):
    server = RequestServer(context, endpoint.format(tmp_path))
    client = RequestClient(server.endpoint)
    assert answered(server, client)
    client.close()
    server.close()


def test_the_path_of_a_socket_is_free_again_once_it_is_closed(tmp_path):
    for _ in range(2):
        context = Context()
        server = RequestServer(context, f"ipc://{tmp_path}/control")
        with pytest.raises(ConfigError, match="is in use by another program"):
            RequestServer(context, server.endpoint)
        server.close()
        context.close()
        assert list(tmp_path.iterdir()) == []


def test_mute_connections_give_way_to_a_client(context, monkeypatch):
    monkeypatch.setattr(service_sockets, "REQUESTING", replace(service_sockets.REQUESTING, clients=4))
    server = RequestServer(context, "tcp://127.0.0.1:0")
    mute = [RawClient(server.endpoint, mute=True) for _ in range(20)]
    client = RequestClient(server.endpoint)
    assert answered(server, client)
    client.close()
    for other in mute:
        other.reset()


def test_clients_beyond_the_most_are_refused_counted_and_logged(context, monkeypatch, caplog):
    monkeypatch.setattr(service_sockets, "REQUESTING", replace(service_sockets.REQUESTING, clients=2))
    server = RequestServer(context, "tcp://127.0.0.1:0")
    clients = [RequestClient(server.endpoint) for _ in range(2)]
    assert all(answered(server, client) for client in clients)
    host, _, port = server.endpoint.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE_S) as third:
        third.sendall(GREETING)
        with contextlib.suppress(ConnectionResetError):
            assert third.recv(10) == b""
    until(lambda: "2 are connected, which is the most" in caplog.text, "the refused client")
    assert context.take_refused().connections == 1
    assert context.take_refused().connections == 0, "each refusal is told once"
    assert all(answered(server, client) for client in clients)
    for client in clients:
        client.close()


def test_a_flood_is_taken_no_faster_than_allowed_and_others_are_served_meanwhile(context):
    server = RequestServer(context, "tcp://127.0.0.1:0")
    client, honest = RawClient(server.endpoint), RequestClient(server.endpoint)
    taken: list[int] = []
    flood = threading.Thread(target=lambda: taken.append(client.flood(frame(b"x" * 1000), most_s=1.0)))
    flood.start()
    while flood.is_alive():
        server.take()
    in_kernel = 8 << 20  # what both ends' buffers may hold
    assert taken[0] < (4 << 20) + (2 << 20) + in_kernel
    assert answered(server, honest)
    honest.close()
    client.reset()


def test_a_request_whose_announced_length_is_beyond_the_limit_ends_its_connection(context):
    server = RequestServer(context, "tcp://127.0.0.1:0")
    client = RawClient(server.endpoint)
    client.socket.sendall(announced(127 << 20))
    client.socket.settimeout(PATIENCE_S)
    assert client.socket.recv(10) == b""
    client.reset()
