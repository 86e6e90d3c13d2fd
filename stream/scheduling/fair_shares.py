"""What cameras have used of a model in, whose turn it is out: a deficit round robin weighted by cost.

Every camera gets the same credit, in seconds of the model; what it uses is taken off. A camera in debt waits while
others have credit; when all that wait are in debt, a round begins that gives everybody as much as the first of them
needs. So a camera that asks for less than its share always gets it, and those that ask for more share the rest evenly.
Of unused credit a frame's worth is saved, and debts do not go away while a camera is silent.

How far a camera may overdraw is measured by what a frame typically costs, not by what its own do: one with twenty
objects is interrupted in the middle of a frame, one with as many as the others finishes its frame first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from stream.scheduling.requests import Request, Slot, Urgency

OVERDRAFT = {Urgency.PROMPT: 8.0, Urgency.BOUNDARY: 2.0, Urgency.FRAME: 0.0}  # typical frames that may be owed
TO_FINISH = 1.0  # the same, further, for a frame that was begun
NEW_SHARE = 1 / 16  # of a new frame in the typical cost: half of it after eleven frames


class FairShares:
    """Every camera's credit."""

    def __init__(self) -> None:
        self.typical_s = 0.0  # what a frame costs in all its stages
        self._given_s = 0.0  # to every camera, in all rounds so far
        self._accounts: dict[str, _Account] = {}
        self._frames: dict[Slot, float] = {}  # what the frame under way has cost
        self._stages: dict[str, float] = {}  # the geometric mean of the newest frames, in which a hog's weigh little

    def __len__(self) -> int:
        return len(self._accounts)

    def credit_s(self, camera: str) -> float:
        """What a camera may use; negative: what it owes. A new one begins with nothing."""
        account = self._accounts.get(camera)
        if account is None:
            account = self._accounts[camera] = _Account(self._given_s)
        credit_s = account.credit_s + self._given_s - account.given_s
        return credit_s if credit_s < self.typical_s else self.typical_s

    def missing_s(self, request: Request) -> float:
        """How much credit a camera lacks for a request; 0 or less: it is its turn."""
        frames = OVERDRAFT[request.urgency] + (TO_FINISH if request.continues else 0.0)
        return -frames * self.typical_s - self.credit_s(request.camera)

    def give(self, amount_s: float) -> None:
        """A round: everybody gets that much."""
        self._given_s += amount_s

    def charge(self, request: Request, cost_s: float) -> None:
        """A request has cost so much."""
        credit_s = self.credit_s(request.camera)
        account = self._accounts[request.camera]
        account.credit_s, account.given_s = credit_s - cost_s, self._given_s
        slot = request.slot
        if request.continues:
            self._frames[slot] = self._frames.get(slot, 0.0) + cost_s
        else:
            self._frame_costs(slot[1], self._frames.get(slot, 0.0) or cost_s)
            self._frames[slot] = cost_s

    def forget(self, camera: str) -> None:
        """A camera is gone."""
        self._accounts.pop(camera, None)
        for slot in [slot for slot in self._frames if slot[0] == camera]:
            del self._frames[slot]

    def _frame_costs(self, stage: str, cost_s: float) -> None:
        if cost_s > 0:
            typical_s = self._stages.get(stage, cost_s)
            self._stages[stage] = typical_s * math.exp(NEW_SHARE * math.log(cost_s / typical_s))
            self.typical_s = sum(self._stages.values())


class _Account:
    __slots__ = ("credit_s", "given_s")

    def __init__(self, given_s: float) -> None:
        self.credit_s = 0.0  # when `given_s` was written
        self.given_s = given_s  # of all rounds by then


def jain_index(values: Iterable[float]) -> float:
    """How even values are: 1 where all are equal, 1 / n where one has all; 1 without any."""
    total = squares = 0.0
    n = 0
    for value in values:
        total += value
        squares += value * value
        n += 1
    return total * total / (n * squares) if squares > 0 else 1.0
