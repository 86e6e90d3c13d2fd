from __future__ import annotations

import itertools
import random
import socket
import time

import pytest
import zmq
from builders import frame
from running import reserved_port

from stream.errors import ConfigError, MessageError
from stream.messages import End
from stream.reports import REPORTS, Health
from stream.topology import Delivery, Edge
from stream.transport.keys import make_keys
from stream.transport.service_sockets import Inlet, Outlet, RequestClient, RequestServer
from stream.transport.sockets import Context
from stream.transport.topics import Publisher, Subscriber

PATIENCE_S = 60.0  # a busy machine takes its time
_names = itertools.count()


@pytest.fixture
def context():
    made = Context()
    yield made
    made.close()


@pytest.fixture(params=["inproc", "ipc", "tcp"])
def endpoint(request, tmp_path):
    if request.param == "tcp":
        with reserved_port() as port:
            yield f"tcp://127.0.0.1:{port}"
    else:
        yield f"inproc://t{next(_names)}" if request.param == "inproc" else f"ipc://{tmp_path}/s"


def until(condition, *work):
    """Do `work` until the condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        for act in work:
            act()
        time.sleep(0.001)


def edge(delivery, reader="tracker"):
    return Edge("frames", "capture", reader, delivery)


def pair(context, endpoint, delivery, reader="tracker"):
    writer = Publisher(context, endpoint, "frames", [edge(delivery, reader)])
    return writer, Subscriber(context, endpoint, edge(delivery, reader))


def take_all(writer, reader, wanted):
    """Read until `wanted` messages have come."""
    came = []

    def turn():
        reader.ask()
        writer.pump()
        if (message := reader.take()) is not None:
            came.append(message)

    until(lambda: len(came) >= wanted, turn)
    return came


def test_a_lossless_reader_gets_every_message_in_order(context, endpoint):
    writer, reader = pair(context, endpoint, Delivery.LOSSLESS)
    sent, came = 0, []

    def turn():
        nonlocal sent
        if writer.ready and sent < 200:
            writer.send(frame(sent))
            sent += 1
        reader.ask()
        writer.pump()
        if (message := reader.take()) is not None:
            came.append(message.stamp.frame_id)

    until(lambda: len(came) == 200, turn)
    assert came == list(range(200))
    assert writer.dropped == 0
    assert reader.lost == 0


def test_a_reader_of_the_newest_never_sees_an_old_frame(context, endpoint):
    writer, reader = pair(context, endpoint, Delivery.NEWEST)
    writer.send(frame(0))
    assert take_all(writer, reader, 1)[0].stamp.frame_id == 0
    for i in range(1, 100):
        writer.send(frame(i))
    assert take_all(writer, reader, 1)[0].stamp.frame_id == 99
    assert writer.credits[b"tracker"].dropped == 98


def test_the_end_follows_the_last_frame(context, endpoint):
    writer, reader = pair(context, endpoint, Delivery.NEWEST)
    writer.send(frame(5))
    writer.send(End())
    came = take_all(writer, reader, 2)
    assert came[0].stamp.frame_id == 5
    assert isinstance(came[1], End)


def test_a_restarted_writer_finds_its_reader(context, tmp_path):
    endpoint = f"ipc://{tmp_path}/s"
    writer, reader = pair(context, endpoint, Delivery.EVERY)
    writer.send(frame(1))
    take_all(writer, reader, 1)
    writer.close()
    writer = Publisher(context, endpoint, "frames", [edge(Delivery.EVERY)])
    writer.send(frame(2))
    assert take_all(writer, reader, 1)[0].stamp.frame_id == 2


def test_a_restarted_reader_loses_what_was_under_way_and_gets_what_waits(context, tmp_path):
    endpoint = f"ipc://{tmp_path}/s"
    writer, reader = pair(context, endpoint, Delivery.LOSSLESS)
    writer.send(frame(1))
    take_all(writer, reader, 1)
    reader.close()
    for i in range(2, 9):
        writer.send(frame(i))  # two were asked for by the reader that is gone
    reader = Subscriber(context, endpoint, edge(Delivery.LOSSLESS))
    came = [m.stamp.frame_id for m in take_all(writer, reader, 5)]
    while came[-1] < 8:
        came += [m.stamp.frame_id for m in take_all(writer, reader, 1)]
    assert came == list(range(came[0], 9))


def test_what_a_dead_incarnation_had_asked_for_is_not_sent_to_the_new_one(context, tmp_path):
    endpoint = f"ipc://{tmp_path}/s"
    writer, old = pair(context, endpoint, Delivery.EVERY)
    for i in range(30):  # more than a window: the new one must not be given a number that it never asked for
        writer.send(frame(i))
        take_all(writer, old, 1)
    old.ask()
    until(lambda: writer.socket.poll(0))  # its last request has come and is not read yet
    old.close()
    new = Subscriber(context, endpoint, edge(Delivery.EVERY))
    writer.expect("tracker", new.incarnation)
    writer.send(frame(99))
    until(lambda: not writer.socket.poll(0), writer.pump)
    assert take_all(writer, new, 1)[0].stamp.frame_id == 99
    assert (new.malformed, new.lost) == (0, 0)


def garbage(rng):
    """Multipart messages that mean nothing."""
    text = rng.choice([b"frame/1 {}", b"frame/99 {}", b"[" * 20_000, b'frame/1 {"rgb":[1,0,"uint8",999999,999999,3]}'])
    return rng.choice(
        [
            [rng.randbytes(rng.randint(1, 200))],
            [rng.randbytes(28)],
            [rng.randbytes(16) + len(text).to_bytes(4, "big") + text],
            [rng.randbytes(16) + b"\xff\xff\xff\xff" + text],
            [b""] * rng.randint(1, 9),
            [rng.randbytes(20) + text, rng.randbytes(100)],
        ]
    )


def test_a_writer_counts_garbage_and_goes_on(context, endpoint):
    writer, reader = pair(context, endpoint, Delivery.EVERY)
    stranger = context.socket(zmq.DEALER, connect=endpoint, queue=5000)
    rng = random.Random(2)
    for _ in range(2000):
        stranger.send_multipart(garbage(rng))
    until(lambda: writer.malformed == 2000, writer.pump)
    writer.send(frame(3))
    assert take_all(writer, reader, 1)[0].stamp.frame_id == 3


def test_a_reader_counts_garbage_and_goes_on(context, endpoint):
    liar = context.socket(zmq.ROUTER, bind=endpoint, queue=5000)
    reader = Subscriber(context, endpoint, edge(Delivery.EVERY))
    until(lambda: liar.poll(1), reader.ask)
    rng = random.Random(3)
    sent = 0

    def lie():
        nonlocal sent
        if sent < 2000:
            liar.send_multipart([b"tracker", *garbage(rng)], zmq.DONTWAIT)
            sent += 1
        assert reader.take() is None

    until(lambda: reader.malformed == 2000, lie)


def test_reports_of_many_come_to_one_and_garbage_is_counted(context, endpoint):
    inlet = Inlet(context, endpoint, REPORTS)
    outlets = [Outlet(context, endpoint) for _ in range(3)]
    for i, outlet in enumerate(outlets):
        outlet.send(Health(node=f"n{i}", pid=1))
    stranger = context.socket(zmq.PUSH, connect=endpoint, queue=5000)
    rng = random.Random(4)
    for _ in range(2000):
        stranger.send_multipart(garbage(rng))
    came = []

    def take():
        if (report := inlet.take()) is not None:
            came.append(report.node)

    until(lambda: len(came) == 3 and inlet.malformed == 2000, take)
    assert sorted(came) == ["n0", "n1", "n2"]


def test_a_request_of_either_kind_of_client_gets_its_reply(context, endpoint):
    server = RequestServer(context, endpoint)
    for kind in (zmq.DEALER, zmq.REQ):
        client = context.socket(kind, connect=endpoint, queue=10)
        client.send(b"question")
        until(lambda: server.socket.poll(1))
        address, parts = server.take()
        assert parts == [b"question"]
        server.reply(address, b"answer")
        assert client.poll(1000 * PATIENCE_S)
        assert client.recv_multipart() == [b"answer"]


def test_an_endpoint_in_use_is_a_readable_error(context):
    endpoint = RequestServer(context, "tcp://127.0.0.1:0").endpoint
    with pytest.raises(ConfigError, match="is in use by another program"):
        RequestServer(context, endpoint)


def test_an_ipc_path_in_use_is_refused_as_a_port_is(context, tmp_path):
    endpoint = f"ipc://{tmp_path}/control"
    first = RequestServer(context, endpoint)
    with pytest.raises(ConfigError, match="is in use by another program"):
        RequestServer(context, endpoint)
    first.close()


def test_a_path_that_a_dead_program_left_behind_is_bound_again(context, tmp_path):
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
        left_behind.listen()
    server = RequestServer(context, f"ipc://{path}")
    client = RequestClient(server.endpoint, context=context)
    client.send(b"{}")
    until(lambda: server.socket.poll(1))
    client.close()
    server.close()


def test_ipv6_works(context):
    try:
        server = RequestServer(context, "tcp://[::1]:*")
    except ConfigError as error:
        pytest.skip(f"NO IPv6 HERE: {error}")
    client = RequestClient(server.endpoint, context=context)
    client.send(b"{}")
    until(lambda: server.socket.poll(1))
    client.close()
    server.close()


def test_only_holders_of_the_key_pair_are_let_in(tmp_path):
    make_keys(str(tmp_path / "ours"))
    make_keys(str(tmp_path / "theirs"))
    host = Context(str(tmp_path / "ours"))
    server = RequestServer(host, "tcp://127.0.0.1:0")
    clients = {who: RequestClient(server.endpoint, str(tmp_path / who)) for who in ("ours", "theirs")}
    try:
        for name, client in clients.items():
            client.send(name.encode())
        until(lambda: server.socket.poll(1))
        assert server.take()[1] == [b"ours"]
        assert not server.socket.poll(300)
    finally:
        for client in clients.values():
            client.close()
        host.close()


def test_what_is_too_large_ends_a_writer_that_waits_and_is_a_counted_loss_for_others(context, caplog, monkeypatch):
    monkeypatch.setattr("stream.transport.wire.MAX_MESSAGE_BYTES", 100_000)
    small, large = frame(size=(150, 160)), frame(size=(200, 200))
    writer, reader = pair(context, f"inproc://t{next(_names)}", Delivery.EVERY)
    writer.send(large)
    writer.send(small)
    until(lambda: reader.take() is not None, reader.ask, writer.pump)
    assert (writer.dropped, reader.lost) == (1, 0)
    assert "at most 100000 can be carried" in caplog.text

    writer, reader = pair(context, f"inproc://t{next(_names)}", Delivery.LOSSLESS)
    writer.send(large)
    with pytest.raises(MessageError, match="at most 100000"):
        until(lambda: reader.take() is not None, reader.ask, writer.pump)
