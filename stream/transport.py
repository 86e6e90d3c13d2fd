"""Messages over ZeroMQ: a Publisher and a Subscriber for each topic (in memory: `memory_transport.py`).

The writer of a topic binds one ROUTER socket; each reader connects a DEALER that carries its node's name and asks for
messages (`stream/credit.py`). The same code runs over ipc, inproc and tcp (with CURVE where keys are given).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import zmq

from stream.credit import STAMP_BYTES, ReaderCredit, WriterCredit, new_id
from stream.errors import MessageError
from stream.messages import End, Message
from stream.sockets import Context
from stream.topology import TOPICS, Delivery
from stream.wire import from_parts, to_parts

log = logging.getLogger(__name__)

NUDGE_S = 0.2  # how often a reader repeats its request: the longest that a restarted writer waits for it


class _Packed:
    """A message, packed for the wire once, and only if somebody asks for it."""

    def __init__(self, message: Message) -> None:
        self.message = message

    @cached_property
    def parts(self) -> list[Any]:
        return to_parts(self.message)


class Publisher:
    """The writer's end of a topic. Nothing here ever waits: `ready` is False while a reader is behind."""

    def __init__(self, context: Context, endpoint: str, topic: str, readers: dict[str, Delivery]) -> None:
        writer_id = new_id()
        self.topic = topic
        self.socket = context.socket(zmq.ROUTER, bind=endpoint, queue=TOPICS[topic].depth + 8)
        self.lanes = {
            name.encode(): WriterCredit[_Packed](writer_id, delivery, delivery.depth(topic))
            for name, delivery in readers.items()
        }
        self.malformed = 0
        self.spent_ns = 0

    @property
    def ready(self) -> bool:
        """False while a reader that is waited for has its queue full."""
        return not any(lane.full for lane in self.lanes.values())

    @property
    def dropped(self) -> int:
        """Messages that gave way in a bounded queue (who reads the newest only does not miss the others)."""
        return sum(lane.dropped for lane in self.lanes.values() if lane.delivery is Delivery.EVERY)

    def send(self, message: Message, *, to: str = "") -> None:
        """Let `message` wait for every reader (or the one named), and send what was asked for."""
        started = time.thread_time_ns()
        packed, last = _Packed(message), isinstance(message, End)
        for name, lane in self.lanes.items():
            if not to or name == to.encode():
                lane.offer(packed, last=last)
        self._flush()
        self.spent_ns += time.thread_time_ns() - started

    def expect(self, reader: str, life: bytes) -> None:
        """Drop what waits for a reader that begins anew; from now on only this `Subscriber.life` of it is heard."""
        self.lanes[reader.encode()].expect(life)

    def pump(self) -> None:
        """Take a request that has come, and send what it asks for. Call while the socket is readable."""
        started = time.thread_time_ns()
        try:
            name, *request = self.socket.recv_multipart(zmq.DONTWAIT)
            if name not in self.lanes or len(request) != 1:
                raise MessageError(f"{name[:20]!r} is no reader of {self.topic}")
            self.lanes[name].requested(request[0])
        except MessageError as error:
            self.malformed += 1
            log.debug("%s: %s", self.topic, error)
        except zmq.Again:
            pass  # nothing has come
        self._flush()
        self.spent_ns += time.thread_time_ns() - started

    def _flush(self) -> None:
        for name, lane in self.lanes.items():
            while (item := lane.next()) is not None:
                stamp, packed = item
                head, *large = packed.parts if packed else (b"",)
                try:
                    self.socket.send(name, zmq.DONTWAIT | zmq.SNDMORE)
                    self.socket.send(stamp + head, zmq.DONTWAIT | (zmq.SNDMORE if large else 0))
                    for i, array in enumerate(large, start=1):
                        self.socket.send(array, zmq.DONTWAIT | (zmq.SNDMORE if i < len(large) else 0), copy=False)
                except zmq.ZMQError as error:  # EHOSTUNREACH: the reader's process is gone; EAGAIN: it is stuck
                    log.debug("%s to %s: %s", self.topic, name, error)
                    if packed is not None:
                        lane.waiting.appendleft(packed)
                        lane.sent -= 1
                    lane.reader_gone()

    def close(self) -> None:
        """Close the socket; what still waits is dropped."""
        self.socket.close(linger=0)


class Subscriber:
    """A reader's end of a topic: the messages it asked for, checked. Malformed ones are counted and dropped."""

    def __init__(
        self,
        context: Context,
        endpoint: str,
        topic: str,
        reader: str,
        delivery: Delivery,
        kinds: Sequence[type[Message]],
    ) -> None:
        self.topic = topic
        self.delivery = delivery
        self.kinds: tuple[type[Message], ...] = (*kinds, End)
        # Where all are waited for, one is in hand while the depth waits; and more are asked for once half are taken.
        self.window = delivery.depth(topic) + (delivery is Delivery.LOSSLESS)
        self.socket = context.socket(zmq.DEALER, connect=endpoint, queue=TOPICS[topic].depth + 8, name=reader.encode())
        self.want = ReaderCredit()
        self.malformed = 0
        self.spent_ns = 0
        self._asked_for = -1  # the total asked for last; -1: nothing yet
        self._batch = (self.window + 1) // 2
        self._asked_at = 0.0

    @property
    def life(self) -> bytes:
        """The id of this life of the reader, which its requests carry."""
        return self.want.reader_id

    @property
    def lost(self) -> int:
        """Messages that were sent here and never came (their writer or reader was killed)."""
        return self.want.lost

    def ask(self) -> None:
        """Ask for as many messages as may be under way; again after a while, in case the writer is a new one."""
        total, now = self.want.taken + self.window, time.monotonic()
        if total - self._asked_for < self._batch and now - self._asked_at < NUDGE_S:
            return
        try:
            self.socket.send(self.want.request(self.window), zmq.DONTWAIT)
        except zmq.Again:
            return  # no writer is there yet
        self._asked_for, self._asked_at = total, now

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
                    self.want.came(stamp, message=head.nbytes > 0)
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
