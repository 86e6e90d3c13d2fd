"""Keys by role: who is let in where."""

from __future__ import annotations

import time

import pytest
from running import PATIENCE_S, until

from stream.errors import ConfigError
from stream.reports import REPORTS
from stream.transport.keys import make_client_keys, make_keys
from stream.transport.service_sockets import Broadcast, Inlet, Listener, Outlet, RequestClient, RequestServer
from stream.transport.sockets import Context

SILENCE_MS = 700


@pytest.fixture
def folders(tmp_path):
    """The key folder of each role."""
    graph = tmp_path / "keys"
    make_keys(str(graph))
    stranger = tmp_path / "stranger"
    make_keys(str(stranger))
    (tmp_path / "stranger" / "client.key_secret").write_bytes((stranger / "graph.key_secret").read_bytes())
    (stranger / "graph.key").write_bytes((graph / "graph.key").read_bytes())
    clients = {role: make_client_keys(str(graph), role, "wall") for role in ("operator", "viewer")}
    return {"graph": graph, "stranger": stranger, **clients}


@pytest.fixture
def contexts(folders):
    made = {role: Context(str(folder)) for role, folder in folders.items()}
    yield made
    for context in made.values():
        context.close()


def sees_masks(broadcast, listener, wanted):
    """Whether masks come; a client that is not to see them is watched for a while."""
    end = time.monotonic() + (PATIENCE_S if wanted else SILENCE_MS / 1000)
    while time.monotonic() < end:
        broadcast.send([b"masks/door"])
        if listener.recv(10):
            return True
    return False


@pytest.mark.parametrize(("role", "sees"), [("graph", True), ("operator", True), ("viewer", True), ("stranger", False)])
def test_masks_are_for_viewers_and_those_who_may_more(contexts, role, sees):
    broadcast = Broadcast(contexts["graph"], "tcp://127.0.0.1:0", 8)
    listener = Listener(contexts[role], broadcast.endpoint, ["masks/"])
    assert sees_masks(broadcast, listener, sees) is sees
    broadcast.close()


@pytest.mark.parametrize(("role", "may"), [("graph", True), ("operator", True), ("viewer", False), ("stranger", False)])
def test_requests_are_for_operators(contexts, role, may):
    server = RequestServer(contexts["graph"], "tcp://127.0.0.1:0")
    client = RequestClient(server.endpoint, context=contexts[role])
    client.send(b"hello")
    assert (server.socket.poll(1000 * PATIENCE_S if may else SILENCE_MS) > 0) is may
    client.close()
    server.close()


@pytest.mark.parametrize("role", ["operator", "viewer", "stranger"])
def test_what_is_inside_the_graph_is_for_its_hosts_alone(contexts, role):
    inlet = Inlet(contexts["graph"], "tcp://127.0.0.1:*", REPORTS)
    outlet = Outlet(contexts[role], inlet.socket.last_endpoint.decode())
    outlet.socket.send(b"hello")
    assert inlet.socket.poll(SILENCE_MS) == 0
    outlet.close(0)
    inlet.close()


def test_a_key_taken_off_the_list_opens_nothing_any_more_and_is_logged_and_counted(contexts, folders, caplog):
    (folders["graph"] / "operators" / "wall.key").unlink()
    server = RequestServer(contexts["graph"], "tcp://127.0.0.1:0")
    client = RequestClient(server.endpoint, context=contexts["operator"])
    words = "a client whose key is not allowed as operator was refused (1 so far)"
    until(lambda: words in caplog.text, "the refusal")
    assert contexts["graph"].refused.keys > 0
    client.close()
    server.close()


def test_keys_of_clients_need_those_of_the_graph_and_a_new_name(folders, tmp_path):
    with pytest.raises(ConfigError, match=r"holds no graph\.key_secret; make it first"):
        make_client_keys(str(tmp_path / "none"), "viewer", "wall")
    with pytest.raises(ConfigError, match="has viewer 'wall' already"):
        make_client_keys(str(folders["graph"]), "viewer", "wall")
    for folder in folders.values():
        assert all(
            path.stat().st_mode & 0o077 == 0 for path in folder.glob("*_secret") if folder != folders["stranger"]
        )
