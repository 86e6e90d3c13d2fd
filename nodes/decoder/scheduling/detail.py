"""Measured costs of a live feed's frames in, how finely its objects may be worked on out.

A model that is a little slower than its feed would pass frames over, and each of the others would wait for the one
before: twice as old masks for a tenth too much work. Slightly coarser work costs less than that.
"""

from __future__ import annotations

OLD_WEIGHT = 0.8  # of the earlier measurements of a cost, beside a new one
SPARE = 0.8  # of the feed's period: what a frame may cost; the rest goes to sockets and drawing
LEAST = 0.65  # coarser work shows in the masks: then frames are passed over, or objects take turns


class Detail:
    """The share of its pixels that a model works with. It reads no clock: it is given what frames cost."""

    def __init__(self) -> None:
        self.share = 1.0  # of the pixels that a model takes where it has time
        self._fixed_ms = 0.0  # of a frame, however finely its objects are worked on
        self._full_ms = 0.0  # of all its objects, with all of their pixels; 0: not measured yet

    def spent(self, fixed_ms: float, objects_ms: float, period_ms: float) -> None:
        """What a frame has cost, beside its objects and for them, at the share of now; `period_ms` of the feed."""
        full_ms = objects_ms / self.share
        if self._full_ms:
            fixed_ms = OLD_WEIGHT * self._fixed_ms + (1 - OLD_WEIGHT) * fixed_ms
            full_ms = OLD_WEIGHT * self._full_ms + (1 - OLD_WEIGHT) * full_ms
        self._fixed_ms, self._full_ms = fixed_ms, full_ms
        if period_ms and full_ms:
            self.share = min(max((SPARE * period_ms - fixed_ms) / full_ms, LEAST), 1.0)
