"""Measured costs and the objects of a frame in, those that are decoded on it out: objects take turns.

A frame has room for as much as it may cost. Where all objects fit, all are decoded. Else, in this order:

    prompted       somebody waits for them: as many as PROMPTS_MS pay for, one at least
    uncertain      in half of the places that are left, the one first whose turn is longest ago
    all others     in the other half, and in what the uncertain ones leave: the one first whose turn is longest ago

So with n objects and k places every object has its turn within about 2 n / k frames, whatever the others do: an
uncertain one that stays so never takes more than its half.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from nodes.decoder.scheduling.costs import SPARE, mixed

LEAST_MS = 100.0  # `auto`: below that all objects are decoded, and frames are passed over instead, as few objects need
DECODE_SHARE = 0.4  # of what a frame may cost, at least for decoding: to carry hundreds of objects costs as much, too
PROMPTS_MS = 300.0  # for the prompts of a frame: a first mask costs ten times as much as a further one
OBJECT_MS, PROMPT_MS = 5.0, 25.0  # until something has been measured


@dataclass(frozen=True)
class Candidate:
    """An object that could be decoded on this frame."""

    object_id: int
    kind: Literal["", "uncertain", "prompted"] = ""


class Turns:
    """Whose turn it is. It reads no clock: it is given what things cost."""

    def __init__(self, budget_ms: float | None = None) -> None:
        self.budget_ms = budget_ms  # for one frame; None: `auto`, by the feed's period
        self.period_ms = 0.0  # of the feed, as measured lately; 0: not yet
        self.fixed_ms = 0.0  # measured: of a frame, however many objects are decoded
        self.object_ms = OBJECT_MS  # of one object that is decoded,
        self.prompt_ms = PROMPT_MS  # and of one that begins or is corrected
        self.frames = 0
        self.last_turn: dict[int, int] = {}  # by object, the count of frames at its last turn; absent: it never had one

    @property
    def frame_ms(self) -> float:
        """What a frame may cost."""
        return max(SPARE * self.period_ms, LEAST_MS) if self.budget_ms is None else self.budget_ms

    def forget_others(self, alive: Set[int]) -> None:
        """Forget the objects that are not alive any more."""
        self.last_turn = {i: turn for i, turn in self.last_turn.items() if i in alive}

    def measured_period(self, period_ms: float) -> None:
        """The feed's frames are so far apart."""
        self.period_ms = period_ms

    def places(self, count: int, frame_ms: float, prompted: int = 0) -> int:
        """How many of `count` objects may be decoded on a frame that may cost so much, beside prompted ones."""
        room_ms = max(frame_ms - self.fixed_ms, DECODE_SHARE * frame_ms) - prompted * self.prompt_ms
        return min(max(1, int(room_ms / self.object_ms)), count)

    def choose(self, candidates: Sequence[Candidate], frame_ms: float | None = None) -> set[int]:
        """The ids of those whose turn it is; call it once a frame.

        `frame_ms`: what this frame may cost, where that is not the same for all.
        """
        self.frames += 1
        waiting = sorted(candidates, key=lambda c: self.last_turn.get(c.object_id, -1))  # stable: as they were added
        prompted = [c.object_id for c in waiting if c.kind == "prompted"]
        chosen = prompted[: max(1, int(PROMPTS_MS / self.prompt_ms))]
        others = [c for c in waiting if c.kind != "prompted"]
        places = self.places(len(others), self.frame_ms if frame_ms is None else frame_ms, len(chosen))
        if places < len(others):
            half = places // 2 if places > 1 else self.frames % 2  # one place: every other frame
            uncertain = [c.object_id for c in others if c.kind == "uncertain"][:half]
            rest = [c.object_id for c in others if c.object_id not in uncertain]
            chosen += [*uncertain, *rest[: places - len(uncertain)]]
        else:
            chosen += [c.object_id for c in others]
        self.last_turn |= dict.fromkeys(chosen, self.frames)
        return set(chosen)

    def spent(self, fixed_ms: float, decode_ms: float, objects: int, prompted: int) -> None:
        """What a frame has cost: beside its objects, and for all those decoded, so many of which had a prompt."""
        self.fixed_ms = mixed(self.fixed_ms, fixed_ms)
        if prompted:
            self.prompt_ms = mixed(self.prompt_ms, max(decode_ms - objects * self.object_ms, 1.0) / prompted)
        elif objects:
            self.object_ms = mixed(self.object_ms, max(decode_ms / objects, 0.01))
