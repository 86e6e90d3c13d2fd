"""Measured costs of a live feed's frames in, how finely its objects may be worked on out.

A model that is a little slower than its feed would pass frames over, and each of the others would wait for the one
before: twice as old masks for a tenth too much work. Slightly coarser work costs less than that.
"""

from __future__ import annotations

from nodes.decoder.scheduling.costs import SPARE, mixed

LEAST = 0.65  # coarser work shows in the masks: then frames are passed over, or objects take turns


class Detail:
    """The share of its pixels that a model works with. It reads no clock: it is given what frames cost."""

    def __init__(self) -> None:
        self.share = 1.0  # of the pixels that a model takes where it has time
        self._fixed_ms: float | None = None  # of a frame, however finely its objects are worked on; None: not measured
        self._full_ms: float | None = None  # of all its objects, with all of their pixels

    def spent(self, fixed_ms: float, objects_ms: float, period_ms: float) -> None:
        """What a frame has cost, beside its objects and for them, at the share of now; `period_ms` of the feed."""
        self._fixed_ms = mixed(self._fixed_ms, fixed_ms)
        self._full_ms = mixed(self._full_ms, objects_ms / self.share)
        if period_ms and self._full_ms:
            self.share = min(max((SPARE * period_ms - self._fixed_ms) / self._full_ms, LEAST), 1.0)
