"""Who waits for a snapshot: each gets one answer, from the renderer, or that none came."""

from __future__ import annotations

import time
from collections.abc import Callable

from stream.reports import Answer

TIMEOUT_S = 5.0

Reply = Callable[[dict[str, str], str], None]  # takes what came (the paths written), or else the reason why nothing did


class Snapshots:
    """Requests for a snapshot that have not been answered yet."""

    def __init__(self) -> None:
        self._asked = 0
        self._waiting: dict[int, tuple[float, Reply]] = {}  # request -> until when, to whom

    def ask(self, reply: Reply) -> int:
        """The number of a new request."""
        self._asked += 1
        self._waiting[self._asked] = (time.monotonic() + TIMEOUT_S, reply)
        return self._asked

    def answered(self, answer: Answer) -> None:
        """The renderer's answer has come, if anybody still waits for it."""
        if answer.request in self._waiting:
            _, reply = self._waiting.pop(answer.request)
            reply(answer.result, answer.error)

    def time_out(self) -> None:
        """Tell those who have waited for too long."""
        now = time.monotonic()
        for request in [r for r, (until, _) in self._waiting.items() if now > until]:
            _, reply = self._waiting.pop(request)
            reply({}, f"no answer from the renderer within {TIMEOUT_S:g} s: no frame came")

    def end(self) -> None:
        """Tell all who still wait that the run is over."""
        for _, reply in self._waiting.values():
            reply({}, "the run ends before a frame came")
        self._waiting.clear()
