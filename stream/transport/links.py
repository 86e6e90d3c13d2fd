"""Sockets of the supervisor and its agents on other hosts: a ROUTER here, a DEALER with a name there. Nothing waits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import zmq

from stream.errors import MessageError
from stream.messages import Message
from stream.transport.sockets import Context, bound_endpoint
from stream.transport.wire import from_parts, to_parts

log = logging.getLogger(__name__)

QUEUE = 1000  # messages that wait for each agent


class LinkServer:
    """The supervisor's end."""

    def __init__(self, context: Context, endpoint: str, kinds: Sequence[type[Message]]) -> None:
        self.socket = context.socket(zmq.ROUTER, bind=endpoint, queue=QUEUE)
        self.endpoint = bound_endpoint(self.socket)  # as bound
        self._kinds = kinds

    def wait(self, timeout_ms: int) -> None:
        """Wait until something comes."""
        self.socket.poll(timeout_ms)

    def take(self) -> tuple[str, Message] | None:
        """The next well-formed message that has come, and the name of its agent."""
        while True:
            try:
                name, *parts = self.socket.recv_multipart(zmq.DONTWAIT)
                return name.decode(), from_parts(parts, *self._kinds)
            except zmq.Again:
                return None
            except (MessageError, UnicodeDecodeError) as error:
                log.debug("agents: %s", error)

    def send(self, name: str, message: Message) -> bool:
        """Send to an agent; False where it is not connected, or does not read."""
        try:
            self.socket.send_multipart([name.encode(), *to_parts(message)], zmq.DONTWAIT)
        except zmq.ZMQError:
            return False
        return True

    def close(self, wait_ms: int = 500) -> None:
        """Close once the last messages are out, or after `wait_ms`."""
        self.socket.close(linger=wait_ms)


class Link:
    """The agent's end."""

    def __init__(self, context: Context, endpoint: str, name: str, kinds: Sequence[type[Message]]) -> None:
        self.socket: Any = context.socket(zmq.DEALER, connect=endpoint, queue=QUEUE, name=name.encode())
        self._kinds = kinds

    def take(self, timeout_ms: int) -> Message | None:
        """The next well-formed message, or None after `timeout_ms`."""
        if not self.socket.poll(timeout_ms):
            return None
        try:
            return from_parts(self.socket.recv_multipart(zmq.DONTWAIT), *self._kinds)
        except MessageError as error:
            log.debug("supervisor: %s", error)
            return None

    def send(self, message: Message) -> None:
        """Send, or drop where a thousand wait already."""
        try:
            self.socket.send_multipart(to_parts(message), zmq.DONTWAIT)
        except zmq.Again:
            log.debug("the supervisor takes no more")

    def close(self, wait_ms: int = 500) -> None:
        """Close once the last messages are out, or after `wait_ms`."""
        self.socket.close(linger=wait_ms)
