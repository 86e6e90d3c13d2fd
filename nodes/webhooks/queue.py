"""The events that wait for one receiver, and when the next attempt is due. It holds no clock and no connection."""

from __future__ import annotations

import threading
from collections import deque

from nodes.webhooks.letters import Letter
from stream.backoff import Backoff
from stream.settings.integrations import Webhooks

JITTER = 0.2
LONGEST_WISH_S = 300.0  # that a receiver's Retry-After is followed for

DELIVERED, AGAIN, REFUSED = "delivered", "again", "refused"  # what an answer means
REFUSING = (400, 410, 413, 415, 422)  # answers that say: this very event is not taken, now or later


class ReceiverQueue:
    """In order: an event is sent when the one before it has arrived, or is a dead letter."""

    def __init__(self, own: Webhooks) -> None:
        self.delivered = 0
        self.dead = 0  # dead letters: refused, or given up after too many attempts
        self.dropped = 0  # that gave way to newer ones, or were left at the end
        self.failures = 0  # attempts that failed
        self.error = ""  # of the last attempt; empty: it did not fail
        self._most = own.queue
        self._max_attempts = own.max_attempts
        self._own = own
        self._lock = threading.Lock()
        self._waiting: deque[Letter] = deque()
        self._under_way: Letter | None = None  # the oldest, while it is being sent
        self._backoff = self._new_backoff()
        self._attempts = 0  # of the oldest that the receiver has answered
        self._due_s = 0.0

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting) + (self._under_way is not None)

    def add(self, letter: Letter) -> bool:
        """Take one more; whether none had to give way."""
        with self._lock:
            full = len(self._waiting) >= self._most
            if full:
                self._waiting.popleft()
                self.dropped += 1
                if self._under_way is None:  # it was the oldest that was tried
                    self._attempts = 0
            self._waiting.append(letter)
            return not full

    def wait_s(self, now_s: float) -> float | None:
        """Until the next attempt; None while there is nothing to send."""
        with self._lock:
            return max(0.0, self._due_s - now_s) if self._waiting else None

    def take(self) -> Letter:
        """The oldest, to be sent now; `report` says what became of it."""
        with self._lock:
            self._under_way = self._waiting.popleft()
            return self._under_way

    def report(
        self, outcome: str, now_s: float, error: str = "", *, answered: bool = True, wish_s: float = 0.0
    ) -> bool:
        """What became of the one under way; whether it was given up.

        `answered`: the receiver was there. Only then does an attempt count: one that is away is waited for.
        `wish_s`: how long it wants to be left alone.
        """
        with self._lock:
            letter, self._under_way = self._under_way, None
            assert letter is not None
            self.error = error
            self._attempts += answered
            if outcome == DELIVERED:
                self.delivered += 1
            else:
                self.failures += 1
            if outcome == AGAIN:
                self._due_s = now_s + max(self._backoff.next_wait(), min(wish_s, LONGEST_WISH_S))
                if self._attempts < self._max_attempts:
                    if len(self._waiting) < self._most:
                        self._waiting.appendleft(letter)
                    else:  # newer ones have taken its place meanwhile
                        self.dropped += 1
                        self._attempts = 0
                    return False
            else:  # the receiver works
                self._backoff, self._due_s = self._new_backoff(), now_s
            self._attempts = 0
            given_up = outcome != DELIVERED
            self.dead += given_up
            return given_up

    def abandon(self) -> int:
        """Nothing is sent any more: count what was left; how many."""
        with self._lock:
            left = len(self._waiting) + (self._under_way is not None)
            self._waiting.clear()
            self.dropped += left
            return left

    def _new_backoff(self) -> Backoff:
        return Backoff(self._own.backoff_s, self._own.backoff_max_s, JITTER, 0.0)


def outcome_of(status: int) -> str:
    """What a receiver's answer means for an event."""
    if 200 <= status < 300:
        return DELIVERED
    return REFUSED if status in REFUSING else AGAIN
