"""Measured costs and the age of a frame in; how to answer it out: decoded, with how many passes, or carried by points.

A frame of the feed is worth `budget_ms` of the decoder's time, and time that was not spent is kept for a while. From
there, in this order:

    a finished clip                decoded in full: nothing can be late
    a prompt                       decoded: somebody waits for it
    a boundary                     decoded, since new points are drawn from it; unless it is late
    late                           carried: older than `max_age_ms` while newer frames wait, so the decoder catches up
    can be paid for                decoded; one that costs more than a frame only when it is the newest
    else                           carried

So no frame is older than two decodes, and the few frames that wait, when its masks are there.

A decoded frame gets as many refinement passes as can be paid for, `least_passes` at least (12 passes instead of 3 gain
0.3 points of J&F, 3 instead of none 1.9: paper, table 2), and always those that cost little beside the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nodes.decoder.scheduling.costs import SPARE, mixed

SAVED_FRAMES = 4  # how many frames' worth of unspent time is kept: enough to pay for a boundary now and then
DEBT_FRAMES = 14  # how many frames' worth of time a decode may leave owing: two horizons
FREE_SHARE = 0.1  # of an encode: passes that cost less together are never saved


@dataclass(frozen=True)
class Situation:
    """A frame before it is answered."""

    kind: Literal["", "boundary", "prompt"]
    age_ms: float  # since it was captured
    frames: int  # of the feed since the last frame that was answered, this one included
    objects: int
    newer_waiting: bool  # in the decoder's queue


@dataclass(frozen=True)
class Plan:
    """How to answer it."""

    decode: bool  # False: carry the last masks by the points
    refinement_passes: int = 0


class Budget:
    """The decoder's account of its time. It reads no clock: it is given what things cost."""

    def __init__(
        self,
        *,
        period_ms: float = 0.0,
        budget_ms: float | None = None,
        max_age_ms: float = 500.0,
        refinement_passes: int = 12,
        least_passes: int = 3,
    ) -> None:
        self.period_ms = period_ms  # of the feed, as measured lately; 0: not yet, or a finished clip
        self.budget_ms = budget_ms  # None: `auto`
        self.max_age_ms = max_age_ms
        self.refinement_passes = refinement_passes  # at most
        self.least_passes = min(least_passes, refinement_passes)
        self.saved_ms = 0.0
        self.encode_ms: float | None = None  # measured; None: not yet
        self.pass_ms: dict[int, float] = {}  # by the number of objects

    @property
    def frame_ms(self) -> float:
        """What a frame of the feed is worth."""
        return SPARE * self.period_ms if self.budget_ms is None else self.budget_ms

    def measured_period(self, period_ms: float) -> None:
        """The feed's frames are so far apart."""
        self.period_ms = period_ms

    def plan(self, now: Situation) -> Plan:
        """How to answer a frame; call it once for every frame that is answered."""
        if self.period_ms <= 0:
            return Plan(True, self.refinement_passes)
        most = max(SAVED_FRAMES * self.frame_ms, self.cost_ms(self.least_passes, now.objects))
        self.saved_ms = min(self.saved_ms + now.frames * self.frame_ms, most)
        late = now.age_ms > self.max_age_ms and now.newer_waiting
        cost = self.cost_ms(self.least_passes, now.objects)
        paid = cost <= self.saved_ms and (cost <= self.frame_ms or not now.newer_waiting)
        if now.kind == "prompt" or (not late and (now.kind == "boundary" or (paid and now.objects > 0))):
            return Plan(True, self._passes(now.objects))
        return Plan(False)

    def spent(self, encode_ms: float, decode_ms: float, passes: int, objects: int) -> None:
        """What a decoded frame has cost: its encode, and the passes of all its objects together."""
        self.encode_ms = mixed(self.encode_ms, encode_ms)
        if passes > 0:
            self.pass_ms[objects] = mixed(self.pass_ms.get(objects), decode_ms / passes)
        owed = max(self.saved_ms - encode_ms - decode_ms, -DEBT_FRAMES * self.frame_ms)
        self.saved_ms = owed if self.period_ms > 0 else 0.0

    def cost_ms(self, refinement_passes: int, objects: int) -> float:
        """What a frame would cost, two opening passes included; 0 as long as nothing has been measured."""
        return (self.encode_ms or 0.0) + (2 + refinement_passes) * self._pass_ms(objects)

    def _passes(self, objects: int) -> int:
        """The refinement passes of a frame that is decoded."""
        pass_ms = self._pass_ms(objects)
        if pass_ms <= 0:
            return self.refinement_passes
        affordable = int((self.saved_ms - self.cost_ms(0, objects)) / pass_ms)
        free = int(FREE_SHARE * (self.encode_ms or 0.0) / pass_ms)
        return min(max(affordable, free, self.least_passes), self.refinement_passes)

    def _pass_ms(self, objects: int) -> float:
        """Measured, or estimated from the nearest number of objects: more cost more, fewer perhaps as much."""
        if not self.pass_ms:
            return 0.0
        nearest = min(self.pass_ms, key=lambda n: abs(n - objects))
        return self.pass_ms[nearest] * max(objects / nearest, 1.0)
