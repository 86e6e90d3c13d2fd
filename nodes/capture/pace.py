"""A picture's presentation time in, the moment to show it out: how a recording plays as a live source would."""

from __future__ import annotations

import math
from collections.abc import Callable

from nodes.capture.source import Picture

FALLBACK_FPS = 25.0  # of a source with neither presentation times nor a rate
PTS_JUMP_S = 10.0  # a larger step between presentation times, or one back, is a break in the clip and not a pause


class Pace:
    """When each picture of a recording is due, so that it plays at its own rate from its first picture on."""

    def __init__(self, fps: float | None, clock: Callable[[], int], most_late_s: float = math.inf) -> None:
        """`most_late_s`: a picture that is later than this is due now, and those that follow are counted from it."""
        self._most_late_s = most_late_s
        self._step_s = 1 / (fps or FALLBACK_FPS)
        self._clock = clock
        self._start_ns = 0  # when the clip's time 0 was
        self._last_s: float | None = None  # time in the clip of the picture before

    def due_ns(self, picture: Picture) -> int:
        """The clock's time at which the picture is to be shown; the past where it is late."""
        time_s = picture.pts_s
        if self._last_s is None:
            time_s = time_s or 0.0
            self._start_ns = self._clock() - round(time_s * 1e9)
        elif time_s is None:
            time_s = self._last_s + self._step_s
        elif not 0 <= time_s - self._last_s <= PTS_JUMP_S:
            self._start_ns -= round((time_s - self._last_s - self._step_s) * 1e9)
        self._last_s = time_s
        if (self._clock() - self._start_ns) / 1e9 - time_s > self._most_late_s:
            self._start_ns = self._clock() - round(time_s * 1e9)
        return self._start_ns + round(time_s * 1e9)
