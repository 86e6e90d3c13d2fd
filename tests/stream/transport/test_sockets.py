"""A context is closed whatever has become of its sockets."""

from __future__ import annotations

import threading

import zmq

from stream.transport import sockets
from stream.transport.sockets import Context


def test_a_socket_that_nobody_closes_does_not_hold_up_the_end(monkeypatch, caplog):
    monkeypatch.setattr(sockets, "CLOSE_S", 0.1)
    context = Context()
    unseen = zmq.Context.shadow(context.zmq.underlying).socket(zmq.PUSH)  # one that the context does not know of
    context.close()
    assert "sockets were not closed" in caplog.text
    unseen.close()
    (closing,) = [thread for thread in threading.enumerate() if thread.name == "sockets-close"]
    closing.join(60)
    assert context.zmq.closed


def test_a_context_is_closed_when_its_sockets_are(caplog):
    context = Context()
    socket = context.socket(zmq.PUSH, bind="inproc://here", queue=1)
    context.close()
    assert socket.closed
    assert context.zmq.closed
    assert not caplog.text
