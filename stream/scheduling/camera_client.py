"""A stage of one camera as a client of a shared model: it says what its frame is worth, and asks."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stream.scheduling.requests import Group, Request, Urgency
from stream.scheduling.shared_model import SharedModel

FOREIGN_S = 60.0  # a frame older than that was stamped by another host's clock: it counts as captured now
NEW_SHARE = 0.2  # of a new frame in what a frame takes after its first request


class CameraClient:
    """Asks a shared model for one stage of one camera.

    The first request of a frame may be declined, where `frame` says how soon it is needed; the others finish it.
    Outside of `frame` (a finished clip) nothing is late.
    """

    def __init__(self, model: SharedModel, camera: str, stage: str, *, must_serve: bool = False) -> None:
        self.model = model
        self.camera = camera
        self.stage = stage
        self.must_serve = must_serve  # it has no other answer than the model's
        self.rest_s = 0.0  # what a frame takes after its first request, lately
        self._current = threading.local()  # a stage may ask from several threads

    @contextmanager
    def frame(self, urgency: Urgency, captured_ns: int, budget_s: float) -> Iterator[None]:
        """What is asked for inside is of one frame: captured then, by the monotonic clock, and good for so long."""
        now_s = self.model.clock()
        captured_s = captured_ns / 1e9
        if not 0 <= now_s - captured_s < FOREIGN_S:
            captured_s = now_s
        self._current.frame = frame = _Frame(urgency, captured_s + budget_s)
        try:
            yield
        finally:
            self._current.frame = None
            if frame.first_ends_s:
                self.rest_s += NEW_SHARE * (self.model.clock() - frame.first_ends_s - self.rest_s)

    def withdraw(self) -> bool:
        """Give up what is asked for, if it still waits: there is a newer frame."""
        return self.model.withdraw((self.camera, self.stage))

    def ask(self, group: Group, payload: Any, units: int = 1) -> Any:
        """The model's answer; DeclinedError where a frame has no time left."""
        frame: _Frame | None = getattr(self._current, "frame", None)
        if frame is None:
            return self.model.submit(
                Request(self.camera, group, units=units, stage=self.stage, must_serve=True, payload=payload)
            )
        begun = frame.first_ends_s > 0
        request = Request(
            self.camera,
            group,
            frame.urgency,
            frame.deadline_s,
            units,
            0.0 if begun else self.rest_s,
            self.stage,
            must_serve=self.must_serve,
            continues=begun,
            payload=payload,
        )
        answer = self.model.submit(request)
        frame.first_ends_s = frame.first_ends_s or self.model.clock()
        return answer


class _Frame:
    """The frame that a thread works at."""

    def __init__(self, urgency: Urgency, deadline_s: float = math.inf) -> None:
        self.urgency = urgency
        self.deadline_s = deadline_s
        self.first_ends_s = 0.0  # when its first request was answered
