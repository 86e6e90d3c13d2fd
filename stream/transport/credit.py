"""Credit: the arithmetic by which a reader asks for messages and a writer sends them, without sockets.

A high-water mark keeps the *oldest* messages of a full queue, and CONFLATE keeps one *part* of a message, so neither
gives a reader the freshest frame. Here the reader says how many more messages it will take; the writer keeps what waits
and, where the delivery allows, lets the oldest give way. So no message is ever under way that its reader has not asked
for, what waits is never older than it need be, and every loss is counted where it happens.

Both sides number messages per (writer, reader) pair of incarnations: a process that was killed and restarted has a new
random id, by which the other side knows to count from the beginning. A reader repeats its request now and then; the
request names a total, not an increment, so that repeating it changes nothing.
"""

from __future__ import annotations

import secrets
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from stream.errors import MessageError
from stream.topology import Delivery
from stream.transport.begin_times import BeginTimes

T = TypeVar("T")

_REQUEST = struct.Struct(">8s8sQI")  # reader id, writer id as far as known, messages taken, further ones wanted
_STAMP = struct.Struct(">8sQ")  # writer id, number of the message, from 1
STAMP_BYTES = _STAMP.size
MAX_WANTED = 1 << 20  # messages in one request
NOBODY = bytes(8)


def new_incarnation() -> bytes:
    """A random id for one incarnation of a reader or writer: it is another one after each restart."""
    return secrets.token_bytes(8)


class WriterCredit(Generic[T]):
    """The writer's side: what waits for one reader, and how much of it that reader has asked for."""

    def __init__(
        self, writer_id: bytes, delivery: Delivery, depth: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self.begin_times = BeginTimes()  # used where the delivery is paced
        self.writer_id = writer_id
        self.delivery = delivery
        self.depth = depth
        self.waiting: deque[T] = deque()
        self.ending: T | None = None  # the last message of all: every incarnation of the reader must get it
        self.reader_id = NOBODY
        self.expected = NOBODY  # the incarnation that alone is sent anything; NOBODY: whichever asks
        self.sent = 0  # to this incarnation of the reader
        self.allowed = 0  # as many in all as the reader has asked for
        self.dropped = 0
        self.owes_count = False  # the reader asks again for what has been sent: it is told how many that were

    @property
    def full(self) -> bool:
        """True when the writer has to hold its own input back."""
        return self.delivery.waits and (len(self.waiting) >= self.depth or self.early_s > 0)

    @property
    def early_s(self) -> float:
        """How much too early it would be to begin the next message, which would only wait for its reader."""
        return self.begin_times.left_s(self.clock()) if self.delivery is Delivery.PACED else 0.0

    def offer(self, item: T, *, last: bool = False) -> None:
        """Let `item` wait; unless the writer waits (or it is the last of all), the oldest gives way when it is full."""
        self.waiting.append(item)
        self.begin_times.ready(self.clock())
        if last:
            self.ending = item
        while not self.delivery.waits and not last and len(self.waiting) > self.depth:
            self.waiting.popleft()
            self.dropped += 1

    def requested(self, request: bytes) -> None:
        """Take a reader's request; MessageError when it is none."""
        if len(request) != _REQUEST.size:
            raise MessageError(f"a request of {len(request)} bytes came; it has {_REQUEST.size}")
        reader_id, writer_id, taken, wanted = _REQUEST.unpack(request)
        if wanted > MAX_WANTED:
            raise MessageError(f"a request for {wanted} messages came; it asks for {MAX_WANTED} at most")
        if self.expected not in (NOBODY, reader_id):
            return  # from an incarnation that is over, or has not said hello yet and will ask again
        if reader_id != self.reader_id:  # a new reader, or this writer is new
            self.reader_id, self.sent, self.allowed = reader_id, 0, wanted
            if self.ending is not None and (not self.waiting or self.waiting[-1] is not self.ending):
                self.waiting.append(self.ending)
        elif writer_id in (self.writer_id, NOBODY):  # NOBODY: nothing of ours has come there yet
            total = taken + wanted
            self.owes_count = total <= self.allowed == self.sent
            self.allowed = max(self.allowed, total)
        if self.allowed > self.sent:
            self.begin_times.wanted(self.clock())

    def next(self) -> tuple[bytes, T | None] | None:
        """The stamp and the message to send now, if one waits and is asked for.

        A stamp without a message tells a reader that has asked twice how many were sent: what has not come by then was
        lost with a connection, and is asked for no longer.
        """
        if self.owes_count:
            self.owes_count = False
            return _STAMP.pack(self.writer_id, self.sent), None
        if not self.waiting or self.sent >= self.allowed:
            return None
        self.sent += 1
        self.begin_times.taken(self.clock())
        return _STAMP.pack(self.writer_id, self.sent), self.waiting.popleft()

    def expect(self, reader_id: bytes) -> None:
        """Drop what waits for a reader that was restarted; from now on only this incarnation of it is served.

        A dead incarnation's request may be read late, where the writer was busy or stopped: even after the new one has
        said hello. Whatever is sent on its credit goes into a connection that nobody holds, and the start command would
        be the first to go. So the hello names the incarnation. What the dead one asks before it moves only what is
        dropped here; what it asks after it counts for nothing. The new one's first request begins its count, and by
        then its name leads to its own connection. Should that request be read before the hello, it is repeated (it
        counts at once where no other incarnation was expected).
        """
        self.waiting.clear()
        self.begin_times = BeginTimes()
        self.expected = reader_id
        if reader_id != self.reader_id:
            self.reader_id, self.sent, self.allowed, self.owes_count = NOBODY, 0, 0, False

    def give_up(self) -> None:
        """The message that `next` gave can't be sent to anybody: it counts as dropped."""
        self.sent -= 1
        self.dropped += 1

    def reader_gone(self, unsent: T | None = None) -> None:
        """The reader's process is gone: `unsent` waits again, and nothing is sent until a new one asks."""
        if unsent is not None:
            self.waiting.appendleft(unsent)
            self.sent -= 1
        self.allowed = self.sent


class ReaderCredit:
    """The reader's side: what it has taken and still wants."""

    def __init__(self) -> None:
        self.reader_id = new_incarnation()
        self.writer_id = NOBODY
        self.taken = 0  # from this incarnation of the writer
        self.wanted = 0  # asked for beyond those taken
        self.lost = 0  # messages sent to this reader that never came

    def request(self, wanted: int) -> bytes:
        """The request for `wanted` messages beyond those taken."""
        self.wanted = wanted
        return _REQUEST.pack(self.reader_id, self.writer_id, self.taken, wanted)

    def came(self, stamp: bytes, *, message: bool = True) -> None:
        """Count a message in (or, without one, learn how many were sent); MessageError when its stamp is none."""
        if len(stamp) != _STAMP.size:
            raise MessageError(f"a stamp of {len(stamp)} bytes came; it has {_STAMP.size}")
        writer_id, number = _STAMP.unpack(stamp)
        taken = self.taken if writer_id == self.writer_id else 0
        if not 1 <= number <= taken + self.wanted:
            raise MessageError(f"message number {number} came, which nobody asked for")
        self.lost += max(0, number - taken - (1 if message else 0))
        self.writer_id, self.taken = writer_id, max(taken, number)
