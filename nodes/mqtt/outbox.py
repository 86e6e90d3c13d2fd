"""What waits for the broker: of a retained topic the newest payload, of events those of the last seconds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

KEEP_S = 5.0  # an event that is older is news no more: whoever switches a light by it would do so too late
MOST_EVENTS = 1000  # that wait


@dataclass(frozen=True)
class Publication:
    """A message for the broker."""

    topic: str
    payload: bytes
    retain: bool


class Outbox:
    """Written by the node, read by the client's thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.dropped = 0  # events that were not sent in time
        self._clock = clock
        self._lock = threading.Lock()
        self._retained: dict[str, bytes] = {}  # all there is, by topic
        self._changed: dict[str, None] = {}  # topics of it that the broker does not have, in order
        self._events: deque[tuple[float, Publication]] = deque()  # with the time that each came
        self._wake: Callable[[], None] = lambda: None

    def call_on_change(self, wake: Callable[[], None]) -> None:
        """Call this, from whatever thread, when there is something to send."""
        self._wake = wake

    def retain(self, topic: str, payload: bytes) -> None:
        """From now on this is what the broker keeps; empty: nothing."""
        with self._lock:
            if self._retained.get(topic) == payload:
                return
            self._retained[topic] = payload
            self._changed[topic] = None
        self._wake()

    def send(self, topic: str, payload: bytes) -> None:
        """An event for whoever listens now."""
        with self._lock:
            if len(self._events) >= MOST_EVENTS:
                self._events.popleft()
                self.dropped += 1
            self._events.append((self._clock(), Publication(topic, payload, retain=False)))
        self._wake()

    def begin(self) -> None:
        """A connection begins: the broker may have nothing of what it is to keep."""
        with self._lock:
            self._changed = dict.fromkeys(self._retained)

    def take(self, count: int) -> list[Publication]:
        """Up to so many that are to be sent now; those that say `online` come when nothing else waits."""
        with self._lock:
            oldest_s = self._clock() - KEEP_S
            while self._events and self._events[0][0] < oldest_s:
                self._events.popleft()
                self.dropped += 1
            first = [topic for topic in self._changed if not topic.endswith("/availability")]
            topics = (first or list(self._changed))[:count]
            for topic in topics:
                del self._changed[topic]
            found = [Publication(topic, self._retained[topic], retain=True) for topic in topics]
            while self._events and len(found) < count:
                found.append(self._events.popleft()[1])
            return found

    def sent(self, publication: Publication, *, arrived: bool) -> None:
        """What became of one that was taken; one that is retained is sent again with the next connection."""
        with self._lock:
            if arrived and publication.retain and not publication.payload:
                if self._retained.get(publication.topic) == b"":
                    del self._retained[publication.topic]
            elif not arrived and not publication.retain:
                self.dropped += 1
