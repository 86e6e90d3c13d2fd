"""Requests and the time in, batches and early answers out: who is served next by a model that cameras share.

The order among the requests that wait, at most one of a camera's stage, the newest:

    credit      cameras that have used less than their share (fair_shares.py); prompts and boundaries may overdraw
    urgency     prompts, boundaries, other frames
    deadline    the earliest, capture + budget

The first of them leads a batch. Others of its group join while that saves time (cost_model.py), the earliest deadline
is still met, and no request of another group is made late. A request whose deadline can't be met even if it were next
is answered at once: its camera carries its last masks. So with too many cameras every one is served less often, none
stops, and what is served is fresh.

The core knows no model, thread or clock: `shared_model.py` runs it in a process, `tools/simulate.py` in simulated time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stream.scheduling.cost_model import ENOUGH, CostModel
from stream.scheduling.fair_shares import FairShares
from stream.scheduling.figures import SchedulerFigures
from stream.scheduling.requests import Batch, Declined, Group, Reason, Request, Slot, Urgency

PATIENCE = 2.0  # own costs that a request may take where its deadline was over before it came
HOPELESS = 3  # such requests of a camera, one after the other, until that holds: its frames are never younger
TRY_AGAIN = 64  # batches of a group after which a common one is tried though it did not pay
JOIN_DEBT = 4.0  # typical frames that a camera may lack and still join the batch of another
MOST_UNITS = 64  # in a batch: what fits a GPU's memory


@dataclass(slots=True, eq=False)
class _Waiting:
    request: Request
    arrived_s: float
    due_s: float  # when its answer has to be there
    missing_s: float = 0.0  # credit, as of the choice that is being made


class Scheduler:
    """The queue of one device. One batch is in work at a time."""

    def __init__(
        self,
        costs: Mapping[Group, tuple[float, float]] | None = None,
        most_units: Mapping[Group, int] | None = None,
    ) -> None:
        self.costs = {group: CostModel(given) for group, given in (costs or {}).items()}  # (a, c), s
        self.most_units = dict(most_units or {})  # in a batch, where a group has another limit
        self.shares = FairShares()
        self.figures = SchedulerFigures()
        self.in_work: Batch | None = None
        self._waiting: dict[Slot, _Waiting] = {}
        self._hopeless: dict[Slot, int] = {}  # requests in a row that came too late for any device
        self._alone: dict[Group, int] = {}  # batches since a common one was tried

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def submit(self, request: Request, now_s: float) -> list[Declined]:
        """A request comes. Answers without the model: this one, or the one that it replaces."""
        self.figures.submitted(request, now_s)
        waiting = _Waiting(request, now_s, self._due_s(request, now_s))
        if self._is_late(waiting, self._free_s(now_s)):
            return [self._decline(request, "late")]
        older = self._waiting.get(request.slot)
        if older is not None and older.request.urgency < request.urgency:
            return [self._decline(request, "replaced")]
        self._waiting[request.slot] = waiting
        return [] if older is None else [self._decline(older.request, "replaced")]

    def next_batch(self, now_s: float) -> tuple[Batch | None, list[Declined]]:
        """What the model does next, None while it works or nobody waits; and whose deadline can't be met any more."""
        if self.in_work is not None:
            return None, []
        declined = self._decline_late(now_s)
        if not self._waiting:
            return None, declined
        members = self._grow(self._choose(), now_s)
        units = sum(w.request.units for w in members)
        group = members[0].request.group
        model = self.cost(group)
        batch = Batch(tuple(w.request for w in members), units, now_s, model.estimate_s(units))
        for w in members:
            del self._waiting[w.request.slot]
        self.in_work = batch
        self.figures.began(batch, [now_s - w.arrived_s for w in members])
        return batch, declined + self._decline_late(now_s)

    def finish(self, batch: Batch, now_s: float, *, failed: bool = False) -> None:
        """The model has answered; `failed`: it could not, and the time says nothing of its cost."""
        assert batch is self.in_work, "one batch at a time"
        self.in_work = None
        model, cost_s = self.cost(batch.requests[0].group), now_s - batch.began_s
        if not failed:
            model.add(batch.units, cost_s)
        # What is charged is the model's cost, not the pause that the machine may have made meanwhile.
        charged_s = model.estimate_s(batch.units) or cost_s
        for request in batch.requests:
            if not self.figures.has(request.camera):  # it went away meanwhile
                continue
            share_s = charged_s * request.units / batch.units
            self.shares.charge(request, share_s)
            self.figures.used(request, share_s)
        self.figures.finished(batch, now_s, failed=failed)

    def withdraw(self, slot: Slot) -> list[Declined]:
        """A camera has a newer frame: its request that waits, unless that is one that has to be served."""
        waiting = self._waiting.get(slot)
        if waiting is None or not waiting.request.may_decline or waiting.request.urgency != Urgency.FRAME:
            return []
        del self._waiting[slot]
        return [self._decline(waiting.request, "replaced")]

    def release(self, camera: str) -> list[Declined]:
        """A camera is about to go: what waited of it."""
        slots = [slot for slot in self._waiting if slot[0] == camera]
        return [self._decline(self._waiting.pop(slot).request, "forgotten") for slot in slots]

    def forget(self, camera: str) -> list[Declined]:
        """A camera is gone: what waited of it, and nothing else of it is kept."""
        declined = self.release(camera)
        for slot in [slot for slot in self._hopeless if slot[0] == camera]:
            del self._hopeless[slot]
        self.shares.forget(camera)
        self.figures.forget(camera)
        return declined

    def cost(self, group: Group) -> CostModel:
        """What batches of a group cost."""
        model = self.costs.get(group)
        if model is None:
            model = self.costs[group] = CostModel()
        return model

    # --- who is late ------------------------------------------------------------------------------------------------

    def _due_s(self, request: Request, now_s: float) -> float:
        """When the answer has to be there.

        A camera whose frames always come too late, since its network or the model itself takes longer than its budget,
        would never be served: after some of them its requests have time all the same.
        """
        if not request.may_decline:
            return request.deadline_s
        cost_s = self.cost(request.group).estimate_s(request.units) + request.rest_s
        slot = request.slot
        if now_s + cost_s <= request.deadline_s:
            self._hopeless.pop(slot, None)
            return request.deadline_s
        self._hopeless[slot] = self._hopeless.get(slot, 0) + 1
        return now_s + PATIENCE * cost_s if self._hopeless[slot] > HOPELESS else request.deadline_s

    def _free_s(self, now_s: float) -> float:
        """When the model has done what is in work."""
        return now_s if self.in_work is None else max(now_s, self.in_work.began_s + self.in_work.estimated_s)

    def _is_late(self, waiting: _Waiting, free_s: float) -> bool:
        request = waiting.request
        if not request.may_decline:
            return False
        cost_s = self.cost(request.group).estimate_s(request.units)
        return free_s + cost_s + request.rest_s > waiting.due_s

    def _decline_late(self, now_s: float) -> list[Declined]:
        free_s = self._free_s(now_s)
        late = [w for w in self._waiting.values() if self._is_late(w, free_s)]
        for w in late:
            del self._waiting[w.request.slot]
        return [self._decline(w.request, "late") for w in late]

    def _decline(self, request: Request, reason: Reason) -> Declined:
        declined = Declined(request, reason)
        self.figures.declined(declined)
        return declined

    # --- who is next ------------------------------------------------------------------------------------------------

    def _choose(self) -> _Waiting:
        """Whose turn it is."""
        least_s = min(self._measure(w) for w in self._waiting.values())
        if least_s > 0:
            self.shares.give(least_s)
            for w in self._waiting.values():
                w.missing_s -= least_s
        return min((w for w in self._waiting.values() if w.missing_s <= 1e-12), key=_order)

    def _measure(self, waiting: _Waiting) -> float:
        waiting.missing_s = self.shares.missing_s(waiting.request)
        return waiting.missing_s

    def _grow(self, lead: _Waiting, now_s: float) -> list[_Waiting]:
        """The batch of `lead`, with all that may join it."""
        group, members, units = lead.request.group, [lead], lead.request.units
        model = self.cost(group)
        candidates = [w for w in self._waiting.values() if w.request.group == group and w is not lead]
        if not candidates or not model.is_measured:
            return members
        trying, most_units = self._tries(group, model, units), self.most_units.get(group, MOST_UNITS)
        if not (trying or model.pays(units, 1)):
            return members
        most_debt_s = JOIN_DEBT * self.shares.typical_s
        limit_s = min(self._reachable_s(lead, now_s), self._others_limit_s(group, now_s + model.estimate_s(units)))
        for w in sorted(candidates, key=_order_of_joining):
            more = w.request.units
            limit_with_s = min(limit_s, self._reachable_s(w, now_s))
            if (
                units + more > most_units
                or not (trying or model.pays(units, more))
                or now_s + model.estimate_s(units + more) > limit_with_s
                or w.missing_s > most_debt_s
                # A camera in debt does not make the others wait more than twice as long.
                or (w.missing_s > 0 and model.unit_s * more > model.estimate_s(units))
            ):
                continue
            members.append(w)
            units, limit_s = units + more, limit_with_s
            if trying:
                self._alone[group] = 0
                break
        return members

    def _tries(self, group: Group, model: CostModel, units: int) -> bool:
        """Whether a batch of two is to find out if it pays: at first, and now and then where it did not."""
        if not model.has_slope:
            return model.samples(units) >= ENOUGH
        if model.pays(1, 1):
            return False
        self._alone[group] = self._alone.get(group, 0) + 1
        return self._alone[group] > TRY_AGAIN

    def _reachable_s(self, waiting: _Waiting, now_s: float) -> float:
        """The latest time for its answer; what would be late by itself sets no limit any more."""
        request = waiting.request
        due_s = waiting.due_s - request.rest_s
        alone_s = now_s + self.cost(request.group).estimate_s(request.units)
        return due_s if alone_s <= due_s else math.inf

    def _others_limit_s(self, group: Group, alone_s: float) -> float:
        """When the batch has to be done for the others: what would not be late after the lead alone, stays so."""
        limit_s = math.inf
        for w in self._waiting.values():
            if w.request.group != group:
                start_s = w.due_s - w.request.rest_s - self.cost(w.request.group).estimate_s(w.request.units)
                if alone_s <= start_s < limit_s:
                    limit_s = start_s
        return limit_s


def _order(waiting: _Waiting) -> tuple[float, float, float]:
    return waiting.request.urgency, waiting.due_s, waiting.arrived_s


def _order_of_joining(waiting: _Waiting) -> tuple[float, float, float, float]:
    """Those with credit as they would lead, then the others by their debt."""
    return max(0.0, waiting.missing_s), *_order(waiting)
