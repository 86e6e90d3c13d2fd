"""One thread that runs the model beside the feed: a job in, its outcome out when it is ready.

Work that takes much longer than a frame is a `SlicedTask`: each slice is a job, so that frames come between.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Worker(Protocol[T]):
    """What runs one job at a time."""

    @property
    def busy(self) -> bool:
        """True from the start of a job until its outcome is taken."""

    def start(self, job: Callable[[], T]) -> None:
        """Begin a job; nothing else is running."""

    def take(self, wait_s: float = 0.0) -> tuple[T | None, BaseException | None] | None:
        """The outcome of the job, or what it raised; None while it is not ready. Waits for it that long."""


class SlicedTask(Protocol):
    """Work for the model that is done where no frame waits for it."""

    def step(self) -> bool:
        """Do a slice, on the worker's thread; True when it was the last."""

    def finish(self) -> None:
        """Called once after the last slice, on the thread of the loop."""


class ThreadWorker(Generic[T]):
    """A `Worker` on a thread. The model's own code leaves Python's lock alone while it computes."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake  # called when a job is ready, from the thread
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._outcome: tuple[T | None, BaseException | None] = (None, None)

    @property
    def busy(self) -> bool:
        """True from the start of a job until its outcome is taken."""
        return self._thread is not None

    def start(self, job: Callable[[], T]) -> None:
        """Begin a job. The thread dies with the process: a stop never waits for a model."""
        assert not self.busy, "one job at a time"
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, args=(job,), name="decoder-model", daemon=True)
        self._thread.start()

    def take(self, wait_s: float = 0.0) -> tuple[T | None, BaseException | None] | None:
        """The outcome of the job, or what it raised; None while it is not ready."""
        if self._thread is None or not self._ready.wait(wait_s):
            return None
        self._thread = None
        return self._outcome

    def _run(self, job: Callable[[], T]) -> None:
        try:
            self._outcome = (job(), None)
        except BaseException as error:
            self._outcome = (None, error)
        self._ready.set()
        self.wake()
