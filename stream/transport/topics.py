"""Messages over ZeroMQ: a Publisher and a Subscriber for each topic.

The writer of a topic binds one ROUTER socket; each reader connects a DEALER that carries its node's name and asks for
messages (`stream/transport/credit.py`). The same code runs over ipc, inproc and tcp (with CURVE where keys are given).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

import zmq

from stream.errors import MessageError
from stream.messages import End, Message
from stream.topology import TOPICS, Delivery, Edge
from stream.transport.credit import STAMP_BYTES, ReaderCredit, WriterCredit, new_incarnation
from stream.transport.passing import PASSED, as_passed
from stream.transport.sockets import Context, bound_endpoint
from stream.transport.wire import from_parts, to_parts

log = logging.getLogger(__name__)

NUDGE_S = 0.2  # how often a reader repeats its request: the longest that a restarted writer waits for it


class _Packed:
    """A message, packed for the wire once, and only if somebody asks for it."""

    def __init__(self, message: Message) -> None:
        self.message = message

    @cached_property
    def parts(self) -> list[Any]:
        return to_parts(self.message)

    @cached_property
    def passed(self) -> Message:
        passed: Message = as_passed(self.message)
        return passed


class Publisher:
    """The writer's end of a topic. Nothing here ever waits: `ready` is False while a reader is behind."""

    def __init__(
        self,
        context: Context,
        endpoint: str,
        topic: str,
        edges: Sequence[Edge],
        beside: Collection[str] = (),
        outside: str = "",
    ) -> None:
        """`beside`: readers that share the context; they are passed messages, and get none packed.

        `outside`: an endpoint that is bound, too, for readers on another host.
        """
        writer_id = new_incarnation()
        self.topic = topic
        self._writer_id = writer_id
        self._shelf = context.shelf
        self._beside = frozenset(reader.encode() for reader in beside)
        self.socket = context.socket(zmq.ROUTER, bind=endpoint, queue=TOPICS[topic].depth + 8)
        self.endpoint = bound_endpoint(self.socket)  # as bound
        self.outside = context.attach(self.socket, bind=outside) if outside else ""
        self.credits = {e.reader.encode(): WriterCredit[_Packed](writer_id, e.delivery, e.depth) for e in edges}
        self.malformed = 0
        self.spent_ns = 0

    @property
    def ready(self) -> bool:
        """False while a reader that is waited for has its queue full."""
        return not any(credit.full for credit in self.credits.values())

    @property
    def early_s(self) -> float:
        """After how long `ready` may turn True by itself; 0 where it does not."""
        return max((credit.early_s for credit in self.credits.values()), default=0.0)

    @property
    def dropped(self) -> int:
        """Messages that no reader got: they gave way in a bounded queue (whoever reads the newest only misses none)."""
        return sum(credit.dropped for credit in self.credits.values() if credit.delivery is Delivery.EVERY)

    def waiting(self, reader: str) -> int:
        """How many messages wait until the reader asks for them."""
        return len(self.credits[reader.encode()].waiting)

    def send(self, message: Message, *, to: str = "") -> None:
        """Let `message` wait for every reader (or the one named), and send what was asked for.

        One too large to be carried is a MessageError where the reader waits for every message, else a warning and
        counted as dropped.
        """
        started = time.thread_time_ns()
        packed, last = _Packed(message), isinstance(message, End)
        for name, credit in self.credits.items():
            if not to or name == to.encode():
                credit.offer(packed, last=last)
        self._flush()
        self.spent_ns += time.thread_time_ns() - started

    def expect(self, reader: str, incarnation: bytes) -> None:
        """Drop what waits for a reader that was restarted; from now on only this incarnation of it is served."""
        self._shelf.clear(reader.encode(), self._writer_id)
        self.credits[reader.encode()].expect(incarnation)

    def pump(self) -> None:
        """Take a request that has come, and send what it asks for. Call while the socket is readable."""
        started = time.thread_time_ns()
        try:
            name, *request = self.socket.recv_multipart(zmq.DONTWAIT)
            if name not in self.credits or len(request) != 1:
                raise MessageError(f"{name[:20]!r} is no reader of {self.topic}")
            self.credits[name].requested(request[0])
        except MessageError as error:
            self.malformed += 1
            log.debug("%s: %s", self.topic, error)
        except zmq.Again:
            pass  # nothing has come
        self._flush()
        self.spent_ns += time.thread_time_ns() - started

    def _flush(self) -> None:
        for name, credit in self.credits.items():
            while (item := credit.next()) is not None:
                stamp, packed = item
                try:
                    head, *large = self._parts(name, stamp, packed)
                except MessageError as error:
                    if credit.delivery.waits:
                        raise
                    credit.give_up()
                    log.warning("%s", error, extra={"once_key": f"{self.topic} too large"})
                    continue
                try:
                    self.socket.send(name, zmq.DONTWAIT | zmq.SNDMORE)
                    self.socket.send(stamp + head, zmq.DONTWAIT | (zmq.SNDMORE if large else 0))
                    for i, array in enumerate(large, start=1):
                        self.socket.send(array, zmq.DONTWAIT | (zmq.SNDMORE if i < len(large) else 0), copy=False)
                except zmq.ZMQError as error:  # EHOSTUNREACH: the reader's process is gone; EAGAIN: it is stuck
                    log.debug("%s to %s: %s", self.topic, name, error)
                    self._shelf.clear(name, self._writer_id)
                    credit.reader_gone(packed)

    def _parts(self, reader: bytes, stamp: bytes, packed: _Packed | None) -> list[Any]:
        """What goes through the socket after the stamp."""
        if packed is None:
            return [b""]
        if reader not in self._beside:
            return packed.parts
        self._shelf.put(reader, stamp, packed.passed)
        return [PASSED]

    def close(self) -> None:
        """Close the socket; what still waits is dropped."""
        self.socket.close(linger=0)
        for reader in self._beside:
            self._shelf.clear(reader, self._writer_id)


class Subscriber:
    """A reader's end of a topic: the messages it asked for, checked. Malformed ones are counted and dropped."""

    def __init__(self, context: Context, endpoint: str, edge: Edge) -> None:
        topic = TOPICS[edge.topic]
        self.topic = edge.topic
        self._name = edge.reader.encode()
        self._shelf = context.shelf
        self.kinds: tuple[type[Message], ...] = (*topic.kinds, End)
        # Where all are waited for, one is in hand while the depth waits; and more are asked for once half are taken.
        self.window = edge.depth + (edge.delivery is Delivery.LOSSLESS)
        self.socket = context.socket(zmq.DEALER, connect=endpoint, queue=topic.depth + 8, name=edge.reader.encode())
        self.credit = ReaderCredit()
        self.malformed = 0
        self.spent_ns = 0
        self._requested_total = -1  # the total asked for last; -1: nothing yet
        self._batch = (self.window + 1) // 2
        self._requested_s = 0.0

    @property
    def incarnation(self) -> bytes:
        """The id of this incarnation of the reader, which its requests carry."""
        return self.credit.reader_id

    @property
    def lost(self) -> int:
        """Messages that were sent here and never came (their writer or reader was killed)."""
        return self.credit.lost

    def ask(self) -> None:
        """Ask for as many messages as may be under way; again after a while, in case the writer is a new one."""
        total, now = self.credit.taken + self.window, time.monotonic()
        if total - self._requested_total < self._batch and now - self._requested_s < NUDGE_S:
            return
        try:
            self.socket.send(self.credit.request(self.window), zmq.DONTWAIT)
        except zmq.Again:
            return  # no writer is there yet
        self._requested_total, self._requested_s = total, now

    def take(self) -> Message | None:
        """The next well-formed message that has come, if any. Never waits."""
        started = time.thread_time_ns()
        try:
            while True:
                try:
                    frames = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
                except zmq.Again:
                    return None
                head, *large = [f.buffer for f in frames]
                try:
                    stamp, head = bytes(head[:STAMP_BYTES]), head[STAMP_BYTES:]
                    self.credit.came(stamp, message=head.nbytes > 0)
                    if head.nbytes == len(PASSED):
                        return self._shelf.take(self._name, stamp)
                    if head.nbytes:
                        return from_parts([head, *large], *self.kinds)
                except MessageError as error:
                    self.malformed += 1
                    log.debug("%s: %s", self.topic, error)
        finally:
            self.spent_ns += time.thread_time_ns() - started

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(linger=0)
