"""When a segment begins and ends: packets and the sight of objects in, what to do with each packet out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

When = Literal["continuous", "objects"]
Step = Literal["skip", "begin", "write", "cut", "end"]


@dataclass(frozen=True)
class PlanOptions:
    """What is recorded; times in s."""

    when: When = "continuous"
    segment_s: float = 60.0
    pre_s: float = 5.0  # objects: so much from before the first was seen
    post_s: float = 10.0  # objects: so much after the last was seen


class RecordingPlan:
    """Decides for each packet. It holds no clock: every call brings the time, monotonic ns."""

    def __init__(self, options: PlanOptions) -> None:
        self._options = options
        self._on = True
        self._seen_ns: int | None = None  # when objects were seen last

    @property
    def on(self) -> bool:
        """Whether recording is switched on."""
        return self._on

    def switch(self, on: bool) -> None:
        """Record from now on, or no longer."""
        self._on = on

    def see_objects(self, now_ns: int) -> None:
        """Objects are in sight."""
        self._seen_ns = now_ns

    def wants(self, now_ns: int) -> bool:
        """Whether what comes now is recorded."""
        if not self._on or self._options.when == "continuous":
            return self._on
        return self._seen_ns is not None and now_ns - self._seen_ns <= self._options.post_s * 1e9

    def step(self, *, is_key: bool, arrived_ns: int, began_ns: int | None, has_key: bool) -> Step:
        """What to do with a packet: `began_ns` is when the segment under way began, None without one.

        `has_key`: packets since a key frame wait in the ring, so that a segment can begin with them.
        """
        wanted = self.wants(arrived_ns)
        if began_ns is None:
            return "begin" if wanted and (is_key or has_key) else "skip"
        if not wanted:
            return "end"
        full = arrived_ns - began_ns >= self._options.segment_s * 1e9
        return "cut" if full and is_key else "write"
