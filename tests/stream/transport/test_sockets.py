"""A context is closed whatever has become of its sockets."""

from __future__ import annotations

import threading

import zmq

from stream.transport import sockets
from stream.transport.keys import make_keys
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


def test_nodes_of_one_process_may_all_bind_their_first_secure_socket_at_once(tmp_path):
    make_keys(str(tmp_path))
    for _ in range(20):
        context, failures, together = Context(str(tmp_path)), [], threading.Barrier(5)

        def bind(context=context, failures=failures, together=together):
            together.wait(60)
            try:
                context.socket(zmq.PUSH, bind="tcp://127.0.0.1:0", queue=1)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=bind) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        context.close()
        assert failures == []
