"""When a reader asked and when a message was ready in; how long its writer should wait before the next one out.

A writer that begins as soon as its last message was taken, and is faster than its reader, has the next one ready long
before the reader asks: it grows old while it waits. One that begins later takes a fresher frame and loses nothing.
"""

from __future__ import annotations

from collections import deque

REMEMBERED = 8  # messages
SPARED = 1  # of them, the least slack does not count: a single quick step of the reader
READY_BEFORE_S = 0.008  # that a message should be ready before it is wanted: steps vary, a late one would cost the rate
LONGEST_S = 0.5


class BeginTimes:
    """The slack of a writer between two messages to one reader; all times are seconds of one clock."""

    def __init__(self) -> None:
        self._slacks: deque[float] = deque(maxlen=REMEMBERED)  # how much later each message could have been begun
        self._delay_s = 0.0  # that the next message is begun later
        self._taken_s: float | None = None  # when the reader took the last message
        self._ready_s: float | None = None  # when the message that waits was ready
        self._wanted_s: float | None = None  # since when the reader has been waiting

    def wanted(self, now_s: float) -> None:
        """The reader has asked for a message."""
        if self._wanted_s is None:
            self._wanted_s = now_s

    def ready(self, now_s: float) -> None:
        """A message can be taken."""
        self._ready_s = now_s

    def taken(self, now_s: float) -> None:
        """The reader has got it."""
        wanted_s = now_s if self._wanted_s is None else self._wanted_s
        if self._ready_s is not None and self._taken_s is not None:
            self._slacks.append(self._delay_s + wanted_s - self._ready_s)
        self._taken_s, self._ready_s, self._wanted_s = now_s, None, None
        self._delay_s = 0.0
        if len(self._slacks) == REMEMBERED:
            self._delay_s = min(max(0.0, sorted(self._slacks)[SPARED] - READY_BEFORE_S), LONGEST_S)

    def left_s(self, now_s: float) -> float:
        """How long the writer should wait from now on; 0 or less: not at all."""
        return self._taken_s + self._delay_s - now_s if self._taken_s is not None and self._delay_s else 0.0
