"""What a scheduler is given and gives back: requests of cameras, batches of them, and answers without the model."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from stream.errors import ModelError

Reason = Literal["late", "replaced", "forgotten"]  # why the model is not asked
Group = Hashable  # (model, side, precision, kind of work): requests of one group may share a batch
Slot = tuple[str, str]  # camera and stage: each has one request in work and one waiting at most


class Urgency(IntEnum):
    """What is served first."""

    PROMPT = 0  # somebody waits for it
    BOUNDARY = 1  # new points are drawn from its masks
    FRAME = 2


@dataclass(slots=True, eq=False)
class Request:
    """A piece of work for the model. Times are seconds of the scheduler's clock."""

    camera: str
    group: Group
    urgency: Urgency = Urgency.FRAME
    deadline_s: float = math.inf  # capture + budget; infinite on a finished clip
    units: int = 1  # frames to encode, or objects to decode: what the cost grows with
    rest_s: float = 0.0  # what its frame will take afterwards, by the experience of its stage
    stage: str = "decoder"
    must_serve: bool = False  # it is served late rather than not at all; so is every prompt
    continues: bool = False  # a further part of a frame that was accepted: the frame is finished first
    payload: Any = None

    @property
    def slot(self) -> Slot:
        """Whose request it is."""
        return self.camera, self.stage

    @property
    def may_decline(self) -> bool:
        """Whether it may be answered without the model."""
        return not (self.must_serve or self.continues or self.urgency == Urgency.PROMPT)


@dataclass(frozen=True, slots=True)
class Declined:
    """A request that is answered at once: the camera's last masks are carried by its points ("propagate")."""

    request: Request
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Requests of one group that the model is given together."""

    requests: tuple[Request, ...]
    units: int  # of all of them
    began_s: float
    estimated_s: float  # what it costs by the measurements so far; 0 while there are none


class DeclinedError(ModelError):
    """The shared model has no time for a frame before its deadline: its masks are to be carried."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the shared model has no time for this frame ({reason})")
        self.reason: Reason = reason
