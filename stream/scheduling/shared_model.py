"""One model of a process and the thread that runs it: requests of many cameras in, answers out, in fair order.

decoder of camera A --submit--+                          +--> run(group, [payloads])
decoder of camera B --submit--+--> scheduler --batch-->  |    one batch at a time, on this thread alone
tracker of camera A --submit--+                          +--> answers to whoever submitted
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream.scheduling.figures import CameraCounts, DeviceFigures
from stream.scheduling.requests import Batch, Declined, DeclinedError, Group, Request, Slot
from stream.scheduling.scheduler import MOST_UNITS, Scheduler

log = logging.getLogger(__name__)

Run = Callable[[Sequence[Any]], Sequence[Any]]  # the payloads of a batch -> an answer for each, in their order


@dataclass(eq=False)
class _Ticket:
    """Who waits for a request."""

    done: threading.Event = field(default_factory=threading.Event)
    value: Any = None
    error: BaseException | None = None

    def answer(self, value: Any) -> None:
        self.value = value
        self.done.set()

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.done.set()


class SharedModel:
    """The queue of one device and its thread. `submit` may be called from any thread."""

    def __init__(
        self, name: str, scheduler: Scheduler | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._scheduler = scheduler or Scheduler()
        self._clock = clock
        self._runs: dict[Group, Run] = {}
        self._tickets: dict[Request, _Ticket] = {}
        self._lock = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.lost = ""  # what the device said when it was lost: this process can't use it any more

    @property
    def clock(self) -> Callable[[], float]:
        """What deadlines are told by, seconds."""
        return self._clock

    def serve(self, group: Group, run: Run, most_units: int = MOST_UNITS) -> None:
        """Requests of this group are answered by `run`, on the model's thread, so many units at once at most."""
        with self._lock:
            self._runs.setdefault(group, run)
            self._scheduler.most_units[group] = most_units
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"model-{self.name}", daemon=True)
                self._thread.start()

    def submit(self, request: Request) -> Any:
        """The model's answer, when it is there. DeclinedError where there is no time for it; what the model raises."""
        ticket = _Ticket()
        with self._lock:
            if self._closed:
                raise DeclinedError("forgotten")
            assert request.group in self._runs, f"nothing serves {request.group}"
            self._tickets[request] = ticket
            self._answer_declined(self._scheduler.submit(request, self._clock()))
            self._lock.notify()
        ticket.done.wait()
        if ticket.error is not None:
            raise ticket.error
        return ticket.value

    def withdraw(self, slot: Slot) -> bool:
        """Whether what a stage of a camera asked for still waited; then its `submit` raises DeclinedError."""
        with self._lock:
            declined = self._scheduler.withdraw(slot)
            self._answer_declined(declined)
            return bool(declined)

    def release(self, camera: str) -> None:
        """A camera is about to go: whatever it waits for is answered now."""
        with self._lock:
            self._answer_declined(self._scheduler.release(camera))
            for request in [request for request in self._tickets if request.camera == camera]:
                self._tickets.pop(request).fail(DeclinedError("forgotten"))  # in work: its answer is for nobody

    def forget(self, camera: str) -> None:
        """A camera is gone; its figures, too."""
        self.release(camera)
        with self._lock:
            self._scheduler.forget(camera)

    def figures(self) -> DeviceFigures:
        """How the model is shared."""
        with self._lock:
            return self._scheduler.figures.device(self._scheduler.waiting)

    def camera_figures(self, camera: str) -> tuple[CameraCounts, float]:
        """What a camera asked for and got, and its service ratio."""
        with self._lock:
            figures = self._scheduler.figures
            return figures.cameras.get(camera, CameraCounts()), figures.service_ratio(camera)

    def close(self) -> None:
        """Serve nobody any more; a batch in work is not waited for."""
        with self._lock:
            self._closed = True
            for ticket in self._tickets.values():
                ticket.fail(DeclinedError("forgotten"))
            self._tickets.clear()
            self._lock.notify_all()

    # --- the model's thread -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._lock:
                batch = self._next()
                while batch is None and not self._closed:
                    self._lock.wait()
                    batch = self._next()
                if batch is None:
                    return
                run = self._runs[batch.requests[0].group]
            answers, error = _run(run, batch.requests)
            if error is not None and is_lost(error):
                self.lost = str(error).partition("\n")[0]
            with self._lock:
                self._scheduler.finish(batch, self._clock(), failed=error is not None)
            self._hand_out(batch, answers, error, run)

    def _next(self) -> Batch | None:
        if self._closed:
            return None
        batch, declined = self._scheduler.next_batch(self._clock())
        self._answer_declined(declined)
        return batch

    def _hand_out(self, batch: Batch, answers: Sequence[Any], error: BaseException | None, run: Run) -> None:
        """Give the answers; where a batch of several failed, each is tried alone, so that it fails for one of them."""
        for i, request in enumerate(batch.requests):
            own: BaseException | None = error
            answer = answers[i] if error is None else None
            if error is not None and len(batch.requests) > 1:
                found, own = _run(run, [request])
                answer = found[0] if own is None else None
            with self._lock:
                ticket = self._tickets.pop(request, None)
            if ticket is None:
                continue
            if own is None:
                ticket.answer(answer)
            else:
                ticket.fail(own)

    def _answer_declined(self, declined: Sequence[Declined]) -> None:
        for one in declined:
            ticket = self._tickets.pop(one.request, None)
            if ticket is not None:
                ticket.fail(DeclinedError(one.reason))


def is_lost(error: BaseException) -> bool:
    """Whether a GPU has failed in a way that leaves the process without it (`cudaErrorUnknown` and the like).

    Running out of memory is none: it is a `ModelError` here (stream/weights/devices.py).
    """
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def _run(run: Run, requests: Sequence[Request]) -> tuple[Sequence[Any], BaseException | None]:
    try:
        answers = run([request.payload for request in requests])
        assert len(answers) == len(requests), f"{len(answers)} answers to {len(requests)} requests"
    except BaseException as error:  # whoever asked is to raise it, on his own thread
        return (), error
    return answers, None
