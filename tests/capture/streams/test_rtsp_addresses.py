"""RTSP addresses behind which there is no camera: what the error says, and never the password."""

from __future__ import annotations

import socket
import threading

import pytest
from capture.clips import complaint
from running import reserved_port

from nodes.capture.sources import make_source
from stream.settings.config import Capture


def test_an_rtsp_server_that_is_not_there_is_told_without_the_password():
    with reserved_port() as port:
        message = complaint(f"rtsp://me:secret@127.0.0.1:{port}/cam")
    assert message.startswith(f"rtsp://***@127.0.0.1:{port}/cam: nothing listens at 127.0.0.1:{port}")
    assert "secret" not in message


def test_an_rtsp_server_that_says_nothing_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        message = complaint(f"rtsp://me:secret@127.0.0.1:{mute.getsockname()[1]}/cam", open_timeout_s=0.3)
    assert "no answer within 0.3 s (capture.open_timeout_s)" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, {"rtsp_transport": "tcp"}),
        ({"rtsp_transport": "udp"}, {"max_delay": "200000", "reorder_queue_size": "2000"}),
        ({"rtsp_transport": "udp", "udp_reorder_s": 0.05}, {"max_delay": "50000", "reorder_queue_size": "2000"}),
        ({"rtsp_transport": "udp", "udp_reorder_s": 0}, {"max_delay": "0", "reorder_queue_size": "0"}),
    ],
)
def test_udp_packets_are_put_in_order_within_a_time_and_tcp_waits_for_none(monkeypatch, given, options):
    opened_with = {}

    def open_nothing(_address, **arguments):
        opened_with.update(arguments["options"])
        raise ConnectionRefusedError

    monkeypatch.setattr("nodes.capture.decoding.video.av.open", open_nothing)
    with pytest.raises(ConnectionRefusedError):
        make_source(Capture(source="rtsp://127.0.0.1/cam", **given)).open()
    transport = given.get("rtsp_transport", "tcp")
    assert opened_with == {"rtsp_transport": transport, "analyzeduration": "100000", **options}


def test_a_server_of_another_kind_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection = server.accept()[0]
            connection.sendall(b"SSH-2.0-other\r\n")
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        assert "speaks no RTSP" in complaint(f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam")
        thread.join()


def test_an_unknown_host_is_named():
    assert "the host no-such-host.invalid is unknown" in complaint("rtsp://me:secret@no-such-host.invalid/cam")


@pytest.mark.parametrize("address", ["rtsp:///cam", "rtsp://me:secret@host:99999/cam", "rtsp://me:secret@host:x/cam"])
def test_an_address_that_is_none_is_told(address):
    message = complaint(address)
    assert "needs rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH" in message
    assert "secret" not in message
